"""A column of a table that names pictures, or holds them: how likely it is one, and where the files are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.finding import Finding, Severity
from cupel.core.picture_folders import has_picture_suffix
from cupel.core.picture_paths import PictureFinder
from cupel.modalities.image.reading.table import listed, object_array

Array = NDArray[Any]

_MOST_ASKED = 200
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\x00", b"MM\x00*", b"RIFF")
_WEB = ("http://", "https://", "s3://", "gs://", "ftp://")


def picture_likeness(cells: Sequence[Any] | Array, *, folder: Path) -> float:
    """How likely a column is one of pictures, from 0 to 1; up to 200 of its cells that are not missing are looked at.

    Paths of files that exist count fully, those that only end like a picture half. Names without suffix count if no two of
    those looked at are equal: labels may be called like a file by chance. Bytes count where they begin as picture files do,
    as do structures with such `bytes` or a `path`, arrays of pixels by their shape.
    """
    filled = [
        cell
        for cell in (cells.tolist() if isinstance(cells, np.ndarray) and cells.dtype.kind != "O" else cells)
        if not is_absent(cell)
    ]
    if not filled:
        return 0.0
    asked = [filled[int(place)] for place in np.linspace(0, len(filled) - 1, min(len(filled), _MOST_ASKED))]
    texts = [cell for cell in asked if isinstance(cell, str)]
    finder = PictureFinder(folder, by_stem=len(set(texts)) == len(texts))
    return sum(_likeness(cell, finder) for cell in asked) / len(asked)


def resolved_paths(cells: Sequence[Any] | Array, *, folder: Path) -> tuple[Array, list[Finding]]:
    """Where the named files are: an object array of paths, relative to `folder` where they are below it, and None.

    A name is looked for as it stands, relative to `folder`, with backslashes as slashes, and then, by its last part, with or
    without suffix, in the folders up to two levels below; a name that stands in several of those is not taken. Addresses on
    the web are not fetched.
    """
    finder = PictureFinder(folder)
    found: list[str | None] = []
    missing: list[str] = []
    on_web: list[str] = []
    for cell in cells:
        path = None if is_absent(cell) or _is_address(cell) else finder.find(str(cell))
        found.append(path)
        if path is None and not is_absent(cell):
            (on_web if _is_address(cell) else missing).append(str(cell))
    return object_array(found), [*_missing(missing, len(found), folder), *_on_web(on_web, len(found))]


def is_absent(cell: Any) -> bool:
    """Whether a cell names and holds nothing."""
    return cell is None or (isinstance(cell, str) and not cell.strip()) or (isinstance(cell, float) and cell != cell)


def _is_address(cell: Any) -> bool:
    return isinstance(cell, str) and cell.lstrip().lower().startswith(_WEB)


def _likeness(cell: Any, finder: PictureFinder) -> float:
    if isinstance(cell, Mapping):
        inner = cell.get("bytes") or cell.get("path")
        return 0.0 if inner is None else _likeness(inner, finder)
    if isinstance(cell, bytes | bytearray | memoryview):
        return float(bytes(cell[:8]).startswith(_MAGIC))
    if isinstance(cell, np.ndarray):
        return float(cell.ndim in (2, 3) and cell.dtype.kind in "bufi" and min(cell.shape[:2]) > 1)
    if isinstance(cell, Path):
        return _likeness(str(cell), finder)
    if not isinstance(cell, str):
        return 0.0
    ends_so = has_picture_suffix(cell.strip().partition("?")[0])
    if _is_address(cell):
        return 0.5 * ends_so
    found = finder.find(cell)
    return 1.0 if found is not None and has_picture_suffix(found) else 0.5 * ends_so


def _missing(names: list[str], n_cells: int, folder: Path) -> list[Finding]:
    if not names:
        return []
    return [
        Finding(
            code="missing-files",
            severity=Severity.WARNING,
            where=str(folder),
            what=f"{len(names)} of {n_cells} named files are not there, or stand in several folders: {listed(names)}.",
            action="Their pictures are missing. Paths are read relative to the folder of the table.",
        )
    ]


def _on_web(names: list[str], n_cells: int) -> list[Finding]:
    if not names:
        return []
    return [
        Finding(
            code="addresses",
            severity=Severity.WARNING,
            where=listed(names, most=2),
            what=f"{len(names)} of {n_cells} cells are addresses on the web.",
            action="Cupel fetches nothing; their pictures are missing. Download them, and name the files.",
        )
    ]
