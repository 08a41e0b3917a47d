"""From which probability on each of several labels is said to hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped
from numpy.typing import NDArray

from cupel.evaluation.label_scorers import HALF
from cupel.evaluation.metric import Metric
from cupel.evaluation.scoring import resolved

Array = NDArray[Any]
N_PARTS = 5


def thresholds_for(
    metric: Metric | str, target: Float[Array, "sample label"], predictions: Shaped[Array, "sample label"]
) -> Float[Array, " label"]:
    """The thresholds that a packed model decides by.

    A metric that judges what is said does so at one half: what it measured is what is served. Otherwise `best_thresholds`.
    """
    if resolved(metric).needs == "labels":
        return np.full(target.shape[1], HALF)
    return best_thresholds(target, predictions)


def best_thresholds(target: Float[Array, "sample label"], predictions: Shaped[Array, "sample label"]) -> Float[Array, " label"]:
    """For each label the threshold with the best F1 on the rows where it is known; one half where it never holds.

    It lies midway between the least probability that is to be said and the next below it, so that rounding decides nothing.

    Source: Lipton, Elkan, Naryanaswamy 2014, arXiv:1402.1892, section 4: each label's own F1 is best at its own threshold.
    """
    return np.array([_best(target[:, label], predictions[:, label]) for label in range(target.shape[1])])


def _best(target: Array, given: Array) -> float:
    known = np.isfinite(target)
    truth, given = target[known] == 1, given[known]
    if not truth.any():
        return HALF
    order = np.argsort(-given, kind="stable")
    said = np.arange(1, len(order) + 1)
    f1 = 2 * np.cumsum(truth[order]) / (said + truth.sum())
    ordered = given[order]
    is_last_of_equals = np.append(ordered[1:] < ordered[:-1], True)
    best = int(np.argmax(np.where(is_last_of_equals, f1, -1.0)))
    below = ordered[best + 1] if best + 1 < len(ordered) else 0.0
    return float((ordered[best] + below) / 2)


def cross_fitted_decisions(
    metric: Metric | str,
    target: Float[Array, "sample label"],
    predictions: Shaped[Array, "sample label"],
    *,
    units: Shaped[Array, " sample"] | None = None,
    seed: int = 0,
) -> Bool[Array, "sample label"]:
    """Which labels are said, each row by thresholds (`thresholds_for`) that were chosen without its part of the rows.

    Rows that share a number in `units` are in one part: near copies of a row must not choose what it is judged by.
    """
    _, numbers = np.unique(np.arange(len(target)) if units is None else units, return_inverse=True)
    n_units = int(numbers.max(initial=0)) + 1
    parts = (np.random.default_rng(seed).permutation(n_units) % min(N_PARTS, n_units))[numbers.reshape(-1)]
    said = np.zeros(np.shape(predictions), np.bool_)
    for part in np.unique(parts):
        inside = parts == part
        learned = ~inside if n_units > 1 else inside
        said[inside] = predictions[inside] >= thresholds_for(metric, target[learned], predictions[learned])
    return said
