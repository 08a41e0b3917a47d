"""Scores agree with scikit-learn and with plain arithmetic."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from sklearn import metrics as reference

from cupel.core.errors import DataError, UsageError
from cupel.core.masks import VOID
from cupel.core.task import METRICS_OF_CLASSES, METRICS_OF_QUANTITIES, Task, TaskKind
from cupel.evaluation import METRICS, metric_named, score


def binary(n_rows: int = 400, *, seed: int = 0, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    target = (generator.random(n_rows) < 0.3).astype(np.int64)
    positive = np.clip(0.3 * target + 0.7 * generator.random(n_rows), 0, 1)
    if ties:
        positive = np.round(positive, 1)
    return target, np.column_stack([1 - positive, positive])


def multiclass(n_rows: int = 500, *, n_classes: int = 4, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    target = generator.integers(0, n_classes, n_rows)
    logits = generator.normal(size=(n_rows, n_classes)) + 1.5 * np.eye(n_classes)[target]
    probabilities = np.exp(logits)
    return target, probabilities / probabilities.sum(axis=1, keepdims=True)


def regression(n_rows: int = 301, *, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    target = generator.normal(5, 3, n_rows)
    return target, (target + generator.normal(0, 1, n_rows))[:, None]


def several(n_rows: int, *, n_labels: int = 3, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels that are known in most rows, and probabilities with ties."""
    generator = np.random.default_rng(seed)
    target = (generator.random((n_rows, n_labels)) < 0.4).astype(np.float64)
    predictions = np.round(np.clip(0.3 * target + 0.7 * generator.random((n_rows, n_labels)), 0, 1), 1)
    return np.where(generator.random(target.shape) < 0.1, np.nan, target), predictions


def masks(n_rows: int, *, n_classes: int = 3, n_points: int = 12, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes of points, a few of them void and the first picture wholly so, and their probabilities."""
    generator = np.random.default_rng(seed)
    target = generator.integers(0, n_classes, (n_rows, n_points))
    logits = generator.normal(size=(n_rows, n_classes, n_points)) + 1.5 * np.eye(n_classes)[target].swapaxes(1, 2)
    predictions = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target[generator.random(target.shape) < 0.1] = VOID
    target[0] = VOID
    return target, predictions.reshape(n_rows, -1)


LABELS = {
    "accuracy": reference.accuracy_score,
    "balanced_accuracy": reference.balanced_accuracy_score,
    "mcc": reference.matthews_corrcoef,
    **{
        f"{kind}_{average}": lambda y, p, f=function, a=average: f(y, p, average=a, zero_division=0)
        for kind, function in (
            ("precision", reference.precision_score),
            ("recall", reference.recall_score),
            ("f1", reference.f1_score),
        )
        for average in ("macro", "micro", "weighted")
    },
}
POSITIVE_LABEL = {"precision": reference.precision_score, "recall": reference.recall_score, "f1": reference.f1_score}
VALUES = {
    "rmse": reference.root_mean_squared_error,
    "mae": reference.mean_absolute_error,
    "r2": reference.r2_score,
    "mape": reference.mean_absolute_percentage_error,
    "median_absolute_error": reference.median_absolute_error,
    "pinball_10": lambda y, p: reference.mean_pinball_loss(y, p, alpha=0.1),
    "pinball_50": lambda y, p: reference.mean_pinball_loss(y, p, alpha=0.5),
    "pinball_90": lambda y, p: reference.mean_pinball_loss(y, p, alpha=0.9),
}


@pytest.mark.parametrize("name", [*LABELS, *POSITIVE_LABEL])
@pytest.mark.parametrize("ties", [False, True])
def test_metrics_of_two_classes_agree_with_scikit_learn(name: str, ties: bool) -> None:
    target, predictions = binary(ties=ties)
    expected = {**LABELS, **POSITIVE_LABEL}[name](target, predictions.argmax(axis=1))
    assert score(name, target, predictions) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", LABELS)
def test_metrics_of_many_classes_agree_with_scikit_learn(name: str) -> None:
    target, predictions = multiclass()
    assert score(name, target, predictions) == pytest.approx(LABELS[name](target, predictions.argmax(axis=1)), abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_metrics_of_probabilities_agree_with_scikit_learn(ties: bool) -> None:
    target, predictions = binary(ties=ties)
    positive = predictions[:, 1]
    assert score("roc_auc", target, predictions) == pytest.approx(reference.roc_auc_score(target, positive), abs=1e-12)
    assert score("pr_auc", target, predictions) == pytest.approx(reference.average_precision_score(target, positive), abs=1e-12)
    assert score("log_loss", target, predictions) == pytest.approx(reference.log_loss(target, predictions), abs=1e-12)
    assert score("brier", target, predictions) == pytest.approx(reference.brier_score_loss(target, positive), abs=1e-12)


def test_metrics_of_many_probabilities_agree_with_scikit_learn() -> None:
    target, predictions = multiclass()
    expected = {
        "roc_auc_ovr": reference.roc_auc_score(target, predictions, multi_class="ovr"),
        "pr_auc_ovr": reference.average_precision_score(target, predictions),
        "log_loss": reference.log_loss(target, predictions),
        "brier": ((predictions - np.eye(4)[target]) ** 2).sum(axis=1).mean(),
    }
    for name, value in expected.items():
        assert score(name, target, predictions) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("name", VALUES)
def test_metrics_of_values_agree_with_scikit_learn(name: str) -> None:
    for n_rows in (300, 301):
        target, predictions = regression(n_rows)
        assert score(name, target, predictions) == pytest.approx(VALUES[name](target, predictions[:, 0]), abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_whole_weights_score_as_repeated_rows(name: str) -> None:
    metric = METRICS[name]
    for kind, seed in itertools.product(sorted(metric.tasks), range(3)):
        target, predictions = _data_for(kind, seed)
        counts = np.random.default_rng(seed).integers(0, 4, len(target))
        repeated = score(metric, np.repeat(target, counts, axis=0), np.repeat(predictions, counts, axis=0))
        assert score(metric, target, predictions, weights=counts) == pytest.approx(repeated, abs=1e-12)


def _data_for(kind: TaskKind, seed: int) -> tuple[np.ndarray, np.ndarray]:
    if kind is TaskKind.REGRESSION:
        return regression(40 + seed, seed=seed)
    if kind is TaskKind.MULTILABEL:
        return several(40, seed=seed)
    if kind is TaskKind.SEGMENTATION:
        return masks(40, seed=seed)
    return multiclass(40, seed=seed) if kind is TaskKind.MULTICLASS else binary(40, seed=seed, ties=True)


def test_calibration_error_is_the_mean_gap_over_bins() -> None:
    target = np.array([1, 1, 0, 1])
    predictions = np.array([[0.09, 0.91], [0.08, 0.92], [0.07, 0.93], [0.45, 0.55]])
    bin_of_three = abs(2 / 3 - np.mean([0.91, 0.92, 0.93]))
    assert score("calibration_error", target, predictions) == pytest.approx(3 / 4 * bin_of_three + 1 / 4 * 0.45)


def test_roc_auc_of_one_class_is_not_defined() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(score("roc_auc", np.zeros(3, np.int64), np.full((3, 2), 0.5)))


def test_classes_that_do_not_occur_are_left_out_of_means_over_classes() -> None:
    target, predictions = multiclass(200, n_classes=5)
    kept = target < 4
    assert np.isfinite(score("roc_auc_ovr", target[kept], predictions[kept]))
    assert np.isfinite(score("balanced_accuracy", target[kept], predictions[kept]))


def test_r2_of_a_constant_target_is_one_or_zero() -> None:
    target = np.full(5, 0.1)
    assert score("r2", target, target[:, None]) == 1.0
    assert score("r2", target, target[:, None] + 1) == 0.0


def test_one_row_can_be_scored() -> None:
    assert score("accuracy", np.array([1]), np.array([[0.2, 0.8]])) == 1.0
    assert score("rmse", np.array([1.0]), np.array([[3.0]])) == 2.0


def test_missing_predictions_are_refused() -> None:
    with pytest.raises(DataError, match="1 of 2 predictions"):
        score("rmse", np.zeros(2), np.array([[0.0], [np.nan]]))


@pytest.mark.wrong_shapes
def test_lengths_must_agree() -> None:
    with pytest.raises(DataError, match="3 predictions"):
        score("rmse", np.zeros(2), np.zeros((3, 1)))


def test_an_unknown_metric_is_answered_with_those_that_fit() -> None:
    task = Task(kind=TaskKind.BINARY, target="y", metric="roc_auc", classes=("a", "b"))
    with pytest.raises(UsageError, match=r"'auroc' is unknown; choose one of .*roc_auc"):
        metric_named("auroc", task)
    with pytest.raises(UsageError, match="does not fit a binary task"):
        metric_named("rmse", task)
    assert metric_named("f1", task).higher_is_better


def test_what_metrics_judge_is_known_where_targets_are_read() -> None:
    kinds = {metric.name: set(metric.tasks) for metric in METRICS.values()}
    assert {name for name, own in kinds.items() if own == {TaskKind.REGRESSION}} == METRICS_OF_QUANTITIES
    classes = {TaskKind.BINARY, TaskKind.MULTICLASS}
    assert {name for name, own in kinds.items() if own & classes} == METRICS_OF_CLASSES


def test_ranks_within_parts_are_the_mean_over_pairs_of_rows_of_one_part() -> None:
    target, predictions = binary(400, ties=True)
    parts = np.random.default_rng(9).integers(0, 5, (400, 2))
    expected = []
    for part in parts.T:
        won = pairs = 0.0
        for number in range(5):
            rows = part == number
            n_pairs = target[rows].sum() * (1 - target[rows]).sum()
            won += n_pairs * reference.roc_auc_score(target[rows], predictions[rows, 1]) if n_pairs else 0.0
            pairs += n_pairs
        expected.append(won / pairs)
    metric = METRICS["roc_auc"].within(parts)
    assert score(metric, target, predictions) == pytest.approx(np.mean(expected))
    counts = np.random.default_rng(1).integers(0, 3, 400)
    repeated = np.repeat(np.arange(400), counts)
    again = score(metric.at(repeated), target[repeated], predictions[repeated])
    assert score(metric, target, predictions, weights=counts) == pytest.approx(again)


@pytest.mark.parametrize("name", ["roc_auc", "roc_auc_ovr", "roc_auc_macro"])
def test_a_single_part_is_the_whole(name: str) -> None:
    target, predictions = {"roc_auc": binary(), "roc_auc_ovr": multiclass(), "roc_auc_macro": several(200, seed=4)}[name]
    alone = METRICS[name].within(np.zeros((len(target), 1), np.int64))
    assert score(alone, target, predictions) == pytest.approx(score(name, target, predictions))


def test_models_that_say_how_often_a_class_occurs_rank_at_random_within_folds_and_below_it_across() -> None:
    target = np.repeat([0, 1], [60, 33])
    parts = np.arange(93) % 5
    frequency = np.array([target[parts != part].mean() for part in range(5)])[parts]
    predictions = np.column_stack([1 - frequency, frequency])
    assert score("roc_auc", target, predictions) < 0.49
    assert score(METRICS["roc_auc"].within(parts[:, None]), target, predictions) == 0.5


def test_where_hardly_a_part_holds_both_classes_all_rows_are_compared() -> None:
    target, predictions = binary(100)
    parts = np.where(np.arange(100) < 10, 2, target)[:, None]  # two parts of one class each, and a few rows
    assert score(METRICS["roc_auc"].within(parts), target, predictions) == score("roc_auc", target, predictions)


def test_metrics_of_single_rows_know_no_parts() -> None:
    assert METRICS["log_loss"].within(np.zeros((3, 1), np.int64)) is METRICS["log_loss"]
    assert METRICS["roc_auc"].within(None) is METRICS["roc_auc"]


@pytest.mark.parametrize("n_decimals", [1, 12])
def test_rows_that_count_once_each_are_ranked_as_any_others(n_decimals: int) -> None:
    generator = np.random.default_rng(0)
    target = generator.integers(0, 2, 300)
    positive = np.round(generator.random(300), n_decimals)
    metric = METRICS["roc_auc"].within(generator.integers(-1, 4, (300, 2)))
    scorer = metric.prepare(target, np.column_stack([1 - positive, positive]))
    assert scorer(np.ones((1, 300)))[0] == scorer(np.full((1, 300), 2.0))[0]
