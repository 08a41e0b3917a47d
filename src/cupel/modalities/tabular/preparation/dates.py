"""Date-times as numbers that a model can use: calendar parts, the season as a circle, and time passed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.graph import Graph
from cupel.modalities.tabular.preparation.symbols import FOR_ARRAYS, FOR_SYMBOLS, Functions, Symbol

SECONDS_PER_DAY = 86400.0
LATEST = 1e13  # seconds; beyond the year 300,000 a cell is an error, and the arithmetic below would lose days
PARTS = ("days", "year", "month", "day", "weekday", "hour", "season_sin", "season_cos")


@dataclass(frozen=True, eq=False)
class DateParts:
    """Date-times to `PARTS`, part by part: all days, then all years, …; NaN stays NaN.

    `first_day` is the first training day of each column, in days since 1970.
    """

    first_day: NDArray[np.float64]

    @classmethod
    def fit(cls, seconds: NDArray[np.float64]) -> DateParts:
        """Learn the first day of each column; 0 where there is none."""
        readable = np.abs(seconds) <= LATEST
        first = np.min(np.where(readable, seconds, np.inf), axis=0, initial=np.inf)
        return cls(np.floor(np.where(np.isfinite(first), first, 0.0) / SECONDS_PER_DAY))

    @property
    def width(self) -> int:
        """Number of columns that come out."""
        return len(PARTS) * len(self.first_day)

    def apply(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Parts of date-times, shape (rows, 8 × columns)."""
        readable = np.where(np.abs(seconds) <= LATEST, seconds, np.nan)
        return np.concatenate(_parts(readable, self.first_day, FOR_ARRAYS), axis=1)

    def emit(self, graph: Graph, seconds: str) -> str:
        """The same in a graph."""
        readable = graph.op("LessOrEqual", graph.op("Abs", seconds), graph.constant(LATEST, np.float64))
        kept = graph.op("Where", readable, seconds, graph.constant(np.nan, np.float64))
        return graph.concat([part.tensor for part in _parts(Symbol(graph, kept), self.first_day, FOR_SYMBOLS)])


def _parts(seconds: Any, first_day: NDArray[np.float64], functions: Functions) -> list[Any]:
    """The parts in the order of `PARTS`, for arrays and symbols alike.

    Whole numbers in doubles are exact, and floor keeps NaN, which integers have not.

    Source: H. Hinnant, "chrono-compatible low-level date algorithms", civil_from_days; years there begin in March, and
    so does the season here.
    """
    floor = functions.floor
    day_number = floor(seconds / SECONDS_PER_DAY)
    hour = floor((seconds - day_number * SECONDS_PER_DAY) / 3600.0)
    shifted = day_number + 719468.0
    era = floor(shifted / 146097.0)
    day_of_era = shifted - era * 146097.0
    leap_days = floor(day_of_era / 1460.0) - floor(day_of_era / 36524.0) + floor(day_of_era / 146096.0)
    year_of_era = floor((day_of_era - leap_days) / 365.0)
    day_of_year = day_of_era - (year_of_era * 365.0 + floor(year_of_era / 4.0) - floor(year_of_era / 100.0))
    march_month = floor((day_of_year * 5.0 + 2.0) / 153.0)
    is_next_year = floor(march_month / 10.0)
    month = march_month - is_next_year * 12.0 + 3.0
    day = day_of_year - floor((march_month * 153.0 + 2.0) / 5.0) + 1.0
    year = year_of_era + era * 400.0 + is_next_year
    since_monday = day_number + 3.0
    weekday = since_monday - floor(since_monday / 7.0) * 7.0
    angle = day_of_year * (2 * math.pi / 365.25)
    return [day_number - first_day, year, month, day, weekday, hour, functions.sin(angle), functions.cos(angle)]
