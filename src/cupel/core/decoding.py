"""Raw cells into the values that models read: one implementation, for learning and for prediction."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import DataError
from cupel.core.moments import SECONDS, parse_moments
from cupel.core.numerals import parse_numbers
from cupel.core.schema import Column, ColumnKind

Array = NDArray[Any]
Rows = NDArray[np.int64]

STRONG_MARKERS = frozenset(
    [
        "?",
        "na",
        "n/a",
        "n.a.",
        "<na>",
        "#n/a",
        "#na",
        "nan",
        "-nan",
        "nat",
        "null",
        "(null)",
        "#null!",
        "#div/0!",
        "#value!",
        "#ref!",
    ]
)
"""Texts (in lower case) that mean "missing" in any column, unless they are one of its levels."""
WEAK_MARKERS = frozenset(["none", "nil", "-", "--", "---", "—", "–", ".", "..", "missing", "0000-00-00", "0000-00-00 00:00:00"])
"""Texts (in lower case) that mean "missing" among numbers and dates, elsewhere only where `Column.markers` says so."""

TRUE_WORDS = ("true", "yes", "t", "y")
FALSE_WORDS = ("false", "no", "f", "n")
"""Spellings of truth; words at one position belong together."""

_INTEGRAL = re.compile(r"[+-]?\d+\.0+")
_NUMBER_TYPES = (int, float, Decimal, timedelta, np.integer, np.floating, np.bool_)
_N_PROBED = 500
_NO_ROWS: Rows = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Decoded:
    """Cells of one column, decoded by its kind.

    Number, boolean, date-time: float64, NaN is missing (boolean 0/1, date-time seconds since 1970 UTC). Category,
    constant: object array of canonical spellings, "" is missing. Text, identifier: object array of str, None is missing.
    `unreadable` are the sorted indices of cells that are neither missing nor of the kind; they are decoded as missing.
    `infinite` are the sorted indices of infinite numbers, decoded as missing too.
    """

    values: Array
    unreadable: Rows = field(default_factory=lambda: _NO_ROWS)
    infinite: Rows = field(default_factory=lambda: _NO_ROWS)


def decode(values: Array, column: Column) -> Decoded:
    """Decode raw cells of any dtype as the column says, and mend them; each cell by itself, whatever stands in the others.

    Raises:
        DataError: the cells are not one-dimensional, or complex numbers.
    """
    decoded = _decode(_as_cells(values, column.name), column)
    if not column.mending:
        return decoded
    is_number = column.kind in (ColumnKind.NUMBER, ColumnKind.DATETIME)
    return replace(decoded, values=(column.mending.numbers if is_number else column.mending.texts)(decoded.values))


def _decode(values: Array, column: Column) -> Decoded:
    match column.kind:
        case ColumnKind.NUMBER:
            return _decode_numbers(values, column)
        case ColumnKind.BOOLEAN:
            return _decode_booleans(values, column)
        case ColumnKind.DATETIME:
            return _decode_moments(values, column)
        case _:
            return _decode_texts(values, column)


def canonical(text: str) -> str:
    """The one spelling of a category: stripped; "3.0" as "3", "True" as "true"."""
    text = text.strip()
    if text.endswith("0") and "." in text and _INTEGRAL.fullmatch(text):
        return text.partition(".")[0]
    lowered = text.lower()
    return lowered if lowered in ("true", "false") else text


def _in_utc(moment: datetime) -> datetime:
    """Without its zone; at the ends of the calendar, where that would be beyond them, as it is."""
    try:
        return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        return moment.replace(tzinfo=None)


def is_nan(cell: Any) -> bool:
    """Whether a single cell is the number that is none; a signalling decimal one cannot even be compared."""
    return cell.is_nan() if isinstance(cell, Decimal) else isinstance(cell, float) and cell != cell


def spelled(cell: Any) -> str:
    """Any single cell as text: "" for missing, "3" for 3.0, "true" for True, ISO 8601 for moments, JSON for structures."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, np.generic | np.ndarray):
        cell = cell.tolist()
    if cell is None or type(cell).__name__ in ("NAType", "NaTType") or is_nan(cell):
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e16 else repr(cell)
    if isinstance(cell, datetime):
        return _in_utc(cell).isoformat()
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, Decimal):
        return spelled(float(cell))
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    if isinstance(cell, dict | list | tuple):
        return json.dumps(cell, ensure_ascii=False, default=str)
    return str(cell)


def distinct_texts(values: Array) -> tuple[list[str], NDArray[np.intp]]:
    """The different cells as stripped texts, in order of appearance, and for each cell the index of its text.

    Missing cells have the text "".
    """
    cells = values.tolist() if values.dtype.kind == "O" else values.astype(object).tolist()
    if set(map(type, cells)) - {str, type(None)}:
        cells = [cell if type(cell) is str else spelled(cell) for cell in cells]
    raw = list(dict.fromkeys(cells))
    stripped = ["" if cell is None else cell.strip() for cell in raw]
    if stripped == raw:
        place = {text: position for position, text in enumerate(raw)}
        return stripped, np.fromiter(map(place.__getitem__, cells), np.intp, len(cells))
    texts = {text: position for position, text in enumerate(dict.fromkeys(stripped))}
    places = {cell: texts[text] for cell, text in zip(raw, stripped, strict=True)}
    return list(texts), np.fromiter(map(places.__getitem__, cells), np.intp, len(cells))


def plain_numbers(values: Array) -> NDArray[np.float64] | None:
    """Numbers of a column of str and None in which they rarely repeat, NaN for empty cells and "nan".

    None where texts repeat (then it is faster to read each different one once), or where one is no plain number.
    """
    cells = values.tolist()
    head = cells[:_N_PROBED]
    if len(set(head)) < len(head) / 2 or any(type(cell) not in (str, type(None)) for cell in cells):
        return None
    texts = [cell or "nan" for cell in cells]
    if "_" in "".join(texts):
        return None
    try:
        return np.array(texts, dtype=np.float64)
    except ValueError:
        return None


def means_missing(text: str, column: Column) -> bool:
    """Whether a stripped text stands for a missing cell of this column."""
    if not text or text in column.markers:
        return True
    lowered = text.lower()
    if lowered in STRONG_MARKERS:
        return text not in column.levels
    return column.kind in (ColumnKind.NUMBER, ColumnKind.DATETIME) and lowered in WEAK_MARKERS


def _as_cells(values: Array, name: str) -> Array:
    values = np.asarray(values)
    if values.ndim != 1:
        raise DataError(f"column {name!r} has the shape {values.shape}; expected one value per row. Give each column by itself.")
    if values.dtype.kind == "c":
        raise DataError(f"column {name!r} holds complex numbers; give real and imaginary part as two columns.")
    if values.dtype.kind == "m":
        seconds: Array = values.astype("timedelta64[us]").astype(np.float64) / 1e6
        seconds[np.isnat(values)] = np.nan
        return seconds
    if values.dtype.kind == "M":
        return values.astype("datetime64[us]")  # of nanoseconds, NumPy makes no datetime objects
    if values.dtype.kind == "S":
        return np.array([cell.decode("utf-8", "replace") for cell in values.tolist()], dtype=object)
    return values


def _decode_numbers(values: Array, column: Column) -> Decoded:
    if values.dtype.kind in "fiub":
        return _finite(values.astype(np.float64, copy=False), _NO_ROWS)
    if values.dtype.kind == "M":
        return Decoded(np.full(len(values), np.nan), np.flatnonzero(~np.isnat(values)))
    cells = values.tolist()
    kinds = set(map(type, cells))
    if kinds <= {float, bool, type(None)}:
        return _finite(np.array(cells, dtype=np.float64), _NO_ROWS)
    if kinds <= {str, type(None)}:
        plain = plain_numbers(values) if column.decimal == "." else None
        if plain is not None:
            odd = [
                row for row in np.flatnonzero(np.isnan(plain)).tolist() if not means_missing((cells[row] or "").strip(), column)
            ]
            return _finite(plain, np.array(odd, dtype=np.int64))
        return _from_distinct(values, column, lambda texts: parse_numbers(texts, decimal=column.decimal))
    return _decode_mixed_numbers(cells, column)


def _decode_mixed_numbers(cells: list[Any], column: Column) -> Decoded:
    """Numbers among texts are taken as they are: written out, their decimal point may separate thousands in this column."""
    is_number = np.fromiter((isinstance(cell, _NUMBER_TYPES) for cell in cells), np.bool_, len(cells))
    texts = _objects([None if number else cell for cell, number in zip(cells, is_number, strict=True)])
    decoded = _from_distinct(texts, column, lambda texts: parse_numbers(texts, decimal=column.decimal))
    numbers = np.array([_as_float(cell) for cell, number in zip(cells, is_number, strict=True) if number], np.float64)
    decoded.values[is_number] = numbers
    infinite = np.union1d(decoded.infinite, np.flatnonzero(np.isinf(decoded.values)))
    decoded.values[infinite] = np.nan
    return Decoded(decoded.values, decoded.unreadable, infinite)


def _as_float(cell: Any) -> float:
    if isinstance(cell, timedelta):
        return cell.total_seconds()
    if isinstance(cell, np.timedelta64):  # a kind of whole number to NumPy, and none to Python
        return float(cell / np.timedelta64(1, "s"))
    try:
        return math.nan if is_nan(cell) else float(cell)
    except OverflowError:  # a whole number of more than 308 digits
        return float("inf")


def _decode_moments(values: Array, column: Column) -> Decoded:
    if values.dtype.kind == "M":
        return Decoded(_seconds_of(values))
    if values.dtype.kind in "fiu":  # already seconds since 1970
        return _finite(values.astype(np.float64, copy=False), _NO_ROWS)
    if values.dtype.kind == "b":
        return Decoded(np.full(len(values), np.nan), np.arange(len(values)))
    form = column.datetime_format
    decoded = _from_distinct(values, column, lambda texts: parse_moments(texts, form=form))
    cells = values.tolist()
    if form == SECONDS or set(map(type, cells)) <= {str, type(None)}:
        return decoded
    is_number = np.array([isinstance(cell, int | float | np.integer | np.floating) and type(cell) is not bool for cell in cells])
    decoded.values[is_number] = values[is_number].astype(np.float64)
    return _finite(decoded.values, decoded.unreadable[~is_number[decoded.unreadable]])


def _seconds_of(moments: Array) -> NDArray[np.float64]:
    """Seconds since 1970, NaN for NaT, rounded as `datetime.total_seconds` rounds."""
    microseconds = moments.astype("datetime64[us]").astype(np.int64)
    seconds = microseconds / 1e6
    is_missing = np.isnat(moments)
    for row in np.flatnonzero((np.abs(microseconds) > 2**53) & ~is_missing):  # beyond 285 years a float holds no microseconds
        seconds[row] = int(microseconds[row]) / 10**6
    seconds[is_missing] = np.nan
    return seconds


def _decode_booleans(values: Array, column: Column) -> Decoded:
    if values.dtype.kind == "b":
        return Decoded(values.astype(np.float64))
    words = {**dict.fromkeys((*FALSE_WORDS, "0"), 0.0), **dict.fromkeys((*TRUE_WORDS, "1"), 1.0)}
    words.update({level.lower(): float(position) for position, level in enumerate(column.levels)})

    def parse(texts: list[str]) -> NDArray[np.float64]:
        return np.array([words.get(canonical(text).lower(), np.nan) for text in texts], dtype=np.float64)

    if values.dtype.kind in "fiu":
        return _from_numbers(values, parse)
    return _from_distinct(values, column, parse)


def _decode_texts(values: Array, column: Column) -> Decoded:
    is_category = column.kind in (ColumnKind.CATEGORY, ColumnKind.CONSTANT)
    missing = "" if is_category else None
    spell = canonical if is_category else str.strip
    if values.dtype.kind in "fiub":
        distinct, codes = np.unique(values, return_inverse=True)
        texts = [spelled(cell) for cell in distinct.tolist()]
    else:
        texts, codes = distinct_texts(values)
    table = _objects([missing if means_missing(text, column) else _encodable(spell(text)) for text in texts])
    return Decoded(table[codes])


def _encodable(text: str) -> str:
    """With halves of characters that UTF-8 cannot write, as of an emoji that was cut off, replaced by question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _from_distinct(values: Array, column: Column, parse: Any) -> Decoded:
    """Parse each different text once."""
    texts, codes = distinct_texts(values)
    table = parse([text or "nan" for text in texts])
    is_bad = np.isnan(table)
    for position in np.flatnonzero(is_bad):
        is_bad[position] = not means_missing(texts[position], column)
    unreadable = np.flatnonzero(is_bad[codes]) if is_bad.any() else _NO_ROWS
    return _finite(table[codes], unreadable)


def _from_numbers(values: Array, parse: Any) -> Decoded:
    distinct, codes = np.unique(values, return_inverse=True)
    table = parse([spelled(cell) for cell in distinct.tolist()])
    is_bad = np.isnan(table) & ~np.isnan(distinct.astype(np.float64))
    return Decoded(table[codes], np.flatnonzero(is_bad[codes]))


def _finite(numbers: NDArray[np.float64], unreadable: Rows) -> Decoded:
    """With infinite values made missing, in a copy."""
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        numbers = numbers.copy()
        numbers[infinite] = np.nan
    return Decoded(numbers, unreadable, infinite)


def _objects(cells: list[Any]) -> Array:
    """An object array, also of cells that NumPy would take for rows."""
    array = np.empty(len(cells), dtype=object)
    array[:] = cells
    return array
