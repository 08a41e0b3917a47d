"""The corrected resampled t-test, against numbers worked out by hand and against what it is to correct."""

import math

import numpy as np
import pytest
from scipy import stats

from cupel.evaluation import corrected_resampled_t


def test_numbers_worked_out_by_hand():
    # mean 0.02, variance 0.0001 (deviations -0.01, 0, 0.01, -0.01, 0.01 squared and summed: 0.0004; by 4: 0.0001)
    found = corrected_resampled_t(np.array([0.01, 0.02, 0.03, 0.01, 0.03]), test_share=0.25)
    error = math.sqrt((1 / 5 + 1 / 4) * 0.0001)  # 0.0067082
    assert error == pytest.approx(0.0067082, abs=1e-7)
    assert found.estimate == pytest.approx(0.02)
    assert found.estimate / error == pytest.approx(2.98142, abs=1e-5)
    assert found.p_value == pytest.approx(0.0407, abs=1e-4)  # of t = 2.9814 with 4 degrees of freedom
    assert found.high - found.estimate == pytest.approx(2.776445 * error, abs=1e-7)  # the 97.5% point with 4 of them
    assert found.n_folds == 5


def test_without_the_correction_it_is_the_plain_t_test():
    differences = np.random.default_rng(0).normal(0.3, 1, 10)
    assert corrected_resampled_t(differences, test_share=0.0).p_value == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    assert corrected_resampled_t(differences, test_share=1 / 9).p_value > stats.ttest_1samp(differences, 0).pvalue


def test_the_second_seen_from_the_first_is_the_first_seen_from_the_second():
    differences = np.array([0.1, -0.02, 0.05])
    one, other = (corrected_resampled_t(sign * differences, test_share=0.5) for sign in (1, -1))
    assert (one.estimate, one.low, one.high, one.p_value) == (-other.estimate, -other.high, -other.low, other.p_value)


def test_too_few_folds_say_nothing_and_equal_ones_say_all():
    assert corrected_resampled_t(np.array([0.1]), test_share=0.25) is None
    assert corrected_resampled_t(np.array([0.1, np.nan, np.nan]), test_share=0.25) is None
    assert corrected_resampled_t(np.zeros(5), test_share=0.25).p_value == 1.0
    assert corrected_resampled_t(np.full(5, 0.1), test_share=0.25).p_value == 0.0
