"""How masks are scored: counts of pixels by true and predicted class, of each picture or of all together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cupel.core.masks import VOID
from cupel.evaluation.metric import Array, Prepare, Scorer
from cupel.evaluation.scorers import macro, micro, per_class

Formula = Callable[[Array], Array]
"""From counts (rows, actual, predicted) to a score for each row."""


def mask_counts(target: Array, predictions: Array) -> Array:
    """Pixels by true and most probable class, shape (rows, actual, predicted); void counts nothing.

    `target` (rows, points) holds class indices or `VOID`, `predictions` (rows, classes * points) probabilities.
    """
    n_rows, n_points = target.shape
    said = predictions.reshape(n_rows, -1, n_points)
    n_classes, known = said.shape[1], target != VOID
    cells = np.arange(n_rows)[:, None] * n_classes**2 + target.astype(np.int64) * n_classes + said.argmax(axis=1)
    counts = np.bincount(cells[known], minlength=n_rows * n_classes**2)
    return counts.reshape(n_rows, n_classes, n_classes).astype(np.float64)


def pooled(formula: Formula) -> Prepare:
    """A formula on the counts of all pictures together."""

    def prepare(target: Array, predictions: Array) -> Scorer:
        counts = mask_counts(target, predictions)
        return lambda weights: formula(np.tensordot(weights, counts, axes=1))

    return prepare


def by_picture(formula: Formula) -> Prepare:
    """The mean over pictures of a formula on the counts of each; those that are void everywhere are left out."""

    def prepare(target: Array, predictions: Array) -> Scorer:
        counts = mask_counts(target, predictions)
        known = counts.sum(axis=(1, 2)) > 0
        values = np.zeros(len(counts))
        values[known] = formula(counts[known])

        def scores(weights: Array) -> Array:
            judged = weights @ known.astype(np.float64)
            return np.asarray(np.where(judged > 0, (weights @ values) / np.maximum(judged, 1.0), np.nan))

        return scores

    return prepare


def overlap(kind: str) -> Formula:
    """ "dice" or "iou", the mean over the classes that occur or are predicted."""
    return macro("f1") if kind == "dice" else _mean_iou


def foreground(kind: str) -> Formula:
    """The same over all classes but the first."""

    def of(counts: Array) -> Array:
        occurs = ((counts.sum(axis=2) + counts.sum(axis=1)) > 0)[:, 1:]
        values = class_overlap(kind)(counts)[:, 1:] * occurs
        n_classes = occurs.sum(axis=1)
        return np.asarray(np.where(n_classes > 0, values.sum(axis=1) / np.maximum(n_classes, 1), np.nan))

    return of


def class_overlap(kind: str) -> Formula:
    """ "dice" or "iou" of each class, shape (rows, classes); 0 where it neither occurs nor is predicted."""
    return per_class("f1") if kind == "dice" else _iou


def accuracy(counts: Array) -> Array:
    """The share of pixels whose class is right."""
    return micro("recall")(counts)


def _iou(counts: Array) -> Array:
    hits = np.diagonal(counts, axis1=1, axis2=2)
    union = counts.sum(axis=2) + counts.sum(axis=1) - hits
    return np.asarray(hits / np.maximum(union, 1.0))


def _mean_iou(counts: Array) -> Array:
    occurs = (counts.sum(axis=2) + counts.sum(axis=1)) > 0
    return np.asarray((_iou(counts) * occurs).sum(axis=1) / np.maximum(occurs.sum(axis=1), 1))
