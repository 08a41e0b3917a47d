"""What reports draw: curves over thresholds, calibration, confusion, residuals; thinned out to a few hundred points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy.typing import NDArray

from cupel.core.errors import DataError

Array = NDArray[Any]
N_POINTS = 200
N_BINS = 15


@dataclass(frozen=True, eq=False)
class Curve:
    """Points of a curve, from left to right."""

    x: Float[Array, " point"]
    y: Float[Array, " point"]


@dataclass(frozen=True, eq=False)
class CalibrationCurve:
    """Per bin of stated probability that holds rows: its mean, the share that came true, the number of rows."""

    stated: Float[Array, " bin"]
    observed: Float[Array, " bin"]
    counts: Int[Array, " bin"]


@dataclass(frozen=True, eq=False)
class Residuals:
    """Predicted and actual values of rows, and actual minus predicted; in order of prediction."""

    predicted: Float[Array, " point"]
    actual: Float[Array, " point"]
    residual: Float[Array, " point"]


def roc_curve(truth: Shaped[Array, " sample"], given: Shaped[Array, " sample"], *, n_points: int = N_POINTS) -> Curve:
    """Share of negatives wrongly flagged (x) against share of positives found (y), from (0, 0) to (1, 1).

    `truth` is 1 or True where a row is positive, `given` its probability or any score.

    Raises:
        DataError: the rows are not of both kinds.
    """
    flagged, found = _counts_over_thresholds(truth, given)
    if found[-1] == 0 or found[-1] == flagged[-1]:
        raise DataError(f"a ROC curve needs positive and negative rows; {found[-1]:.0f} of {len(truth)} rows are positive.")
    wrong = flagged - found
    x, y = wrong / wrong[-1], found / found[-1]
    kept = _spread(x + y, n_points)
    return Curve(x[kept], y[kept])


def pr_curve(truth: Shaped[Array, " sample"], given: Shaped[Array, " sample"], *, n_points: int = N_POINTS) -> Curve:
    """Recall (x) against precision (y), from recall 0, where precision is 1 by convention, to 1.

    Raises:
        DataError: no row is positive.
    """
    flagged, found = _counts_over_thresholds(truth, given)
    if found[-1] == 0:
        raise DataError(f"a precision-recall curve needs positive rows; none of {len(truth)} rows is positive.")
    x = found / found[-1]
    y = np.where(flagged > 0, found / np.maximum(flagged, 1.0), 1.0)
    kept = _spread(x + np.linspace(0, 1e-6, len(x)), n_points)
    return Curve(x[kept], y[kept])


def calibration_curve(
    truth: Shaped[Array, " sample"], given: Shaped[Array, " sample"], *, n_bins: int = N_BINS
) -> CalibrationCurve:
    """Stated probability against observed frequency, in equal-width bins (Guo et al. 2017, arXiv:1706.04599, section 2)."""
    bins = np.clip(np.ceil(given * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    counts = np.bincount(bins, minlength=n_bins)
    filled = counts > 0
    stated = np.bincount(bins, weights=given, minlength=n_bins)[filled] / counts[filled]
    observed = np.bincount(bins, weights=truth, minlength=n_bins)[filled] / counts[filled]
    return CalibrationCurve(stated, observed, counts[filled])


def confusion_matrix(target: Int[Array, " sample"], predictions: Shaped[Array, "sample klass"]) -> Int[Array, "klass klass"]:
    """Counts of rows by actual (first axis) and most probable class (second axis)."""
    n_classes = predictions.shape[1]
    cells = target * n_classes + predictions.argmax(axis=1)
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def residuals(
    target: Shaped[Array, " sample"], predictions: Shaped[Array, "sample ..."], *, n_points: int = N_POINTS
) -> Residuals:
    """Rows at even ranks of their prediction, so that thinning out keeps the shape of the cloud."""
    predicted, actual = np.asarray(predictions, dtype=np.float64).reshape(-1), np.asarray(target, dtype=np.float64)
    order = np.argsort(predicted, kind="stable")
    if len(order) > n_points:
        order = order[np.linspace(0, len(order) - 1, n_points).round().astype(np.int64)]
    return Residuals(predicted[order], actual[order], actual[order] - predicted[order])


def _counts_over_thresholds(truth: Array, given: Array) -> tuple[Array, Array]:
    """Rows flagged, and positives among them, for falling thresholds; starts with none, one entry per distinct score."""
    if len(truth) == 0 or len(truth) != len(given):
        raise DataError(f"{len(given)} scores came for {len(truth)} rows; expected equally many, at least one.")
    order = np.argsort(-given, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(given[order]) != 0), len(order) - 1)
    found = np.cumsum(np.asarray(truth, dtype=np.float64)[order])[ends]
    return np.concatenate([[0.0], ends + 1.0]), np.concatenate([[0.0], found])


def _spread(position: Array, n_points: int) -> Array:
    """Indices of at most `n_points` points, evenly along a rising position, the first and the last among them."""
    if len(position) <= n_points:
        return np.arange(len(position))
    wanted = np.linspace(position[0], position[-1], n_points)
    chosen = np.searchsorted(position, wanted)
    return np.unique(np.concatenate([[0], np.clip(chosen, 0, len(position) - 1)[1:-1], [len(position) - 1]]))
