"""How well each class is told from the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped
from numpy.typing import NDArray

from cupel.evaluation.intervals import Interval
from cupel.evaluation.sure_shares import units_from_zero, worth_in_rows

Array = NDArray[Any]
NORMAL_975 = 1.959963984540054


@dataclass(frozen=True)
class ClassScore:
    """One class: its rows, how many rows are said to be of it, and how many of those are.

    `recall` is the share of its rows that are found, `precision` the share of what is said to be of it that is, both with a
    95% interval; NaN where there are none to count.
    """

    n_rows: int
    n_said: int
    n_right: int
    recall: Interval
    precision: Interval

    @property
    def f1(self) -> float:
        """The harmonic mean of recall and precision; 0 where nothing is right."""
        whole = self.n_rows + self.n_said
        return 2 * self.n_right / whole if whole else math.nan


def class_scores(
    matrix: Int[Array, "klass klass"], *, worth: Sequence[tuple[float, float]] | None = None, stretch: float = 1.0
) -> list[ClassScore]:
    """A score for each class of a confusion matrix, rows being true and columns said classes.

    `worth` says for each class how many independent rows its own are worth, and those said to be of it (`worth_of_classes`).
    With a `stretch` intervals reach about so many times as far.
    """
    found = []
    for klass in range(len(matrix)):
        n_rows, n_said, n_right = int(matrix[klass].sum()), int(matrix[:, klass].sum()), int(matrix[klass, klass])
        own, said = (None, None) if worth is None else worth[klass]
        recall = share_interval(n_right, n_rows, worth=own, stretch=stretch)
        precision = share_interval(n_right, n_said, worth=said, stretch=stretch)
        found.append(ClassScore(n_rows=n_rows, n_said=n_said, n_right=n_right, recall=recall, precision=precision))
    return found


def worth_of_classes(
    target: Int[Array, " sample"], said: Int[Array, " sample"], *, groups: Shaped[Array, " sample"] | None, n_classes: int
) -> list[tuple[float, float]] | None:
    """How many independent rows those of each class are worth, and those said to be of it; None where each row is one."""
    units = units_from_zero(groups)
    if units is None:
        return None
    found = []
    for klass in range(n_classes):
        own, named = np.flatnonzero(target == klass), np.flatnonzero(said == klass)
        found.append((worth_in_rows(said[own] == klass, units[own]), worth_in_rows(target[named] == klass, units[named])))
    return found


def share_interval(n_part: int, n_whole: int, *, worth: float | None = None, stretch: float = 1.0) -> Interval:
    """A share with its 95% interval, which is never empty nor beyond 0 and 1; NaN of nothing.

    `worth` is how many independent rows the whole is worth, where that are fewer. With a `stretch` it is that of so many fewer
    rows that it reaches about so many times as far.

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    if n_whole == 0:
        return Interval(math.nan, math.nan, math.nan)
    share, squared, n_worth = n_part / n_whole, NORMAL_975**2, (worth or n_whole) / stretch**2
    middle = (share + squared / (2 * n_worth)) / (1 + squared / n_worth)
    half = NORMAL_975 * math.sqrt(share * (1 - share) / n_worth + squared / (4 * n_worth**2)) / (1 + squared / n_worth)
    low, high = np.clip([middle - half, middle + half], 0.0, 1.0).tolist()
    return Interval(share, min(low, share), max(high, share))
