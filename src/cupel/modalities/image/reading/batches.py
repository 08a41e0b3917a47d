"""Pictures of one size at a time, as arrays: what looks at many pixels at once needs them so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray

from cupel.core.images import Images

Pixels = NDArray[np.uint8]
Array = NDArray[Any]
Rows = NDArray[np.int64]

_BATCH_BYTES = 4_000_000  # four times as much as floats: within the cache of a processor's core or near it
_LUMA = np.array((0.299, 0.587, 0.114), np.float32)


def equal_sized(images: Images) -> Iterator[tuple[Rows, Pixels]]:
    """Positions and pixels, uint8 (n, height, width, channels), of all pictures that are not missing, each once."""
    present = np.flatnonzero(~images.is_missing)
    _, kinds = np.unique(images.sizes[present], axis=0, return_inverse=True)
    order = np.argsort(kinds, kind="stable")
    ends = np.flatnonzero(np.diff(kinds[order], append=-1)) + 1
    start = 0
    for end in ends.tolist():
        rows = present[order[start:end]]
        height, width = images.sizes[rows[0]].tolist()
        step = max(1, _BATCH_BYTES // (height * width * images.n_channels))
        for first in range(0, len(rows), step):
            chosen = rows[first : first + step]
            yield chosen, images[chosen].stacked()
        start = end


def grey_levels(pixels: UInt8[Array, "picture height width channel"]) -> Float32[Array, "picture height width"]:
    """Brightness from 0 to 255, unrounded; colours are weighed as ITU-R BT.601 does."""
    if pixels.shape[3] == 1:
        return pixels[..., 0].astype(np.float32)
    return pixels.astype(np.float32) @ _LUMA
