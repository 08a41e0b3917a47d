"""A table as it was found: raw columns by name, and what was wrong with it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.decoding import is_nan
from cupel.core.errors import DataError
from cupel.core.finding import Finding, Severity
from cupel.core.picture_levels import Scale

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class RawTable:
    """Columns of equal length in file order, not yet typed.

    An array is of numbers, booleans or moments (datetime64), or an object array of str and None. `repeated` are the
    column names that stood more than once in the header. `source` describes where it came from, without passwords; `folder` is
    where relative paths in cells begin. `target` is the column to predict where the source itself says, and `has_classes` that it
    holds names of classes even if they look like numbers.
    `scales` says of columns of pictures what the numbers meant in the arrays that they were made of.
    """

    columns: Mapping[str, Array]
    source: str
    findings: tuple[Finding, ...] = ()
    repeated: frozenset[str] = field(default_factory=frozenset)
    folder: Path = Path()
    target: str | None = None
    has_classes: bool = False
    scales: Mapping[str, Scale] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values()))) if self.columns else 0

    @classmethod
    def of(cls, names: Sequence[Any], columns: Sequence[Array], *, source: str, findings: Sequence[Finding] = ()) -> RawTable:
        """A table whose columns have been given usable names.

        Raises:
            DataError: there are no columns.
        """
        if not names:
            raise DataError(f"{source} has no columns; expected a table with a header. Is it the right file?")
        unique, repeated, renamed = _unique_names(names)
        return cls(dict(zip(unique, columns, strict=True)), source, (*findings, *renamed), repeated)


def _unique_names(names: Sequence[Any]) -> tuple[list[str], frozenset[str], list[Finding]]:
    """Stripped names: nameless columns by their position, later ones of the same name with a number."""
    spelled = ["" if name is None else str(name).strip() for name in names]
    nameless = [f"column_{position}" for position, name in enumerate(spelled, start=1) if not name]
    wanted = [name or f"column_{position}" for position, name in enumerate(spelled, start=1)]
    repeated = {name: count for name, count in Counter(wanted).items() if count > 1}
    taken, used, unique = set(wanted), set[str](), list[str]()
    copies: Counter[str] = Counter()
    for name in wanted:
        chosen = name
        while chosen in used or (chosen != name and chosen in taken):
            copies[name] += 1
            chosen = f"{name}.{copies[name]}"
        used.add(chosen)
        unique.append(chosen)
    findings = []
    if nameless:
        findings.append(_unnamed(nameless))
    if repeated:
        findings.append(_duplicated(repeated))
    return unique, frozenset(repeated), findings


def _unnamed(nameless: list[str]) -> Finding:
    return Finding(
        code="unnamed-columns",
        severity=Severity.NOTE,
        where=", ".join(nameless[:5]),
        what=f"{len(nameless)} column{'s have' if len(nameless) > 1 else ' has'} no name in the header.",
        action="Such a column is named by its position, counted from 1.",
    )


def _duplicated(repeated: Mapping[str, int]) -> Finding:
    shown = ", ".join(f"{name!r} ({count} times)" for name, count in list(repeated.items())[:5])
    return Finding(
        code="duplicate-names",
        severity=Severity.WARNING,
        where=", ".join(list(repeated)[:5]),
        what=f"{len(repeated)} column name{'s stand' if len(repeated) > 1 else ' stands'} more than once in the header: {shown}.",
        action="The first keeps its name, later ones are called name.1, name.2 and so on.",
    )


def array_of(cells: Sequence[Any]) -> Array:
    """Python values as a column: numbers, booleans and moments in their NumPy type, all else as an object array.

    None among numbers becomes NaN. Structures become JSON texts.
    """
    kinds = set(map(type, cells))
    present = kinds - {type(None)}
    if present == {str}:
        return _object_array(cells)
    if any(issubclass(kind, np.generic) for kind in kinds):
        return array_of([_plain(cell) if isinstance(cell, np.generic) else cell for cell in cells])
    if present and all(issubclass(kind, timedelta) for kind in present):
        return np.array([np.nan if cell is None else cell.total_seconds() for cell in cells], dtype=np.float64)
    if present and present <= {int, float, Decimal}:
        return _number_array(cells, whole=kinds == {int})
    if kinds == {bool}:
        return np.array(cells, dtype=bool)
    if present and all(issubclass(kind, date) for kind in present):
        return np.array([_moment(cell) for cell in cells], dtype="datetime64[us]")
    if present & {dict, list, tuple}:
        cells = [json.dumps(c, ensure_ascii=False, default=str) if isinstance(c, dict | list | tuple) else c for c in cells]
    return _object_array(cells)


def _plain(cell: np.generic) -> Any:
    """As Python has it; a duration of nanoseconds, for which it would be a plain number, to the microsecond."""
    return cell.astype("timedelta64[us]").item() if isinstance(cell, np.timedelta64) else cell.item()


def _number_array(cells: Sequence[Any], *, whole: bool) -> Array:
    try:
        if whole:
            return np.array(cells, dtype=np.int64)
        return np.array([np.nan if cell is None or is_nan(cell) else float(cell) for cell in cells], dtype=np.float64)
    except OverflowError:  # whole numbers beyond 64 bits: their texts say more than a rounded float
        return _object_array([None if cell is None else str(cell) for cell in cells])


def _moment(cell: date | None) -> Any:
    if cell is None or cell != cell:
        return np.datetime64("NaT")
    if isinstance(cell, datetime) and cell.tzinfo is not None:
        cell = cell.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(cell)


def _object_array(cells: Iterable[Any]) -> Array:
    listed = list(cells)
    array = np.empty(len(listed), dtype=object)
    array[:] = listed
    return array


def columns_of_records(records: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[Array]]:
    """Names and columns of rows given as dictionaries; a key that a row lacks is missing there."""
    names = list(dict.fromkeys(key for record in records for key in record))
    return [str(name) for name in names], [array_of([record.get(name) for record in records]) for name in names]
