"""What is said to be sure is wrong in one case of twenty at most, however many thresholds were looked at."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cupel.evaluation import decision_for_precision, decision_for_recall, silence_of
from cupel.evaluation.sure_shares import ends_of, least_shares, shares_of_first, sure_shares, worth_in_rows

N_DRAWS = 60
MOST_BROKEN = 7
"""Of 60 draws, were the promise broken in 5% of them: no more in 98 cases of 100."""


def constant(seed: int, *, share: float, n_rows: int = 300, times: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores that tell nothing, so that every threshold has the same true precision; each row so many times."""
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n_rows), times)
    return (generator.random(n_rows) < share)[groups].astype(np.int64), generator.random(n_rows)[groups], groups


def is_reached(reason: str) -> bool:
    return "no threshold surely reaches" not in reason


@pytest.mark.parametrize("times", [1, 3])
def test_a_precision_that_no_threshold_has_is_promised_seldom(times: int) -> None:
    promised = 0
    for seed in range(N_DRAWS):
        target, score, groups = constant(seed, share=0.8, times=times)
        asked = None if times == 1 else groups
        promised += is_reached(decision_for_precision(target, score, at_least=0.8, groups=asked).reason)
    assert promised <= MOST_BROKEN


@pytest.mark.parametrize("times", [1, 3])
def test_silence_promises_seldom_what_no_confidence_has(times: int) -> None:
    promised = 0
    for seed in range(N_DRAWS):
        target, score, groups = constant(seed, share=0.8, times=times)
        said = np.column_stack([(1 - score) / 3, 1 - (1 - score) / 3])  # the second class is always the more probable one
        silence = silence_of(target, said, groups=None if times == 1 else groups)
        assert silence is not None
        promised += bool(np.isfinite(silence.confidence_for(0.8)))
    assert promised <= MOST_BROKEN


def test_a_recall_is_missed_seldom() -> None:
    missed = 0
    for seed in range(N_DRAWS):
        generator = np.random.default_rng(seed)
        target, score = generator.integers(0, 2, 200), generator.random(200)
        threshold = decision_for_recall(target, score, at_least=0.9).threshold
        missed += threshold > 0.1  # of uniform scores the tenth below it is missed
    assert missed <= MOST_BROKEN


def test_what_is_promised_is_not_timid_where_there_is_much_to_promise() -> None:
    generator = np.random.default_rng(0)
    logit = generator.normal(0, 2, 2000)
    positive = 1 / (1 + np.exp(-logit))
    target = (generator.random(2000) < positive).astype(np.int64)
    decision = decision_for_precision(target, positive, at_least=0.85)
    assert is_reached(decision.reason)
    exact = next(at for at in np.sort(positive) if positive[positive > at].mean() >= 0.85)
    assert (positive > decision.threshold).sum() > 0.7 * (positive > exact).sum()


def test_rows_in_groups_are_worth_what_the_groups_spread_by() -> None:
    generator = np.random.default_rng(1)
    groups = np.repeat(np.arange(200), 5)
    copies, strangers = (generator.random(200) < 0.7)[groups], generator.random(1000) < 0.7
    assert worth_in_rows(copies, groups) == pytest.approx(200, rel=0.02)
    assert worth_in_rows(strangers, groups) > 800
    assert worth_in_rows(strangers, None) == 1000
    assert worth_in_rows(np.ones(1000, bool), groups) == pytest.approx(200)
    mixed = generator.permutation(1000)
    right, units, sizes = copies[mixed], groups[mixed], np.array([1, 7, 100, 999])
    assert shares_of_first(right, sizes, units=units)[1] == pytest.approx([worth_in_rows(right[:n], units[:n]) for n in sizes])


def test_the_least_share_is_that_of_clopper_and_pearson() -> None:
    exact = stats.binomtest(45, 50, alternative="greater").proportion_ci(0.95, method="exact").low
    assert least_shares(np.array([0.9, 0.0, 0.0]), np.array([50.0, 5.0, 0.0])) == pytest.approx([exact, 0, 0])


def test_no_number_of_rows_is_surer_than_all_before_it_from_some_beginning() -> None:
    right = np.r_[np.ones(200, bool), np.zeros(100, bool), np.ones(4000, bool)]
    sizes = np.arange(10, len(right) + 1, 10)
    sure = sure_shares(right, sizes)
    assert (sure[sizes < 30] == 0).all()
    assert sure[sizes == 200][0] > 0.95
    assert sure[sizes == 300][0] < 0.7
    assert sure[-1] > 0.9  # the last beginning has 2,430 rows


def test_equal_values_are_not_divided() -> None:
    ranked = np.repeat([0.9, 0.8, 0.5], [4, 100, 7])
    assert set(ends_of(ranked, fewest=1, most=50).tolist()) <= {4, 104, 111}
    assert ends_of(ranked, fewest=1, most=50)[-1] == 111
