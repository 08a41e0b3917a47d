"""What stands in for a missing number: one value per column, the nearest training rows, or a forest's guess."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cupel.core.graph import Graph

Array = NDArray[Any]
Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]

LARGEST = 1e38
"""Numbers beyond it, infinity among them, do not fit into float32 and are treated as missing."""

SMALLEST_DEVIATION = 1e-200
"""Dividing by anything smaller could overflow."""


class Fill(Protocol):
    """A fitted imputation of a matrix of numbers; `present` is False where a number is missing."""

    def apply(self, values: Matrix, present: Mask) -> Matrix:
        """The matrix without gaps, same shape."""
        ...

    def emit(self, graph: Graph, values: str, present: str) -> str:
        """The same in a graph."""
        ...


def is_present(values: Matrix) -> Mask:
    """Where a number can be used: neither NaN nor infinite nor beyond float32."""
    present: Mask = np.abs(values) <= LARGEST
    return present


def emit_is_present(graph: Graph, values: str) -> str:
    """The same in a graph, as a bool tensor."""
    return graph.op("LessOrEqual", graph.op("Abs", values), graph.constant(LARGEST, np.float64))


@dataclass(frozen=True, eq=False)
class ConstantFill:
    """One value per column; NaN leaves the gap."""

    fill: Matrix

    def apply(self, values: Matrix, present: Mask) -> Matrix:
        """Values with gaps replaced."""
        return np.where(present, values, self.fill)

    def emit(self, graph: Graph, values: str, present: str) -> str:
        """The same in a graph."""
        return graph.op("Where", present, values, graph.constant(self.fill))


def fit_fill(strategy: str, values: Matrix, present: Mask, *, seed: int) -> Fill:
    """An imputation learned from training numbers. Columns without any are filled with 0."""
    if strategy == "knn":
        from cupel.modalities.tabular.preparation.neighbours import NeighbourFill

        return NeighbourFill.fit(values, present, seed=seed)
    if strategy == "forest":
        from cupel.modalities.tabular.preparation.forest import ForestFill

        return ForestFill.fit(values, present, seed=seed)
    if strategy == "keep":
        return ConstantFill(np.full(values.shape[1], np.nan))
    columns = [values[present[:, column], column] for column in range(values.shape[1])]
    fill = [_typical(strategy, column) if len(column) else 0.0 for column in columns]
    return ConstantFill(np.array(fill, dtype=np.float64))


def location_and_scale(values: Matrix, present: Mask) -> tuple[Matrix, Matrix]:
    """Mean and standard deviation of each column's present values; 0 and 1 where undefined."""
    counts = np.maximum(present.sum(axis=0), 1)
    mean = np.where(present, values, 0.0).sum(axis=0) / counts
    deviation = np.sqrt((np.where(present, values - mean, 0.0) ** 2).sum(axis=0) / counts)
    return mean, np.where(deviation > np.maximum(1e-12 * np.abs(mean), SMALLEST_DEVIATION), deviation, 1.0)


def _typical(strategy: str, values: Matrix) -> float:
    if strategy == "median":
        return float(np.median(values))
    if strategy == "most-frequent":
        distinct, counts = np.unique(values, return_counts=True)
        return float(distinct[np.argmax(counts)])
    return float(values.mean())
