"""One picture as an array of 0 to 255, whatever it was."""

from __future__ import annotations

import base64
import hashlib
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import UsageError
from cupel.core.picture_files import bands_of, beyond_memory, content_of, raw_pixels
from cupel.core.picture_levels import Scale, eight_bits, levels_of
from cupel.core.pillow import silent_and_strict

Array = NDArray[Any]
Pixels = NDArray[np.uint8]

WORKING_PIXELS = 512 * 512
"""What a picture is reduced to before anything else where it has more, in training and at prediction alike."""

_LUMA = (19595, 38470, 7471)  # of 65,536
_PROBED_PIXELS = 32


def decoded(
    source: bytes | Path | str | Array,
    *,
    n_channels: int | None = None,
    most_pixels: int | None = None,
    scale: Scale = Scale.OF_TYPE,
) -> Pixels:
    """A picture as uint8, shape (height, width, channels); channels are red, green, blue, or one of grey.

    `source` is the content of a file, a path, or an array. Of a file the first frame is read, upright as its EXIF says.
    16-bit grey is divided by 257, so that 65,535 becomes 255; of 32-bit grey the picture's own range is stretched over 0 to
    255. What is transparent is laid on white. An array has shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), the fourth
    channel being alpha, and is of uint8, uint16 (0 to 65,535), bool, or floats from 0 to 1, unless `scale` says what else its
    numbers are.

    `n_channels` 3 repeats grey; 1 weighs colours by 0.299, 0.587 and 0.114 (ITU-R BT.601). None gives 1 where red, green and
    blue are equal in every pixel, else 3. The array is contiguous, and not the caller's own.

    A picture of more than `most_pixels` becomes smaller by the least whole number that suffices: k x k pixels become their
    mean. So a column of large photographs need not be kept in full; who predicts must give the same number as who trained.

    Raises:
        PictureError: it cannot be read, or has more than 100 million pixels, which its header tells before any is decoded.
        UsageError: `n_channels` is neither 1 nor 3, or `most_pixels` is not positive.
    """
    if n_channels not in (None, 1, 3):
        raise UsageError(f"n_channels={n_channels!r} was given; a picture has 1 channel (grey) or 3 (colour).")
    if most_pixels is not None and most_pixels < 1:
        raise UsageError(f"most_pixels={most_pixels!r} was given; expected 1 or more.")

    def finished(numbers: Array) -> Pixels:
        levels = eight_bits(numbers)
        coloured = levels[:, :, None] if levels.ndim == 2 else levels
        return _with_channels(_reduced(coloured, most_pixels), n_channels)

    name = "an array" if isinstance(source, np.ndarray) else str(source)
    try:
        if isinstance(source, np.ndarray):
            wanted = finished(levels_of(source, scale))
            return wanted.copy() if np.may_share_memory(wanted, source) else np.require(wanted, requirements=["C", "W"])
        if isinstance(source, bytes | bytearray | memoryview):
            content, name = bytes(source), f"a picture of {len(source):,} bytes"
        else:
            content = content_of(Path(source))
        return np.require(raw_pixels(content, name=name, finish=finished), requirements=["C", "W"])
    except MemoryError as error:
        raise beyond_memory(name) from error


def is_grey(pixels: Pixels) -> bool:
    """Whether red, green and blue are equal in every pixel, or there is one channel only."""
    if pixels.shape[2] == 1:
        return True
    steps = [max(1, side // _PROBED_PIXELS) for side in pixels.shape[:2]]
    probed = pixels[:: steps[0], :: steps[1]]  # a coloured picture shows it here already
    return _channels_agree(probed) and _channels_agree(pixels)


def _channels_agree(pixels: Pixels) -> bool:
    return np.array_equal(pixels[:, :, 0], pixels[:, :, 1]) and np.array_equal(pixels[:, :, 0], pixels[:, :, 2])


def _with_channels(pixels: Pixels, n_channels: int | None) -> Pixels:
    if n_channels is None:
        return pixels[:, :, :1] if is_grey(pixels) else pixels
    if n_channels == pixels.shape[2]:
        return pixels
    if n_channels == 3:
        return np.repeat(pixels, 3, axis=2)
    red, green, blue = (pixels[:, :, channel].astype(np.uint32) * weight for channel, weight in enumerate(_LUMA))
    return ((red + green + blue + 0x8000) >> 16).astype(np.uint8)[:, :, None]


def _reduced(pixels: Pixels, most_pixels: int | None) -> Pixels:
    """Means of squares on white, rounded half up; at the last row and column of what is left there."""
    height, width = pixels.shape[:2]
    if most_pixels is None or height * width <= most_pixels:
        return _on_white(pixels)
    step = math.isqrt((height * width - 1) // most_pixels) or 1
    while math.ceil(height / step) * math.ceil(width / step) > most_pixels:
        step += 1
    bands = [_sums_of(_on_white(pixels[rows]), step) for rows in bands_of(height, width, step=step)]
    sums = _sums_of(np.concatenate(bands).swapaxes(0, 1), step).swapaxes(0, 1)
    tops, lefts = np.arange(0, height, step), np.arange(0, width, step)
    counts = np.outer(np.diff(tops, append=height), np.diff(lefts, append=width))[:, :, None]
    return np.asarray((2 * sums + counts) // (2 * counts), np.uint8)


def _sums_of(values: Array, step: int) -> NDArray[np.int64]:
    """Each `step` rows added up, the last ones as far as there are any; ten times as fast as `np.add.reduceat`."""
    sums = values[::step].astype(np.int64)
    for first in range(1, step):
        part = values[first::step]
        sums[: len(part)] += part
    return sums


def _on_white(pixels: Pixels) -> Pixels:
    """Without the fourth channel, alpha."""
    if pixels.shape[2] != 4:
        return pixels
    if pixels[:, :, 3].min(initial=255) == 255:
        return pixels[:, :, :3]
    laid = np.empty((*pixels.shape[:2], 3), np.uint8)
    for rows in bands_of(*pixels.shape[:2]):
        alpha = pixels[rows, :, 3:].astype(np.uint16)
        mixed = pixels[rows, :, :3] * alpha + 255 * (255 - alpha)  # at most 65,025
        laid[rows] = (mixed + 127) // 255
    return laid


def data_url(pixels: Pixels) -> str:
    """The picture as PNG in a data URL: exact, and plain text.

    Raises:
        MissingDependencyError: Pillow is not installed.
    """
    stream = io.BytesIO()
    with silent_and_strict():
        from PIL import Image

        Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def missing_picture(n_channels: int) -> Pixels:
    """What a model is given where there is no picture, in training and at prediction alike: a single black pixel."""
    return np.zeros((1, 1, n_channels), np.uint8)


def digest_of(pixels: Pixels) -> bytes:
    """16 bytes, equal for pictures of equal size and pixels."""
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()
