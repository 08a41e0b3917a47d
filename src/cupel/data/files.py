"""Raw columns of any table that Cupel can read: recognised by content first, by suffix where content does not tell."""

from __future__ import annotations

import difflib
import gzip
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from glob import escape
from pathlib import Path
from typing import Any

import polars as pl

from cupel.core.errors import DataError, MissingDependencyError
from cupel.core.finding import Finding, Severity
from cupel.core.modality import Reader
from cupel.data.databases import read_postgres, read_sqlite
from cupel.data.delimited import read_delimited
from cupel.data.frames import columns_of_polars, table_of
from cupel.data.table import Array, RawTable, columns_of_records

READABLE = "CSV, TSV, Parquet, Arrow, JSON lines, Excel or SQLite"
_EXCEL_SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
_FOREIGN = {
    b"BZh": "a bzip2 archive; unpack it",
    b"\xfd7zXZ\x00": "an xz archive; unpack it",
    b"\x28\xb5\x2f\xfd": "a zstd archive; unpack it",
    b"%PDF": "a PDF document; export its table",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"\x89HDF": "an HDF5 file; export the table to Parquet",
    b"\x93NUMPY": "a NumPy file; load it and give the array",
    b"FEA1": "a Feather file of version 1; write it anew with version 2",
}


def read_columns(source: Any, *, query: str | None = None, sheet: str | None = None) -> dict[str, Array]:
    """Raw columns by name, in file order; an object array of str and None for text, no typing done yet.

    `source` is a path, a `postgresql://` URL (with `query`), or a table in memory. `sheet` names one of an Excel
    file. A table without rows gives empty columns.

    Raises:
        DataError: it cannot be read.
        MissingDependencyError: the library for this format is not installed.
    """
    return dict(read_table(source, query=query, sheet=sheet).columns)


def read_table(source: Any, *, query: str | None = None, sheet: str | None = None, readers: Sequence[Reader] = ()) -> RawTable:
    """As `read_columns`, with what was found amiss on the way; `readers` open what is no table."""
    reader = next((reader for reader in readers if reader.opens(source)), None)
    if reader is not None:
        _refuse(query=query, sheet=sheet, source=str(source))
        found = reader.table(source)
        table = RawTable.of(list(found.columns), list(found.columns.values()), source=str(source), findings=found.findings)
        return replace(table, folder=found.folder, target=found.target, has_classes=found.has_classes, scales=found.scales)
    if isinstance(source, str) and "://" in source:
        return _read_url(source, query=query, sheet=sheet)
    if isinstance(source, str | Path):
        return replace(_read_file(Path(source), query=query, sheet=sheet), folder=Path(source).parent)
    _refuse(query=query, sheet=sheet, source="a table in memory")
    return table_of(source)


def _read_url(url: str, *, query: str | None, sheet: str | None) -> RawTable:
    scheme = url.partition("://")[0].lower()
    if scheme not in ("postgresql", "postgres"):
        raise DataError(f"{scheme}:// addresses are not read; expected postgresql://, or a file. Download it and give its path.")
    _refuse(sheet=sheet, source=f"a {scheme} address")
    return read_postgres(url, query=query)


def _read_file(path: Path, *, query: str | None, sheet: str | None) -> RawTable:
    start = _first_bytes(path)
    if start.startswith(b"SQLite format 3\x00"):
        _refuse(sheet=sheet, source=str(path))
        return read_sqlite(path, query=query)
    _refuse(query=query, source=str(path))
    if _is_excel(path, start):
        return _read_excel(path, sheet=sheet)
    _refuse(sheet=sheet, source=str(path))
    if start.startswith(b"PAR1"):
        return _read_with_polars(path, "Parquet", lambda: pl.read_parquet(escape(str(path))))
    if start.startswith(b"ARROW1"):
        return _read_with_polars(path, "Arrow", lambda: pl.read_ipc(escape(str(path))))
    if start.startswith(b"\xff\xff\xff\xff") or (path.suffix.lower() == ".arrows" and start):
        return _read_with_polars(path, "Arrow stream", lambda: pl.read_ipc_stream(path))
    _refuse_foreign(path, start)
    return _read_text(path, start)


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            start = stream.read(64)
    except FileNotFoundError as error:
        raise DataError(f"there is no file {str(path)!r}.{_similar(path)} Check the path.") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a folder; expected one {READABLE} file. Name the file in it.") from error
    except PermissionError as error:
        raise DataError(f"{path} may not be read by this user; change its permissions.") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{str(path)!r} cannot be opened ({error}); check the path.") from error
    if not start:
        raise DataError(f"{path} is empty (0 bytes); expected a {READABLE} file. Check how it was written.")
    return start


def _similar(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f" There is no folder {str(path.parent)!r} either."
    close = difflib.get_close_matches(path.name, names, n=1)
    return f" Did you mean {str(path.parent / close[0])!r}?" if close else ""


def _refuse(*, source: str, query: str | None = None, sheet: str | None = None) -> None:
    """An argument that would be ignored is a mistake that should be heard of."""
    if query is not None:
        raise DataError(f"query= was given, but {source} is no database; leave it out.")
    if sheet is not None:
        raise DataError(f"sheet= was given, but {source} is no Excel file; leave it out.")


def _refuse_foreign(path: Path, start: bytes) -> None:
    for magic, meaning in _FOREIGN.items():
        if start.startswith(magic):
            raise DataError(f"{path} is {meaning}. Expected a {READABLE} file.")
    if start.startswith(b"PK\x03\x04"):
        raise DataError(f"{path} is a zip archive; unpack it and give the file within.")
    by_suffix = {".parquet": "Parquet", ".pq": "Parquet", ".feather": "Feather", ".arrow": "Arrow", ".ipc": "Arrow"}
    claimed = by_suffix.get(path.suffix.lower()) or ("SQLite" if path.suffix.lower() in (".sqlite", ".sqlite3", ".db") else None)
    if claimed:
        raise DataError(f"{path} is no {claimed} file, although it is named like one: it is damaged or has another format.")


def _read_text(path: Path, start: bytes) -> RawTable:
    content = path.read_bytes()
    if start.startswith(b"\x1f\x8b"):
        content = _unzipped(content, path)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if content.startswith(b"PAR1") or content.startswith(b"SQLite format 3"):
        raise DataError(f"{path} is a compressed binary table; unpack it first, gunzip {path}.")
    if any(suffix in _JSON_SUFFIXES for suffix in suffixes) or _looks_like_json(content):
        return _read_json(content, str(path))
    return read_delimited(content, source=str(path))


def _unzipped(content: bytes, path: Path) -> bytes:
    try:
        return gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a damaged or truncated gzip file ({error}); fetch or write it again.") from error


def _looks_like_json(content: bytes) -> bool:
    first = content[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").split(b"\n", 1)[0].strip()
    if not first.startswith((b"{", b"[{")):
        return False
    try:
        json.loads(first)
    except ValueError:
        return first.startswith(b"[{") or first in (b"{", b"[")
    return True


def _read_json(content: bytes, source: str) -> RawTable:
    """JSON lines, one array of objects, or one object of columns."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{source} is not UTF-8, as JSON must be ({error.reason} at byte {error.start}).") from error
    if text.lstrip().startswith("["):
        records = _parse_json(text, source, line=0)
    else:
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) > 1 and not lines[0].rstrip().endswith("}"):
            raise DataError(
                f"{source} is one JSON object over several lines; expected JSON lines (an object a line) or an array."
            )
        records = [_parse_json(line, source, line=number) for number, line in enumerate(lines, start=1)]
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise DataError(f'{source}: record {number} is {str(record)[:40]!r}; expected an object, as in {{"age": 31}}.')
    if not records:
        raise DataError(f"{source} holds no records; expected JSON lines.")
    names, columns = columns_of_records(records)
    return RawTable.of(names, columns, source=source)


def _parse_json(text: str, source: str, *, line: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f"line {line}" if line else "the array"
        raise DataError(f"{source}: {where} is no valid JSON ({error}); expected an object a line. Mend or cut it.") from error


def _read_with_polars(path: Path, name: str, read: Callable[[], pl.DataFrame]) -> RawTable:
    try:
        frame = read()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{path} is a damaged or truncated {name} file ({reason}); fetch or write it again.") from error
    return RawTable.of(frame.columns, columns_of_polars(frame), source=str(path))


def _is_excel(path: Path, start: bytes) -> bool:
    is_container = start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0"))
    return is_container and path.suffix.lower() in _EXCEL_SUFFIXES


def _read_excel(path: Path, *, sheet: str | None) -> RawTable:
    try:
        import fastexcel
    except ImportError as error:
        raise MissingDependencyError(
            'reading Excel needs fastexcel, which is not installed; pip install "cupel[excel]".'
        ) from error
    try:
        book = fastexcel.read_excel(path)
        if sheet is not None and sheet not in book.sheet_names:
            raise DataError(f"{path} has no sheet {sheet!r}; its sheets are {', '.join(map(repr, book.sheet_names))}.")
        chosen = sheet if sheet is not None else book.sheet_names[0]
        frame = book.load_sheet(chosen, header_row=None, dtypes="string").to_polars()
    except fastexcel.FastExcelError as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} cannot be read as an Excel file ({reason}); open and save it again.") from error
    if frame.height == 0:
        raise DataError(f"sheet {chosen!r} of {path} is empty; expected a header row and rows. Name another with sheet=.")
    source = f"{path}, sheet {chosen}"
    findings = [] if sheet is not None or len(book.sheet_names) == 1 else [_first_sheet(path, book.sheet_names)]
    return RawTable.of(list(frame.row(0)), columns_of_polars(frame.slice(1)), source=source, findings=findings)


def _first_sheet(path: Path, names: list[str]) -> Finding:
    return Finding(
        code="several-sheets",
        severity=Severity.NOTE,
        where=str(path),
        what=f"The file has {len(names)} sheets: {', '.join(names[:8])}.",
        action=f"The first, {names[0]!r}, is read; name another with sheet=.",
    )
