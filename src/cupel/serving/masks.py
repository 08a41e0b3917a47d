"""Masks as a model gives them: labels as they stood in the masks that it learned from, in the size of the picture itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.masks import on_grid
from cupel.core.pixels import WORKING_PIXELS
from cupel.serving.pictures import whole_picture

Array = NDArray[Any]
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_BYTE = re.compile(r"\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5]")
SURELY_WHOLE = WORKING_PIXELS // 5
"""A picture that was reduced has at least about a quarter of the pixels that a picture is reduced to."""


def labels_of(maps: NDArray[np.floating[Any]] | None, size: tuple[int, int]) -> NDArray[np.uint8] | None:
    """The most probable class of each pixel, as an index, in that height and width; None where there are no maps."""
    if maps is None:
        return None
    indices = maps.argmax(axis=0).astype(np.uint8)
    return indices if indices.shape == size else on_grid(indices, size)


def painted(indices: NDArray[np.uint8] | None, classes: tuple[str, ...]) -> Array | None:
    """Class indices (height, width) as training masks held them: grey levels, or colours (height, width, 3).

    Labels that are neither fit into no byte; their masks hold class indices. None stays None.
    """
    if indices is None:
        return None
    if all(_COLOUR.fullmatch(label) for label in classes):
        colours = np.array([[int(label[start : start + 2], 16) for start in (1, 3, 5)] for label in classes], np.uint8)
        return np.asarray(colours[indices])
    if all(_BYTE.fullmatch(label) for label in classes):
        return np.asarray(np.array([int(label) for label in classes], np.uint8)[indices])
    return indices


def own_size(picture: Array, cell: Any, *, folder: Path | None) -> tuple[int, int]:
    """Height and width of a picture as it came, `picture` being what was read of it, perhaps reduced."""
    if isinstance(cell, np.ndarray):
        return cell.shape[0], cell.shape[1]
    if picture.shape[0] * picture.shape[1] < SURELY_WHOLE:
        return picture.shape[0], picture.shape[1]
    whole = whole_picture(cell, folder=folder)
    return (picture if whole is None else whole).shape[:2]


def shares(indices: NDArray[np.uint8], n_classes: int) -> NDArray[np.float64]:
    """How much of a mask each class covers."""
    return np.asarray(np.bincount(indices.ravel(), minlength=n_classes) / indices.size)


def column_of(cells: list[Any]) -> Array:
    """Arrays of any shapes as one object array."""
    column = np.empty(len(cells), dtype=object)
    for row, each in enumerate(cells):
        column[row] = each
    return column
