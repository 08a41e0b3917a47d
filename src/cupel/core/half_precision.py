"""Numbers that half precision holds exactly: eleven bits instead of 24, and half the bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FEWEST = 1000
"""Of fewer numbers than these it is not worth it."""
LARGEST_ERROR = 2.0**-11
"""Of the nearest such number, as a share of the largest of them all: what rounding gives wherever half precision is at home."""
ERROR_OF_SINGLES = 2.0**-22
"""What some operations in single precision may be off by, as a share of a number."""


def rounded(values: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """The nearest numbers that half precision holds.

    None where that would not pay, or the largest error, of what is too large or too near to zero, would be more than
    `LARGEST_ERROR` times the largest value.
    """
    if values.size < FEWEST:
        return None
    nearest = _nearest(values)
    with np.errstate(invalid="ignore"):
        is_near = np.abs(nearest - values).max() <= LARGEST_ERROR * np.abs(values).max()
    return nearest if is_near else None


def snapped(values: Array) -> NDArray[np.float32]:
    """The values in single precision; such numbers, where all of them are but for the last bits of a few operations."""
    single = values.astype(np.float32)
    nearest = _nearest(single)
    with np.errstate(invalid="ignore"):
        is_near = np.abs(nearest - single) <= ERROR_OF_SINGLES * np.abs(single)
    return nearest if is_near.all() else single


def in_half(values: Array) -> NDArray[np.float16] | None:
    """The same numbers in half precision; None where they are few, of another type, or one of them would be another number."""
    if values.dtype != np.float32 or values.size < FEWEST:
        return None
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    return half if half.astype(np.float32).tobytes() == values.tobytes() else None


def _nearest(values: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return values.astype(np.float16).astype(np.float32)
