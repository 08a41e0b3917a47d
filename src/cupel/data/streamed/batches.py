"""A file's rows in batches, in their order: Parquet and Arrow by Polars, text tables block by block."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cupel.core.errors import DataError
from cupel.core.finding import Finding
from cupel.data.streamed.blocks import TextTable
from cupel.data.table import RawTable

CELLS_OF_A_BATCH = 4_000_000
MOST_ROWS_OF_A_BATCH = 200_000
ROWS_TO_WEIGH = 2000
BYTES_OF_A_NUMBER, BYTES_OF_A_TEXT = 26.0, 90.0
"""Of a cell while a file is read whole: as it comes, as an array, and decoded. Texts of files of text are objects meanwhile."""


_DAMAGED = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, EOFError, zlib.error)


@dataclass(frozen=True, eq=False)
class Batches:
    """A file that can be read piece by piece.

    `names` are the columns' usable names. `n_rows` is exact for Parquet and Arrow, and foreseen for text. `read_bytes` is what
    reading it whole would take. Numbers of rows in a batch depend on the table alone, never on the machine.
    """

    path: Path
    names: tuple[str, ...]
    n_rows: int
    read_bytes: float
    repeated: frozenset[str]
    findings: tuple[Finding, ...]
    _frames: Callable[[int], Iterator[pl.DataFrame]]

    @property
    def rows_of_a_batch(self) -> int:
        """So many at most."""
        return max(1, min(MOST_ROWS_OF_A_BATCH, CELLS_OF_A_BATCH // len(self.names)))

    def frames(self) -> Iterator[pl.DataFrame]:
        """All rows, a batch at a time.

        Raises:
            DataError: the file is damaged, or its lines differ in their number of cells.
        """
        try:
            for frame in self._frames(self.rows_of_a_batch):
                frame.columns = list(self.names)
                yield frame
        except _DAMAGED as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise DataError(f"{self.path} is damaged or truncated ({reason}); fetch or write it again.") from error


def batches_of(source: Any) -> Batches | None:
    """The file in batches; None where the source is no file of a kind that can be read so, or is damaged where it begins."""
    if not isinstance(source, str | Path) or "://" in str(source) or not Path(source).is_file():
        return None
    path = Path(source)
    try:
        with path.open("rb") as stream:
            start = stream.read(64)
        if start.startswith(b"PAR1"):
            return _of_columns(path, pl.scan_parquet(escape(str(path))))
        if start.startswith(b"ARROW1"):
            return _of_columns(path, pl.scan_ipc(escape(str(path))))
        text = TextTable.of(path, start)
        return None if text is None else _of_text(path, text)
    except (DataError, *_DAMAGED):
        return None  # what is wrong with it is told by who reads it whole


def _of_columns(path: Path, scanned: pl.LazyFrame) -> Batches | None:
    def frames(n_rows: int) -> Iterator[pl.DataFrame]:
        for first in range(0, total, n_rows):
            yield scanned.slice(first, n_rows).collect()

    if any(kind in (pl.Binary, pl.Object) for kind in scanned.collect_schema().dtypes()):
        return None  # pictures, most likely, which have ways of their own
    total = int(scanned.select(pl.len()).collect().item())
    weighed = scanned.head(ROWS_TO_WEIGH).collect()
    return _named(path, weighed.columns, n_rows=total, read_bytes=total * _bytes_of_row(weighed, is_text=False), frames=frames)


def _of_text(path: Path, text: TextTable) -> Batches:
    weighed = next(text.frames(ROWS_TO_WEIGH), None)
    if weighed is None or not weighed.height:
        return _named(path, text.header, n_rows=0, read_bytes=0.0, frames=text.frames)
    n_bytes = os.path.getsize(path) * text.expansion
    n_rows = max(weighed.height, int(n_bytes / text.bytes_of_row(weighed)))
    read_bytes = 2.0 * n_bytes + n_rows * _bytes_of_row(weighed, is_text=True)
    return _named(path, text.header, n_rows=n_rows, read_bytes=read_bytes, frames=text.frames)


def _named(
    path: Path, header: Sequence[str], *, n_rows: int, read_bytes: float, frames: Callable[[int], Iterator[pl.DataFrame]]
) -> Batches:
    named = RawTable.of(header, [np.empty(0)] * len(header), source=str(path))
    return Batches(path, tuple(named.columns), n_rows, read_bytes, named.repeated, named.findings, frames)


def _bytes_of_row(weighed: pl.DataFrame, *, is_text: bool) -> float:
    """What a row takes while it is read whole: by its types, and the lengths of its texts."""
    total = 0.0
    for series in weighed:
        if series.dtype == pl.String:
            length = float(series.str.len_bytes().sum()) / max(weighed.height - series.null_count(), 1)
            total += (BYTES_OF_A_TEXT + length) if is_text or length else BYTES_OF_A_NUMBER
        elif series.dtype.is_nested() or series.dtype in (pl.Object, pl.Binary):
            total += 40 * BYTES_OF_A_TEXT + float(series.to_frame().estimated_size()) / max(weighed.height, 1)
        else:
            total += BYTES_OF_A_NUMBER
    return total
