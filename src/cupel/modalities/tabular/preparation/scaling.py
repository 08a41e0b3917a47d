"""Numbers brought to comparable scales, in float64 until the last step."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Protocol

import numpy as np

from cupel.core.graph import Graph
from cupel.modalities.tabular.preparation.missing import Mask, Matrix
from cupel.modalities.tabular.preparation.symbols import FOR_ARRAYS, FOR_SYMBOLS, Functions, Symbol

LIMIT = 1e6
LOST_SHARE, FINER = 0.1, 8.0
"""Where single floats merge so many of a column's numbers, and are so many times finer around their median, that becomes 0."""
SMALLEST_RANGE = 1e-290  # narrower ones would overflow when inverted
N_KNOTS = 256


class Scaling(Protocol):
    """A fitted scaling of a matrix without gaps."""

    def apply(self, values: Matrix) -> Matrix:
        """The matrix, scaled; same shape."""
        ...

    def emit(self, graph: Graph, values: str) -> str:
        """The same in a graph, double."""
        ...


@dataclass(frozen=True, eq=False)
class Unscaled:
    """Numbers as they are."""

    def apply(self, values: Matrix) -> Matrix:
        """The same matrix."""
        return values

    def emit(self, graph: Graph, values: str) -> str:  # noqa: ARG002
        """The same tensor."""
        return values


@dataclass(frozen=True, eq=False)
class Centred:
    """Numbers as they are, but far from 0 counted from `center`: as a single float 2024013123 and 2024013124 are the same."""

    center: Matrix

    def apply(self, values: Matrix) -> Matrix:
        """The matrix, centred."""
        return values - self.center

    def emit(self, graph: Graph, values: str) -> str:
        """The same in a graph."""
        return (Symbol(graph, values) - self.center).tensor

    @classmethod
    def where_needed(cls, columns: list[Matrix]) -> Scaling:
        """Learned from each column's training values; where none needs it, nothing is done."""
        center = np.array([_center_of_far(values) for values in columns])
        return cls(center) if center.any() else Unscaled()


def _center_of_far(values: Matrix) -> float:
    """The median where single floats around 0 would merge many of the values, and around it would not; else 0."""
    largest = float(np.abs(values).max(initial=0.0))
    if largest < 2.0**24:  # whole numbers below are told apart
        return 0.0
    center, distinct = float(np.median(values)), np.unique(values)
    with np.errstate(over="ignore"):
        n_left = len(np.unique(distinct.astype(np.float32)))
        is_finer = FINER * np.abs(distinct - center).max() <= largest
    return center if is_finer and n_left < (1 - LOST_SHARE) * len(distinct) else 0.0


@dataclass(frozen=True, eq=False)
class Affine:
    """`(x - center) * factor`, within ±`LIMIT`; `is_smoothly_clipped` bends it to ±3 (z / sqrt(1 + (z / 3)²)).

    Source of the clipping: Holzmüller et al. 2024, arXiv:2407.04491, section 3.
    """

    center: Matrix
    factor: Matrix
    is_smoothly_clipped: bool = False

    def apply(self, values: Matrix) -> Matrix:
        """The matrix, scaled."""
        with np.errstate(over="ignore", under="ignore"):
            scaled = np.clip((values - self.center) * self.factor, -LIMIT, LIMIT)
            return np.asarray(_smoothly_clipped(scaled, FOR_ARRAYS) if self.is_smoothly_clipped else scaled)

    def emit(self, graph: Graph, values: str) -> str:
        """The same in a graph."""
        scaled = (Symbol(graph, values) - self.center) * self.factor
        limits = (graph.constant(-LIMIT, np.float64), graph.constant(LIMIT, np.float64))
        clipped = graph.op("Clip", scaled.tensor, *limits)
        if not self.is_smoothly_clipped:
            return clipped
        bent: Symbol = _smoothly_clipped(Symbol(graph, clipped), FOR_SYMBOLS)
        return bent.tensor


def _smoothly_clipped(scaled: Any, functions: Functions) -> Any:
    third = scaled * (1.0 / 3.0)
    return scaled / functions.sqrt(third * third + 1.0)


@dataclass(frozen=True, eq=False)
class NormalScores:
    """Each column mapped piecewise linearly, through at most `N_KNOTS` training quantiles, to the scores of a normal.

    `knots` increase along each row, padded with infinity to a power of two; shapes (columns, knots). Beyond the first
    and last knot the score stays at theirs.
    """

    knots: Matrix
    scores: Matrix

    @classmethod
    def fit(cls, columns: list[Matrix]) -> NormalScores:
        """Learn from each column's training values; a column without spread gives 0."""
        fitted = [_knots_and_scores(values) for values in columns]
        n_knots = 1 << max(1, (max(len(knots) for knots, _ in fitted) - 1).bit_length())
        knots = np.full((len(columns), n_knots), np.inf)
        scores = np.zeros((len(columns), n_knots))
        for column, (positions, heights) in enumerate(fitted):
            knots[column, : len(positions)] = positions
            scores[column, : len(heights)] = heights
            scores[column, len(heights) :] = heights[-1]
        return cls(knots, scores)

    @property
    def _widths(self) -> Matrix:
        widths = np.ones_like(self.knots)
        finite = np.isfinite(self.knots[:, 1:])
        widths[:, :-1][finite] = self.knots[:, 1:][finite] - self.knots[:, :-1][finite]
        return widths

    @property
    def _rises(self) -> Matrix:
        return np.diff(self.scores, axis=1, append=self.scores[:, -1:])

    @property
    def _last(self) -> Matrix:
        return np.asarray(np.where(np.isfinite(self.knots), self.knots, -np.inf).max(axis=1))

    def apply(self, values: Matrix) -> Matrix:
        """The matrix as normal scores."""
        inside = np.minimum(np.maximum(values, self.knots[:, 0]), self._last)
        widths, rises = self._widths, self._rises
        scaled = np.empty_like(inside)
        for column, knots in enumerate(self.knots):
            position = np.searchsorted(knots, inside[:, column], side="right") - 1
            fraction = (inside[:, column] - knots[position]) / widths[column, position]
            scaled[:, column] = self.scores[column, position] + fraction * rises[column, position]
        return scaled

    def emit(self, graph: Graph, values: str) -> str:
        """The same in a graph: a binary search over all columns at once, in 4 nodes per halving."""
        n_columns, n_knots = self.knots.shape
        knots = graph.constant(self.knots.reshape(-1))
        inside = graph.op("Min", graph.op("Max", values, graph.constant(self.knots[:, 0].copy())), graph.constant(self._last))
        position = graph.constant(np.arange(n_columns, dtype=np.int64)[None] * n_knots)
        step = n_knots // 2
        while step:
            further = graph.op("Add", position, graph.constant(np.array(step, np.int64)))
            reached = graph.op("GreaterOrEqual", inside, graph.op("Gather", knots, further, axis=0))
            position = graph.op("Where", reached, further, position)
            step //= 2
        low, width, score, rise = (
            Symbol(graph, graph.op("Gather", graph.constant(table.reshape(-1)), position, axis=0))
            for table in (np.where(np.isfinite(self.knots), self.knots, 0.0), self._widths, self.scores, self._rises)
        )
        return (score + (Symbol(graph, inside) - low) / width * rise).tensor


def fit_scaling(choice: str, values: Matrix, present: Mask) -> Scaling:
    """A scaling learned from the numbers that were present in training: guessed ones would narrow it."""
    if values.shape[1] == 0:
        return Unscaled()
    columns = [values[present[:, column], column] for column in range(values.shape[1])]
    if choice == "none":
        return Centred.where_needed(columns)
    if choice == "quantile":
        return NormalScores.fit(columns)
    fitted = np.array([_center_and_range(choice, column) for column in columns])
    center, spread = fitted[:, 0], fitted[:, 1]
    usable = spread > SMALLEST_RANGE
    return Affine(center, np.where(usable, 1.0 / np.where(usable, spread, 1.0), 0.0), choice == "robust")


def _center_and_range(choice: str, values: Matrix) -> tuple[float, float]:
    if len(values) == 0 or values.min() == values.max():
        return 0.0, 0.0
    low, high = float(values.min()), float(values.max())
    if choice == "min-max":
        return low, high - low
    if choice == "max-abs":
        return 0.0, max(abs(low), abs(high))
    if choice == "standard":
        return float(values.mean()), float(values.std())
    lower, median, upper = np.quantile(values, [0.25, 0.5, 0.75])
    return float(median), float(upper - lower) or (high - low) / 2


def _knots_and_scores(values: Matrix) -> tuple[Matrix, Matrix]:
    """Training quantiles and the normal scores of their mid-ranks; equal values share the middle of their ranks."""
    ordered = np.sort(values)
    if len(ordered) == 0 or ordered[-1] - ordered[0] <= SMALLEST_RANGE:
        return np.zeros(1), np.zeros(1)
    picks = np.round(np.linspace(0, len(ordered) - 1, min(N_KNOTS, len(ordered)))).astype(np.int64)
    distinct = np.unique(ordered)
    knots = distinct if len(distinct) <= N_KNOTS else np.unique(ordered[picks])
    knots = knots[np.concatenate([[True], np.diff(knots) > SMALLEST_RANGE])]
    ranks = np.searchsorted(ordered, knots, side="left") + np.searchsorted(ordered, knots, side="right")
    normal = NormalDist()
    return knots, np.array([normal.inv_cdf(rank / (2 * len(ordered))) for rank in ranks])
