"""Pictures as rows bring them: files, bytes, arrays or data URLs, decoded as they were for training."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import DataError, PictureError
from cupel.core.picture_files import READABLE
from cupel.core.picture_folders import find_pictures, has_picture_suffix
from cupel.core.picture_paths import PictureFinder
from cupel.core.picture_stacks import channels_last
from cupel.core.pixels import WORKING_PIXELS, decoded, missing_picture
from cupel.core.schema import Column

Array = NDArray[Any]
_DATA = "data:image/"
_CHANNELS = (1, 3, 4)
_REFUSED = "refused"


def is_picture_source(source: Any) -> bool:
    """Whether a source of rows is pictures alone: a picture file, or a folder."""
    if not isinstance(source, str | Path) or (isinstance(source, str) and "://" in source):
        return False
    return has_picture_suffix(str(source)) or Path(source).is_dir()


def files_in(source: str | Path) -> list[Path]:
    """The picture file, or all picture files of a folder and the folders in it, sorted; hidden ones are left out.

    Raises:
        DataError: there is none, or a folder cannot be listed.
    """
    path = Path(source)
    if not path.is_dir():
        return [path]
    found = find_pictures(path)
    if not found.pictures:
        passed_over = f" ({len(found.skipped)} other files in it were passed over)" if found.skipped else ""
        raise DataError(f"there is no picture in {path}{passed_over}; name a folder of {READABLE} files.")
    return [path / name for name in found.pictures]


def stack_of(array: Array) -> Array:
    """Pictures of one array (rows, height, width[, channels]) as cells; channels may come second, as in training.

    Raises:
        DataError: it is more likely to be one picture, or no pictures.
    """
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in _CHANNELS):
        raise DataError(
            f"an array of shape {array.shape} was given; expected (rows, height, width) or (rows, height, width, channels). "
            f"For one picture write array[None]; for a stack of grey ones as narrow as that array[..., None]."
        )
    if array.ndim == 4:
        array = channels_last(array, name="the array")
    cells = np.empty(len(array), dtype=object)
    for row, picture in enumerate(array):
        cells[row] = picture
    return cells


def pictures_of(column: Column, cells: Array, *, folder: Path | None, first_row: int) -> tuple[Array, int]:
    """Decoded cells of a column of pictures, shape (rows, 1), each uint8 (height, width, channels), and how many are unreadable.

    A missing picture is a single black pixel, as in training; so is one that cannot be read, where training had such ones too.
    Paths are relative to `folder`, and found there as in training; without one they are refused, since rows from elsewhere must
    not open files here.

    Raises:
        DataError: a cell is no picture, or a path where none is opened; names its row.
    """
    found, n_unreadable = np.empty((len(cells), 1), dtype=object), 0
    finder = None if folder is None else PictureFinder(folder)
    for position, cell in enumerate(cells.tolist() if cells.dtype == object else list(cells)):
        try:
            found[position, 0] = _picture(cell, column, finder)
        except PictureError as error:
            if not column.had_unreadable or error.fault == _REFUSED:
                raise DataError(f"row {first_row + position}, column {column.name!r}: {error}") from error
            found[position, 0] = missing_picture(column.channels)
            n_unreadable += 1
    return found, n_unreadable


def whole_picture(cell: Any, *, folder: Path | None) -> NDArray[np.uint8] | None:
    """The picture of a cell that `pictures_of` takes, not reduced; None where the cell is missing or cannot be read."""
    try:
        source = _source(cell, None if folder is None else PictureFinder(folder))
        return None if source is None else decoded(source)
    except PictureError:
        return None


def is_missing(cell: Any) -> bool:
    """Whether a cell holds no picture."""
    if isinstance(cell, Mapping):
        return is_missing(cell.get("bytes")) and is_missing(cell.get("path"))
    return cell is None or (isinstance(cell, str) and not cell.strip()) or (isinstance(cell, float) and cell != cell)


def _picture(cell: Any, column: Column, finder: PictureFinder | None) -> NDArray[np.uint8]:
    source = _source(cell, finder)
    if source is None:
        return missing_picture(column.channels)
    return decoded(source, n_channels=column.channels, most_pixels=WORKING_PIXELS, scale=column.scale)


def _source(cell: Any, finder: PictureFinder | None) -> bytes | Array | Path | None:
    """What is decoded; None for a missing cell."""
    if is_missing(cell):
        return None
    if isinstance(cell, Mapping):
        cell = cell.get("bytes") if cell.get("bytes") is not None else cell.get("path")
    if isinstance(cell, str) and cell.startswith(_DATA):
        cell = _of_data_url(cell)
    if isinstance(cell, str | Path):
        if finder is None:
            raise PictureError(
                f"a path ({str(cell)[:60]!r}) is not opened here; send the picture itself, as data:image/png;base64,…",
                fault=_REFUSED,
            )
        return finder.folder / (finder.find(str(cell)) or str(cell).strip())
    if isinstance(cell, bytearray | memoryview):
        cell = bytes(cell)
    if not isinstance(cell, bytes | np.ndarray):
        raise PictureError(
            f"{str(cell)[:60]!r} is no picture; expected a path, the bytes of a file, an array, or data:image/png;base64,…",
            fault="unusable",
        )
    return cell


def _of_data_url(text: str) -> bytes:
    head, comma, body = text.partition(",")
    if not comma or not head.endswith(";base64"):
        raise PictureError("a data URL was given that is not base64; expected data:image/png;base64,…", fault="corrupt")
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise PictureError(f"a data URL cannot be read ({error}); expected base64.", fault="corrupt") from error
