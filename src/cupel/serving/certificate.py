"""What a packed model claims of itself, measured here: on any machine, from what is in the file alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import DataError
from cupel.serving.contract import Contract, Feeds
from cupel.serving.declaration import Golden
from cupel.serving.notes import Notes
from cupel.serving.rows import Rows, rows_of

Array = NDArray[Any]
INDEPENDENCE = 1e-5  # in float32 one row takes another path than many: up to 5e-7 with RealMLP
STRANGER = "a column that no model knows"
MEANING = {
    "trained": "the trained model's predictions and the packed model's differ",
    "one_by_one": "rows predicted one by one and together differ",
    "subset": "rows predicted among fewer others differ",
    "contract": "rows given in another form (other order of columns, one more, as records) and as a table differ",
    "refusals": "needed columns may be missing unnoticed, in number",
    "missing": "a row without any cell has no finite prediction",
}
"""What it means that a claim does not hold; in the order in which claims are measured."""
MOST_REFUSALS = 20_000
"""Names compared when columns are missing, one at a time: of 140 columns each is left out once, of 10,000 one."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim: its name, what was measured, and up to what it holds.

    Differences are the largest, in units of the target's spread; `row` is the golden row with it, counted from 1, where there
    is one.
    """

    name: str
    measured: float
    limit: float
    row: int | None = None

    @property
    def holds(self) -> bool:
        """Whether the measured value is within the limit."""
        return self.measured <= self.limit


@dataclass(frozen=True, kw_only=True, eq=False)
class Certifier:
    """Measures claims: `run` gives predictions for what `contract` makes of the golden rows."""

    contract: Contract
    run: Callable[[Feeds], NDArray[np.float64]]
    golden: Golden

    def claims(self) -> list[Claim]:
        """Every claim, whether it holds or not, in the order of `MEANING`.

        Raises:
            DataError: the golden rows cannot be read.
        """
        rows = self._rows(self.golden.rows)
        self.contract.check_columns(rows, Notes())
        feeds = self.contract.feeds(rows, Notes())
        together = self.run(feeds)
        singly = np.concatenate([self.run(_some(feeds, slice(row, row + 1))) for row in range(rows.n_rows)])
        half = np.arange(0, rows.n_rows, 2)[::-1]
        return [
            self._claim("trained", together, np.asarray(self.golden.expected, np.float64), self.golden.tolerance),
            self._claim("one_by_one", singly, together, INDEPENDENCE),
            self._claim("subset", self.run(_some(feeds, half)), together[half], INDEPENDENCE, rows=half),
            self._claim("contract", np.concatenate(self._in_other_forms()), np.concatenate([together, together]), INDEPENDENCE),
            Claim(name="refusals", measured=float(sum(map(self._may_be_missing, self._some_names()))), limit=0.0),
            Claim(name="missing", measured=float(not np.isfinite(self._without_cells()).all()), limit=0.0),
        ]

    def _rows(self, columns: Mapping[str, Sequence[Any]]) -> Rows:
        """Rows that came with the file, and so open no files."""
        return replace(rows_of(columns, self.contract.names), folder=None)

    def _in_other_forms(self) -> tuple[Array, Array]:
        """Predictions for columns in reverse order with a stranger among them, and for rows as single records."""
        golden = self.golden.rows
        n_rows = len(self.golden.expected)
        turned = self._rows({STRANGER: ["?"] * n_rows, **{name: golden[name] for name in reversed(list(golden))}})
        self.contract.check_columns(turned, Notes())
        first = self.run(self.contract.feeds(turned, Notes()))
        if self.contract.has_pictures:
            return first, first
        records = ({name: golden[name][row] for name in self.contract.names} for row in range(n_rows))
        return first, np.concatenate([self.run(self.contract.feeds_of_record(record, Notes())) for record in records])

    def _some_names(self) -> Sequence[str]:
        """Columns spread over all of them: asking after each of very many takes minutes."""
        names = self.contract.names
        return names[:: max(1, math.ceil(len(names) ** 2 / MOST_REFUSALS))]

    def _may_be_missing(self, name: str) -> bool:
        others = {other: cells for other, cells in self.golden.rows.items() if other != name} or {STRANGER: ["?"]}
        try:
            self.contract.check_columns(self._rows(others), Notes())
        except DataError:
            return False
        return True

    def _without_cells(self) -> Array:
        nothing = self._rows({name: [None] for name in self.contract.names})
        return self.run(self.contract.feeds(nothing, Notes()))

    def _claim(self, name: str, first: Array, second: Array, limit: float, *, rows: Array | None = None) -> Claim:
        """`rows` are the golden rows that were compared, where they are not all in their order, once or several times."""
        differences = _differences(first, second) / self.golden.spread
        places = np.arange(len(self.golden.expected)) if rows is None else rows
        row = int(places[int(differences.argmax()) % len(places)]) + 1 if len(differences) else None
        return Claim(name=name, measured=float(differences.max(initial=0.0)), limit=limit, row=row)


def _some(feeds: Feeds, rows: slice | Array) -> Feeds:
    return {name: values[rows] for name, values in feeds.items()}


def _differences(first: Array, second: Array) -> Array:
    """The largest difference in each row; infinite where a value is not finite or shapes differ."""
    if first.shape != second.shape:
        return np.array([np.inf])
    return np.asarray(np.nan_to_num(np.abs(first - second), nan=np.inf, posinf=np.inf).max(axis=1))
