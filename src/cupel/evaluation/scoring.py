"""One number for predictions: the only place in Cupel that computes a score."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from numpy.typing import NDArray

from cupel.core.errors import DataError, UsageError
from cupel.evaluation.metric import Metric, Scorer
from cupel.evaluation.metrics import METRICS

Array = NDArray[Any]
MANY_ROWS = 4000


def score(
    metric: Metric | str,
    target: Shaped[Array, "sample ..."],
    predictions: Shaped[Array, "sample ..."],
    *,
    weights: Shaped[Array, " sample"] | None = None,
) -> float:
    """The score of predictions, in the metric's own sense (`metric.higher_is_better`).

    `target` holds class indices or values; `predictions` probabilities (rows, classes) or values (rows, 1). Of several labels
    both are of shape (rows, labels), the target 1, 0 or NaN, which counts nowhere. A row of weight 3 counts like three rows.
    NaN where the metric is not defined, such as ROC-AUC of a single class.

    Raises:
        DataError: there are no rows, lengths differ, a prediction is not finite, or weights are not usable.
        UsageError: there is no metric of that name.
    """
    scorer = prepared(metric, target, predictions)
    counts = np.ones((1, len(target))) if weights is None else _checked_weights(weights, len(target))
    return float(scorer(counts)[0])


def prepared(metric: Metric | str, target: Shaped[Array, "sample ..."], predictions: Shaped[Array, "sample ..."]) -> Scorer:
    """A function from row weights, shape (resamples, rows), to scores; sorts and the like are done once, here.

    Raises:
        DataError, UsageError: as `score`.
    """
    metric = resolved(metric)
    return metric.prepare(*_checked(metric, target, predictions))


def prepared_for_resamples(
    metric: Metric | str, target: Shaped[Array, "sample ..."], predictions: Shaped[Array, "sample ..."]
) -> Scorer:
    """The same for weights that stray from one another by chance: of many rows to first order, where the metric offers that.

    Raises:
        DataError, UsageError: as `score`.
    """
    metric = resolved(metric)
    prepare = metric.prepare_linear if metric.prepare_linear and len(target) >= MANY_ROWS else metric.prepare
    return prepare(*_checked(metric, target, predictions))


def _checked(
    metric: Metric, target: Shaped[Array, "sample ..."], predictions: Shaped[Array, "sample ..."]
) -> tuple[Array, Array]:
    predictions = np.asarray(predictions, dtype=np.float64)
    if predictions.ndim == 1:
        predictions = predictions[:, None]
    if len(target) == 0 or len(target) != len(predictions):
        raise DataError(
            f"{len(predictions)} predictions were to be scored against {len(target)} targets; "
            f"expected equally many, at least one. Give a prediction for each row."
        )
    if not np.isfinite(predictions).all():
        n_bad = int((~np.isfinite(predictions).all(axis=1)).sum())
        raise DataError(
            f"{n_bad} of {len(predictions)} predictions are missing or infinite; a score needs all of them. Leave those rows out."
        )
    if metric.needs != "values" and predictions.shape[1] < 2:
        raise DataError(
            f"{metric.label} needs probabilities of shape (rows, classes); {predictions.shape} came. "
            f"Give one column per class, the positive class last."
        )
    return np.asarray(target), predictions


def resolved(metric: Metric | str) -> Metric:
    """The metric itself, where only its name is given.

    Raises:
        UsageError: there is none of that name.
    """
    if isinstance(metric, Metric):
        return metric
    if metric not in METRICS:
        raise UsageError(f"metric {metric!r} is unknown; choose one of {', '.join(METRICS)}.")
    return METRICS[metric]


def _checked_weights(weights: Shaped[Array, " sample"], n_rows: int) -> Float[Array, "1 sample"]:
    counts = np.asarray(weights, dtype=np.float64)
    if counts.shape != (n_rows,) or not np.isfinite(counts).all() or (counts < 0).any() or counts.sum() <= 0:
        raise DataError(
            f"weights of shape {counts.shape} came for {n_rows} rows; expected one finite number per row, none negative, "
            f"not all zero. Mend the weights."
        )
    return counts[None, :]
