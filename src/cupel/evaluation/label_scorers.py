"""How metrics of several labels are computed for many weightings of the same rows at once.

Targets (rows, labels) are 1, 0, or NaN where nobody knows: such a cell counts in no score. Predictions are a probability for each
label. Weights are of rows, as in `scorers`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cupel.evaluation.metric import Array, Prepare, Scorer
from cupel.evaluation.scorers import SMALLEST_PROBABILITY, mean_of_defined, ratio

HALF = 0.5
"""The probability from which a label counts as said, in metrics that judge what is said."""


def by_form(of_classes: Prepare, of_labels: Prepare) -> Prepare:
    """A metric that bears one name for classes (targets of one axis) and for labels (of two)."""

    def prepare(target: Array, predictions: Array) -> Scorer:
        return (of_labels if target.ndim == 2 else of_classes)(target, predictions)

    return prepare


def label_by_label(one_label: Callable[..., Scorer], parts: Array | None = None) -> Prepare:
    """The mean over labels of a binary metric, each on the rows where it is known; those that hold in none are left out.

    With `parts`, a number for each row and way of dividing them, `one_label` is told those of its rows.
    """

    def prepare(target: Array, predictions: Array) -> Scorer:
        scorers = []
        for label in range(target.shape[1]):
            rows = np.flatnonzero(np.isfinite(target[:, label]))
            if (target[rows, label] == 1).any():
                within = {} if parts is None else {"parts": parts[rows]}
                scorers.append(_of_rows(one_label(target[rows, label] == 1, predictions[rows, label], **within), rows))
        return mean_of_defined(scorers)

    return prepare


def all_as_one(one_label: Callable[[Array, Array], Scorer]) -> Prepare:
    """A binary metric of all known cells together."""

    def prepare(target: Array, predictions: Array) -> Scorer:
        rows, labels = np.nonzero(np.isfinite(target))
        return _of_rows(one_label(target[rows, labels] == 1, predictions[rows, labels]), rows)

    return prepare


def cell_by_cell(losses: Callable[[Array, Array], Array]) -> Prepare:
    """A mean over all known cells of one value each."""

    def prepare(target: Array, predictions: Array) -> Scorer:
        known = np.isfinite(target)
        values = np.where(known, losses(target, predictions), 0.0).sum(axis=1)
        n_known = known.sum(axis=1).astype(np.float64)
        return lambda weights: ratio(weights @ values, weights @ n_known, otherwise=np.nan)

    return prepare


def counted(formula: Callable[[Array, Array, Array], Array]) -> Prepare:
    """A function of hits, of labels that hold, and of labels said, each of shape (resamples, labels)."""

    def prepare(target: Array, predictions: Array) -> Scorer:
        known, holds, said = np.isfinite(target), target == 1, predictions >= HALF
        counts = [cells.astype(np.float64) for cells in (holds & said, holds, said & known)]
        return lambda weights: formula(*(weights @ cells for cells in counts))

    return prepare


def macro(kind: str) -> Callable[[Array, Array, Array], Array]:
    """ "precision", "recall" or "f1": the mean over labels that hold or are said somewhere."""

    def of(hits: Array, actual: Array, said: Array) -> Array:
        occurs = (actual + said) > 0
        shares = ratio(*_parts(kind, hits, actual=actual, said=said), otherwise=0.0)
        return ratio((shares * occurs).sum(axis=1), occurs.sum(axis=1), otherwise=0.0)

    return of


def micro(kind: str) -> Callable[[Array, Array, Array], Array]:
    """The same from counts summed over labels."""

    def of(hits: Array, actual: Array, said: Array) -> Array:
        part, whole = _parts(kind, hits, actual=actual, said=said)
        return ratio(part.sum(axis=1), whole.sum(axis=1), otherwise=0.0)

    return of


def weighted(kind: str) -> Callable[[Array, Array, Array], Array]:
    """The mean over labels, weighted by how often each holds."""

    def of(hits: Array, actual: Array, said: Array) -> Array:
        shares = ratio(*_parts(kind, hits, actual=actual, said=said), otherwise=0.0)
        return ratio((shares * actual).sum(axis=1), actual.sum(axis=1), otherwise=0.0)

    return of


def is_right(target: Array, predictions: Array) -> Array:
    """1 for rows all of whose known labels are said rightly."""
    return np.asarray((_is_wrong(target, predictions) == 0).all(axis=1), np.float64)


def _is_wrong(target: Array, predictions: Array) -> Array:
    return np.asarray(np.isfinite(target) & ((predictions >= HALF) != (target == 1)))


def wrongness(target: Array, predictions: Array) -> Array:
    """1 for labels that are said wrongly."""
    return _is_wrong(target, predictions).astype(np.float64)


def surprise(target: Array, predictions: Array) -> Array:
    """Minus the logarithm of the probability of what is true of each label."""
    said = np.where(target == 1, predictions, 1.0 - predictions)
    return np.asarray(-np.log(np.clip(said, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)))


def squared_distance(target: Array, predictions: Array) -> Array:
    """Squared distance of each label's probability from what is true of it."""
    return np.asarray((predictions - np.nan_to_num(target)) ** 2)


def _of_rows(scorer: Scorer, rows: Array) -> Scorer:
    return lambda weights: scorer(weights[:, rows])


def _parts(kind: str, hits: Array, *, actual: Array, said: Array) -> tuple[Array, Array]:
    if kind == "precision":
        return hits, said
    return (hits, actual) if kind == "recall" else (2 * hits, actual + said)
