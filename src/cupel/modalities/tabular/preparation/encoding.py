"""Which category column becomes what: columns per level, looked-up numbers, or indices for embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.graph import Graph
from cupel.core.preparation import Rows
from cupel.modalities.tabular.preparation.categories import (
    Indices,
    LevelIndex,
    Lookup,
    Matrix,
    OneHot,
    frequency_ranks,
    frequency_ranks_and_shares,
)
from cupel.modalities.tabular.preparation.crossing import Crosses, fit_crosses
from cupel.modalities.tabular.preparation.target_encoding import can_encode, fit_target_encoding, inner_folds, outcomes_of

if TYPE_CHECKING:
    from cupel.modalities.tabular.preparation.choices import TabularPreparation


@dataclass(frozen=True, eq=False)
class CategorySteps:
    """Fitted encodings: `one_hot` for the binary block, `tables` for the numeric one, `embedded` columns for the codes."""

    index: LevelIndex
    one_hot: OneHot
    tables: tuple[Lookup | Crosses, ...]
    embedded: Indices

    @property
    def is_empty(self) -> bool:
        """Whether no column reads a category."""
        return self.one_hot.width == 0 and not self.tables and len(self.embedded) == 0

    @property
    def n_looked_up(self) -> int:
        """Number of columns that come out of the tables."""
        return sum(table.width for table in self.tables)

    def looked_up(self, indices: Indices) -> Matrix:
        """What stands in the tables, shape (rows, columns)."""
        return np.concatenate([np.empty((len(indices), 0)), *(table.apply(indices) for table in self.tables)], axis=1)

    def emit_looked_up(self, graph: Graph, indices: str) -> str:
        """The same in a graph, double; only where there are tables."""
        return graph.concat([table.emit(graph, indices) for table in self.tables])

    @property
    def embedded_sizes(self) -> tuple[int, ...]:
        """Number of distinct indices of each embedded column."""
        return tuple(self.index.sizes[column] for column in self.embedded)


def fit_categories(
    choices: TabularPreparation, dataset: Dataset, rows: Rows, *, seed: int
) -> tuple[CategorySteps, Indices, Matrix]:
    """Fitted encodings; the training rows' indices; their looked-up numbers (out-of-fold where those are target means)."""
    codes = dataset.codes(rows)
    levels = [column.levels for column in dataset.schema.category_features]
    index = LevelIndex.fit(codes, levels, min_count=choices.min_level_count)
    indices = index.apply(codes)
    # By all known levels, not those of this fold, so that each fold gives a column the same form.
    n_levels = [len(names) for names in levels]
    forms = [_form(choices, count) for count in n_levels]
    one_hot = OneHot.over(
        [column for column, form in enumerate(forms) if form == "one-hot"],
        index.sizes,
        two_levels=[count == 2 for count in n_levels],
    )
    looked_up = [(column, form) for column, form in enumerate(forms) if form in ("target", "ordinal")]
    needs_answers = choices.crossed_pairs or "target" in forms
    answers = _Answers.of(dataset, rows, seed=seed) if needs_answers else None
    lookup, encoded = _fit_lookup(looked_up, index.sizes, indices, answers=answers)
    crosses, crossed = None, np.empty((len(rows), 0))
    if choices.crossed_pairs and answers is not None:
        crosses, crossed = fit_crosses(
            choices.crossed_pairs, indices, sizes=index.sizes, n_levels=n_levels, outcomes=answers.outcomes, folds=answers.folds
        )
    embedded = np.array([column for column, form in enumerate(forms) if form == "embedding"], np.int64)
    tables = tuple(table for table in (lookup, crosses) if table is not None)
    return CategorySteps(index, one_hot, tables, embedded), indices, np.concatenate([encoded, crossed], axis=1)


@dataclass(frozen=True, eq=False)
class _Answers:
    """What target means are taken of, and which rows are encoded without one another."""

    outcomes: Matrix
    folds: Indices

    @classmethod
    def of(cls, dataset: Dataset, rows: Rows, *, seed: int) -> _Answers | None:
        """None where there are too many classes for a column each."""
        task, target = dataset.task, dataset.target
        assert task is not None, "a preparation is fitted on a dataset with a task"
        assert target is not None, "a dataset with a task has a target"
        if not can_encode(task):
            return None
        return cls(outcomes_of(task, target[rows]), inner_folds(len(rows), _units(dataset, rows), seed=seed))


def _form(choices: TabularPreparation, n_levels: int) -> str:
    if choices.categories == "one-hot" and n_levels > choices.one_hot_limit:
        return choices.above_limit
    return choices.categories


def _fit_lookup(
    looked_up: Sequence[tuple[int, str]], sizes: Sequence[int], indices: Indices, *, answers: _Answers | None
) -> tuple[Lookup | None, Matrix]:
    columns = [column for column, _ in looked_up]
    if not columns:
        return None, np.empty((len(indices), 0))
    if looked_up[0][1] == "ordinal":
        lookup = frequency_ranks(columns, sizes)
    elif answers is None:
        lookup = frequency_ranks_and_shares(columns, indices, sizes)
    else:
        return fit_target_encoding(columns, indices, sizes, outcomes=answers.outcomes, folds=answers.folds)
    return lookup, lookup.apply(indices)


def _units(dataset: Dataset, rows: Rows) -> NDArray[np.generic] | None:
    """What of the rows is of one thing: as the splits know it, copies among it; else by the groups that the schema names."""
    if dataset.units is not None:
        return np.asarray(dataset.units[rows])
    if dataset.schema.group is None:
        return None
    values: NDArray[np.generic] = dataset.columns[dataset.schema.group][rows]
    return values.astype(str) if values.dtype == object else values
