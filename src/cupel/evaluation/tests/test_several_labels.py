"""Metrics of several labels agree with scikit-learn, and know nothing of what is unknown."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from cupel.core.task import TaskKind
from cupel.evaluation import (
    METRICS,
    best_thresholds,
    co_occurrence,
    cross_fitted_decisions,
    fitting,
    interval,
    label_scores,
    paired_difference,
    score,
    thresholds_for,
    tie_groups,
)

EXPECTED = {
    "roc_auc_macro": lambda y, p: reference.roc_auc_score(y, p, average="macro"),
    "pr_auc_macro": lambda y, p: reference.average_precision_score(y, p, average="macro"),
    "pr_auc_micro": lambda y, p: reference.average_precision_score(y, p, average="micro"),
    "subset_accuracy": lambda y, p: reference.accuracy_score(y, p >= 0.5),
    "hamming_loss": lambda y, p: reference.hamming_loss(y, p >= 0.5),
    "log_loss": lambda y, p: np.mean([reference.log_loss(a, b, labels=[0, 1]) for a, b in zip(y.T, p.T, strict=True)]),
    "brier": lambda y, p: np.mean((y - p) ** 2),
    **{
        f"{kind}_{average}": lambda y, p, f=function, a=average: f(y, p >= 0.5, average=a, zero_division=0)
        for kind, function in (
            ("precision", reference.precision_score),
            ("recall", reference.recall_score),
            ("f1", reference.f1_score),
        )
        for average in ("macro", "micro", "weighted")
    },
}


def planted(n_rows: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    target = (generator.random((n_rows, 4)) < [0.5, 0.3, 0.2, 0.1]).astype(np.float64)
    return target, np.round(np.clip(0.3 * target + 0.7 * generator.random((n_rows, 4)), 0.001, 0.999), 2)


@pytest.mark.parametrize("name", EXPECTED)
def test_metrics_agree_with_the_reference(name: str) -> None:
    target, given = planted()
    assert score(name, target, given) == pytest.approx(EXPECTED[name](target.astype(int), given), rel=1e-9)


def test_every_metric_of_several_labels_is_compared() -> None:
    assert {metric.name for metric in fitting(TaskKind.MULTILABEL)} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_weights_repeat_rows_and_unknown_cells_count_nowhere(name: str) -> None:
    target, given = planted(120)
    target[np.random.default_rng(1).random(target.shape) < 0.3] = np.nan
    weights = np.random.default_rng(2).integers(0, 3, len(target))
    rows = np.repeat(np.arange(len(target)), weights)
    expected = score(name, target[rows], given[rows])
    assert score(name, target, given, weights=weights) == pytest.approx(expected, rel=1e-9)
    anything = np.where(np.isfinite(target), given, 1 - given)
    assert score(name, target, anything) == pytest.approx(score(name, target, given), rel=1e-9)


def test_a_label_that_never_holds_is_left_out_of_the_mean() -> None:
    target, given = planted()
    target[:, 3] = 0
    assert score("roc_auc_macro", target, given) == pytest.approx(reference.roc_auc_score(target[:, :3], given[:, :3]))
    assert np.isnan(score("roc_auc_macro", np.zeros((5, 2)), np.full((5, 2), 0.5)))


def test_intervals_pairs_and_ties_are_found_as_for_other_tasks() -> None:
    target, given = planted()
    noise = np.random.default_rng(3).random(given.shape)
    found = interval("roc_auc_macro", target, given)
    assert found.low < found.estimate < found.high
    groups = np.arange(len(target)) // 10
    assert interval("roc_auc_macro", target, given, groups=groups) != found
    assert paired_difference("pr_auc_micro", target, given, noise).probability_worse == 0
    assert tie_groups("log_loss", target, [noise, given, given]) == [2, 1, 1]


def test_thresholds_are_those_of_the_best_f1() -> None:
    target, given = planted()
    target[:40, 1] = np.nan
    thresholds = best_thresholds(target, given)
    for label, threshold in enumerate(thresholds):
        known = np.isfinite(target[:, label])
        truth, own = target[known, label], given[known, label]
        best = max(reference.f1_score(truth, own >= cut, zero_division=0) for cut in np.linspace(0, 1, 401))
        assert reference.f1_score(truth, own >= threshold) == pytest.approx(best)
    assert best_thresholds(np.zeros((4, 1)), np.full((4, 1), 0.3)).tolist() == [0.5]
    assert thresholds_for("hamming_loss", target, given).tolist() == [0.5] * 4
    np.testing.assert_array_equal(thresholds_for("roc_auc_macro", target, given), thresholds)


def test_decisions_about_rows_do_not_know_them() -> None:
    generator = np.random.default_rng(0)
    target, given = (generator.random((60, 3)) < 0.2).astype(float), generator.random((60, 3))
    said = cross_fitted_decisions("roc_auc_macro", target, given)
    honest, flattering = (
        reference.f1_score(target, each, average="macro") for each in (said, given >= best_thresholds(target, given))
    )
    assert honest < flattering
    assert said.shape == target.shape


def test_copies_of_a_row_do_not_choose_what_it_is_judged_by() -> None:
    generator = np.random.default_rng(0)
    target, given = (generator.random((40, 3)) < 0.3).astype(float), generator.random((40, 3))
    rows = np.repeat(np.arange(40), 5)
    said = cross_fitted_decisions("roc_auc_macro", target[rows], given[rows], units=rows + 100)
    assert (said.reshape(40, 5, 3) == said.reshape(40, 5, 3)[:, :1]).all()
    changed = target.copy()
    changed[7] = 1 - changed[7]
    again = cross_fitted_decisions("roc_auc_macro", changed[rows], given[rows], units=rows + 100)
    np.testing.assert_array_equal(said[rows == 7], again[rows == 7])


def test_what_is_said_is_said_by_the_thresholds_of_the_metric() -> None:
    target, given = planted()
    np.testing.assert_array_equal(cross_fitted_decisions("f1_macro", target, given), given >= 0.5)


def test_each_label_has_its_own_scores_and_company() -> None:
    target, given = planted()
    target[:100, 0] = np.nan
    target[:, 3] = target[:, 2]
    said = given >= 0.5
    found = label_scores(target, given, said)
    first = found[0]
    assert (first.n_known, first.n_holds) == (200, int(np.nansum(target[:, 0])))
    assert first.roc_auc.estimate == pytest.approx(reference.roc_auc_score(target[100:, 0], given[100:, 0]))
    assert first.roc_auc.low < first.roc_auc.estimate < first.roc_auc.high
    wider = label_scores(target, given, said, stretch=1.3)[0]
    for name in ("roc_auc", "pr_auc"):
        plain, stretched = getattr(first, name), getattr(wider, name)
        assert (stretched.high - stretched.low) / (plain.high - plain.low) == pytest.approx(1.3, abs=1e-9)
    assert wider.said.recall.low < first.said.recall.low
    assert np.array_equal(first.matrix, reference.confusion_matrix(target[100:, 0], said[100:, 0]))
    assert first.said.f1 == pytest.approx(reference.f1_score(target[100:, 0], said[100:, 0]))
    parts = np.random.default_rng(1).integers(0, 3, (len(target), 1))
    within = label_scores(target, given, said, parts=parts)[0].roc_auc.estimate
    bound = METRICS["roc_auc"].within(parts[100:])
    both = np.stack([1 - given[100:, 0], given[100:, 0]], axis=1)
    assert within == score(bound, target[100:, 0].astype(int), both) != first.roc_auc.estimate
    together = co_occurrence(target)
    assert together[2, 3] == together[3, 2] == 1
    assert together[0, 1] == pytest.approx(target[100:, 1][target[100:, 0] == 1].mean())
    never = label_scores(np.zeros((5, 1)), np.full((5, 1), 0.2), np.zeros((5, 1), bool))[0]
    assert np.isnan(never.roc_auc.estimate)
    assert never.prevalence == 0
