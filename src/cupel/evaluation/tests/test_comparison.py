"""Candidates on shared resamples: ties, and the luck of choosing."""

from __future__ import annotations

import numpy as np
import pytest

from cupel.evaluation import Comparison, corrected_for_selection, score, select_best, tie_groups


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
