"""A table of typed columns, decoded and ready to be learned from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.cache import Cache
from cupel.core.errors import UsageError
from cupel.core.finding import Finding
from cupel.core.masks import judged_answers, shares_of
from cupel.core.schema import ColumnKind, Schema
from cupel.core.task import Task, TaskKind

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Decoded columns, the target among them, with the schema that tells what they are.

    `columns` maps each column name to an array over samples (rows), decoded by kind:
    number, boolean, date-time -> float64, NaN is missing (boolean 0/1, date-time seconds since 1970 UTC);
    category, constant -> int32 index into `schema[name].levels`, -1 is missing;
    text, identifier -> object array of str, None is missing;
    image -> object array of uint8 arrays (height, width, channels), of one or many sizes, None is missing.

    `target` is set once the task is known: int64 class index, float64, of several labels float64 (rows, labels): 1, 0, or NaN
    where nobody knows; or masks: uint8 (rows, height, width) on the task's grid, whose column holds them in their own sizes,
    (height, width, 1). `fingerprint` is a sha256 over schema
    and cells: the same data read from CSV or Parquet have the same fingerprint. `row_numbers` are the positions in the
    source (rows without a target were left out). `findings` are those made while reading. `names` maps columns whose cells
    came from files to object arrays of the files' names, None where there is none. `cache` is where what is dear to compute of
    the rows may be kept. Rows that share a number in `units` (see `Splits.units`) say little more than one of them: what is
    learned of one and shown to another of them has given an answer away. None where nobody has said.
    """

    schema: Schema
    columns: Mapping[str, Array]
    fingerprint: str
    task: Task | None = None
    target: Array | None = None
    row_numbers: Array = field(default_factory=lambda: np.empty(0, np.int64))
    findings: tuple[Finding, ...] = ()
    source: str = ""
    names: Mapping[str, Array] = field(default_factory=dict)
    cache: Cache | None = None
    units: Array | None = None

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values()))) if self.columns else 0

    @property
    def judged(self) -> Array:
        """The target as out-of-fold predictions are compared with it."""
        assert self.task is not None, "only a dataset with a target is judged"
        assert self.target is not None, "only a dataset with a target is judged"
        return judged_answers(self.task, self.target)

    @property
    def unasked(self) -> Dataset:
        """The same to those who know one answer a row: where there is a mask for each, the dataset before anything was asked."""
        return replace(self, task=None, target=None) if self.task is not None and self.task.grid else self

    @property
    def summary(self) -> Dataset:
        """The same with one number for each mask, by which rows can be divided: the share that is not of the commonest class."""
        if self.task is None or self.target is None or not self.task.grid:
            return self
        shares = shares_of(self.task, self.target)
        task = Task(kind=TaskKind.REGRESSION, target=self.task.target, metric="rmse")
        return replace(self, task=task, target=1.0 - shares[:, int(shares.mean(axis=0).argmax())])

    def without(self, names: Sequence[str]) -> Dataset:
        """The same dataset with some columns left out; the one that tells the groups stays, which nothing learns from.

        Raises:
            UsageError: one of them is not there, is the target, or orders the rows.
        """
        names = [name for name in names if name != self.schema.group]
        if self.schema.time in names:
            raise UsageError(
                f"column {self.schema.time!r} cannot be dropped: it orders the rows, as --order or a fix plan asks. Leave it in, "
                f"or do not order by it."
            )
        for name in names:
            if name not in self.schema or name == self.schema.target:
                known = ", ".join(self.schema.names[:20])
                raise UsageError(f"column {name!r} cannot be dropped: it is the target or not there. The columns are {known}.")
        schema = replace(self.schema, columns=tuple(c for c in self.schema.columns if c.name not in names))
        columns = {name: values for name, values in self.columns.items() if name not in names}
        kept = {name: files for name, files in self.names.items() if name in columns}
        return replace(self, schema=schema, columns=columns, names=kept)

    def at(self, rows: Array) -> Dataset:
        """Some of the rows alone, in the order given."""
        described = self.fingerprint.encode() + np.ascontiguousarray(rows, dtype="<i8").tobytes()
        return replace(
            self,
            columns={name: values[rows] for name, values in self.columns.items()},
            fingerprint=hashlib.sha256(described).hexdigest(),
            target=None if self.target is None else self.target[rows],
            row_numbers=self.row_numbers[rows] if len(self.row_numbers) else self.row_numbers,
            names={name: files[rows] for name, files in self.names.items()},
            cache=None,
            units=None if self.units is None else self.units[rows],
        )

    def name_of(self, row: int) -> str:
        """What people know a row by: its file where it came from one, else its place in the source, counted from 1."""
        files = (names[row] for names in self.names.values())
        place = int(self.row_numbers[row]) if len(self.row_numbers) else row
        return next((str(name) for name in files if name is not None), f"row {place + 1:,}")

    def numeric(self, rows: Array | None = None) -> NDArray[np.float64]:
        """Numeric features in schema order, float64, shape (rows, numeric features)."""
        return self._matrix([c.name for c in self.schema.numeric_features], rows, np.float64)

    def codes(self, rows: Array | None = None) -> NDArray[np.int32]:
        """Category features in schema order as level indices, -1 is missing, shape (rows, category features)."""
        return self._matrix([c.name for c in self.schema.category_features], rows, np.int32)

    def _matrix(self, names: list[str], rows: Array | None, dtype: type) -> Array:
        n_rows = self.n_samples if rows is None else len(rows)
        matrix: Array = np.empty((n_rows, len(names)), dtype)
        for position, name in enumerate(names):
            values = self.columns[name]
            matrix[:, position] = values if rows is None else values[rows]
        return matrix

    def cells(self, name: str, rows: Array | None = None) -> Array:
        """A column as a prediction request would bring it: float64, or object array of text (None is missing)."""
        column = self.schema[name]
        values = self.columns[name] if rows is None else self.columns[name][rows]
        if column.kind not in (ColumnKind.CATEGORY, ColumnKind.CONSTANT):
            return values
        spelled = np.array([*column.levels, None], dtype=object)
        return np.asarray(spelled[values])
