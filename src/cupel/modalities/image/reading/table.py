"""What reading a source of pictures gives: a table, not decoded yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.finding import Finding
from cupel.core.images import Images
from cupel.core.picture_levels import Scale

Array = NDArray[Any]

PICTURE = "picture"
LABEL = "label"
MASK = "mask"


@dataclass(frozen=True, eq=False)
class PictureTable:
    """Columns of equal length, one row for each picture.

    The columns `pictures` hold an object array of paths relative to `folder`, which `read_pictures` decodes, or `Images`
    where the source held pixels. `target` names the column to predict: labels, or masks (a column of pictures too); None
    where nothing says, and `has_classes` that its labels are names of classes even where they look like numbers. `scale` is what
    the numbers of the arrays meant that pictures were made of.
    """

    columns: Mapping[str, Array | Images]
    folder: Path
    pictures: tuple[str, ...] = (PICTURE,)
    target: str | None = LABEL
    has_classes: bool = False
    findings: tuple[Finding, ...] = ()
    scale: Scale = Scale.OF_TYPE

    @property
    def n_rows(self) -> int:
        """Number of pictures, or of pairs of picture and mask."""
        return len(self.columns[self.pictures[0]])


def object_array(cells: Sequence[Any]) -> Array:
    """Cells as a column, whatever they are."""
    array = np.empty(len(cells), dtype=object)
    for position, cell in enumerate(cells):
        array[position] = cell
    return array


def counted(number: int, noun: str) -> str:
    """As in "1 file" and "2 files"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], *, most: int = 5) -> str:
    """The first few names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
