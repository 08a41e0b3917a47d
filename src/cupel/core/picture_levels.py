"""What the numbers of an array of pixels mean, as levels from 0 to 255: one rule for a column, in training and at prediction."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import PictureError

Array = NDArray[Any]
Pixels = NDArray[np.uint8]
MOST_OF_16_BITS = 65535


class Scale(StrEnum):
    """How the numbers of arrays become levels. uint8 stays and bool is black and white, whatever the scale.

    `OF_TYPE` goes by the type: uint16 has 16 bits, floats are from 0 to 1, and whole numbers of other types are refused. The
    others are what a whole stack was seen to hold, which one picture cannot tell: `LEVELS` takes whole numbers as levels,
    `FLOAT_LEVELS` floats too, `SIXTEEN_BITS` whole numbers of any type as having 16 bits.
    """

    OF_TYPE = ""
    LEVELS = "levels"
    FLOAT_LEVELS = "float levels"
    SIXTEEN_BITS = "sixteen bits"


def levels_of(array: Array, scale: Scale = Scale.OF_TYPE) -> Pixels:
    """The picture of an array (H, W) or (H, W, 1 | 3 | 4) as uint8.

    Raises:
        PictureError: it has another shape, or numbers that the scale does not have.
    """
    _check_shape(array)
    kind = array.dtype.kind
    if array.dtype == np.uint8:
        return array
    if kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    if kind in "iu" and scale is Scale.OF_TYPE and (kind, array.dtype.itemsize) != ("u", 2):
        raise PictureError(
            f"an array of {array.dtype} is no picture; expected uint8, uint16, bool, or floats from 0 to 1. Convert it.",
            fault="unusable",
        )
    if kind in "iu" and scale in (Scale.OF_TYPE, Scale.SIXTEEN_BITS):
        return eight_bits(_within(array, MOST_OF_16_BITS).astype(np.uint16))
    if kind in "iu":
        return _within(array, 255).astype(np.uint8)
    if kind == "f" and scale is Scale.FLOAT_LEVELS:
        return np.rint(_within(array, 255)).astype(np.uint8)
    if kind == "f":
        return np.rint(_within(array, 1).astype(np.float64) * 255).astype(np.uint8)
    raise PictureError(f"an array of {array.dtype} is no picture; expected numbers.", fault="unusable")


def eight_bits(numbers: Array) -> Pixels:
    """uint8 as it is; uint16 with its whole range scaled to that of uint8, to the nearest."""
    if numbers.dtype.itemsize == 2:
        return ((numbers.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return numbers


def _check_shape(array: Array) -> None:
    shape = " x ".join(map(str, array.shape))
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise PictureError(
            f"an array of shape {shape} is no picture; expected (height, width) or (height, width, channels) "
            f"with 1, 3 or 4 channels in the last place.",
            fault="unusable",
        )
    if 0 in array.shape:
        raise PictureError(f"an array of shape {shape} has no pixels; leave it out, or mark it as missing.", fault="empty")


def _within(array: Array, most: int) -> Array:
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= most):  # also where either is not a number
        raise PictureError(
            f"an array of {array.dtype} holds values from {low:.4g} to {high:.4g}; expected 0 to {most}. Scale it.",
            fault="unusable",
        )
    return array
