"""Text tables: cells between commas, semicolons, tabs or bars, read as text, so that typing them is ours."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cupel.core.errors import DataError
from cupel.core.finding import Finding, Severity
from cupel.core.numerals import parse_numbers
from cupel.data.table import Array, RawTable

SEPARATORS = ",;\t|"
NO_SEPARATOR = "\x1f"
_SNIFFED_CHARACTERS = 1 << 16
_SNIFFED_ROWS = 100
_CHUNK_BYTES = 1 << 23
_CONTROL = bytes(set(range(32)) - {9, 10, 12, 13})
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_delimited(content: bytes, *, source: str) -> RawTable:
    """A table from the bytes of a text file with a header line; cells are str, empty ones None or "".

    The separator is the one that cuts most lines into as many cells as the header. Blank lines are skipped, unless
    there is one column only: there they are missing cells.

    Raises:
        DataError: it is empty, not text, or its lines differ in their number of cells.
    """
    content, findings = _as_utf8(content, source)
    if not content.strip():
        raise DataError(f"{source} is empty; expected a header line and rows. Check how it was written.")
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    content = content.lstrip(b"\n")
    separator = sniff_separator(content)
    header, columns = _read_fast(content, separator) or _read_exactly(content, separator, source)
    table = RawTable.of(header, columns, source=source, findings=findings)
    return _with_header_doubted(table, header)


def sniff_separator(content: bytes) -> str:
    """The separator of a text table, from its first hundred lines; one that is in no text where there is one column only.

    It is the one that cuts most lines into equally many cells, preferably as many as there are in the header.
    """
    text = content[:_SNIFFED_CHARACTERS].decode("utf-8", "ignore")
    if len(content) > _SNIFFED_CHARACTERS:
        text = text[: text.rfind("\n") + 1] or text
    best, separator = (0.0, False, 1), NO_SEPARATOR
    for candidate in SEPARATORS:
        widths = [len(row) for _, row in zip(range(_SNIFFED_ROWS), _rows(text, candidate), strict=False)]
        width, n_agreeing = Counter(widths).most_common(1)[0] if widths else (1, 0)
        fit = (round(n_agreeing / max(len(widths), 1), 1), width == widths[0] if widths else False, width)
        if width > 1 and fit > best:
            best, separator = fit, candidate
    return separator


def _rows(text: str, separator: str) -> Iterator[list[str]]:
    try:
        yield from (row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True) if row)
    except csv.Error:  # a cell longer than the module allows: the wrong separator, most likely
        return


def _as_utf8(content: bytes, source: str) -> tuple[bytes, list[Finding]]:
    for bom, encoding in _BOMS:
        if content.startswith(bom):
            try:
                return content.decode(encoding).encode(), []
            except UnicodeDecodeError as error:
                raise DataError(f"{source} begins as {encoding} but is not ({error.reason}); save it as UTF-8.") from error
    if b"\x00" in content:
        raise DataError(
            f"{source} holds NUL bytes (the first at byte {content.index(0)}): it is no text table, or one in UTF-16 without "
            f"its mark. Give a CSV, Parquet, Arrow, JSON lines, Excel or SQLite file; save text as UTF-8."
        )
    try:
        content.decode()
        return content, []
    except UnicodeDecodeError:
        return _from_windows(content, source)


def _from_windows(content: bytes, source: str) -> tuple[bytes, list[Finding]]:
    if len(content) - len(content.translate(None, _CONTROL)) > len(content) // 100:
        raise DataError(f"{source} is no text; give a CSV, Parquet, Arrow, JSON lines, Excel or SQLite file.")
    try:
        text, encoding = content.decode("cp1252"), "Windows-1252"
    except UnicodeDecodeError:
        text, encoding = content.decode("latin-1"), "Latin-1"
    finding = Finding(
        code="encoding",
        severity=Severity.WARNING,
        where=source,
        what=f"The file is not UTF-8; it was read as {encoding}.",
        action="Check that accented letters look right; save the file as UTF-8 if they do not.",
    )
    return text.encode(), [finding]


def read_rows(content: bytes, separator: str, *, source: str, width: int | None = None) -> pl.DataFrame:
    """All lines of a piece of a text table in UTF-8, without looking for a header; every cell as text.

    Raises:
        DataError: it is not UTF-8, or its lines differ in their number of cells, or have another than `width`.
    """
    frame = _frame_of(content, separator)
    if frame is None:
        try:
            header, columns = _read_exactly(content, separator, source)
        except UnicodeDecodeError as error:
            raise DataError(f"{source} begins as UTF-8 but is not ({error.reason}); save it as UTF-8.") from error
        lines = [pl.Series([first, *cells.tolist()], dtype=pl.String) for first, cells in zip(header, columns, strict=True)]
        frame = pl.DataFrame([line.alias(f"column_{place + 1}") for place, line in enumerate(lines)])
    if width is not None and frame.width != width:
        raise DataError(f"{source} has {width} columns in its header, but some lines have {frame.width} cells; mend those lines.")
    return frame


def _read_fast(content: bytes, separator: str) -> tuple[list[str], list[Array]] | None:
    """Parsed by Polars; None where quotes or line lengths ask for a closer look."""
    frame = _frame_of(content, separator)
    if frame is None:
        return None
    header = ["" if cell is None else str(cell) for cell in frame.row(0)]
    return header, [series.to_numpy() for series in frame.slice(1)]


def _frame_of(content: bytes, separator: str) -> pl.DataFrame | None:
    """All lines, the header among them; None where quotes or line lengths ask for a closer look."""
    shape = _fields_per_line(np.frombuffer(content, np.uint8), ord(separator))
    if shape is None:
        return None
    n_fields, is_blank = shape
    width = int(n_fields[0])
    if width == 1:
        is_blank[:] = False
    if (n_fields[~is_blank] != width).any():
        return None
    try:
        frame = pl.read_csv(content, has_header=False, infer_schema=False, separator=separator)
    except pl.exceptions.PolarsError:
        return None
    if frame.height != len(n_fields) or frame.width != width:
        return None
    return frame.filter(~is_blank) if is_blank.any() else frame


def _fields_per_line(content: NDArray[np.uint8], separator: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]] | None:
    """Cells in each line, and whether it is blank; line breaks and separators between quotes do not count.

    None if a quote is never closed.
    """
    fields, ends = [], []
    inside, pending = 0, 0  # carried from chunk to chunk: within quotes, separators of an unfinished line
    for start in range(0, len(content), _CHUNK_BYTES):
        chunk = content[start : start + _CHUNK_BYTES]
        is_break, is_separator = chunk == 10, chunk == separator
        is_quote = chunk == 34
        if inside or is_quote.any():
            parity = (np.cumsum(is_quote, dtype=np.uint8) + inside) & 1  # wraps at 256, which keeps it even or odd
            is_break &= parity == 0
            is_separator &= parity == 0
            inside = int(parity[-1])
        breaks, separators = np.flatnonzero(is_break), np.flatnonzero(is_separator)
        before = np.searchsorted(separators, breaks)
        counts = np.diff(before, prepend=0)
        if len(breaks):
            counts[0] += pending
            pending = 0
        pending += len(separators) - (int(before[-1]) if len(breaks) else 0)
        fields.append(counts + 1)
        ends.append(breaks + start)
    if inside:
        return None
    all_fields, all_ends = np.concatenate(fields), np.concatenate(ends)
    if not len(all_ends) or all_ends[-1] != len(content) - 1:
        all_fields, all_ends = np.append(all_fields, pending + 1), np.append(all_ends, len(content))
    return all_fields, np.diff(all_ends, prepend=-1) == 1


def _read_exactly(content: bytes, separator: str, source: str) -> tuple[list[str], list[Array]]:
    """Parsed by the standard library, which takes a quote within a cell as a quote, and knows its line numbers."""
    text = content.decode()
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        header = next(reader)
        rows = [row or [""] for row in reader] if len(header) == 1 else [row for row in reader if row]
    except csv.Error as error:
        raise DataError(
            f"{source} cannot be read at line {reader.line_num} ({error}); a quote may never be closed. Mend that line."
        ) from error
    if any(len(row) != len(header) for row in rows):
        raise DataError(_raggedness(text, separator, width=len(header), source=source))
    columns = zip(*rows, strict=True) if rows else [()] * len(header)
    return header, [_texts(column) for column in columns]


def _raggedness(text: str, separator: str, *, width: int, source: str) -> str:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    ragged: list[str] = []
    started = 1
    for row in reader:
        if row and len(row) != width:
            ragged.append(f"line {started} has {len(row)}")
        started = reader.line_num + 1
    name = {"\t": "tab"}.get(separator, repr(separator))
    return (
        f"{source} has {width} columns in its header, but {', '.join(ragged[:3])} cells (separator {name}; {len(ragged)} such "
        f"line{'s' if len(ragged) > 1 else ''}). Mend the lines, or put quotes around cells that hold the separator."
    )


def _texts(cells: Sequence[str]) -> Array:
    array = np.empty(len(cells), dtype=object)
    array[:] = cells
    return array


def _with_header_doubted(table: RawTable, header: list[str]) -> RawTable:
    """With a warning if the first line looks like data."""
    given = [name for name in header if name.strip()]
    if len(given) < 2 or np.isnan(parse_numbers([name.strip() for name in given])).mean() > 0.2:
        return table
    if given == [str(number) for number in range(len(given))] or given == [str(number + 1) for number in range(len(given))]:
        return table
    finding = Finding(
        code="no-header",
        severity=Severity.WARNING,
        where=table.source,
        what=f"The first line holds numbers ({', '.join(given[:4])}…), as a row of data would.",
        action="It is taken as the header; if the file has none, add a line with column names.",
    )
    return RawTable(table.columns, table.source, (*table.findings, finding), table.repeated)
