"""Which category column becomes what: columns per level, looked-up numbers, or indices for embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
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
from cupel.modalities.tabular.preparation.target_encoding import can_encode, fit_target_encoding, inner_folds, outcomes_of

if TYPE_CHECKING:
    from cupel.modalities.tabular.preparation.choices import TabularPreparation


@dataclass(frozen=True, eq=False)
class CategorySteps:
    """Fitted encodings: `one_hot` for the binary block, `lookup` for the numeric one, `embedded` columns for the codes."""

    index: LevelIndex
    one_hot: OneHot
    lookup: Lookup | None
    embedded: Indices

    @property
    def is_empty(self) -> bool:
        """Whether no column reads a category."""
        return self.one_hot.width == 0 and self.lookup is None and len(self.embedded) == 0

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
    lookup, encoded = _fit_lookup(looked_up, index.sizes, indices, dataset=dataset, rows=rows, seed=seed)
    embedded = np.array([column for column, form in enumerate(forms) if form == "embedding"], np.int64)
    return CategorySteps(index, one_hot, lookup, embedded), indices, encoded


def _form(choices: TabularPreparation, n_levels: int) -> str:
    if choices.categories == "one-hot" and n_levels > choices.one_hot_limit:
        return choices.above_limit
    return choices.categories


def _fit_lookup(
    looked_up: Sequence[tuple[int, str]], sizes: Sequence[int], indices: Indices, *, dataset: Dataset, rows: Rows, seed: int
) -> tuple[Lookup | None, Matrix]:
    columns = [column for column, _ in looked_up]
    if not columns:
        return None, np.empty((len(rows), 0))
    task, target = dataset.task, dataset.target
    assert task is not None, "a preparation is fitted on a dataset with a task"
    assert target is not None, "a dataset with a task has a target"
    if looked_up[0][1] == "ordinal":
        lookup = frequency_ranks(columns, sizes)
    elif not can_encode(task):
        lookup = frequency_ranks_and_shares(columns, indices, sizes)
    else:
        folds = inner_folds(len(rows), _units(dataset, rows), seed=seed)
        outcomes = outcomes_of(task, target[rows])
        return fit_target_encoding(columns, indices, sizes, outcomes=outcomes, folds=folds)
    return lookup, lookup.apply(indices)


def _units(dataset: Dataset, rows: Rows) -> NDArray[np.generic] | None:
    """What of the rows is of one thing: as the splits know it, copies among it; else by the groups that the schema names."""
    if dataset.units is not None:
        return np.asarray(dataset.units[rows])
    if dataset.schema.group is None:
        return None
    values: NDArray[np.generic] = dataset.columns[dataset.schema.group][rows]
    return values.astype(str) if values.dtype == object else values
