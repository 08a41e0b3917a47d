"""What was odd in rows that could be predicted all the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from cupel.core.schema import Column, ColumnKind

N_EXAMPLES = 3
N_NAMED = 8


class Notes:
    """Counts oddities by column while rows are read, part by part."""

    def __init__(self) -> None:
        self._ignored: list[str] = []
        self._unseen: Counter[str] = Counter()
        self._examples: dict[str, dict[str, None]] = {}
        self._outside: Counter[Column] = Counter()
        self._infinite: Counter[str] = Counter()
        self._unreadable: Counter[str] = Counter()

    def ignored(self, names: Iterable[str]) -> None:
        """Columns that the model does not know."""
        self._ignored += names

    def unseen(self, column: Column, values: Sequence[str]) -> None:
        """Cells with categories that training had not seen."""
        self._unseen[column.name] += len(values)
        examples = self._examples.setdefault(column.name, {})
        for value in values:
            if len(examples) >= N_EXAMPLES:
                break
            examples.setdefault(value)

    def outside(self, column: Column, count: int) -> None:
        """Cells beyond the range that training saw."""
        self._outside[column] += count

    def infinite(self, column: Column, count: int) -> None:
        """Infinite numbers, read as missing."""
        self._infinite[column.name] += count

    def unreadable(self, column: Column, count: int) -> None:
        """Cells that are not of the column's kind, read as missing as in training."""
        self._unreadable[column.name] += count

    def sentences(self) -> tuple[str, ...]:
        """The notes for people, one per oddity and column."""
        found = []
        if self._ignored:
            more = f" and {len(self._ignored) - N_NAMED} more" if len(self._ignored) > N_NAMED else ""
            found.append(f"ignored columns that the model does not know: {', '.join(self._ignored[:N_NAMED])}{more}")
        for name, count in self._unseen.items():
            examples = ", ".join(repr(text[:40]) for text in self._examples[name])
            found.append(f"{name}: {count} cells hold categories not seen in training ({examples})")
        for column, count in self._outside.items():
            found.append(f"{column.name}: {count} values outside the range seen in training ({_range(column)})")
        found += [f"{name}: {count} cells cannot be read and were taken as missing" for name, count in self._unreadable.items()]
        found += [f"{name}: {count} infinite values were read as missing" for name, count in self._infinite.items()]
        return tuple(found)


def _range(column: Column) -> str:
    assert column.low is not None, "only a column with a range has values outside of it"
    assert column.high is not None, "only a column with a range has values outside of it"
    if column.kind is ColumnKind.DATETIME:
        return f"{_moment(column.low)} to {_moment(column.high)}"
    return f"{column.low:g} to {column.high:g}"


def _moment(seconds: float) -> str:
    return str(np.datetime64(round(seconds), "s"))
