"""Arrays of many pictures, as archives hold them, brought into one form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import DataError
from cupel.core.finding import Finding, Severity
from cupel.core.picture_levels import Scale, eight_bits
from cupel.core.pixels import decoded, is_grey

Array = NDArray[Any]
Pixels = NDArray[np.uint8]

_CHANNELS = (1, 3, 4)


def stacked_pictures(array: Array, *, name: str) -> tuple[Pixels, Scale, list[Finding]]:
    """uint8, shape (N, height, width, 1 or 3), of an array (N, H, W), (N, H, W, C) or (N, C, H, W) with 1, 3 or 4 channels.

    Where both places could be that of channels, the one that leaves the squarer picture is. Of uint8 values stay. Other whole
    numbers and floats stay too if all are from 0 to 255 and one is over 1; floats from 0 to 1 are multiplied by 255; 16-bit
    numbers over 255 are divided by 257. Colours that are grey in every picture become one channel; what is transparent is
    laid on white. `name` is what messages call it. The scale is what single pictures of such a stack are read by at prediction.

    Raises:
        DataError: the array has another shape, or values that pictures do not have.
    """
    if array.ndim == 4:
        array = channels_last(array, name=name)
    elif array.ndim == 3:
        array = array[..., None]
    else:
        raise DataError(
            f"{name} has shape {array.shape}; expected (N, height, width), with channels last or second if there are any."
        )
    if 0 in array.shape:
        raise DataError(f"{name} has shape {array.shape} and so no pixels; expected one picture at least.")
    pixels, scale, findings = _as_bytes(array, name)
    if pixels.shape[3] == 4:
        pixels = np.stack([decoded(picture, n_channels=3) for picture in pixels])
    if pixels.shape[3] == 3 and is_grey(pixels.reshape(-1, pixels.shape[2], 3)):
        pixels = pixels[..., :1]
    return np.ascontiguousarray(pixels), scale, findings


def channels_last(array: Array, *, name: str) -> Array:
    """Pictures (N, H, W, C) or (N, C, H, W) as (N, H, W, C); where both could be, what leaves the squarer picture.

    Raises:
        DataError: neither axis can be that of channels.
    """
    _, second, third, last = array.shape
    if last in _CHANNELS and (second not in _CHANNELS or abs(second - third) <= abs(third - last)):
        return array
    if second in _CHANNELS:
        return np.moveaxis(array, 1, 3)
    raise DataError(f"{name} has shape {array.shape}; expected 1, 3 or 4 channels, last or second. Keep those.")


def _as_bytes(array: Array, name: str) -> tuple[Pixels, Scale, list[Finding]]:
    kind, low, high = array.dtype.kind, array.min(), array.max()
    if array.dtype == np.uint8:
        return array, Scale.OF_TYPE, []
    if kind == "b":
        return array.astype(np.uint8) * np.uint8(255), Scale.OF_TYPE, []
    if kind not in "iuf" or not (low >= 0 and np.isfinite(high)):
        raise DataError(
            f"{name} holds {array.dtype} values from {low} to {high}; expected 0 to 255, or 0 to 1. "
            f"Undo any normalisation: Cupel does its own."
        )
    if kind == "f" and high <= 1:
        return _rounded(array, 255.0), Scale.OF_TYPE, []
    if high <= 255:
        is_whole = kind in "iu"
        found = [] if is_whole else [_taken_as_levels(name, float(low), float(high))]
        return _rounded(array, 1.0), Scale.LEVELS if is_whole else Scale.FLOAT_LEVELS, found
    if kind in "iu" and high <= 65535:
        return eight_bits(array.astype(np.uint16)), Scale.SIXTEEN_BITS, [_sixteen_bits(name, int(high))]
    raise DataError(f"{name} holds values up to {high}; expected 0 to 255, 0 to 1, or 16 bits. Scale it.")


def _rounded(array: Array, factor: float) -> Pixels:
    pixels = np.empty(array.shape, np.uint8)
    for position, picture in enumerate(array):  # one at a time: as double floats all of them may not fit into memory
        pixels[position] = np.rint(picture.astype(np.float64) * factor)
    return pixels


def _taken_as_levels(name: str, low: float, high: float) -> Finding:
    return Finding(
        code="float-levels",
        severity=Severity.NOTE,
        where=name,
        what=f"The pictures are floats from {low:.4g} to {high:.4g}.",
        action="They are rounded and taken as levels from 0 to 255.",
    )


def _sixteen_bits(name: str, high: int) -> Finding:
    return Finding(
        code="sixteen-bit-levels",
        severity=Severity.NOTE,
        where=name,
        what=f"The pictures have 16 bits; their greatest value is {high:,}.",
        action="They are divided by 257, which leaves 8 bits. If values are small, scale them to the full range yourself.",
    )
