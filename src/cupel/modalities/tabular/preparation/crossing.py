"""Pairs of category columns as one: the mean target of two levels together, where that says more than both apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cupel.core.graph import Graph
from cupel.modalities.tabular.preparation.categories import Indices, Lookup, Matrix
from cupel.modalities.tabular.preparation.target_encoding import fit_target_encoding

MAX_COLUMNS = 12  # those with the most levels are paired
MAX_CELLS = 50_000  # numbers of a pair's table; pairs that would need more are none
MAX_ROWS = 20_000  # by which pairs are chosen
SURE = 3.0
"""Standard errors by which a pair has to lower the squared error: the best of 66 that are noise passes this in one of 11."""


@dataclass(frozen=True, eq=False)
class Crosses:
    """Numbers looked up by two indices: cell `indices[:, firsts] * strides + indices[:, seconds]` of each pair's table."""

    firsts: Indices
    seconds: Indices
    strides: Indices
    lookup: Lookup

    @property
    def width(self) -> int:
        """Number of columns that come out."""
        return self.lookup.width

    def apply(self, indices: Indices) -> Matrix:
        """Looked-up numbers, shape (rows, width)."""
        return self.lookup.apply(_joined(indices, self.firsts, self.seconds, self.strides))

    def emit(self, graph: Graph, indices: str) -> str:
        """The same in a graph, double."""
        firsts = graph.columns(indices, self.firsts.tolist())
        rows_of_tables = graph.op("Mul", firsts, graph.constant(self.strides[None]))
        return self.lookup.emit(graph, graph.op("Add", rows_of_tables, graph.columns(indices, self.seconds.tolist())))


def fit_crosses(
    n_wanted: int, indices: Indices, *, sizes: Sequence[int], n_levels: Sequence[int], outcomes: Matrix, folds: Indices
) -> tuple[Crosses | None, Matrix]:
    """The encoding of the best pairs for new rows, and that of the training rows, out of fold.

    There are as many as were wanted, or as there are pairs by `n_levels`, whatever the rows: where fewer are of any use, the rest
    is zeros, so that folds agree.
    """
    pairs = _pairs(n_levels, n_outcomes=outcomes.shape[1])
    n_pairs = min(n_wanted, len(pairs))
    if n_pairs == 0:
        return None, np.empty((len(indices), 0))
    chosen = _useful(pairs, indices, sizes, outcomes=outcomes, folds=folds)[:n_pairs]
    n_idle = n_pairs - len(chosen)
    firsts, seconds = np.array([*chosen, *[(0, 0)] * n_idle], np.int64).T
    strides = np.array([*(sizes[second] for _, second in chosen), *[0] * n_idle], np.int64)
    joined = _joined(indices, firsts, seconds, strides)
    cells = [sizes[first] * sizes[second] for first, second in chosen]
    found, encoded = [], np.zeros((len(indices), n_pairs * outcomes.shape[1]))
    if chosen:
        lookup, of_chosen = fit_target_encoding(range(len(chosen)), joined, cells, outcomes=outcomes, folds=folds)
        encoded[:, : lookup.width] = of_chosen
        found = np.split(lookup.table, np.cumsum(cells)[:-1])
    tables = [*found, *[np.zeros((sizes[0], outcomes.shape[1]))] * n_idle]
    return Crosses(firsts, seconds, strides, Lookup.of(range(n_pairs), tables)), encoded


def _joined(indices: Indices, firsts: Indices, seconds: Indices, strides: Indices) -> Indices:
    return np.asarray(indices[:, firsts] * strides + indices[:, seconds])


def _pairs(n_levels: Sequence[int], *, n_outcomes: int) -> list[tuple[int, int]]:
    """Those whose table is small enough, of the columns with the most levels."""
    largest = np.sort(np.argsort(-np.array(n_levels, np.int64), kind="stable")[:MAX_COLUMNS]).tolist()
    return [
        (first, second)
        for first, second in itertools.combinations(largest, 2)
        if (n_levels[first] + 1) * (n_levels[second] + 1) * n_outcomes <= MAX_CELLS
    ]


def _useful(
    pairs: Sequence[tuple[int, int]], indices: Indices, sizes: Sequence[int], *, outcomes: Matrix, folds: Indices
) -> list[tuple[int, int]]:
    """The pairs that surely explain what their columns leave when added up, best first."""
    rows = np.linspace(0, len(indices) - 1, min(len(indices), MAX_ROWS)).astype(np.int64)
    indices, outcomes, folds = indices[rows], outcomes[rows], folds[rows]
    apart = {column: _out_of_fold(indices[:, column], sizes[column], outcomes, folds) for column in {c for p in pairs for c in p}}
    gains = {
        pair: _gain(pair, indices, sizes, apart=(apart[pair[0]], apart[pair[1]]), outcomes=outcomes, folds=folds)
        for pair in pairs
    }
    useful = [pair for pair, (mean, error) in gains.items() if mean > SURE * error]
    return sorted(useful, key=lambda pair: -gains[pair][0])


def _gain(
    pair: tuple[int, int],
    indices: Indices,
    sizes: Sequence[int],
    *,
    apart: tuple[Matrix, Matrix],
    outcomes: Matrix,
    folds: Indices,
) -> tuple[float, float]:
    """By how much the pair's means lower the squared error of the sum of both columns' means, with its standard error."""
    first, second = pair
    left = np.empty_like(outcomes)
    for position in range(outcomes.shape[1]):
        known = np.column_stack([np.ones(len(indices)), apart[0][:, position], apart[1][:, position]])
        left[:, position] = outcomes[:, position] - known @ np.linalg.lstsq(known, outcomes[:, position], rcond=None)[0]
    joined = indices[:, first] * sizes[second] + indices[:, second]
    explained = _out_of_fold(joined, sizes[first] * sizes[second], left, folds)
    lowered = (left**2 - (left - explained) ** 2).sum(axis=1)
    return float(lowered.mean()), float(lowered.std() / np.sqrt(max(len(lowered), 1)))


def _out_of_fold(column: Indices, size: int, outcomes: Matrix, folds: Indices) -> Matrix:
    return fit_target_encoding([0], column[:, None], [size], outcomes=outcomes, folds=folds)[1]
