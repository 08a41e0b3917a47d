"""The contract at prediction: raw columns into what the graph reads, or an error that names row and column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.decoding import decode
from cupel.core.errors import ArtifactError, DataError
from cupel.core.modality import GraphInput
from cupel.core.schema import Column, ColumnKind, Schema

Array = NDArray[Any]
MAX_NAMED = 5


class Contract:
    """What a packed model expects of its rows."""

    def __init__(self, schema: Schema, inputs: Sequence[GraphInput]) -> None:
        self._schema = schema
        self._inputs = inputs
        self._columns = {name: schema[name] for graph_input in inputs for name in graph_input.columns}
        self._levels = {name: np.array([*column.levels, ""], dtype=object) for name, column in self._columns.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are needed, in schema order."""
        return tuple(name for name in self._schema.names if name in self._columns)

    def feeds(self, cells: Mapping[str, Array], notes: list[str]) -> dict[str, Array]:
        """One array per graph input, shape (rows, columns); what was odd but is allowed is added to `notes`.

        Raises:
            DataError: a column is missing, or a cell cannot be read; names the row (the first is 1) and the column.
        """
        missing = [name for name in self.names if name not in cells]
        if missing:
            given = ", ".join(map(repr, list(cells)[:10])) or "none"
            raise DataError(f"the column {', '.join(map(repr, missing[:MAX_NAMED]))} is missing; the rows have {given}. Add it.")
        extra = [name for name in cells if name not in self._columns and name not in (self._schema.target, *self._unused)]
        if extra:
            notes.append(f"ignored columns that the model does not know: {', '.join(extra[:MAX_NAMED])}")
        decoded = {name: self._decoded(column, cells[name], notes) for name, column in self._columns.items()}
        return {
            graph_input.name: np.column_stack([decoded[name] for name in graph_input.columns]).astype(
                np.float64 if graph_input.kind == "numbers" else object, copy=False
            )
            for graph_input in self._inputs
        }

    @property
    def _unused(self) -> tuple[str, ...]:
        return tuple(column.name for column in self._schema.columns if column.name not in self._columns)

    def _decoded(self, column: Column, cells: Array, notes: list[str]) -> Array:
        decoded = decode(cells, column)
        if len(decoded.unreadable):
            row = int(decoded.unreadable[0])
            more = f" (and {len(decoded.unreadable) - 1} more rows)" if len(decoded.unreadable) > 1 else ""
            raise DataError(
                f"row {row + 1}, column {column.name!r}: {str(cells[row])[:60]!r} cannot be read{more}; "
                f"expected {_expected(column)}. Mend the cell, or leave it empty for a missing value."
            )
        if len(decoded.infinite):
            notes.append(f"{column.name}: {len(decoded.infinite)} infinite values were read as missing")
        if column.kind is ColumnKind.CATEGORY:
            self._note_unseen(column, decoded.values, notes)
        elif column.kind is ColumnKind.NUMBER:
            _note_outside(column, decoded.values, notes)
        return decoded.values

    def _note_unseen(self, column: Column, values: Array, notes: list[str]) -> None:
        known = set(self._levels[column.name].tolist())
        unseen = [value for value in values.tolist() if value not in known]
        if unseen:
            examples = ", ".join(map(repr, list(dict.fromkeys(unseen))[:3]))
            notes.append(f"{column.name}: {len(unseen)} cells hold categories not seen in training ({examples})")


def _note_outside(column: Column, values: Array, notes: list[str]) -> None:
    if column.low is None or column.high is None:
        return
    n_outside = int(((values < column.low) | (values > column.high)).sum())
    if n_outside:
        notes.append(f"{column.name}: {n_outside} values outside the range seen in training ({column.low:g} to {column.high:g})")


def _expected(column: Column) -> str:
    if column.kind is ColumnKind.BOOLEAN:
        return f"a truth value such as {' or '.join(column.levels) or 'true or false'}"
    if column.kind is ColumnKind.DATETIME:
        return f"a date-time ({column.datetime_format or 'ISO 8601'})"
    return f"a {column.kind.value}"


def columns_of(rows: Any, schema_names: Sequence[str]) -> dict[str, Array]:
    """Raw columns of rows in any form: a file, a frame, columns, records, one record, or a matrix in schema order.

    Raises:
        DataError: the form is not one of these.
        ArtifactError: a matrix has another width than the model.
    """
    if isinstance(rows, Mapping):
        return _from_mapping(rows)
    if isinstance(rows, list | tuple) and (not rows or isinstance(rows[0], Mapping)):
        return _from_records(rows, schema_names)
    if isinstance(rows, np.ndarray) and rows.dtype.names is None:
        if rows.ndim != 2 or rows.shape[1] != len(schema_names):
            raise ArtifactError(
                f"the matrix has shape {rows.shape}; expected (rows, {len(schema_names)}) with the columns "
                f"{', '.join(schema_names[:20])} in this order."
            )
        return {name: rows[:, position] for position, name in enumerate(schema_names)}
    from cupel.data.files import read_columns

    return read_columns(rows)


def _from_mapping(rows: Mapping[str, Any]) -> dict[str, Array]:
    if not all(isinstance(cells, list | tuple | np.ndarray) or hasattr(cells, "__array__") for cells in rows.values()):
        return {str(name): _array([cell]) for name, cell in rows.items()}
    columns = {str(name): cells if isinstance(cells, np.ndarray) else _array(list(cells)) for name, cells in rows.items()}
    lengths = {name: len(cells) for name, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"the columns have different lengths ({lengths}); give one cell per row in each.")
    return columns


def _from_records(rows: Sequence[Mapping[str, Any]], schema_names: Sequence[str]) -> dict[str, Array]:
    names = list(dict.fromkeys(str(name) for row in rows for name in row)) if rows else list(schema_names)
    return {name: _array([row.get(name) for row in rows]) for name in names}


def _array(cells: list[Any]) -> Array:
    array = np.empty(len(cells), dtype=object)
    array[:] = cells
    return array
