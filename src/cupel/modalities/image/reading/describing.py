"""What a column of pictures looks like, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from numpy.typing import NDArray

from cupel.core.images import Images
from cupel.modalities.image.reading.batches import equal_sized, grey_levels
from cupel.modalities.image.reading.hashing import exact_copies, near_copies, thumbnails

Array = NDArray[Any]
Doubles = NDArray[np.float64]

BLANK_DEVIATION = 1.0
_SHARPNESS_SIDE = 512
_SIZES_KEPT = 10


@dataclass(frozen=True, eq=False)
class PictureProfile:
    """A column of pictures described; arrays have an entry for each picture, in order, NaN where it is missing.

    `sizes` are (height, width, number of pictures), the ten most frequent first; `n_sizes` counts all. `smallest` and
    `largest` are the least and greatest height and width, not necessarily of one picture. `channel_means` and
    `channel_deviations` are on the scale of 0 to 1 and weigh each picture alike, however large. `brightness` is the mean,
    `contrast` the standard deviation of grey levels, both from 0 to 1. `sharpness` is the variance of the Laplacian of grey
    levels from 0 to 255 in the middle 512 x 512 pixels: the lowest are the blurred ones. `is_blank` marks pictures whose grey
    levels deviate by less than 1 of 255. `copies` number equal pictures alike, `near_copies` those that look the same.

    Source of sharpness: Pech-Pacheco et al. 2000, doi:10.1109/ICPR.2000.903548.
    """

    n_pictures: int
    n_missing: int
    n_channels: int
    sizes: tuple[tuple[int, int, int], ...]
    n_sizes: int
    smallest: tuple[int, int]
    largest: tuple[int, int]
    channel_means: tuple[float, ...]
    channel_deviations: tuple[float, ...]
    brightness: Float64[Array, " picture"]
    contrast: Float64[Array, " picture"]
    sharpness: Float64[Array, " picture"]
    is_blank: Bool[Array, " picture"]
    copies: Int64[Array, " picture"]
    near_copies: Int64[Array, " picture"]

    @property
    def n_copied(self) -> int:
        """Pictures that equal another to the last pixel."""
        return _n_shared(self.copies)

    @property
    def n_nearly_copied(self) -> int:
        """Pictures that look like another or equal it, blank ones left out."""
        return _n_shared(self.near_copies)


def describe(images: Images, rows: Sequence[int] | Array | None = None) -> PictureProfile:
    """The profile of all pictures, or of some of them; reads every pixel once or twice."""
    chosen = images if rows is None else images[rows]
    n_pictures = len(chosen)
    means, squares = (np.full((n_pictures, chosen.n_channels), np.nan) for _ in range(2))
    brightness, contrast, sharpness = (np.full(n_pictures, np.nan) for _ in range(3))
    for batch, pixels in equal_sized(chosen):
        levels = pixels.reshape(len(batch), -1, chosen.n_channels).astype(np.float32)
        means[batch] = levels.mean(axis=1, dtype=np.float64)
        squares[batch] = np.square(levels, out=levels).mean(axis=1, dtype=np.float64)
        grey = grey_levels(pixels)
        brightness[batch] = grey.mean(axis=(1, 2), dtype=np.float64)
        contrast[batch] = grey.std(axis=(1, 2), dtype=np.float64)
        sharpness[batch] = _sharpness(grey)
    is_present = ~chosen.is_missing
    average, square = (_mean_over_rows(each[is_present]) for each in (means, squares))
    deviations = np.sqrt(np.maximum(square - average**2, 0))
    present_sizes = chosen.sizes[is_present]
    sizes = _by_frequency(present_sizes)
    copies = exact_copies(chosen)
    near = near_copies(thumbnails(chosen))
    return PictureProfile(
        n_pictures=n_pictures,
        n_missing=int((~is_present).sum()),
        n_channels=chosen.n_channels,
        sizes=sizes[:_SIZES_KEPT],
        n_sizes=len(sizes),
        smallest=_pair(present_sizes.min(axis=0, initial=np.iinfo(np.int64).max) if len(present_sizes) else np.zeros(2)),
        largest=_pair(present_sizes.max(axis=0, initial=0)),
        channel_means=tuple((average / 255).tolist()),
        channel_deviations=tuple((deviations / 255).tolist()),
        brightness=brightness / 255,
        contrast=contrast / 255,
        sharpness=sharpness,
        is_blank=np.asarray(contrast < BLANK_DEVIATION),
        copies=copies,
        near_copies=near,
    )


def _sharpness(grey: Float32[Array, "picture height width"]) -> Float64[Array, " picture"]:
    """Variance of the Laplacian; 0 for pictures of less than 3 x 3 pixels, which have none."""
    height, width = grey.shape[1:]
    if min(height, width) < 3:
        return np.zeros(len(grey))
    top, left = max(0, (height - _SHARPNESS_SIDE) // 2), max(0, (width - _SHARPNESS_SIDE) // 2)
    part = grey[:, top : top + _SHARPNESS_SIDE, left : left + _SHARPNESS_SIDE]
    laplacian = part[:, :-2, 1:-1] + part[:, 2:, 1:-1] + part[:, 1:-1, :-2] + part[:, 1:-1, 2:] - 4 * part[:, 1:-1, 1:-1]
    return np.asarray(laplacian.var(axis=(1, 2), dtype=np.float64))


def _mean_over_rows(values: Doubles) -> Doubles:
    """NaN where there are none."""
    return np.asarray(values.mean(axis=0)) if len(values) else np.full(values.shape[1], np.nan)


def _by_frequency(sizes: NDArray[np.int64]) -> tuple[tuple[int, int, int], ...]:
    if len(sizes) == 0:
        return ()
    distinct, counts = np.unique(sizes, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return tuple(
        (int(height), int(width), int(count)) for (height, width), count in zip(distinct[order], counts[order], strict=True)
    )


def _pair(values: Array) -> tuple[int, int]:
    return int(values[0]), int(values[1])


def _n_shared(groups: NDArray[np.int64]) -> int:
    return int((np.bincount(groups)[groups] > 1).sum()) if len(groups) else 0
