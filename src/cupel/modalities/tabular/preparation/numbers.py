"""Numbers and date-times, with their gaps filled: everything that happens to them before scaling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cupel.core.graph import Graph
from cupel.modalities.tabular.preparation.dates import PARTS, DateParts
from cupel.modalities.tabular.preparation.imputation import fit_fill
from cupel.modalities.tabular.preparation.missing import Fill, Mask, Matrix, emit_is_present, is_present

Positions = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class NumberSteps:
    """Numbers, then parts of date-times; columns dropped, gaps filled.

    `numbers` and `dates` are positions among the numeric features; `kept` positions among numbers and date parts, those
    parts left out that were constant in training (no hour where all is midnight); and
    `indicated` positions among the kept that get a column telling whether the number is missing.
    """

    numbers: Positions
    dates: Positions
    date_parts: DateParts
    kept: Positions
    fill: Fill
    indicated: Positions

    @classmethod
    def fit(
        cls, features: Matrix, *, numbers: Positions, dates: Positions, strategy: str, has_indicators: bool, seed: int
    ) -> NumberSteps:
        """Learn from the training rows' numeric features."""
        date_parts = DateParts.fit(features[:, dates])
        values = np.concatenate([features[:, numbers], date_parts.apply(features[:, dates])], axis=1)
        present = is_present(values)
        speaks = np.arange(values.shape[1]) < len(numbers) + len(dates)  # a date-time's first part: days
        useful = speaks | _varies(values, present)
        if strategy == "drop-columns":
            useful &= present.all(axis=0)
        kept = np.flatnonzero(useful)
        values, present = values[:, kept], present[:, kept]
        # All parts of a date-time are missing together: the first speaks for them.
        gappy = np.flatnonzero(speaks[kept] & ~present.all(axis=0) & has_indicators)
        return cls(numbers, dates, date_parts, kept, fit_fill(strategy, values, present, seed=seed), gappy)

    @property
    def width(self) -> int:
        """Number of columns that come out."""
        return len(self.kept)

    def apply(self, features: Matrix) -> tuple[Matrix, Mask]:
        """Filled numbers, and where they were present; both (rows, width)."""
        values = features[:, self.numbers]
        if len(self.dates):
            values = np.concatenate([values, self.date_parts.apply(features[:, self.dates])], axis=1)
        if self.width < values.shape[1]:
            values = values[:, self.kept]
        present = is_present(values)
        return self.fill.apply(values, present), present

    def emit(self, graph: Graph, features: str, *, n_features: int) -> tuple[str, str]:
        """The same in a graph; of some width above 0."""
        parts = []
        if len(self.numbers):
            parts.append(features if len(self.numbers) == n_features else graph.columns(features, self.numbers.tolist()))
        if len(self.dates):
            parts.append(self.date_parts.emit(graph, graph.columns(features, self.dates.tolist())))
        values = graph.concat(parts)
        if self.width < len(self.numbers) + len(PARTS) * len(self.dates):
            values = graph.columns(values, self.kept.tolist())
        present = emit_is_present(graph, values)
        return self.fill.emit(graph, values, present), present


@dataclass(frozen=True, eq=False)
class BooleanSteps:
    """Booleans as -1 and +1, 0 where missing."""

    positions: Positions

    def apply(self, features: Matrix) -> NDArray[np.float32]:
        """Signs, float32."""
        values = features[:, self.positions]
        return np.where(is_present(values), values * 2.0 - 1.0, 0.0).astype(np.float32)

    def emit(self, graph: Graph, features: str) -> str:
        """The same in a graph."""
        values = graph.columns(features, self.positions.tolist())
        doubled = graph.op("Mul", values, graph.constant(2.0, np.float64))
        signs = graph.op("Sub", doubled, graph.constant(1.0, np.float64))
        known = graph.op("Where", emit_is_present(graph, values), signs, graph.constant(0.0, np.float64))
        return graph.cast(known, np.float32)


def _varies(values: Matrix, present: Mask) -> Mask:
    low = np.where(present, values, np.inf).min(axis=0, initial=np.inf)
    high = np.where(present, values, -np.inf).max(axis=0, initial=-np.inf)
    return np.asarray(low < high)
