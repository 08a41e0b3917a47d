"""NumPy archives (.npz) of pictures and labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import DataError
from cupel.core.finding import Finding, Severity
from cupel.core.images import Images
from cupel.core.npz_files import Header, headers_of, read_arrays
from cupel.core.picture_stacks import stacked_pictures
from cupel.modalities.image.reading.table import LABEL, PICTURE, PictureTable, listed, object_array

Array = NDArray[Any]

PAIRS = (
    ("x_train", "y_train"),
    ("train_x", "train_y"),
    ("train_images", "train_labels"),
    ("train_data", "train_labels"),
    ("images", "labels"),
    ("image", "label"),
    ("x", "y"),
    ("images", "y"),
    ("images", "target"),
    ("data", "labels"),
    ("data", "target"),
    ("arr_0", "arr_1"),
)
"""Names of pictures and labels, upper or lower case, in the order in which they are looked for."""

_HELD_OUT = frozenset(("test", "val", "valid", "validation"))


def read_npz(path: Path) -> PictureTable:
    """Pictures and labels of an archive, decoded already.

    Arrays are found by the names in `PAIRS`; failing that, where just one array could be pictures and just one its labels, by
    shape. Arrays named as being for test or validation are left out. Labels are (N,), (N, 1), or one-hot (N, classes).

    Raises:
        DataError: it cannot be read, needs pickle or more memory than is left, or no such pair is in it.
    """
    headers = headers_of(path)
    names = _names(headers, path)
    pictures, labels = read_arrays(path, names)
    others = [name for name in headers if name not in names]
    stack, scale, findings = stacked_pictures(pictures, name=f"{names[0]!r} in {path}")
    columns: dict[str, Array | Images] = {
        PICTURE: Images.of_stack(stack),
        LABEL: _labels(labels, len(stack), f"{names[1]!r} in {path}"),
    }
    has_classes = (labels.ndim == 2 and labels.shape[1] > 1) or labels.dtype.kind in "SU"
    left_out = _left_out(path, names, others)
    return PictureTable(columns, path.parent, has_classes=has_classes, findings=(*findings, *left_out), scale=scale)


def _names(headers: Mapping[str, Header], path: Path) -> tuple[str, str]:
    known = {name.lower(): name for name in headers}
    for pictures, labels in PAIRS:
        if pictures in known and labels in known:
            return known[pictures], known[labels]
    candidates = [name for name in headers if not _HELD_OUT.intersection(re.findall("[a-z]+", name.lower()))]
    shapes = {name: headers[name].shape for name in candidates}
    pictures_like = [name for name, shape in shapes.items() if len(shape) in (3, 4)]
    if len(pictures_like) == 1:
        labels_like = [name for name, shape in shapes.items() if len(shape) == 1 and shape[0] == shapes[pictures_like[0]][0]]
        if len(labels_like) == 1:
            return pictures_like[0], labels_like[0]
    pairs = ", ".join(f"{pictures} and {labels}" for pictures, labels in PAIRS)
    raise DataError(f"{path} holds the arrays {listed(list(headers), most=12)}; expected pictures and labels, named {pairs}.")


def _labels(array: Array, n_pictures: int, name: str) -> Array:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and array.dtype.kind in "biuf" and np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all():
        array = array.argmax(axis=1)
    if array.ndim != 1 or len(array) != n_pictures:
        raise DataError(
            f"{name} has shape {array.shape} beside {n_pictures} pictures; expected one label for each, or one-hot rows."
        )
    if array.dtype.kind == "S":
        return object_array([cell.decode("utf-8", "replace") for cell in array.tolist()])
    return object_array(array.tolist()) if array.dtype.kind == "U" else array


def _left_out(path: Path, read: tuple[str, str], others: list[str]) -> list[Finding]:
    if not others:
        return []
    return [
        Finding(
            code="named-splits",
            severity=Severity.NOTE,
            where=str(path),
            what=f"Beside {read[0]!r} and {read[1]!r} the archive holds {listed(others)}.",
            action="They are not read; scores come from within what is. They can be predicted afterwards.",
        )
    ]
