"""How data with pictures are read: sources of their own, and columns that name or hold pictures."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import DataError
from cupel.core.finding import Finding, Severity
from cupel.core.images import Images
from cupel.core.masks import Masks
from cupel.core.modality import ReadColumn, Source
from cupel.core.picture_folders import has_picture_suffix
from cupel.core.pixels import WORKING_PIXELS
from cupel.core.schema import Column, ColumnKind

Array = NDArray[Any]
LIKELY = 0.8
FEW_TO_LOOK_AT = 200
LONGEST_PATH, LONGEST_STEM = 1000, 100
FEW_ENTRIES, FEW_FOLDERS = 500, 100


class PictureReader:
    """Folders of pictures, archives of them, and columns of paths, bytes or arrays."""

    kind = ColumnKind.IMAGE

    def opens(self, source: Any) -> bool:
        """A folder, an .npz archive or an idx file; for other files nothing is imported."""
        if not isinstance(source, str | Path) or (isinstance(source, str) and "://" in source):
            return False
        path = Path(source)
        if not (path.suffix.lower() == ".npz" or "idx" in path.name or "ubyte" in path.name or path.is_dir()):
            return False
        from cupel.modalities.image.reading import is_source_of_pictures

        return is_source_of_pictures(path)

    def table(self, source: Any) -> Source:
        """Its pictures and labels, not decoded yet."""
        from cupel.modalities.image.reading import read_source

        found = read_source(Path(source))
        columns = {name: _cells(values) for name, values in found.columns.items()}
        scales = dict.fromkeys(found.pictures, found.scale)
        return Source(
            columns=columns,
            target=found.target,
            has_classes=found.has_classes,
            folder=found.folder,
            findings=found.findings,
            scales=scales,
        )

    def claims(self, cells: Array, *, folder: Path) -> bool:
        """Whether most of a few cells are pictures, or paths of some that exist.

        Names without a suffix are looked for only where pictures stand beside the table: a search through folders for every
        column of texts would take long.
        """
        few = cells[np.unique(np.linspace(0, len(cells) - 1, min(len(cells), FEW_TO_LOOK_AT)).astype(np.int64))]
        texts = [cell.strip() for cell in few.tolist() if isinstance(cell, str) and cell.strip()]
        if texts and not _may_be_pictures(texts, folder):
            return False
        from cupel.modalities.image.reading import picture_likeness

        return picture_likeness(few, folder=folder) >= LIKELY

    def decode(self, name: str, cells: Array, *, folder: Path, progress: Callable[[float], None]) -> ReadColumn:
        """Pictures; large ones are reduced, as they are at prediction.

        Where they are many they are decoded once into a file (see `reading.cache`), and cells are views of it: pixels come into
        memory when they are looked at, and leave it when it is needed.
        """
        from cupel.modalities.image.reading import resolved_paths

        findings: list[Finding] = []
        names = _names(cells)
        if any(isinstance(cell, str) for cell in cells[:FEW_TO_LOOK_AT].tolist()):
            cells, findings = resolved_paths(cells, folder=folder)
        images, found = _read_once(name, cells, folder=folder, progress=progress)
        values = np.empty(len(images), dtype=object)
        for row, is_missing in enumerate(images.is_missing.tolist()):
            values[row] = None if is_missing else images[row]
        findings += found
        had_unreadable = any(finding.severity is Severity.WARNING for finding in findings)
        column = Column(name=name, kind=self.kind, channels=images.n_channels, had_unreadable=had_unreadable)
        return ReadColumn(column=column, values=values, findings=tuple(findings), names=names)

    def masks(self, cells: Array, *, folder: Path, progress: Callable[[float], None]) -> Masks:
        """Masks in their own sizes."""
        from cupel.modalities.image.reading import read_masks, resolved_paths

        findings: list[Finding] = []
        names = _names(cells)
        if any(isinstance(cell, str) for cell in cells[:FEW_TO_LOOK_AT].tolist()):
            cells, findings = resolved_paths(cells, folder=folder)
        found = read_masks(cells, folder=folder, progress=progress)
        return replace(found, findings=(*findings, *found.findings), names=names)


def _read_once(name: str, cells: Array, *, folder: Path, progress: Callable[[float], None]) -> tuple[Images, tuple[Finding, ...]]:
    """Pictures by way of a file where that pays; into memory where the disk does not take them."""
    from cupel.modalities.image.reading import cache_file_for, kept_finding, read_pictures, trim

    read = partial(read_pictures, cells, folder=folder, most_pixels=WORKING_PIXELS, progress=progress)
    file = cache_file_for(cells, folder=folder)
    if file is None:
        return read()
    try:
        images, found = read(cache=file)
    except DataError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        return read()
    trim(file.parent, but=file)
    return images, (*found, kept_finding(name, file, n_bytes=images.nbytes))


def _cells(values: Array | Images) -> Array:
    """A column as an object array, pictures as arrays."""
    if isinstance(values, np.ndarray):
        return values
    cells = np.empty(len(values), dtype=object)
    for row, is_missing in enumerate(values.is_missing.tolist()):
        cells[row] = None if is_missing else values[row]
    return cells


def _names(cells: Array) -> Array | None:
    """Paths among the cells as they were given, None for other cells; no array where there is none."""
    names = np.empty(len(cells), dtype=object)
    for row, cell in enumerate(cells.tolist()):
        named = cell.get("path") if isinstance(cell, Mapping) else cell
        names[row] = str(named) if isinstance(named, str | Path) and str(named).strip() else None
    return names if any(name is not None for name in names.tolist()) else None


def _may_be_pictures(texts: Sequence[str], folder: Path) -> bool:
    n_suffixed = sum(len(text) <= LONGEST_PATH and has_picture_suffix(text.partition("?")[0]) for text in texts)
    n_stems = sum(len(text) <= LONGEST_STEM and not set(text) & set(" .\n") for text in texts)
    return n_suffixed >= LIKELY * len(texts) or (n_stems >= LIKELY * len(texts) and _holds_pictures(folder))


def _holds_pictures(folder: Path) -> bool:
    """Whether a picture is among the first entries of the folder, or of one of its first folders."""
    try:
        entries = _first_entries(folder)
        inner = [_first_entries(entry.path) for entry in entries[:FEW_FOLDERS] if entry.is_dir()]
        return any(has_picture_suffix(entry.name) for entry in itertools.chain(entries, *inner))
    except OSError:
        return False


def _first_entries(folder: str | Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(itertools.islice(entries, FEW_ENTRIES))
