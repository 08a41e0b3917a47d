"""What counts as a missing number, and the simplest thing that can stand in for it."""

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


def location_and_scale(values: Matrix, present: Mask) -> tuple[Matrix, Matrix]:
    """Mean and standard deviation of each column's present values; 0 and 1 where undefined."""
    counts = np.maximum(present.sum(axis=0), 1)
    mean = np.where(present, values, 0.0).sum(axis=0) / counts
    deviation = np.sqrt((np.where(present, values - mean, 0.0) ** 2).sum(axis=0) / counts)
    return mean, np.where(deviation > np.maximum(1e-12 * np.abs(mean), SMALLEST_DEVIATION), deviation, 1.0)
