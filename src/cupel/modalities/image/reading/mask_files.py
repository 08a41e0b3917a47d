"""A column of masks: what stands in its files, and which classes that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import DataError, PictureError
from cupel.core.finding import Finding, Severity
from cupel.core.masks import MOST_CLASSES, VOID, Labels, Masks
from cupel.core.picture_files import content_of, palette_of, raw_pixels
from cupel.core.pixels import WORKING_PIXELS
from cupel.modalities.image.reading.paths import is_absent
from cupel.modalities.image.reading.table import listed, object_array

Array = NDArray[Any]
BRIGHTEST = 255
NEAR_AN_END = 40
MOSTLY = 0.9
FEW_LEVELS = 8
VOID_COLOUR, BLACK = 0xE0E0C0, 0x000000
"""The edge of things in masks drawn with the palette of PASCAL VOC, and what lies around them."""


def read_masks(cells: Sequence[Any] | Array, *, folder: Path, progress: Callable[[float], None] = lambda _: None) -> Masks:
    """Masks from paths relative to `folder`, bytes of files, or arrays of whole numbers (height, width), None for a missing one.

    Grey levels are classes, as are the indices of a palette where all files have the same one, and else colours. Level 255 beside
    two or more low ones is void, as it is in PASCAL VOC and Cityscapes. What was blurred by JPEG or by a change of size between
    black and white is divided in the middle. Masks of more pixels than pictures are kept with are thinned out.

    Raises:
        DataError: there is no mask, or they hold more than 100 classes, or less than two.
    """
    reading = _Reading(folder, has_one_palette=_has_one_palette(cells, folder))
    found: list[Array | None] = []
    for row, cell in enumerate(cells):
        found.append(reading.codes(cell, row))
        progress((row + 1) / len(cells))
    codes = [each for each in found if each is not None]
    if not codes:
        raise DataError(f"not one of {len(found)} masks can be read. {reading.first_said or 'All cells are empty.'}")
    findings = reading.findings(len(found))
    if reading.has_colours:
        found = [None if each is None else _as_colours(each) for each in found]
    elif (soft := _softness(codes, reading.jpegs)) is not None:
        findings.append(soft)
        found = [None if each is None else np.where(each >= 128, BRIGHTEST, 0) for each in found]
    values, counts = _counted(found)
    classes, void = _classes(values, has_colours=reading.has_colours)
    _check(classes, reading.has_colours)
    if void is not None:
        findings.append(_void(void, reading.has_colours, float(counts[values == void][0] / counts.sum())))
    names = tuple(f"#{value:06x}" if reading.has_colours else str(value) for value in classes.tolist())
    labels = object_array([None if each is None else _indexed(each, classes) for each in found])
    return Masks(labels=labels, classes=names, findings=tuple(findings))


@dataclass
class _Reading:
    """Masks on their way to codes: grey levels and indices as they are, colours as 0x1rrggbb so that both can be told apart."""

    folder: Path
    has_one_palette: bool
    has_colours: bool = False
    jpegs: list[str] = field(default_factory=list)
    faulty: list[str] = field(default_factory=list)
    first_said: str = ""

    def codes(self, cell: Any, row: int) -> Array | None:
        """One mask, thinned out where it is large; None where there is none, or it cannot be read."""
        if isinstance(cell, np.ndarray):
            return self._coded(_of_array(cell, row))
        if is_absent(cell):
            return None
        name = f"row {row + 1}" if isinstance(cell, bytes | bytearray | memoryview) else str(cell)
        try:
            content = bytes(cell) if name != str(cell) else content_of(self.folder / name.strip())
            numbers = raw_pixels(content, name=name, indexed=True)
        except PictureError as error:
            self.faulty.append(name)
            self.first_said = self.first_said or str(error)
            return None
        if content.startswith(b"\xff\xd8\xff"):
            self.jpegs.append(name)
        palette = None if self.has_one_palette else palette_of(content)
        return self._coded(numbers if palette is None else _painted(numbers, palette))

    def _coded(self, numbers: Array) -> Array:
        numbers = _thinned(numbers)
        if numbers.ndim == 2:
            return numbers
        red, green, blue = (numbers[:, :, channel].astype(np.int32) for channel in range(3))
        if np.array_equal(red, green) and np.array_equal(red, blue):
            return numbers[:, :, 0]
        self.has_colours = True
        return (1 << 24) + (red << 16) + (green << 8) + blue

    def findings(self, n_cells: int) -> list[Finding]:
        """What could not be read."""
        if not self.faulty:
            return []
        return [
            Finding(
                code="unreadable-masks",
                severity=Severity.WARNING,
                where=listed(self.faulty),
                what=f"{len(self.faulty)} of {n_cells} masks cannot be read: {listed(self.faulty)}. {self.first_said}",
                action="Their pictures are left out.",
            )
        ]


def _has_one_palette(cells: Sequence[Any] | Array, folder: Path) -> bool:
    """Whether all files that have a palette have the same one, so that its indices mean the same in all."""
    palettes: set[bytes | None] = set()
    for cell in cells:
        if isinstance(cell, np.ndarray) or is_absent(cell):
            continue
        try:
            is_content = isinstance(cell, bytes | bytearray | memoryview)
            palettes.add(palette_of(bytes(cell) if is_content else content_of(folder / str(cell).strip())))
        except PictureError:
            continue
        if len(palettes) > 1:
            return False
    return True


def _painted(indices: Array, palette: bytes) -> Array:
    colours = np.frombuffer(palette.ljust(768, b"\0")[:768], np.uint8).reshape(256, 3)
    return np.asarray(colours[indices])


def _of_array(array: Array, row: int) -> Array:
    is_mask = array.ndim in (2, 3) and array.dtype.kind in "bui" and 0 not in array.shape
    squeezed = array[:, :, 0] if is_mask and array.ndim == 3 and array.shape[2] == 1 else array
    if not is_mask or (squeezed.ndim == 3 and squeezed.shape[2] != 3):
        raise DataError(
            f"the mask in row {row + 1} is an array of {array.dtype} of shape {array.shape}; expected whole numbers "
            f"(height, width), or colours (height, width, 3)."
        )
    return squeezed.astype(np.uint8) if squeezed.min() >= 0 and squeezed.max() <= BRIGHTEST else squeezed.astype(np.int64)


def _thinned(numbers: Array) -> Array:
    """As many rows and columns left out as pictures of that size lose."""
    height, width = numbers.shape[:2]
    step = 1
    while -(-height // step) * -(-width // step) > WORKING_PIXELS:
        step += 1
    if step == 1:
        return numbers
    rows, columns = (np.minimum(np.arange(0, side, step) + step // 2, side - 1) for side in (height, width))
    return np.asarray(numbers[rows][:, columns])


def _as_colours(codes: Array) -> Array:
    wide = codes.astype(np.int32)
    return np.where(wide < 1 << 24, wide * 0x010101, wide - (1 << 24))


def _softness(codes: Sequence[Array], jpegs: Sequence[str]) -> Finding | None:
    """A finding where levels lie between black and white as blurring leaves them; None where they are classes."""
    values, counts = _counted(codes)
    inside = (values > 0) & (values < BRIGHTEST)
    if values.min() < 0 or values.max() > BRIGHTEST or not inside.any():
        return None
    near = counts[(values <= NEAR_AN_END) | (values >= BRIGHTEST - NEAR_AN_END)].sum() / counts.sum()
    has_both = (values <= NEAR_AN_END).any() and (values >= BRIGHTEST - NEAR_AN_END).any()
    if not (jpegs or inside.sum() > FEW_LEVELS) or not has_both or near < MOSTLY:
        return None
    cause = "JPEG smears labels" if jpegs else "a change of size has mixed labels"
    return Finding(
        code="soft-masks",
        severity=Severity.NOTE,
        where=listed(jpegs) if jpegs else "masks",
        what=f"Masks are black and white with {int(inside.sum())} levels between, as where {cause}.",
        action="From 128 on a pixel is white. Masks of labels are better kept as PNG, and resized without interpolation.",
    )


def _counted(codes: Sequence[Array | None]) -> tuple[Array, Array]:
    total: dict[int, int] = {}
    for each in codes:
        if each is not None:
            for value, count in zip(*(found.tolist() for found in np.unique(each, return_counts=True)), strict=True):
                total[value] = total.get(value, 0) + count
    values = sorted(total)
    return np.array(values, np.int64), np.array([total[value] for value in values], np.int64)


def _classes(values: Array, *, has_colours: bool) -> tuple[Array, int | None]:
    """The values that are classes, and the one that means void."""
    if has_colours:
        is_void = VOID_COLOUR in values and BLACK in values and len(values) > 2
        void = VOID_COLOUR if is_void else None
    else:
        others = values[values != VOID]
        void = VOID if VOID in values and len(others) >= 2 and others.min() >= 0 and others.max() <= MOST_CLASSES else None
    return values[values != void] if void is not None else values, void


def _check(classes: Array, has_colours: bool) -> None:
    what = "colours" if has_colours else "values"
    if len(classes) > MOST_CLASSES:
        raise DataError(
            f"the masks hold {len(classes)} different {what}; expected one for each class, {MOST_CLASSES} at most. "
            f"Are they masks? Keep them as PNG, since JPEG smears labels; number single things by their class."
        )
    if len(classes) < 2:
        raise DataError(
            f"the masks hold one value, {classes[0]}, throughout; expected two classes or more. Give masks that tell something."
        )


def _void(void: int, has_colours: bool, share: float) -> Finding:
    name = f"#{void:06x}" if has_colours else str(void)
    return Finding(
        code="void-pixels",
        severity=Severity.NOTE,
        where="masks",
        what=f"{share:.1%} of all pixels of the masks are {name}, which stands for no class beside the others.",
        action="They are neither learned from nor judged.",
    )


def _indexed(codes: Array, classes: Array) -> Labels:
    """Class indices, `VOID` for what is no class."""
    places = np.minimum(np.searchsorted(classes, codes), len(classes) - 1)
    return np.where(classes[places] == codes, places, VOID).astype(np.uint8)
