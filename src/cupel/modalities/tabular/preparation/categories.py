"""Categories as indices, as one column per level, or looked up in a table of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cupel.core.graph import Graph

Indices = NDArray[np.int64]
Matrix = NDArray[np.float64]

MAX_JOINT_TABLE = 32_768  # cells of the table that decodes several columns' texts in one go
MAX_SHARED_LEVELS = 256  # columns with more levels get an encoder of their own


@dataclass(frozen=True, eq=False)
class LevelIndex:
    """Each category as a small index: 1 is the most frequent training level, 0 is missing, unseen or too rare.

    `kept` are the levels of each column in the order of their indices. `tables` map schema codes to indices; their
    last cell answers code -1, missing.
    """

    kept: tuple[tuple[str, ...], ...]
    tables: tuple[Indices, ...]

    @classmethod
    def fit(cls, codes: NDArray[np.int32], levels: Sequence[Sequence[str]], *, min_count: int) -> LevelIndex:
        """Learn which levels occur at least `min_count` times. `codes` has shape (rows, columns)."""
        kept, tables = [], []
        for column, names in enumerate(levels):
            counts = np.bincount(codes[:, column] + 1, minlength=len(names) + 1)[1:]
            order = np.argsort(-counts, kind="stable")
            order = order[counts[order] >= max(min_count, 1)]
            table = np.zeros(len(names) + 1, np.int64)
            table[order] = np.arange(1, len(order) + 1)
            kept.append(tuple(names[position] for position in order))
            tables.append(table)
        return cls(tuple(kept), tuple(tables))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of distinct indices per column, 0 included."""
        return tuple(len(names) + 1 for names in self.kept)

    def apply(self, codes: NDArray[np.int32]) -> Indices:
        """Indices, same shape as the schema codes."""
        indices = np.empty(codes.shape, np.int64)
        for column, table in enumerate(self.tables):
            indices[:, column] = table[codes[:, column]]
        return indices

    def emit(self, graph: Graph, texts: str) -> str:
        """The same in a graph, from canonical texts."""
        groups = self._groups()
        parts = [self._emit_group(graph, texts, group) for group in groups]
        joined = graph.concat(parts)
        order = [column for group in groups for column in group]
        return joined if order == sorted(order) else graph.columns(joined, np.argsort(order).tolist())

    def _emit_group(self, graph: Graph, texts: str, group: list[int]) -> str:
        """Indices of some columns: one encoder gives every known text a number, one table each column's index of it.

        Few nodes, however many columns: for one row the number of nodes is what takes the time.
        """
        part = texts if len(group) == len(self.kept) else graph.columns(texts, group)
        if len(group) == 1:
            names = self.kept[group[0]]
            return _encoder(graph, part, names, list(range(1, len(names) + 1)))
        numbers = {name: number for number, name in enumerate(self._names_in(group), start=1)}
        table = np.zeros((len(numbers) + 1, len(group)), np.int64)
        for position, column in enumerate(group):
            table[[numbers[name] for name in self.kept[column]], position] = np.arange(1, len(self.kept[column]) + 1)
        first_cells = _encoder(graph, part, list(numbers), [number * len(group) for number in numbers.values()])
        cells = graph.op("Add", first_cells, graph.constant(np.arange(len(group), dtype=np.int64)[None]))
        return graph.op("Gather", graph.constant(table.reshape(-1)), cells, axis=0)

    def _names_in(self, group: Sequence[int]) -> list[str]:
        return list(dict.fromkeys(name for column in group for name in self.kept[column]))

    def _groups(self) -> list[list[int]]:
        """Columns that share an encoder, such that its table stays small."""
        alone = [[column] for column, names in enumerate(self.kept) if len(names) > MAX_SHARED_LEVELS]
        groups: list[list[int]] = []
        known: set[str] = set()
        for column, names in enumerate(self.kept):
            if len(names) > MAX_SHARED_LEVELS:
                continue
            together = known.union(names)
            if groups and (len(together) + 1) * (len(groups[-1]) + 1) <= MAX_JOINT_TABLE:
                groups[-1].append(column)
                known = together
            else:
                groups.append([column])
                known = set(names)
        return groups + alone


def _encoder(graph: Graph, texts: str, names: Sequence[str], values: Sequence[int]) -> str:
    return graph.op(
        "LabelEncoder",
        texts,
        domain="ai.onnx.ml",
        keys_strings=["", *names],  # the empty text is missing; it also keeps the list from being empty
        values_int64s=[0, *values],
        default_int64=0,
    )


@dataclass(frozen=True, eq=False)
class OneHot:
    """One 0/1 column per level; one column of -1 and +1 where there are two levels in all; zeros for index 0.

    Output column j is 1 where input column `columns[j]` has index `accepted[j]`, -1 where it has `rejected[j]`.
    """

    columns: Indices
    accepted: Indices
    rejected: Indices

    @classmethod
    def over(cls, columns: Sequence[int], sizes: Sequence[int], *, two_levels: Sequence[bool]) -> OneHot:
        """Columns for the given category columns, whose indices are below `sizes`."""
        chosen: list[tuple[int, int, int]] = []
        for column in columns:
            if two_levels[column]:
                chosen.append((column, 2, 1))
            else:
                chosen.extend((column, index, NEVER) for index in range(1, sizes[column]))
        table = np.array(chosen, np.int64).reshape(-1, 3)
        return cls(table[:, 0], table[:, 1], table[:, 2])

    @property
    def width(self) -> int:
        """Number of columns that come out."""
        return len(self.columns)

    def apply(self, indices: Indices) -> NDArray[np.float32]:
        """Indicator columns, float32."""
        coded = np.zeros((len(indices), self.width), np.float32)
        for position, (column, accepted, rejected) in enumerate(zip(self.columns, self.accepted, self.rejected, strict=True)):
            coded[:, position] = indices[:, column] == accepted
            if rejected != NEVER:
                coded[:, position] -= indices[:, column] == rejected
        return coded

    def emit(self, graph: Graph, indices: str) -> str:
        """The same in a graph."""
        spread = graph.columns(graph.cast(indices, np.int32), self.columns.tolist())
        coded = graph.cast(graph.op("Equal", spread, graph.constant(self.accepted[None], np.int32)), np.float32)
        if (self.rejected == NEVER).all():
            return coded
        against = graph.cast(graph.op("Equal", spread, graph.constant(self.rejected[None], np.int32)), np.float32)
        return graph.op("Sub", coded, against)


NEVER = -1


@dataclass(frozen=True, eq=False)
class Lookup:
    """Numbers looked up by index: `table[indices[:, columns] + starts]`, side by side.

    `table` has shape (cells, numbers per category column).
    """

    columns: Indices
    starts: Indices
    table: Matrix

    @classmethod
    def of(cls, columns: Sequence[int], tables: Sequence[Matrix]) -> Lookup:
        """One table per category column, each of shape (indices, numbers); all give equally many numbers."""
        starts = np.cumsum([0, *(len(table) for table in tables)])[:-1]
        return cls(np.array(columns, np.int64), starts.astype(np.int64), np.concatenate(tables))

    @property
    def width(self) -> int:
        """Number of columns that come out."""
        return len(self.columns) * int(self.table.shape[1])

    def apply(self, indices: Indices) -> Matrix:
        """Looked-up numbers, shape (rows, width)."""
        looked_up: Matrix = self.table[indices[:, self.columns] + self.starts]
        return looked_up.reshape(len(indices), self.width)

    def emit(self, graph: Graph, indices: str) -> str:
        """The same in a graph, double."""
        cells = graph.op("Add", graph.columns(indices, self.columns.tolist()), graph.constant(self.starts[None]))
        found = graph.op("Gather", graph.constant(self.table), cells, axis=0)
        return graph.op("Reshape", found, graph.constant(np.array([0, self.width], np.int64)))


def frequency_ranks(columns: Sequence[int], sizes: Sequence[int]) -> Lookup:
    """Each level's rank by training frequency: 0 is the most frequent, -1 missing or unseen."""
    return Lookup.of(columns, [np.arange(-1, sizes[column] - 1, dtype=np.float64)[:, None] for column in columns])


def frequency_ranks_and_shares(columns: Sequence[int], indices: Indices, sizes: Sequence[int]) -> Lookup:
    """Rank, and share of the training rows, of each level."""
    tables = []
    for column in columns:
        counts = np.bincount(indices[:, column], minlength=sizes[column])
        ranks = np.arange(-1, sizes[column] - 1, dtype=np.float64)
        tables.append(np.stack([ranks, counts / max(len(indices), 1)], axis=1))
    return Lookup.of(columns, tables)
