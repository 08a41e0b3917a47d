"""Categories as the mean target of their level, shrunk toward the overall mean, out-of-fold on training rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cupel.core.form import Form
from cupel.core.labels import filled
from cupel.core.task import Task, TaskKind
from cupel.modalities.tabular.preparation.categories import Indices, Lookup, Matrix

N_INNER_FOLDS = 5
MAX_CLASSES = 10
WEAKEST_SHRINKAGE = 1.0
STRONGEST_SHRINKAGE = 1e4


def can_encode(task: Task) -> bool:
    """Whether target means are few enough to be columns."""
    return task.n_outputs <= MAX_CLASSES


def outcomes_of(task: Task, target: NDArray[np.generic]) -> Matrix:
    """What is averaged: the standardised target, the positive class, or one column per class or label. Shape (rows, outcomes)."""
    if task.form is Form.LABELS:
        return filled(target)
    if task.kind is TaskKind.REGRESSION:
        values = np.asarray(target, np.float64)
        deviation = float(values.std()) if len(values) else 0.0
        return ((values - values.mean()) / deviation if deviation > 0 else values * 0.0)[:, None]
    if task.kind is TaskKind.BINARY:
        return np.asarray(target == len(task.classes) - 1, np.float64)[:, None]
    return np.asarray(target[:, None] == np.arange(len(task.classes)), np.float64)


def inner_folds(n_rows: int, groups: NDArray[np.generic] | None, *, seed: int) -> Indices:
    """A random fold for each training row; rows of one group, or copies of one another, share theirs."""
    members = np.arange(n_rows) if groups is None else np.unique(groups, return_inverse=True)[1]
    n_members = int(members.max()) + 1 if n_rows else 0
    folds = np.arange(n_members, dtype=np.int64) % max(1, min(N_INNER_FOLDS, n_members))
    np.random.default_rng(seed).shuffle(folds)
    return np.asarray(folds[members])


def fit_target_encoding(
    columns: Sequence[int], indices: Indices, sizes: Sequence[int], *, outcomes: Matrix, folds: Indices
) -> tuple[Lookup, Matrix]:
    """The encoding for new rows, and that of the training rows, each made without the rows of its own inner fold.

    Source: Micci-Barreca 2001, doi:10.1145/507533.507538; the amount of shrinkage is estimated from the variance between
    and within levels (one-way random effects), so that a column without signal encodes to a constant.
    """
    n_rows, n_outcomes = outcomes.shape
    tables, encoded = [], np.empty((n_rows, len(columns) * n_outcomes))
    for position, column in enumerate(columns):
        statistics = _statistics(indices[:, column], sizes[column], outcomes, folds)
        total = statistics.sum(axis=0)
        tables.append(_shrunk_means(total[None])[0])
        others = total - statistics if len(statistics) > 1 else statistics
        out_of_fold = _shrunk_means(others)[folds, indices[:, column]]
        encoded[:, position * n_outcomes : (position + 1) * n_outcomes] = out_of_fold
    return Lookup.of(columns, tables), encoded


def _statistics(indices: Indices, size: int, outcomes: Matrix, folds: Indices) -> Matrix:
    """Count, sum and sum of squares, shape (folds, size, 1 + 2 × outcomes)."""
    n_folds = int(folds.max()) + 1 if len(folds) else 1
    cells = folds * size + indices
    weights: list[Matrix] = [np.ones(len(indices)), *outcomes.T, *(outcomes**2).T]
    sums = [np.bincount(cells, weights=weight, minlength=n_folds * size) for weight in weights]
    return np.asarray(np.stack(sums, axis=1).reshape(n_folds, size, -1), np.float64)


def _shrunk_means(statistics: Matrix) -> Matrix:
    """Mean outcome per level and fold, drawn toward the fold's overall mean, shape (folds, size, outcomes)."""
    n_outcomes = (statistics.shape[2] - 1) // 2
    counts, sums, squares = statistics[..., :1], statistics[..., 1 : 1 + n_outcomes], statistics[..., 1 + n_outcomes :]
    n_rows = np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    n_levels = (counts > 0).sum(axis=1, keepdims=True)
    prior = sums.sum(axis=1, keepdims=True) / n_rows
    means = sums / np.maximum(counts, 1.0)
    within = np.maximum(squares - sums * means, 0.0).sum(axis=1, keepdims=True) / np.maximum(n_rows - n_levels, 1.0)
    spread = (counts * (means - prior) ** 2).sum(axis=1, keepdims=True) / np.maximum(n_levels - 1, 1.0)
    level_size = (n_rows - (counts**2).sum(axis=1, keepdims=True) / n_rows) / np.maximum(n_levels - 1, 1.0)
    between = (spread - within) / np.maximum(level_size, 1.0)
    is_known = (between > 0) & (n_rows > n_levels)  # one row per level: nothing tells noise from signal
    shrinkage = np.where(is_known, within / np.where(is_known, between, 1.0), STRONGEST_SHRINKAGE)
    shrinkage = np.clip(shrinkage, WEAKEST_SHRINKAGE, STRONGEST_SHRINKAGE)
    return np.asarray((sums + shrinkage * prior) / (counts + shrinkage))
