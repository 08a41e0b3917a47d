"""The contract at prediction: raw columns into what the graph reads, or an error that names row and column."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.decoding import canonical, decode, means_missing
from cupel.core.errors import DataError
from cupel.core.modality import GraphInput
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.data.table import array_of
from cupel.serving.notes import Notes
from cupel.serving.pictures import pictures_of
from cupel.serving.rows import Rows

Array = NDArray[Any]
Feeds = dict[str, Array]
MAX_NAMED = 5
_EXACT = 2**53  # whole numbers below this are exact as floats


class Contract:
    """What a packed model expects of its rows."""

    def __init__(self, schema: Schema, inputs: Sequence[GraphInput]) -> None:
        self._schema = schema
        self._inputs = inputs
        self._columns = {name: schema[name] for graph_input in inputs for name in graph_input.columns}
        categories = [column for column in self._columns.values() if column.kind is ColumnKind.CATEGORY]
        self._known = {column.name: frozenset((*column.levels, "")) for column in categories}
        self._plain = {column.name: frozenset(filter(_reads_itself(column), column.levels)) for column in categories}
        self._names = tuple(name for name in schema.names if name in self._columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are needed, in schema order."""
        return self._names

    @property
    def has_pictures(self) -> bool:
        """Whether the model reads pictures."""
        return any(graph_input.kind == "pixels" for graph_input in self._inputs)

    @property
    def pictures(self) -> str | None:
        """The column of pictures, where nothing else is needed."""
        return self._names[0] if self.has_pictures and len(self._names) == 1 else None

    def check_columns(self, rows: Rows, notes: Notes) -> None:
        """Demand that every needed column is there; what the model never saw is noted.

        Raises:
            DataError: a column is missing; names it.
        """
        missing = [name for name in self._names if name not in rows.columns]
        if missing:
            raise DataError(_missing_message(missing, (*rows.columns, *rows.others)))
        notes.ignored(name for name in rows.others if name not in self._schema)

    def feeds(self, rows: Rows, notes: Notes, *, start: int = 0, stop: int | None = None) -> Feeds:
        """One array per graph input, shape (rows, columns), of the rows from `start` to before `stop`.

        Raises:
            DataError: a cell cannot be read; names the row (the first is 1, a header not counted) and the column.
        """
        feeds: Feeds = {}
        for graph_input in self._inputs:
            n_rows = min(rows.n_rows if stop is None else stop, rows.n_rows) - start
            if graph_input.kind == "pixels":
                name = graph_input.columns[0]
                cells = rows.columns[name][start:stop]
                found, n_unreadable = pictures_of(self._columns[name], cells, folder=rows.folder, first_row=start + 1)
                if n_unreadable:
                    notes.unreadable(self._columns[name], n_unreadable)
                feeds[graph_input.name] = found
                continue
            matrix = np.empty((n_rows, len(graph_input.columns)), np.float64 if graph_input.kind == "numbers" else object)
            for position, name in enumerate(graph_input.columns):
                cells = rows.columns[name][start:stop]
                matrix[:, position] = self._decoded(self._columns[name], cells, notes, first_row=start + 1)
            feeds[graph_input.name] = matrix
        return feeds

    def feeds_of_record(self, record: Mapping[str, Any], notes: Notes) -> Feeds:
        """As `feeds` for one row given as a dict with all needed columns: the same, without the cost of tables."""
        if self.has_pictures:
            return self.feeds(Rows({name: _one(record[name]) for name in self._names}, 1, folder=Path()), notes)
        return {
            graph_input.name: np.array(
                [[self._cell(self._columns[name], record[name], notes) for name in graph_input.columns]],
                np.float64 if graph_input.kind == "numbers" else object,
            )
            for graph_input in self._inputs
        }

    def _cell(self, column: Column, cell: Any, notes: Notes) -> Any:
        """One decoded cell: what needs no reading at once, all else as a column of one."""
        kind = type(cell)
        if column.kind is ColumnKind.CATEGORY:
            if kind is str and cell in self._plain[column.name]:
                return cell
        elif (
            column.kind is ColumnKind.NUMBER
            and not column.mending
            and ((kind is float and abs(cell) < np.inf) or (kind is int and -_EXACT < cell < _EXACT))
        ):
            if column.low is not None and column.high is not None and not column.low <= cell <= column.high:
                notes.outside(column, 1)
            return cell
        return self._decoded(column, _one(cell), notes, first_row=1)[0]

    def _decoded(self, column: Column, cells: Array, notes: Notes, *, first_row: int) -> Array:
        if column.kind is ColumnKind.DATETIME and cells.dtype.kind == "O":
            cells = array_of(cells.tolist())
        decoded = decode(cells, column)
        if len(decoded.unreadable) and column.had_unreadable:
            notes.unreadable(column, len(decoded.unreadable))
        elif len(decoded.unreadable):
            raise DataError(_unreadable_message(column, cells, decoded.unreadable, first_row=first_row))
        if len(decoded.infinite):
            notes.infinite(column, len(decoded.infinite))
        if column.kind is ColumnKind.CATEGORY:
            known = self._known[column.name]
            if not known.issuperset(decoded.values.tolist()):
                notes.unseen(column, [value for value in decoded.values.tolist() if value not in known])
        elif column.kind is not ColumnKind.BOOLEAN and column.low is not None and column.high is not None:
            n_outside = int(np.count_nonzero((decoded.values < column.low) | (decoded.values > column.high)))
            if n_outside:
                notes.outside(column, n_outside)
        return decoded.values


def _one(cell: Any) -> Array:
    cells = np.empty(1, dtype=object)
    cells[0] = cell
    return cells


def _reads_itself(column: Column) -> Any:
    return lambda level: level and canonical(level) == level and not means_missing(level, column)


def _missing_message(missing: Sequence[str], given: Sequence[str]) -> str:
    named = ", ".join(map(repr, missing[:MAX_NAMED])) + (
        f" and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
    )
    shown = ", ".join(map(repr, given[:10])) + (" …" if len(given) > 10 else "") if given else "none"
    folded = {name.casefold(): name for name in given}
    close = folded.get(missing[0].casefold()) or next(iter(difflib.get_close_matches(missing[0], given[:1000], n=1)), None)
    hint = f" Is {missing[0]!r} what is called {close!r} there?" if close else ""
    word = "column is" if len(missing) == 1 else "columns are"
    return (
        f"{len(missing)} {word} missing: {named}; the rows have {shown}.{hint} Add it, with empty cells where a value is missing."
    )


def _unreadable_message(column: Column, cells: Array, unreadable: Array, *, first_row: int) -> str:
    row = int(unreadable[0])
    cell = cells[row]
    shown = repr(cell.item() if isinstance(cell, np.generic) else cell)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}…"
    more = f" (and {len(unreadable) - 1} more after it)" if len(unreadable) > 1 else ""
    return (
        f"row {first_row + row}, column {column.name!r}: {shown} cannot be read{more}; expected {_expected(column)}. "
        f"Mend the cell, or leave it empty for a missing value. Rows are counted from 1, without the header."
    )


def _expected(column: Column) -> str:
    if column.kind is ColumnKind.BOOLEAN:
        return f"a truth value such as {' or '.join(map(repr, column.levels)) or 'true or false'}"
    if column.kind is ColumnKind.DATETIME:
        return f"a date or time in the form {column.datetime_format or 'ISO 8601, such as 2024-05-31 14:00'}"
    return "a number" if column.decimal == "." else "a number with a decimal comma"
