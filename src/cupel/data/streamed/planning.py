"""Whether a table fits into memory, and if not, how many of its rows to search on: decided before it is read."""

from __future__ import annotations

import math

from cupel.core.errors import UsageError
from cupel.data.streamed.batches import Batches

BYTES_BEFORE_DATA = 750e6
"""What the processes of a run hold together with next to no data."""
BYTES_OF_A_CELL, BYTES_OF_A_SEARCHED_CELL = 80.0, 100.0
"""Of a table that is in memory: read, looked at and handed over; and searched on, with folds prepared and models of them."""
SMALL_BYTES = 1e8
CELLS_A_SECOND = 20_000
"""Searched on for each second of a run: five folds of boosted trees then take about a seventh of it on two cores."""
MOST_CELLS = 10_000_000
"""Searched on where time is not capped."""
FEWEST_ROWS = 1_000
MOST_SHARE = 0.5
STEPS = (1, 2, 5)


def fits(batches: Batches, *, memory_bytes: float) -> bool:
    """Whether a run may read the table whole; beside the processes themselves a small one is nothing."""
    needed = needed_bytes(batches)
    return needed <= memory_bytes or needed - BYTES_BEFORE_DATA <= SMALL_BYTES


def needed_bytes(batches: Batches) -> float:
    """What a run takes that reads the table whole."""
    return BYTES_BEFORE_DATA + max(batches.read_bytes, BYTES_OF_A_CELL * batches.n_rows * len(batches.names))


def rows_to_search(batches: Batches, *, memory_bytes: float, seconds: float) -> int:
    """So many rows can be searched on, 1, 2 or 5 times a power of ten: a little more memory changes nothing.

    Raises:
        UsageError: there is not the memory for any; says what is needed.
    """
    width = len(batches.names)
    most_cells = min(MOST_CELLS, CELLS_A_SECOND * seconds)
    by_memory = (memory_bytes - BYTES_BEFORE_DATA) / BYTES_OF_A_SEARCHED_CELL / width
    if by_memory < FEWEST_ROWS:
        needed = BYTES_BEFORE_DATA + FEWEST_ROWS * BYTES_OF_A_SEARCHED_CELL * width
        raise UsageError(
            f"memory is limited to {memory_bytes / 1e6:,.0f} MB, and {needed / 1e6:,.0f} MB are needed at least to learn from "
            f"{FEWEST_ROWS:,} rows of {width} columns; give that much with --memory."
        )
    wanted = min(by_memory, max(most_cells / width, 2 * FEWEST_ROWS), MOST_SHARE * batches.n_rows)
    return rounded_down(max(wanted, 1))


def rounded_down(number: float) -> int:
    """The largest of 1, 2, 5, 10, 20, 50… that is no larger."""
    power = 10 ** math.floor(math.log10(number))
    return int(max(step * power for step in STEPS if step * power <= number))
