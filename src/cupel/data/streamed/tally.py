"""What is counted of a column while all rows pass by: enough to say what kind it is, as if it had been read whole."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cupel.core.decoding import STRONG_MARKERS, canonical, decode, spelled
from cupel.core.schema import Column, ColumnKind
from cupel.data.dates import READABLE_SHARE
from cupel.data.frames import array_of_series
from cupel.data.kinds import Typed, cells_counted, infer_counted, is_id_name, may_number_rows
from cupel.data.overrides import imposed
from cupel.data.streamed.cells import read_cells

Array = NDArray[Any]
MOST_TEXTS, MOST_NUMBERS = 50_000, 1_000
"""Different cells that are counted one by one; of more, levels are those met first, and kinds are judged by those."""
N_PROBED = 200
_MEASURED = (ColumnKind.NUMBER, ColumnKind.DATETIME, ColumnKind.BOOLEAN)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is said of a column: its kind, and what it is for."""

    kind: ColumnKind | None = None
    is_target: bool = False
    is_time: bool = False
    is_group: bool = False


@dataclass(kw_only=True)
class Counts:
    """Of all rows. `n_distinct` is None where there are too many to count; numbers are NaN where there are none."""

    n_rows: int = 0
    n_missing: int = 0
    n_unreadable: int = 0
    n_infinite: int = 0
    n_distinct: int | None = None
    n_beyond: int = 0
    low: float = math.inf
    high: float = -math.inf
    total: float = 0.0
    squares: float = 0.0
    n_numbers: int = 0

    def add_numbers(self, values: Array, counts: Array | None = None) -> None:
        """Numbers, NaN for none, each so many times."""
        is_there = np.isfinite(values)
        present = values[is_there]
        if not len(present):
            return
        weights = None if counts is None else counts[is_there].astype(np.float64)
        self.low, self.high = min(self.low, float(present.min())), max(self.high, float(present.max()))
        with np.errstate(over="ignore"):
            self.total += float(present.sum() if weights is None else present @ weights)
            self.squares += float(present @ present if weights is None else (present * present) @ weights)
        self.n_numbers += len(present) if counts is None else int(counts[is_there].sum())

    def to_json(self) -> dict[str, Any]:
        """Plain values for `verdict.json`."""
        facts: dict[str, Any] = {"missing": self.n_missing, "unreadable": self.n_unreadable, "distinct": self.n_distinct}
        if not self.n_numbers:
            return facts
        mean = self.total / self.n_numbers
        spread = math.sqrt(max(self.squares / self.n_numbers - mean * mean, 0.0)) if math.isfinite(self.squares) else None
        return {**facts, "low": self.low, "high": self.high, "mean": mean, "std": spread}


class Tally(Protocol):
    """Counts one column."""

    counts: Counts

    def add(self, series: pl.Series) -> Array | None:
        """The next batch; gives the numbers that texts were read as, NaN for those that are none."""
        ...

    def typed(self) -> Typed:
        """What the column is; asked when all rows have passed."""
        ...


def tally_of(column: pl.Series, asked: Asked) -> Tally:
    """For a column of that name and type."""
    name, kind = column.name, column.dtype
    is_typed = kind.is_numeric() or kind == pl.Boolean or (kind.is_temporal() and kind != pl.Time)
    return TypedTally(name, asked) if is_typed else TextTally(name, asked)


@dataclass(eq=False)
class TypedTally:
    """Numbers, truths and moments, as files with types hold them."""

    name: str
    asked: Asked
    counts: Counts = field(default_factory=Counts)
    _seen: dict[Any, int] | None = field(default_factory=dict)
    _kinds: set[str] = field(default_factory=set)
    _is_distinct: bool = True
    _is_running: bool = True
    _last: float | None = None

    def add(self, series: pl.Series) -> None:
        """The next batch."""
        values = array_of_series(series)
        counts, numbers = self.counts, self._numbers(values)
        counts.n_rows += len(values)
        counts.n_missing += int(np.isnan(numbers).sum())
        n_infinite = int(np.isinf(numbers).sum())
        counts.n_infinite, counts.n_missing = counts.n_infinite + n_infinite, counts.n_missing + n_infinite
        counts.add_numbers(numbers)
        self._kinds.add("f" if series.null_count() and values.dtype.kind == "f" else values.dtype.kind)
        if self._seen is not None:
            self._count(series)
        if self._is_distinct and values.dtype.kind in "iu":
            self._is_distinct = len(np.unique(values)) == len(values)
            steps = np.diff(numbers, prepend=numbers[0] - 1 if self._last is None else self._last)
            self._is_running, self._last = self._is_running and bool((steps == 1).all()), float(numbers[-1])

    def _numbers(self, values: Array) -> Array:
        kind = ColumnKind.DATETIME if values.dtype.kind == "M" else ColumnKind.NUMBER
        is_plain = values.dtype.kind in "fiub"
        return values.astype(np.float64) if is_plain else decode(values, Column(name=self.name, kind=kind)).values

    def _count(self, series: pl.Series) -> None:
        assert self._seen is not None, "asked only while cells are counted"
        counted = series.value_counts()
        for cell, count in zip(counted.to_series(0).to_list(), counted.to_series(1).to_list(), strict=True):
            self._seen[cell] = self._seen.get(cell, 0) + count
        most = MOST_TEXTS if self.asked.kind is ColumnKind.CATEGORY or self.asked.is_group else MOST_NUMBERS
        if len(self._seen) > most:
            self._seen = None

    def typed(self) -> Typed:
        """As `infer` says of the whole column."""
        counts, name = self.counts, self.name
        n_present = counts.n_rows - counts.n_missing
        if self._seen is not None:
            counts.n_distinct = len([cell for cell in self._seen if cell is not None and cell == cell])
        if self.asked.kind is not None:
            return self._imposed(self.asked.kind)
        if not n_present:
            return Typed(Column(name=name, kind=ColumnKind.CONSTANT))
        if counts.low == counts.high:
            kind = ColumnKind.CONSTANT if not counts.n_missing else ColumnKind.CATEGORY
            level = next((cell for cell in self._seen or {} if cell is not None and cell == cell), counts.low)
            return Typed(Column(name=name, kind=kind, levels=(canonical(spelled(level)),)))
        if self._kinds <= {"b", "O"}:
            return Typed(Column(name=name, kind=ColumnKind.BOOLEAN, levels=("false", "true")))
        if "M" in self._kinds:
            return Typed(Column(name=name, kind=ColumnKind.DATETIME))
        if self._identifies():
            return Typed(Column(name=name, kind=ColumnKind.IDENTIFIER))
        return Typed(Column(name=name, kind=ColumnKind.NUMBER))

    def _identifies(self) -> bool:
        counts, asked = self.counts, self.asked
        if asked.is_target or asked.is_time or not self._kinds <= {"i", "u"} or not self._is_distinct or counts.n_missing:
            return False
        low, high = int(counts.low), int(counts.high)
        if high - low + 1 < counts.n_rows or not may_number_rows(self.name, low=low, high=high, n_rows=counts.n_rows):
            return False  # fewer numbers than rows: some repeat
        return is_id_name(self.name) or low in (0, 1) or self._is_running

    def _imposed(self, kind: ColumnKind) -> Typed:
        seen = {cell: count for cell, count in (self._seen or {}).items() if cell is not None and cell == cell}
        cells = cells_counted([spelled(cell) for cell in seen], np.array(list(seen.values()), np.int64))
        like = np.empty(0, "datetime64[us]" if "M" in self._kinds else "f8")
        return imposed(self.name, cells, kind=kind, like=like)


@dataclass(eq=False)
class TextTally:
    """Texts: each different one is counted, until they are too many, or all are plain decimal numbers."""

    name: str
    asked: Asked
    counts: Counts = field(default_factory=Counts)
    _texts: dict[str, int] = field(default_factory=dict)
    _found: Typed | None = None
    _reads_decimals: bool = False

    def add(self, series: pl.Series) -> Array | None:
        """The next batch; gives the numbers that it was read as."""
        if series.dtype != pl.String:
            series = pl.Series(
                series.name, [None if cell is None else spelled(cell) for cell in array_of_series(series).tolist()]
            )
            series = series.cast(pl.String)
        if not self.counts.n_rows:
            self._reads_decimals = self.asked.kind is None and not self.asked.is_group and _are_decimals(series)
        self.counts.n_rows += len(series)
        if self._reads_decimals:
            return self._read_decimals(series)
        if self._found is None:
            self._count(series)
            if len(self._texts) > MOST_TEXTS:
                self._settle()
        else:
            self._look(series, self._found.column)
        return None

    def _read_decimals(self, series: pl.Series) -> Array:
        numbers = series.cast(pl.Float64, strict=False).to_numpy()
        self.counts.add_numbers(numbers)
        self.counts.n_missing += series.null_count()
        odd = series.filter(~np.isfinite(numbers) & series.is_not_null().to_numpy())
        if len(odd) and len(self._texts) <= MOST_TEXTS:
            self._count(odd)
        return numbers

    def _count(self, series: pl.Series) -> None:
        grouped = series.alias("text").to_frame().group_by("text", maintain_order=True).len()
        for text, count in zip(grouped["text"].to_list(), grouped["len"].to_list(), strict=True):
            stripped = "" if text is None else text.strip()
            self._texts[stripped] = self._texts.get(stripped, 0) + count

    def _settle(self) -> None:
        """There are too many different cells to count: what kind they are is judged by those so far."""
        self._found = self._judged()
        self._weigh(self._found.column)

    def _judged(self) -> Typed:
        texts, asked = list(self._texts), self.asked
        counts = np.array(list(self._texts.values()), np.int64)
        if asked.kind is not None:
            return imposed(self.name, cells_counted(texts, counts), kind=asked.kind, like=np.empty(0, object))
        found = infer_counted(self.name, texts, counts=counts, is_target=asked.is_target, is_time=asked.is_time)
        if asked.is_group and found.column.kind in (ColumnKind.TEXT, ColumnKind.IDENTIFIER):
            as_category = imposed(self.name, cells_counted(texts, counts), kind=ColumnKind.CATEGORY, like=np.empty(0, object))
            return replace(as_category, column=replace(as_category.column, overridden=False))
        return found

    def _weigh(self, column: Column) -> None:
        """Numbers, and what is missing or cannot be read, of the cells that were counted."""
        texts = np.array([*self._texts, None], dtype=object)[:-1]
        counts = np.array(list(self._texts.values()), np.int64)
        decoded = decode(texts, column)
        is_coded = decoded.values.dtype == object
        is_missing = np.array([not cell for cell in decoded.values.tolist()]) if is_coded else np.isnan(decoded.values)
        self.counts.n_missing += int(counts[is_missing].sum())
        self.counts.n_unreadable += int(counts[decoded.unreadable].sum())
        self.counts.n_infinite += int(counts[decoded.infinite].sum())
        if not is_coded:
            self.counts.add_numbers(decoded.values, counts)

    def _look(self, series: pl.Series, column: Column) -> None:
        """A batch of a column whose kind is settled."""
        if column.kind in _MEASURED:
            found = read_cells(series, column)
            self.counts.n_missing += int(np.isnan(found.values).sum())
            self.counts.n_unreadable += found.n_unreadable
            self.counts.n_infinite += found.n_infinite
            self.counts.add_numbers(found.values)
        elif column.kind is ColumnKind.CATEGORY:
            n_none = int((read_cells(series, column).values < 0).sum())
            self.counts.n_beyond += n_none - series.null_count()
            self.counts.n_missing += series.null_count()
        else:
            self.counts.n_missing += series.null_count() + len(series.filter(series == ""))

    def typed(self) -> Typed:
        """As `infer` says of the whole column, where its different cells could be counted."""
        if self._reads_decimals:
            return self._of_decimals()
        if self._found is None:
            self.counts.n_distinct = len(self._texts) - ("" in self._texts)
            found = self._judged()
            self._weigh(found.column)
            return found
        n_present = self.counts.n_rows - self.counts.n_missing + self.counts.n_unreadable
        is_readable = self.counts.n_unreadable <= (1 - READABLE_SHARE) * max(n_present, 1)
        if self._found.column.kind in _MEASURED and self.asked.kind is None and not is_readable:
            return Typed(Column(name=self.name, kind=ColumnKind.TEXT))
        return self._found

    def _of_decimals(self) -> Typed:
        counts, name = self.counts, self.name
        if counts.low == counts.high:
            texts = {spelled(counts.low): counts.n_numbers, **self._texts, "": counts.n_missing}
            return infer_counted(name, list(texts), counts=np.array(list(texts.values()), np.int64))
        column = Column(name=name, kind=ColumnKind.NUMBER, markers=tuple(sorted(self._texts)))
        if all(text.lower() in STRONG_MARKERS for text in self._texts if text):
            counts.n_missing += sum(self._texts.values())
            markers = {text: count for text, count in self._texts.items() if text}
            return Typed(replace(column, markers=tuple(sorted(markers))), (), markers)
        odd = np.array([*self._texts, None], dtype=object)[:-1]
        read = decode(odd, replace(column, markers=()))
        times = np.array(list(self._texts.values()), np.int64)
        counts.add_numbers(read.values, times)
        counts.n_missing += int(times[np.isnan(read.values)].sum())
        counts.n_unreadable += int(times[read.unreadable].sum())
        is_readable = counts.n_unreadable <= (1 - READABLE_SHARE) * (counts.n_numbers + counts.n_unreadable)
        kind = ColumnKind.NUMBER if is_readable else ColumnKind.TEXT
        return Typed(Column(name=name, kind=kind))


def _are_decimals(series: pl.Series) -> bool:
    """Whether the cells are plain numbers, some with a point, beside nothing but what surely means "missing"."""
    if not series.head(N_PROBED).str.contains(".", literal=True).any():
        return False
    numbers = series.cast(pl.Float64, strict=False)
    odd = series.filter(numbers.is_null() | ~numbers.is_finite()).drop_nulls().unique()
    return len(odd) <= N_PROBED and all(not text.strip() or text.strip().lower() in STRONG_MARKERS for text in odd.to_list())
