"""Fits the units of a family that trains itself: as many at a time as there are cores, each in its share of the time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from cupel.core import machine
from cupel.core.budget import Deadline
from cupel.core.family import FittedUnit, UnitData

FitUnit = Callable[[UnitData, Deadline], FittedUnit]


def fit_each(
    units: Sequence[UnitData], fit_unit: FitUnit, *, threads: int | None = None, deadline: Deadline | None = None
) -> list[FittedUnit]:
    """Fitted units in the order of `units`, side by side; each is given a deadline of its own.

    Units that wait for others to end share what time is left with them, so that no fold takes all of it and leaves the last
    with nothing: a candidate that lacks one fold is lost.
    """
    whole = deadline or Deadline()
    n_threads = min(threads or machine.usable_cores(), len(units))
    n_rounds = math.ceil(len(units) / n_threads)

    def fit(position: int) -> FittedUnit:
        return fit_unit(units[position], whole.within(whole.remaining / (n_rounds - position // n_threads)))

    with ThreadPoolExecutor(n_threads, thread_name_prefix="folds") as pool:
        return list(pool.map(fit, range(len(units))))
