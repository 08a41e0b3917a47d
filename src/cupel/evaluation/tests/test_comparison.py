"""Candidates on shared resamples: ties, and the luck of choosing."""

from __future__ import annotations

import numpy as np
import pytest

from cupel.evaluation import Comparison, corrected_for_selection, score, select_best, tie_groups
from cupel.evaluation.comparison import MOST_WIDENING, widening_of


def guesses(target: np.ndarray, skill: float, seed: int) -> np.ndarray:
    positive = 1 / (1 + np.exp(-(skill * (2 * target - 1) + np.random.default_rng(seed).normal(0, 1.5, len(target)))))
    return np.column_stack([1 - positive, positive])


def labels(n_rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, n_rows)


def best(scores: np.ndarray) -> int:
    return int(np.argmax(scores))


def test_equal_candidates_are_tied_and_worse_ones_come_after() -> None:
    target = labels(600)
    candidates = [guesses(target, 1.0, 1), guesses(target, 1.0, 2), guesses(target, 0.3, 3), guesses(target, 0.0, 4)]
    assert tie_groups("roc_auc", target, candidates) == [1, 1, 2, 3]


def test_the_luck_of_choosing_among_candidates_that_know_nothing_is_taken_off() -> None:
    errors, naive = [], []
    for seed in range(25):
        target = labels(200, seed)
        candidates = [guesses(target, 0.0, 1000 * seed + number) for number in range(20)]
        comparison = Comparison.of("roc_auc", target, candidates, n_resamples=150)
        errors.append(comparison.expected(best) - 0.5)
        naive.append(comparison.scores.max() - 0.5)
    assert np.mean(naive) > 0.05
    assert abs(np.mean(errors)) < 0.25 * np.mean(naive)


def test_it_agrees_with_judging_on_the_rows_left_out() -> None:
    target = labels(300, 7)
    candidates = [guesses(target, 0.2 + 0.02 * number, number) for number in range(15)]
    fast = Comparison.of("roc_auc", target, candidates, n_resamples=400).expected(best)
    slow = corrected_for_selection("roc_auc", target, candidates, select_best("roc_auc", target, candidates), n_resamples=400)
    assert fast == pytest.approx(slow.estimate, abs=0.25 * (slow.high - slow.low) / 2)
    assert slow.optimism > 0


def test_a_single_candidate_and_one_far_ahead_have_no_luck() -> None:
    target = labels(300)
    alone = Comparison.of("roc_auc", target, [guesses(target, 1.0, 1)], n_resamples=50)
    assert alone.expected(best) == pytest.approx(alone.scores[0])
    ahead = Comparison.of("roc_auc", target, [guesses(target, 2.0, 1), guesses(target, 0.0, 2)], n_resamples=50)
    assert ahead.expected(best) == pytest.approx(ahead.scores[0])


def test_losses_are_turned_so_that_larger_is_better() -> None:
    target = labels(300)
    comparison = Comparison.of("log_loss", target, [guesses(target, 1.0, 1), guesses(target, 0.0, 2)], n_resamples=50)
    assert comparison.scores[0] == -score("log_loss", target, guesses(target, 1.0, 1))
    assert comparison.scores[0] > comparison.scores[1]


def test_groups_widen_what_counts_as_a_tie() -> None:
    groups = np.repeat(np.arange(30), 20)
    target = np.repeat(labels(30, 3), 20)
    second = guesses(target, 0.6, 1)
    first = np.where((groups < 3)[:, None], guesses(target, 4.0, 5), second)  # better in three groups of thirty
    assert tie_groups("log_loss", target, [first, second]) == [1, 2]
    assert tie_groups("log_loss", target, [first, second], groups=groups) == [1, 1]


def test_resamples_without_a_score_are_left_out() -> None:
    target = np.array([1] + [0] * 29)  # many resamples have no positive row
    comparison = Comparison.of("roc_auc", target, [guesses(target, 1.0, 1), guesses(target, 1.0, 2)], n_resamples=60)
    assert 0 < comparison.deviations.shape[1] < 60
    assert np.isfinite(comparison.deviations).all()
    assert comparison.tie_groups() == [1, 1]


def constant(target: np.ndarray) -> np.ndarray:
    return np.full((len(target), 2), 0.5)


def test_scores_of_folds_that_taught_one_another_stray_further_where_nothing_is_found() -> None:
    target = labels(300)
    candidates = [guesses(target, 0.0, number) for number in range(5)]
    plain = Comparison.of("roc_auc", target, candidates, n_resamples=100)
    mutual = Comparison.of("roc_auc", target, [*candidates, constant(target)], n_resamples=100, constant=5)
    assert plain.widening == 1
    assert mutual.widening == MOST_WIDENING
    assert mutual.deviations[:5] == pytest.approx(MOST_WIDENING * plain.deviations)


def test_scores_stray_no_further_where_models_surely_found_something() -> None:
    target = labels(2000)
    found = Comparison.of("roc_auc", target, [guesses(target, 2.0, 1), constant(target)], n_resamples=100, constant=1)
    assert 1 < found.widening < 1.01


def test_what_is_common_with_the_constant_is_not_widened() -> None:
    target = labels(300)
    nearly = constant(target) + 0.01 * (guesses(target, 0.0, 1) - 0.5)
    plain = Comparison.of("log_loss", target, [nearly, constant(target)], n_resamples=100)
    mutual = Comparison.of("log_loss", target, [nearly, constant(target)], n_resamples=100, constant=1)
    assert mutual.widening == MOST_WIDENING
    assert mutual.deviations[1] == pytest.approx(plain.deviations[1])
    assert mutual.deviations[0] - mutual.deviations[1] == pytest.approx(
        MOST_WIDENING * (plain.deviations[0] - plain.deviations[1])
    )


def test_widening_falls_with_the_distance_from_a_constant() -> None:
    widenings = [widening_of(distance) for distance in (-3, 0, 2, 3, 5, 10, 100)]
    assert widenings[0] == widenings[1] == widenings[2] == MOST_WIDENING
    assert widenings == sorted(widenings, reverse=True)
    assert widenings[-1] == pytest.approx(1, abs=1e-3)


def test_the_best_of_equals_strays_less_than_each_of_them() -> None:
    target = labels(300)
    candidates = [guesses(target, 0.0, number) for number in range(20)]
    comparison = Comparison.of("roc_auc", target, candidates, n_resamples=200)
    luck, own = comparison.luck(best), comparison.interval(best(comparison.scores))
    assert luck.low < 0 < luck.high
    assert luck.high - luck.low < 0.8 * (own.high - own.low)


def test_the_luck_of_one_far_ahead_of_many_equals_is_none_though_these_are_many() -> None:
    target = labels(500)
    candidates = [guesses(target, 1.5, 99), *(guesses(target, 0.3, number) for number in range(20))]
    comparison = Comparison.of("roc_auc", target, candidates, n_resamples=200)
    assert comparison.luck(best).estimate == pytest.approx(0)
    own = comparison.interval(0)
    luck = comparison.luck(best)
    assert luck.high - luck.low == pytest.approx(own.high - own.low)
