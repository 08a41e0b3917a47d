"""Text tables block by block: each ends where a line does, and is read as a whole file would be."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import polars as pl

from cupel.core.errors import DataError
from cupel.data.delimited import NO_SEPARATOR, read_rows, sniff_separator

BLOCK_BYTES = 1 << 23
SNIFFED_BYTES = 1 << 20
MOST_HELD_BYTES = 1 << 26
"""Of a line that does not end, since a quote encloses its breaks."""
GZIP, UTF8_MARK = b"\x1f\x8b", b"\xef\xbb\xbf"
OTHER_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """A file of lines in UTF-8, perhaps compressed by gzip. `expansion` is how many bytes of text a byte of it holds."""

    path: Path
    header: tuple[str, ...]
    separator: str
    is_compressed: bool
    expansion: float
    bytes_of_line: float

    @classmethod
    def of(cls, path: Path, start: bytes) -> TextTable | None:
        """The table that a file is; None where it is none, or must be read whole to be understood."""
        is_compressed = start.startswith(GZIP)
        if any(suffix.lower() in _JSON_SUFFIXES for suffix in path.suffixes):
            return None
        try:
            with _opened(path, is_compressed=is_compressed) as stream:
                sniffed = stream.read(SNIFFED_BYTES)
        except (OSError, EOFError, zlib.error):
            return None
        if not _is_plain(sniffed):
            return None
        sniffed = sniffed.removeprefix(UTF8_MARK).replace(b"\r\n", b"\n").lstrip(b"\n")
        separator = sniff_separator(sniffed)
        whole_lines = sniffed[: _end_of_lines(sniffed)] or sniffed
        try:
            found = read_rows(whole_lines, separator, source=str(path))
        except DataError:
            return None  # told by who reads it whole
        if separator == NO_SEPARATOR or not found.height:
            return None
        header = tuple("" if cell is None else str(cell) for cell in found.row(0))
        expansion = _expansion(path) if is_compressed else 1.0
        line = len(whole_lines) / found.height
        return cls(
            path=path,
            header=header,
            separator=separator,
            is_compressed=is_compressed,
            expansion=expansion,
            bytes_of_line=line,
        )

    def bytes_of_row(self, weighed: pl.DataFrame) -> float:
        """Of text, on average over the first lines."""
        del weighed
        return self.bytes_of_line

    def frames(self, n_rows: int) -> Iterator[pl.DataFrame]:
        """Rows after the header, so many at a time, every cell as text.

        Raises:
            DataError: lines differ in their number of cells, or the text is not UTF-8.
        """
        waiting: list[pl.DataFrame] = []
        is_first = True
        for block in self._blocks():
            frame = read_rows(block, self.separator, source=str(self.path), width=len(self.header))
            if is_first:
                frame, is_first = frame.slice(1), False
            waiting.append(frame)
            if sum(each.height for each in waiting) >= n_rows:
                joined = pl.concat(waiting)
                n_whole = joined.height // n_rows * n_rows
                yield from joined.head(n_whole).iter_slices(n_rows)
                waiting = [joined.slice(n_whole).clone()]
        if waiting and (rest := pl.concat(waiting)).height:
            yield rest

    def _blocks(self) -> Iterator[bytes]:
        """The text, cut at ends of lines that are within no quotes.

        Raises:
            DataError: a quote is not closed for very long.
        """
        held, n_lines = b"", 0
        with _opened(self.path, is_compressed=self.is_compressed) as stream:
            first = stream.read(BLOCK_BYTES).removeprefix(UTF8_MARK).lstrip(b"\r\n")
            while first:
                block = (held + first).replace(b"\r\n", b"\n")
                end = _end_of_lines(block)
                if end:
                    n_lines += block.count(b"\n", 0, end)
                    yield block[:end]
                held = block[end:]
                if len(held) > MOST_HELD_BYTES:
                    raise DataError(
                        f"{self.path}: a quote opens at line {n_lines + 1:,} and is not closed in the {len(held) / 1e6:,.0f} MB "
                        f'that follow; expected a second one. Close it, or write it twice ("") where it is part of a cell.'
                    )
                first = stream.read(BLOCK_BYTES)
        if held.strip():
            yield held


def _end_of_lines(block: bytes) -> int:
    """After the last line break that no quote encloses, counted from the beginning of a line; 0 where there is none."""
    end = block.rfind(b"\n") + 1
    n_quotes = block.count(b'"', 0, end)
    while end and n_quotes % 2:
        before = block.rfind(b"\n", 0, end - 1) + 1
        n_quotes -= block.count(b'"', before, end)
        end = before
    return end


def _is_plain(sniffed: bytes) -> bool:
    """Whether this is UTF-8 without structure of another kind, with line breaks that every reader knows."""
    if not sniffed.strip() or b"\x00" in sniffed or sniffed.startswith(OTHER_MARKS):
        return False
    if b"\r" in sniffed.replace(b"\r\n", b"").rstrip(b"\r") or sniffed.lstrip().startswith((b"{", b"[{")):
        return False
    try:
        sniffed[: sniffed.rfind(b"\n") + 1].decode()
    except UnicodeDecodeError:
        return False
    return True


def _expansion(path: Path) -> float:
    """How much longer the text is, from the beginning of the file."""
    with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) as stream:
        n_text = len(stream.read(4 * SNIFFED_BYTES))
        return n_text / max(min(raw.tell(), os.path.getsize(path)), 1)


def _opened(path: Path, *, is_compressed: bool) -> BinaryIO:
    return gzip.open(path, "rb") if is_compressed else path.open("rb")  # type: ignore[return-value]
