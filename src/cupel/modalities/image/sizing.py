"""The size to work at, from the sizes of the pictures and what may be spent on them."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Int

from cupel.core.errors import DataError

LARGEST_KEPT = 64
SIDES = (64, 96, 128, 160, 224)
PIXELS_PER_EPOCH = 64_000_000
"""What an epoch may cost by default: 60,000 pictures of 28 x 28 are 47 million, 3,700 of 128 x 128 are 61 million."""
NEARLY_SQUARE = 1.5
GRAIN = 8
"""Sides of what is not square are multiples of it, so that they can be halved three times."""


def working_size(sizes: Int[np.ndarray, "picture 2"], *, pixels_per_epoch: float = PIXELS_PER_EPOCH) -> tuple[int, int]:
    """Height and width that pictures of these heights and widths should be brought to.

    The size of a typical picture (the median) where no side is above 64; larger ones are reduced to squares of 64, 96, 128, 160
    or 224, the largest that is no larger than they are and whose pixels, over all pictures, are at most `pixels_per_epoch`; 64 in
    any case. Where one side is at least one and a half times the other, as many pixels in that shape. Missing pictures (size 0)
    do not count.

    Raises:
        DataError: there is no picture.
    """
    seen = sizes[(sizes > 0).all(axis=1)]
    if not len(seen):
        raise DataError(f"none of {len(sizes)} pictures has pixels; at least one is needed to choose a size.")
    height, width = (round(float(median)) for median in np.median(seen, axis=0))
    if max(height, width) <= LARGEST_KEPT:
        return height, width
    typical = math.sqrt(height * width)
    affordable = math.sqrt(pixels_per_epoch / len(seen))
    side = max((each for each in SIDES if each <= min(typical, affordable)), default=min(LARGEST_KEPT, round(typical)))
    stretch = math.sqrt(height / width)
    if max(stretch, 1 / stretch) ** 2 < NEARLY_SQUARE:
        return side, side
    return max(GRAIN, round(side * stretch / GRAIN) * GRAIN), max(GRAIN, round(side / stretch / GRAIN) * GRAIN)
