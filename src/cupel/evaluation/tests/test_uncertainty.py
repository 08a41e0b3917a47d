"""Intervals cover, pairs are told apart where they differ, and choosing is paid for."""

from __future__ import annotations

import time

import numpy as np
import pytest

from cupel.evaluation import (
    METRICS,
    Interval,
    Resamples,
    corrected_for_selection,
    interval,
    paired_difference,
    score,
    select_best,
    tie_groups,
)


def noisy(target: np.ndarray, noise: float, seed: int) -> np.ndarray:
    positive = 1 / (1 + np.exp(-(2 * target - 1 + np.random.default_rng(seed).normal(0, noise, len(target)))))
    return np.column_stack([1 - positive, positive])


def labels(n_rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, n_rows)


@pytest.mark.parametrize("name", ["roc_auc", "log_loss", "f1", "accuracy"])
def test_resampled_scores_are_the_scores_of_repeated_rows(name: str) -> None:
    target = labels(80)
    predictions = noisy(target, 2.0, 1)
    resamples = Resamples.draw(80, seed=3, n_resamples=5)
    from cupel.evaluation.intervals import resampled_scores

    found = resampled_scores(name, target, [predictions], resamples)[0]
    for number in range(5):
        counts = resamples.row_counts(number)
        assert counts.sum() == 80
        expected = score(name, np.repeat(target, counts), np.repeat(predictions, counts, axis=0))
        assert found[number] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n_decimals", [2, 12])
def test_rank_scores_of_many_rows_are_resampled_to_first_order(n_decimals: int) -> None:
    target = (np.random.default_rng(0).random(6000) < 0.2).astype(np.int64)
    predictions = np.round(noisy(target, 1.0, 1), n_decimals)
    metric, resamples = METRICS["roc_auc"], Resamples.draw(6000, seed=3, n_resamples=100)
    assert metric.prepare_linear is not None
    linear = metric.prepare_linear(target, predictions)
    assert linear(np.ones((1, 6000)))[0] == pytest.approx(score("roc_auc", target, predictions), abs=1e-12)
    exact = resamples.scores([metric.prepare(target, predictions)])[0]
    found = resamples.scores([linear])[0]
    assert np.abs(found - exact).max() < 0.1 * exact.std()
    assert found.std() == pytest.approx(exact.std(), rel=0.02)


def test_rank_scores_within_parts_are_resampled_to_first_order_too() -> None:
    target = (np.random.default_rng(0).random(6000) < 0.2).astype(np.int64)
    predictions = np.round(noisy(target, 1.0, 1), 2)
    metric = METRICS["roc_auc"].within(np.random.default_rng(5).integers(0, 5, (6000, 2)))
    assert metric.prepare_linear is not None
    linear = metric.prepare_linear(target, predictions)
    assert linear(np.ones((1, 6000)))[0] == pytest.approx(score(metric, target, predictions), abs=1e-12)
    resamples = Resamples.draw(6000, seed=3, n_resamples=100)
    exact, found = (resamples.scores([scorer])[0] for scorer in (metric.prepare(target, predictions), linear))
    assert np.abs(found - exact).max() < 0.15 * exact.std()
    assert found.std() == pytest.approx(exact.std(), rel=0.02)


def test_rank_scores_of_few_positive_rows_are_resampled_exactly() -> None:
    target = (np.arange(6000) < 100).astype(np.int64)
    predictions, metric = noisy(target, 1.0, 1), METRICS["roc_auc"]
    assert metric.prepare_linear is not None
    resamples = Resamples.draw(6000, seed=3, n_resamples=10)
    prepares = (metric.prepare, metric.prepare_linear)
    exact, linear = (resamples.scores([prepare(target, predictions)])[0] for prepare in prepares)
    assert (exact == linear).all()


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    covered = 0
    for seed in range(150):
        errors = np.random.default_rng(seed).normal(0, 1, 200)
        found = interval("mae", np.zeros(200), errors[:, None], seed=seed, n_resamples=200)
        covered += found.low <= np.sqrt(2 / np.pi) <= found.high
    assert 0.87 <= covered / 150 <= 0.99


def test_groups_are_drawn_whole_and_widen_the_interval() -> None:
    groups = np.repeat(np.arange(20), 50)
    errors = np.repeat(np.random.default_rng(0).normal(0, 1, 20), 50)[:, None]
    resamples = Resamples.draw(1000, groups=groups, n_resamples=10)
    for number in range(10):
        counts = resamples.row_counts(number).reshape(20, 50)
        assert (counts == counts[:, :1]).all()
    rows = interval("mae", np.zeros(1000), errors, n_resamples=200)
    clusters = interval("mae", np.zeros(1000), errors, groups=groups, n_resamples=200)
    assert clusters.high - clusters.low > 3 * (rows.high - rows.low)


def test_a_positive_difference_means_the_first_is_better_for_losses_too() -> None:
    target = labels(600)
    good, bad = noisy(target, 1.0, 1), noisy(target, 4.0, 2)
    for name in ("roc_auc", "log_loss", "accuracy", "brier"):
        found = paired_difference(name, target, good, bad, n_resamples=200)
        assert found.low > 0
        assert found.probability_worse < 0.05
        assert found.p_value < 0.05
        turned = paired_difference(name, target, bad, good, n_resamples=200)
        assert turned.estimate == -found.estimate
        assert turned.probability_worse > 0.95


def test_equal_predictions_do_not_differ() -> None:
    target = labels(100)
    found = paired_difference("roc_auc", target, noisy(target, 1, 1), noisy(target, 1, 1), n_resamples=50)
    assert (found.estimate, found.low, found.high, found.probability_worse, found.p_value) == (0, 0, 0, 0.5, 1)


def test_pairing_narrows_the_interval() -> None:
    target = labels(500)
    first = noisy(target, 2.0, 1)
    second = 0.95 * first + 0.05 * noisy(target, 2.0, 2)
    paired = paired_difference("log_loss", target, first, second, n_resamples=300)
    alone = interval("log_loss", target, first, n_resamples=300)
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)


def test_one_candidate_has_no_optimism() -> None:
    target = labels(200)
    predictions = [noisy(target, 2.0, 1)]
    found = corrected_for_selection("roc_auc", target, predictions, select_best("roc_auc", target, predictions), n_resamples=40)
    assert found.estimate == found.naive
    assert found.optimism == 0
    assert found.low < found.estimate < found.high


@pytest.mark.parametrize(("name", "truth"), [("accuracy", 0.5), ("brier", None)])
def test_the_optimism_of_choosing_among_equals_is_found(name: str, truth: float | None) -> None:
    target = labels(150)
    candidates = [noisy(labels(150, seed), 1.0, seed) for seed in range(1, 41)]  # none knows anything
    found = corrected_for_selection(name, target, candidates, select_best(name, target, candidates), n_resamples=150)
    expected = np.mean([score(name, target, candidate) for candidate in candidates]) if truth is None else truth
    assert found.optimism > 0
    assert abs(found.estimate - expected) < 0.5 * abs(found.naive - expected)


def test_the_selection_looks_at_the_rows_it_is_given_alone() -> None:
    target = labels(60)
    first, second = noisy(target, 3.0, 1), noisy(1 - target, 3.0, 2)
    first[30:], second[30:] = second[30:].copy(), first[30:].copy()
    select = select_best("accuracy", target, [first, second])
    assert select(np.arange(30)).tolist() == [1.0, 0.0]
    assert select(np.arange(30, 60)).tolist() == [0.0, 1.0]


def test_an_ensembles_weights_are_bootstrapped_too() -> None:
    target = labels(120)
    candidates = [noisy(target, 2.0, 1), noisy(target, 2.0, 2)]
    found = corrected_for_selection("log_loss", target, candidates, lambda rows: np.array([0.5, 0.5]), n_resamples=20)
    assert found.naive == pytest.approx(score("log_loss", target, (candidates[0] + candidates[1]) / 2))


def test_a_combination_that_learned_is_judged_by_its_cross_fitted_predictions() -> None:
    target = labels(200)
    knows_nothing = [noisy(labels(200, 5), 1.0, 2)]

    class Parrot:
        def apply(self, predictions: list[np.ndarray]) -> np.ndarray:
            return predictions[0]

        def emit(self, graph: object, predictions: list[str]) -> str:
            return predictions[0]

    by_heart = noisy(target, 0.1, 3)
    found = corrected_for_selection("roc_auc", target, knows_nothing, lambda rows: Parrot(), n_resamples=30, final=by_heart)
    assert found.naive == pytest.approx(score("roc_auc", target, by_heart))
    assert found.estimate == pytest.approx(score("roc_auc", target, knows_nothing[0]), abs=0.05)


def test_ties_are_grouped_from_the_best_down() -> None:
    target = labels(2000)
    best = noisy(target, 1.0, 1)
    almost = noisy(target, 1.0, 2)
    worse, worst = noisy(target, 3.0, 3), noisy(1 - target, 1.0, 4)
    assert tie_groups("log_loss", target, [worse, best, worst, almost], n_resamples=200) == [2, 1, 3, 1]
    assert tie_groups("roc_auc", target, [best]) == [1]
    assert tie_groups("roc_auc", target, []) == []


def test_a_tiny_table_has_an_interval() -> None:
    found = interval("roc_auc", np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), n_resamples=50)
    assert found.low <= found.estimate <= found.high


def test_big_data_are_resampled_less_often() -> None:
    assert len(Resamples.draw(300, n_resamples=1000, width=1000)) == 200
    assert len(Resamples.draw(300, n_resamples=1000)) == 1000


@pytest.mark.slow
def test_a_thousand_resamples_of_fifty_thousand_rows_are_quick() -> None:
    target = labels(50_000)
    predictions = noisy(target, 2.0, 1)
    for name, limit in (("roc_auc", 4.0), ("log_loss", 2.0), ("f1", 4.0)):
        started = time.monotonic()
        interval(METRICS[name], target, predictions)
        assert time.monotonic() - started < limit


def test_intervals_reach_no_further_than_scores_go() -> None:
    wide = Interval(0.97, low=-0.02, high=1.01)
    assert wide.bounded(METRICS["roc_auc"]) == Interval(0.97, low=0.0, high=1.0)
    assert wide.bounded(METRICS["rmse"]) == Interval(0.97, low=0.0, high=1.01)
    assert wide.bounded(METRICS["calibration_error"]) == Interval(0.97, low=0.0, high=1.0)
    assert Interval(-2.0, low=-3.0, high=1.1).bounded(METRICS["r2"]) == Interval(-2.0, low=-3.0, high=1.0)
    assert Interval(-0.9, low=-1.2, high=0.1).bounded(METRICS["mcc"]) == Interval(-0.9, low=-1.0, high=0.1)


def test_what_resampling_is_wrong_by_on_average_is_not_stretched() -> None:
    generator = np.random.default_rng(0)
    positive = generator.random(150)
    target, predictions = (generator.random(150) < positive).astype(np.int64), np.column_stack([1 - positive, positive])
    plain, wide = (interval("calibration_error", target, predictions, stretch=stretch) for stretch in (1.0, 1.3))
    wrong_by = (plain.low + plain.high) / 2 - plain.estimate  # resampled rows are calibrated worse than the rows themselves
    assert wrong_by > 0.02
    assert abs((wide.low + wide.high) / 2 - wide.estimate) < 0.5 * wrong_by
    assert wide.high - wide.low == pytest.approx(1.3 * (plain.high - plain.low))


def test_what_is_lost_by_choosing_on_few_rows_is_not_held_against_a_choice_on_all() -> None:
    target = labels(2000)
    candidates = [noisy(target, 2.0, seed) for seed in range(6)]
    generator = np.random.default_rng(0)

    def select(rows: np.ndarray) -> np.ndarray:
        few = generator.choice(rows, min(len(rows), 100), replace=False)
        return select_best("roc_auc", target, candidates)(few)

    found = [
        corrected_for_selection("roc_auc", target, candidates, select, n_resamples=40, final=candidates[0], looks_at=looks_at)
        for looks_at in (None, 100, 5000)
    ]
    assert found[1].naive == found[0].naive
    assert abs(found[1].optimism) < 0.2 * abs(found[0].optimism)
    assert found[2].optimism != found[1].optimism
