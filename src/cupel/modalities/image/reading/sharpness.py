"""How sharp pictures are."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float32, Float64
from numpy.typing import NDArray

Array = NDArray[Any]

_SIDE = 512


def sharpness(grey: Float32[Array, "picture height width"]) -> Float64[Array, " picture"]:
    """Variance of the Laplacian of grey levels from 0 to 255 in the middle 512 x 512 pixels: the lowest are the blurred ones.

    0 for pictures of less than 3 x 3 pixels, which have none.
    Source: Pech-Pacheco et al. 2000, doi:10.1109/ICPR.2000.903548.
    """
    height, width = grey.shape[1:]
    if min(height, width) < 3:
        return np.zeros(len(grey))
    top, left = max(0, (height - _SIDE) // 2), max(0, (width - _SIDE) // 2)
    part = grey[:, top : top + _SIDE, left : left + _SIDE]
    laplacian = part[:, :-2, 1:-1] + part[:, 2:, 1:-1] + part[:, 1:-1, :-2] + part[:, 1:-1, 2:] - 4 * part[:, 1:-1, 1:-1]
    return np.asarray(laplacian.var(axis=(1, 2), dtype=np.float64))
