"""Candidates on shared resamples: ties, and the luck of choosing."""

from __future__ import annotations

import numpy as np
import pytest

from cupel.evaluation import Comparison, corrected_for_selection, score, select_best, tie_groups
from cupel.evaluation.comparison import MOST_WIDENING, STRETCH, likely_scores, widening_of


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


def test_equals_are_all_tied_however_many_they_are() -> None:
    n_split = 0
    for seed in range(40):
        scores = np.random.default_rng(seed).normal(size=30)
        comparison = Comparison(scores, np.random.default_rng(1000 + seed).normal(size=(30, 300)))
        n_split += max(comparison.tie_groups()) > 1
    assert n_split <= 6  # 2 are expected of 40; Holm's correction of tests against the best splits 11
    ahead = Comparison(np.array([5.0, *np.zeros(29)]), np.random.default_rng(0).normal(size=(30, 300)))
    assert ahead.tie_groups()[0] == 1
    assert ahead.tie_groups()[1:] == [1] * 29 or set(ahead.tie_groups()[1:]) == {2}


def test_what_is_told_apart_no_longer_counts_among_equals() -> None:
    deviations = np.random.default_rng(0).normal(size=(22, 400))
    scores = np.array([0.0, -3.6, *np.full(20, -50.0)])
    alone = Comparison(scores[:2], deviations[:2]).tie_groups()
    assert alone == [1, 2]
    assert Comparison(scores, deviations).tie_groups()[:2] == [1, 2]


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


def test_a_constant_has_no_luck_however_many_were_tried_beside_it() -> None:
    deviations = np.vstack([np.zeros(300), np.random.default_rng(0).normal(0, 0.03, (20, 300))])
    comparison = Comparison(np.array([0.5, *np.full(20, 0.46)]), deviations)
    luck = comparison.luck(best)
    assert best(comparison.scores) == 0
    assert (luck.estimate, luck.low, luck.high) == pytest.approx((0, 0, 0), abs=1e-6)


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
    mutual = Comparison.of("roc_auc", target, [*candidates, constant(target)], n_resamples=100).of_folds(5)
    assert plain.widening == 1
    assert mutual.widening == MOST_WIDENING
    assert mutual.deviations[:5] == pytest.approx(MOST_WIDENING * plain.deviations)


def test_scores_stray_no_further_where_models_surely_found_something() -> None:
    target = labels(2000)
    found = Comparison.of("roc_auc", target, [guesses(target, 2.0, 1), constant(target)], n_resamples=100).of_folds(1)
    assert 1 < found.widening < 1.01


def test_what_is_common_with_the_constant_is_not_widened() -> None:
    target = labels(300)
    nearly = constant(target) + 0.01 * (guesses(target, 0.0, 1) - 0.5)
    plain = Comparison.of("log_loss", target, [nearly, constant(target)], n_resamples=100)
    mutual = Comparison.of("log_loss", target, [nearly, constant(target)], n_resamples=100).of_folds(1)
    assert mutual.widening == MOST_WIDENING
    assert mutual.deviations[1] == pytest.approx(plain.deviations[1])
    assert mutual.deviations[0] - mutual.deviations[1] == pytest.approx(
        MOST_WIDENING * (plain.deviations[0] - plain.deviations[1])
    )


def test_intervals_of_scores_of_folds_reach_further_however_much_is_found() -> None:
    target = labels(1000)
    said = [guesses(target, skill, 1) for skill in (0.0, 2.0)]
    for skill in said:
        plain = Comparison.of("roc_auc", target, [skill, constant(target)], n_resamples=100)
        mutual = Comparison.of("roc_auc", target, [skill, constant(target)], n_resamples=100).of_folds(1)
        own, wide = plain.interval(0), mutual.interval(0)
        assert wide.high - wide.low == pytest.approx(STRETCH * (own.high - own.low))
        luck, wider = plain.luck(best), mutual.luck(best)
        assert wider.high - wider.low > 1.1 * (luck.high - luck.low)
        assert mutual.among([0]).interval(0) == wide


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


def made(scores: list[float], spreads: list[float], *, n_resamples: int = 400) -> Comparison:
    """Candidates whose scores stray by so much, each for itself."""
    drawn = np.random.default_rng(0).normal(size=(len(scores), n_resamples))
    return Comparison(np.array(scores), np.array(spreads)[:, None] * drawn)


def test_one_that_strays_far_more_lends_no_luck_to_the_leader() -> None:
    comparison = made([-1372.0, -2200.0, -5456.0], [60.0, 40.0, 3000.0])
    assert comparison.tie_groups() == [1, 2, 1]
    luck, own = comparison.luck(best), comparison.interval(0)
    assert luck.estimate == pytest.approx(0.0, abs=10)
    assert luck.high - luck.low == pytest.approx(own.high - own.low)


def test_one_ahead_of_many_equals_keeps_its_lead() -> None:
    others = np.random.default_rng(1).normal(size=39)
    comparison = made([4.0, *(others - others.mean()).tolist()], [1.0] * 40)
    assert comparison.tie_groups().count(1) > 20
    luck = comparison.luck(best)
    assert luck.estimate < 0.75  # shrunk by a normal distribution it lost more than 2, all of the best of 40 equals
    assert luck.high - luck.low > 3


def test_scores_of_equals_are_likely_to_be_their_mean_and_one_far_off_itself() -> None:
    scores = np.random.default_rng(2).normal(size=30)
    likely, _ = likely_scores(scores, np.ones(30))
    assert likely == pytest.approx(np.full(30, scores.mean()), abs=0.5)
    apart, sure = likely_scores(np.append(scores, 9.0), np.ones(31))
    assert apart[-1] == pytest.approx(9.0, abs=0.1)
    assert sure[-1] < 0.2
    same, none = likely_scores(np.full(3, 0.7), np.zeros(3))
    assert (same.tolist(), none.tolist()) == ([0.7] * 3, [0.0] * 3)


def test_a_score_is_less_likely_to_be_as_good_as_it_looks_the_more_it_strays() -> None:
    scores = np.append(np.random.default_rng(3).normal(0, 0.1, 20), [1.5, 1.5])
    likely, _ = likely_scores(scores, np.array([0.01] * 20 + [0.04, 1.0]))
    assert likely[-2] == pytest.approx(1.5, abs=0.1)
    assert likely[-1] < likely[-2]


def test_near_is_within_a_standard_error_alike_and_better_than_a_constant_where_the_best_is() -> None:
    comparison = made([0.70, 0.68, 0.62, 0.65, 0.50], [0.03, 0.03, 0.03, 0.3, 0.0])
    assert comparison.tie_groups()[:4] == [1, 1, 1, 1]
    near = comparison.near()(comparison.scores, 0)
    assert near.tolist() == [True, True, False, False, False]
    knowing = made([0.70, 0.65, 0.50], [0.07, 0.08, 0.0])
    assert knowing.near()(knowing.scores, 0).tolist() == [True, True, False]
    assert knowing.near(2)(knowing.scores, 0).tolist() == [True, False, False]


def test_luck_among_some_is_that_of_choosing_among_these() -> None:
    target = labels(300)
    candidates = [guesses(target, 0.0, number) for number in range(30)]
    comparison = Comparison.of("roc_auc", target, candidates, n_resamples=200)
    few = comparison.among([3, 4])
    assert few.scores.tolist() == comparison.scores[[3, 4]].tolist()
    assert few.luck(best).estimate < 0.5 * comparison.luck(best).estimate
    assert comparison.among([3]).luck(best).estimate == pytest.approx(0)


def test_what_was_taken_though_another_is_better_has_less_luck_than_the_best() -> None:
    def second_where_close(scores: np.ndarray) -> int:
        first, second = np.argsort(-scores)[:2]
        return int(second if scores[first] - scores[second] < 0.4 else first)

    apart, close = (made([lead, 0.0, *np.linspace(-0.5, 0.5, 8)], [1.0] * 10) for lead in (1.4, 0.6))
    assert second_where_close(apart.scores) == best(apart.scores)
    assert second_where_close(close.scores) != best(close.scores)
    assert close.luck(second_where_close).estimate < apart.luck(second_where_close).estimate - 0.2
