"""What is wrong with a column of pictures, which of them are copies, and what they are like in a few words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.images import Images
from cupel.core.modality import Inspection
from cupel.modalities.image.findings import findings_of
from cupel.modalities.image.looks import describer
from cupel.modalities.image.mask_findings import equal_masks, mask_findings
from cupel.modalities.image.reading.batches import equal_sized, grey_levels
from cupel.modalities.image.reading.hashing import SIDE, digests, joined, near_copies, numbered, thumbnails
from cupel.modalities.image.reading.sharpness import sharpness

Array = NDArray[Any]

PICTURES_AT_ONCE = 512
MOST_TOGETHER = 0.1
"""A larger share of all rows that look alike, directly or through others, is a kind of picture, not copies of one."""
N_SIZES = 3
MOST_PROBED = 32
"""Pixels a side that are looked at for colour, evenly spaced."""
PARTS = {
    "upper left": (0, 0),
    "top": (0, 1),
    "upper right": (0, 2),
    "left": (1, 0),
    "middle": (1, 1),
    "right": (1, 2),
    "lower left": (2, 0),
    "bottom": (2, 1),
    "lower right": (2, 2),
}
PART_EDGES = (0, 11, 21)
"""Where the rows, and the columns, of parts begin in a thumbnail."""
BLANK_DEVIATION = 1.0
CHANNELS = {1: ("grey",), 3: ("red", "green", "blue")}


@dataclass(frozen=True, eq=False)
class Seen:
    """A column of pictures looked through; arrays have an entry for each row, NaN or 0 where the picture is missing.

    `sizes` are height and width. `brightness` and `contrast` are mean and deviation of grey levels, 0 to 255; `levels` and
    `squares` the means of each channel's levels and of their squares. `colours` are how far the channels of a pixel lie apart on
    average, and how much more red than blue there is. `parts` are grey levels of three by three parts, less the mean. Rows that
    equal another to the last pixel share a number in `copies`, those that look the same share one in `near`.
    """

    dataset: Dataset
    column: str
    sizes: Int64[Array, "row 2"]
    brightness: Float64[Array, " row"]
    contrast: Float64[Array, " row"]
    colours: Float64[Array, "row 2"]
    parts: Float64[Array, "row 3 3"]
    sharpness: Float64[Array, " row"]
    levels: Float64[Array, "row channel"]
    squares: Float64[Array, "row channel"]
    copies: Int64[Array, " row"]
    near: Int64[Array, " row"]

    @property
    def is_present(self) -> Bool[Array, " row"]:
        """Which rows have a picture."""
        return np.asarray(self.sizes[:, 0] > 0)

    @property
    def is_blank(self) -> Bool[Array, " row"]:
        """Which pictures are of one grey level."""
        return np.asarray(self.contrast < BLANK_DEVIATION)

    @cached_property
    def twins(self) -> Int64[Array, " row"]:
        """`near`, where groups of more than a tenth of all rows, and of more than two, are divided again."""
        counts = np.bincount(self.near)
        twins = self.near.copy()
        kinds = np.flatnonzero((counts > MOST_TOGETHER * len(twins)) & (counts > 2))
        alone = np.isin(twins, kinds)
        twins[alone] = len(twins) + self.copies[alone]
        return np.unique(twins, return_inverse=True)[1].reshape(-1).astype(np.int64)

    @property
    def measures(self) -> dict[str, Float64[Array, " row"]]:
        """What each picture is like, in numbers of a name."""
        sizes = np.where(self.is_present[:, None], self.sizes, np.nan)
        found = {
            "height": sizes[:, 0],
            "width": sizes[:, 1],
            "brightness": self.brightness,
            "contrast": self.contrast,
            "colour": self.colours[:, 0],
            "red less blue": self.colours[:, 1],
        }
        found |= {f"brightness, {part}": self.parts[:, down, across] for part, (down, across) in PARTS.items()}
        return {f"{self.column}: {name}": values for name, values in found.items()}


def inspect(dataset: Dataset) -> Inspection:
    """Findings, copies and facts of the column of pictures; reads every pixel twice, a few hundred pictures at a time."""
    seen = look_through(dataset, dataset.schema.image_features[0].name)
    masks = equal_masks(dataset)
    together = seen.twins if masks is None else joined(seen.twins, masks)
    twins = together if len(np.unique(together)) < dataset.n_samples else None
    findings = (*findings_of(seen), *mask_findings(dataset, seen.column, like=seen.near, equal=masks))
    return Inspection(
        findings=findings,
        twins=twins,
        facts=tuple(_facts(seen)),
        measures=seen.measures,
        describe=describer(dataset, seen.column),
    )


def look_through(dataset: Dataset, column: str) -> Seen:
    """All that findings rest on."""
    pictures, n_rows = dataset.columns[column], dataset.n_samples
    sizes = np.zeros((n_rows, 2), np.int64)
    n_channels = dataset.schema[column].channels or None
    brightness, contrast, sharp = (np.full(n_rows, np.nan) for _ in range(3))
    colours = np.full((n_rows, 2), np.nan)
    levels, squares = (np.full((n_rows, n_channels or 1), np.nan) for _ in range(2))
    small: list[Array] = []
    found: list[bytes | None] = []
    for start in range(0, n_rows, PICTURES_AT_ONCE):
        images = Images.of(pictures[start : start + PICTURES_AT_ONCE].tolist(), n_channels=n_channels)
        sizes[start : start + len(images)] = images.sizes
        for rows, pixels in equal_sized(images):
            grey = grey_levels(pixels)
            brightness[start + rows] = grey.mean(axis=(1, 2), dtype=np.float64)
            contrast[start + rows] = grey.std(axis=(1, 2), dtype=np.float64)
            colours[start + rows] = _colours(pixels)
            sharp[start + rows] = sharpness(grey)
            values = pixels.astype(np.float32)
            levels[start + rows] = values.mean(axis=(1, 2), dtype=np.float64)
            squares[start + rows] = np.square(values, out=values).mean(axis=(1, 2), dtype=np.float64)
        small.append(thumbnails(images))
        found += digests(images)
    every = np.concatenate(small)
    return Seen(
        dataset=dataset,
        column=column,
        sizes=sizes,
        brightness=brightness,
        contrast=contrast,
        colours=colours,
        parts=_parts(every),
        sharpness=sharp,
        levels=levels,
        squares=squares,
        copies=numbered(found),
        near=near_copies(every),
    )


def _colours(pixels: UInt8[Array, "picture height width channel"]) -> Float64[Array, "picture 2"]:
    steps = [-(-side // MOST_PROBED) for side in pixels.shape[1:3]]
    probed = pixels[:, :: steps[0], :: steps[1]].astype(np.int16)
    apart, warmth = probed.max(axis=3) - probed.min(axis=3), probed[..., 0] - probed[..., -1]
    return np.stack([each.mean(axis=(1, 2), dtype=np.float64) for each in (apart, warmth)], axis=1)


def _parts(small: Float32[Array, "picture 32 32"]) -> Float64[Array, "picture 3 3"]:
    sums = np.add.reduceat(np.add.reduceat(small.astype(np.float64), PART_EDGES, axis=1), PART_EDGES, axis=2)
    sides = np.diff([*PART_EDGES, SIDE])
    return np.asarray(sums / np.outer(sides, sides) - small.mean(axis=(1, 2), dtype=np.float64)[:, None, None])


def _facts(seen: Seen) -> list[tuple[str, str]]:
    present = seen.is_present
    n_present, n_channels = int(present.sum()), seen.dataset.schema[seen.column].channels
    missing = f", {len(present) - n_present:,} missing" if n_present < len(present) else ""
    facts = [("pictures", f"{n_present:,}{missing}, {'grey' if n_channels == 1 else 'coloured'}")]
    if n_present == 0:
        return facts
    levels = seen.brightness[present]
    spread = np.quantile(levels, [0.0, 0.5, 1.0])
    contrast = float(np.median(seen.contrast[present]))
    facts.append(("sizes", _sizes_words(seen.sizes[present])))
    facts.append(("brightness", f"{spread[0]:.0f} to {spread[2]:.0f} of 255, median {spread[1]:.0f}; contrast {contrast:.0f}"))
    facts.append(("channels", _channels_words(seen)))
    least, middle, most = np.quantile(seen.sharpness[present], [0.0, 0.5, 1.0])
    facts.append(("sharpness", f"{least:,.0f} to {most:,.0f}, median {middle:,.0f}; the least are blurred or plain"))
    n_equal, n_alike = _n_shared(seen.copies[present & ~seen.is_blank]), _n_shared(seen.near)
    facts.append(("copies", f"{n_equal:,} pictures equal another, {n_alike:,} equal or resemble one"))
    facts.append(("blank", f"{int(seen.is_blank.sum()):,}"))
    task = seen.dataset.task
    if task is not None and task.grid:
        facts.append(("masks", f"{len(task.classes)} classes of pixels, learned at {task.grid[1]} x {task.grid[0]}"))
    return facts


def _channels_words(seen: Seen) -> str:
    """As in "red 120 ± 60, green 110 ± 55, blue 90 ± 50 of 255": each picture weighs alike, however large."""
    levels, squares = (each[seen.is_present].mean(axis=0) for each in (seen.levels, seen.squares))
    deviations = np.sqrt(np.maximum(squares - levels**2, 0))
    names = CHANNELS[len(levels)]
    shown = [f"{name} {mean:.0f} ± {spread:.0f}" for name, mean, spread in zip(names, levels, deviations, strict=True)]
    return f"{', '.join(shown)} of 255"


def _sizes_words(sizes: Int64[Array, "row 2"]) -> str:
    """As in "64 x 48 (90 %), 32 x 32 (10 %)", width first."""
    counts = Counter(map(tuple, sizes.tolist())).most_common()
    if len(counts) == 1:
        return f"all {counts[0][0][1]} x {counts[0][0][0]}"
    shown = [f"{width} x {height} ({count / len(sizes):.0%})" for (height, width), count in counts[:N_SIZES]]
    if len(counts) <= N_SIZES:
        return ", ".join(shown)
    (low_height, low_width), (high_height, high_width) = sizes.min(axis=0).tolist(), sizes.max(axis=0).tolist()
    ends = f"heights {low_height} to {high_height}, widths {low_width} to {high_width}"
    return f"{len(counts):,} sizes, {ends}; most often {', '.join(shown)}"


def _n_shared(numbers: Sequence[int] | Int64[Array, " row"]) -> int:
    """How many entries equal another."""
    return int(sum(count for count in Counter(np.asarray(numbers).tolist()).values() if count > 1))
