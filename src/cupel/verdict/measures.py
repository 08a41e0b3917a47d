"""What is packed by every metric that fits the task, as it answers in the end: corrected probabilities, and its own threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import evaluation
from cupel.core.dataset import Dataset
from cupel.core.form import Form
from cupel.core.split import Splits
from cupel.core.uncertainty import Decision, chosen
from cupel.verdict.verdict import Score

Array = NDArray[Any]
SEED = 0
MAX_DRAWN = 8_000_000  # rows drawn for all intervals of one kind together
MIN_RESAMPLES, MAX_RESAMPLES = 100, 1000
FEWEST_RESAMPLES = 40  # for metrics beside the one that decides, some of which rank the rows once for each class
N_METRICS = 8


def score_of(found: evaluation.Interval, metric: evaluation.Metric) -> Score:
    """A score with an interval that ends where scores end."""
    bounded = found.bounded(metric)
    return Score(estimate=bounded.estimate, low=bounded.low, high=bounded.high)


def affordable_resamples(n_rows: int, n_scores: int, *, at_least: int = MIN_RESAMPLES) -> int:
    """Resamples for each of so many scores: ranking 20,000 rows takes a millisecond or two, and the run's cap is near."""
    return int(np.clip(MAX_DRAWN // max(n_rows * n_scores, 1), at_least, MAX_RESAMPLES))


def measures(said: Array, *, dataset: Dataset, splits: Splits, yes_from: float | None = None) -> dict[str, Any]:
    """`metrics` and `labels` of a verdict, for the out-of-fold predictions of what is packed.

    Metrics of labels judge the answers, which are yes above `yes_from` where that is given, and of several labels those that are
    said from thresholds chosen as the packed model's are, on other rows. Rows without predictions count nowhere.

    Args:
        said: (samples, outputs), NaN where a row was not judged.
    """
    task = dataset.task
    assert task is not None, "a verdict is of a task"
    rows = splits.covered[np.isfinite(said[splits.covered]).all(axis=1)]
    given = np.ascontiguousarray(said[rows], dtype=np.float64)
    target, parts = dataset.judged[rows], splits.parts[rows]
    groups = None if splits.units is None else splits.units[rows]
    n_scores = N_METRICS * max(len(task.classes), 1)
    n_resamples = affordable_resamples(len(rows), n_scores, at_least=FEWEST_RESAMPLES)
    stretch = evaluation.stretch_of(is_mutual=splits.teach_one_another)
    decided = None
    if task.form is Form.LABELS:
        decided = evaluation.cross_fitted_decisions(task.metric, target, given, units=groups, seed=SEED)
    answers, found = answers_of(given, yes_from) if decided is None else decided.astype(np.float64), {}
    for metric in evaluation.fitting(task.kind):
        shown = answers if metric.needs == "labels" else given
        interval = evaluation.interval(
            metric.within(parts), target, shown, groups=groups, seed=SEED, n_resamples=n_resamples, stretch=stretch
        )
        found[metric.name] = score_of(interval, metric)
    labels: tuple[evaluation.LabelScore, ...] = ()
    if decided is not None:
        how: dict[str, Any] = {"groups": groups, "parts": parts, "seed": SEED, "stretch": stretch}
        labels = tuple(evaluation.label_scores(target, given, decided, **how))
    return {"metrics": found, "labels": labels}


def answers_of(said: Array, yes_from: float | None) -> Array:
    """Probabilities of 0 and 1 for what is answered, where the answer is yes above a threshold; else as they are."""
    return said if yes_from is None else np.eye(2)[chosen(said, Decision(yes_from))]


def as_judged(metric: evaluation.Metric, said: Array, *, decision: Decision | None) -> Array:
    """What a metric judges of predictions: where it judges answers, those of the decision, as probabilities of 0 and 1."""
    return said if decision is None or metric.needs != "labels" else answers_of(said, decision.threshold)
