"""Ranges and sets cover as often as they say, and silence is safe."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cupel.core.errors import ArtifactError, UsageError
from cupel.core.uncertainty import Coverage, Decision, Silence, Uncertainty, chosen
from cupel.evaluation import (
    coverage_of,
    decision_for_costs,
    decision_for_precision,
    decision_for_recall,
    held,
    silence_of,
)

GENERATOR = np.random.default_rng(0)


def values(n_rows: int, seed: int, *, growing: bool = False) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    said = generator.uniform(0, 10, n_rows)
    noise = generator.gamma(2.0, 1.0, n_rows) - 2.0  # skewed
    return said + noise * (0.1 + said if growing else 1.0), said[:, None]


def classes(n_rows: int, seed: int, *, n_classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, (n_rows, n_classes))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = (shares.cumsum(axis=1) > generator.random((n_rows, 1))).argmax(axis=1)
    return target, shares


@pytest.mark.parametrize("growing", [False, True])
def test_ranges_cover_new_rows_as_often_as_promised(growing: bool) -> None:
    covered = []
    for seed in range(20):
        learned = coverage_of(*values(300, seed, growing=growing))
        target, said = values(2000, 1000 + seed, growing=growing)
        low, high = learned.interval(said[:, 0], 0.9)
        covered.append(((low <= target) & (target <= high)).mean())
    assert 0.88 < np.mean(covered) < 0.93


def test_ranges_follow_the_prediction_where_errors_do_and_only_there() -> None:
    learned = coverage_of(*values(1000, 1, growing=True))
    low, high = learned.interval(np.array([1.0, 9.0]), 0.9)
    assert (high - low)[1] > 3 * (high - low)[0]
    assert coverage_of(*values(1000, 1)).scales == (1.0,)


def test_over_time_a_promise_is_held_against_the_latest_rows_alone() -> None:
    """Errors grow: what earlier rows promise does not hold, and rows from everywhere would not show it."""
    n_rows, generator = 2000, np.random.default_rng(0)
    moments = generator.permutation(n_rows).astype(np.float64)
    target, said = generator.normal(size=n_rows) * (0.5 + moments / 800), np.zeros((n_rows, 1))
    stretches = (moments // 40).astype(np.int64)
    mixed, forward = (held(target, said, coverage=0.9, groups=stretches, moments=when) for when in (None, moments))
    assert mixed.observed > 0.85
    assert 0.55 < forward.observed < 0.8
    assert (mixed.is_of_later, forward.is_of_later) == (False, True)
    latest = moments >= 1600
    low, high = coverage_of(target[~latest], said[~latest], groups=stretches[~latest]).interval(said[latest, 0], 0.9)
    assert forward.observed == ((low <= target[latest]) & (target[latest] <= high)).mean()


def test_skewed_errors_give_lopsided_ranges() -> None:
    low, high = coverage_of(*values(2000, 3)).interval(np.array([5.0]), 0.9)
    assert high[0] - 5.0 > 1.4 * (5.0 - low[0])


def test_sets_cover_and_are_never_empty() -> None:
    learned = coverage_of(*classes(800, 1))
    target, shares = classes(5000, 2)
    sizes = []
    for coverage in (0.5, 0.8, 0.95):
        members = learned.members(shares, coverage)
        assert members.any(axis=1).all()
        assert members[np.arange(5000), target].mean() > coverage - 0.03
        sizes.append(members.sum(axis=1).mean())
    assert sizes == sorted(sizes)


def test_what_held_is_judged_on_rows_that_were_not_learned_from() -> None:
    target, said = values(1000, 5)
    found = held(target, said, coverage=0.9)
    assert found.observed == pytest.approx(0.9, abs=0.03)
    assert found.size > 0


def test_a_group_counts_once_however_large() -> None:
    groups = np.concatenate([np.zeros(900, np.int64), np.arange(1, 101)])
    target = np.where(groups == 0, 0.0, GENERATOR.normal(0, 5, 1000))  # the large group is easy
    said = np.zeros((1000, 1))
    by_row, by_group = coverage_of(target, said), coverage_of(target, said, groups=groups)
    assert by_row.interval(np.zeros(1), 0.8)[1][0] < 1 < by_group.interval(np.zeros(1), 0.8)[1][0]
    assert by_group.above.n_units == 101


def test_more_than_the_rows_can_promise_is_refused() -> None:
    learned = coverage_of(*values(30, 1))
    with pytest.raises(UsageError, match=r"cannot be promised from 30 rows or groups.*at most 0\.93"):
        learned.interval(np.zeros(1), 0.99)
    with pytest.raises(UsageError, match="between 0 and 1"):
        learned.interval(np.zeros(1), 90)


def test_many_rows_are_thinned_out_without_a_smaller_promise() -> None:
    target, said = values(50_000, 1)
    learned = coverage_of(target, said)
    assert len(learned.above.values) <= 1000
    residual = np.sort(target - said[:, 0])
    for level in (0.5, 0.9, 0.975, 0.999):
        exact = residual[math.ceil((50_000 + 1) * level) - 1]
        assert exact <= learned.above.quantile(level) * learned.scales[0] + 1e-9 if len(learned.scales) == 1 else True


def test_silence_keeps_its_promise_on_new_rows() -> None:
    target, shares = classes(3000, 1)
    silence = silence_of(target, shares)
    assert silence is not None
    new_target, new = classes(20_000, 2)
    for accuracy in (0.6, 0.7, 0.8):
        sure = silence.confidence_for(accuracy)
        answered = new.max(axis=1) >= sure
        assert answered.any()
        assert (new.argmax(axis=1) == new_target)[answered].mean() >= accuracy - 0.01
    assert silence.confidence_for(0.9999) == math.inf
    assert silence_of(target[:20], shares[:20]) is None


def test_silence_is_of_the_answers_that_a_threshold_gives() -> None:
    target, shares = classes(4000, 1, n_classes=2)
    decision = decision_for_costs(target, shares[:, 1], false_positive=1, false_negative=5)
    silence = silence_of(target, shares, decision=decision)
    assert silence is not None
    new_target, new = classes(20_000, 2, n_classes=2)
    answers = (new[:, 1] > 1 / 6).astype(np.int64)
    for accuracy in (0.8, 0.9, 0.95):
        answered = new[np.arange(len(new)), answers] >= silence.confidence_for(accuracy)
        assert answered.any()
        assert (answers == new_target)[answered].mean() >= accuracy - 0.01


def test_answers_that_a_threshold_does_not_give_make_nobody_sure() -> None:
    target = np.r_[np.zeros(400, np.int64), np.arange(200) % 5 < 3]
    positive = np.repeat([0.3, 0.7], [400, 200])
    shares = np.column_stack([1 - positive, positive])
    without, by_threshold = (silence_of(target, shares, decision=decision) for decision in (None, Decision(0.2)))
    assert without is not None
    assert by_threshold is not None
    assert without.confidence_for(0.8) == pytest.approx(0.7)
    assert by_threshold.confidence_for(0.8) == math.inf


def test_thresholds_follow_costs() -> None:
    target, shares = classes(4000, 1, n_classes=2)
    decision = decision_for_costs(target, shares[:, 1], false_positive=1, false_negative=5)
    assert decision.threshold == pytest.approx(1 / 6)
    new_target, new = classes(20_000, 2, n_classes=2)
    costs = {
        at: ((new[:, 1] > at) & (new_target == 0)).mean() + 5 * ((new[:, 1] <= at) & (new_target == 1)).mean()
        for at in (0.05, decision.threshold, 0.5)
    }
    assert min(costs, key=lambda at: costs[at]) == decision.threshold
    assert "a wrong yes costs 1 and a wrong no 5" in decision.reason


def test_precision_and_recall_are_reached_on_new_rows() -> None:
    target, shares = classes(4000, 1, n_classes=2)
    new_target, new = classes(20_000, 2, n_classes=2)
    precise = decision_for_precision(target, shares[:, 1], at_least=0.9)
    said = new[:, 1] > precise.threshold
    assert new_target[said].mean() >= 0.89
    assert said.mean() > 0.1
    thorough = decision_for_recall(target, shares[:, 1], at_least=0.95)
    assert (new[:, 1] > thorough.threshold)[new_target == 1].mean() >= 0.94
    assert thorough.threshold < 0.5 < precise.threshold


def test_a_precision_out_of_reach_is_said_to_be() -> None:
    target = GENERATOR.integers(0, 2, 200)
    assert "no threshold surely reaches" in decision_for_precision(target, GENERATOR.random(200), at_least=0.99).reason


@pytest.mark.parametrize("n_zeros", [0, 100])
def test_a_recall_is_kept_where_the_model_says_nought(n_zeros: int) -> None:
    target = np.ones(200, np.int64)
    positive = np.r_[np.zeros(n_zeros), np.linspace(0.1, 0.9, 200 - n_zeros)]
    decision = decision_for_recall(target, positive, at_least=0.95)
    assert decision.is_yes(positive).mean() >= 0.95
    assert chosen(np.column_stack([1 - positive, positive]), decision).mean() >= 0.95
    assert ("yes to all" in decision.reason) == (n_zeros > 0)


def test_all_of_it_survives_json() -> None:
    target, shares = classes(500, 1, n_classes=2)
    for decision in (None, Decision(0.3, "why")):
        whole = Uncertainty(coverage_of(target, shares), silence_of(target, shares, decision=decision), decision)
        again = Uncertainty.from_json(whole.to_json(), is_classification=True)
        assert again.to_json() == whole.to_json()
        assert again.silence is not None
        assert again.silence.threshold == (None if decision is None else 0.3)
    ranges = coverage_of(*values(500, 1, growing=True))
    assert Coverage.from_json(ranges.to_json(), is_classification=False).to_json() == ranges.to_json()
    assert Uncertainty.from_json({}, is_classification=True).to_json() == {}


@pytest.mark.parametrize(
    "change",
    [
        {"knots": [1.0, 1.0]},
        {"scales": [0.0]},
        {"above": {"values": [2.0, 1.0], "shares": [0.5, 1.0], "n_units": 2}},
        {"above": {"values": [1.0], "shares": [0.5], "n_units": 2}},
        {"above": {"values": ["1"], "shares": [1.0], "n_units": 2}},
        {"below": {"values": [], "shares": [], "n_units": 2}},
    ],
)
def test_what_cannot_be_true_is_refused(change: dict[str, object]) -> None:
    plain = coverage_of(*values(100, 1)).to_json()
    with pytest.raises(ArtifactError):
        Coverage.from_json({**plain, **change}, is_classification=False)


def test_thresholds_and_confidences_that_cannot_be_are_refused() -> None:
    for threshold in (True, -0.1, "0.5", float("nan")):
        with pytest.raises(ArtifactError):
            Decision.from_json({"threshold": threshold, "reason": ""})
    with pytest.raises(ArtifactError):
        Silence.from_json({"confidences": [0.5, 0.4], "accuracies": [0.9, 0.9], "answered": [0.5, 1.0]})
    with pytest.raises(ArtifactError):
        Silence.from_json({"confidences": [0.5], "accuracies": [0.9], "answered": [0.5], "threshold": 2})
