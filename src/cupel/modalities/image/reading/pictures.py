"""From cells that name or hold pictures to decoded pictures: several at a time, and none lost without a word."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import DataError, PictureError
from cupel.core.finding import Finding, Severity
from cupel.core.image_files import ImagesWriter, open_images
from cupel.core.images import Images
from cupel.core.machine import usable_cores
from cupel.core.pillow import silent_and_strict
from cupel.core.pixels import decoded
from cupel.modalities.image.reading.paths import is_absent
from cupel.modalities.image.reading.table import listed

Array = NDArray[Any]
Pixels = NDArray[np.uint8]

_AHEAD = 4  # pictures that wait for each thread
_PHRASES = {
    "unreadable": "cannot be opened",
    "empty": "have no bytes",
    "foreign": "are no pictures, or of a format that is not read",
    "truncated": "are cut off",
    "corrupt": "are damaged",
    "too-large": "are too large",
    "unusable": "are arrays that are no pictures",
}


def read_pictures(
    cells: Sequence[Any] | Array | Images,
    *,
    folder: Path,
    cache: Path | None = None,
    n_channels: int | None = None,
    most_pixels: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[Images, tuple[Finding, ...]]:
    """Decoded pictures, one for each cell, and what was wrong with them.

    A cell is a path, relative to `folder` or absolute; the bytes of a picture file; an array; a structure with `bytes` or
    `path`; or None. What cannot be read is missing, with a finding for each kind of fault. Where all are grey the column has
    1 channel, else 3, unless `n_channels` says; those of more than `most_pixels` are reduced, as `decoded` does. `cache` is a
    file into which pictures are decoded, so that memory need not hold them; if it was made of the same files, unchanged
    since, it is only opened. `progress` is told the share that is done, from 0 to 1.

    Raises:
        DataError: there are no cells, not one of them can be read, or the cache cannot be written.
        UsageError: `n_channels` is neither 1 nor 3, or `most_pixels` is not positive.
        MissingDependencyError: Pillow is not installed.
    """
    if len(cells) == 0:
        raise DataError("there are no pictures to read; expected one at least.")
    if isinstance(cells, Images) and n_channels in (None, cells.n_channels) and most_pixels is None:
        return cells, ()
    with silent_and_strict(), ThreadPoolExecutor(usable_cores(), thread_name_prefix="cupel-pictures") as pool:
        reading = _Reading(cells, folder, _Form(n_channels, most_pixels), pool, progress or (lambda _: None))
        images = _images(reading, cache)
    reading.tell(1.0)
    if images.is_missing.all():
        said = next(iter(reading.first_said.values()), "All cells are empty.")
        raise DataError(f"none of {len(cells)} pictures can be read. {said}")
    return images, (*_findings(reading), *_mixed(images))


@dataclass(frozen=True)
class _Form:
    """What pictures are brought to."""

    n_channels: int | None
    most_pixels: int | None


@dataclass
class _Reading:
    """Cells on their way to pictures. By fault, `faulty` names what cannot be read, and `first_said` is what was said of one."""

    cells: Sequence[Any] | Array | Images
    folder: Path
    form: _Form
    pool: Executor
    tell: Callable[[float], None]
    faulty: dict[str, list[str]] = field(default_factory=dict)
    first_said: dict[str, str] = field(default_factory=dict)

    def pictures(self, rows: Sequence[int]) -> Iterator[Pixels | None]:
        """The pictures of these rows, None for one that cannot be read."""
        for place, (row, outcome) in enumerate(zip(rows, self._outcomes(rows), strict=True)):
            if isinstance(outcome, PictureError):
                self.faulty.setdefault(outcome.fault, []).append(_name(self.cells[row], row))
                self.first_said.setdefault(outcome.fault, str(outcome))
            yield None if isinstance(outcome, PictureError) else outcome
            if (place + 1) * 100 // len(rows) > place * 100 // len(rows):
                self.tell((place + 1) / len(rows))

    def _outcomes(self, rows: Sequence[int]) -> Iterator[Pixels | PictureError | None]:
        """What becomes of each; a few are decoded ahead of the one asked for."""
        most_waiting = usable_cores() * _AHEAD
        waiting: deque[Future[Pixels | PictureError | None]] = deque()
        for row in rows:
            waiting.append(self.pool.submit(_read, self.cells[row], self.folder, self.form))
            if len(waiting) > most_waiting:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _images(reading: _Reading, cache: Path | None) -> Images:
    rows = range(len(reading.cells))
    if cache is None:
        return Images.of(reading.pictures(rows), n_channels=reading.form.n_channels)
    key = _key(reading)
    try:
        images = open_images(cache, key=key)
    except DataError:  # absent, damaged, or of other files
        with ImagesWriter(cache, key=key, n_channels=reading.form.n_channels) as writer:
            for picture in reading.pictures(rows):
                writer.append(picture)
        return open_images(cache, key=key, verify=False)
    deque(reading.pictures(np.flatnonzero(images.is_missing).tolist()), maxlen=0)  # says again what is wrong with them
    return images


def _read(cell: Any, folder: Path, form: _Form) -> Pixels | PictureError | None:
    source = _source(cell, folder)
    if source is None:
        return None
    try:
        return decoded(source, n_channels=form.n_channels, most_pixels=form.most_pixels)
    except PictureError as error:
        return error


def _source(cell: Any, folder: Path) -> bytes | Path | Array | None:
    """What `decoded` takes; None where the cell holds nothing."""
    if isinstance(cell, Mapping):
        content = cell.get("bytes")
        return _source(cell.get("path") if content is None else content, folder)
    if isinstance(cell, np.ndarray):
        return cell if cell.size else None
    if isinstance(cell, bytes | bytearray | memoryview):
        return bytes(cell)
    return None if is_absent(cell) else folder / str(cell).strip()


def _name(cell: Any, row: int) -> str:
    inner = cell.get("path") if isinstance(cell, Mapping) else cell
    return str(inner) if isinstance(inner, str | Path) else f"row {row}"


def _key(reading: _Reading) -> bytes:
    """sha256 over what the pictures are made of (contents, or of files the path, length and time of change), and the decoder."""
    import PIL

    digest = hashlib.sha256(repr((1, PIL.__version__, reading.form, len(reading.cells))).encode())
    for cell in reading.cells:
        source = _source(cell, reading.folder)
        if isinstance(source, np.ndarray):
            digest.update(repr((source.dtype.str, source.shape)).encode())
            source = source.tobytes()
        if isinstance(source, bytes):
            digest.update(hashlib.sha256(source).digest())
        else:
            digest.update(repr((str(source), _state(source))).encode())
    return digest.digest()


def _state(path: Path | None) -> tuple[int, int] | None:
    try:
        status = None if path is None else os.stat(path)
    except (OSError, ValueError):
        return None
    return None if status is None else (status.st_size, status.st_mtime_ns)


def _findings(reading: _Reading) -> list[Finding]:
    return [
        Finding(
            code=f"{fault}-pictures",
            severity=Severity.WARNING,
            where=listed(names),
            what=f"{len(names)} of {len(reading.cells)} pictures {_PHRASES[fault]}: {listed(names)}. {reading.first_said[fault]}",
            action="They are treated as missing.",
        )
        for fault, names in reading.faulty.items()
    ]


def _mixed(images: Images) -> list[Finding]:
    stored = images.shapes[~images.is_missing, 2]
    n_grey = int((stored == 1).sum())
    if images.n_channels == 1 or n_grey in (0, len(stored)):
        return []
    return [
        Finding(
            code="grey-among-colour",
            severity=Severity.NOTE,
            where="pictures",
            what=f"{n_grey} of {len(stored)} pictures are grey, the others coloured.",
            action="All are read as coloured.",
        )
    ]
