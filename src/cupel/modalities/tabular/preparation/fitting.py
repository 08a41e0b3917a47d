"""The steps put together: fitted on training rows, applied to any rows, written into a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.errors import TrainingError
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs
from cupel.core.preparation import Prepared, Rows
from cupel.core.schema import ColumnKind
from cupel.modalities.tabular.preparation.categories import Indices
from cupel.modalities.tabular.preparation.encoding import CategorySteps, fit_categories
from cupel.modalities.tabular.preparation.missing import Matrix, is_present
from cupel.modalities.tabular.preparation.numbers import BooleanSteps, NumberSteps, Positions
from cupel.modalities.tabular.preparation.scaling import Scaling, fit_scaling
from cupel.modalities.tabular.preparation.selection import fit_selection, selected

if TYPE_CHECKING:
    from cupel.modalities.tabular.preparation.choices import TabularPreparation

NUMBER_INPUT = "number"
CATEGORY_INPUT = "category"


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedTabular:
    """A fitted preparation of tables. Always gives the blocks "numeric", "binary" and "codes", some perhaps of width 0.

    numeric: numbers, date parts, looked-up categories, scaled. binary: booleans, one-hot, missing indicators.
    codes: indices. `restores_gaps` puts NaN back after scaling. `kept` are the selected columns per block; where nothing
    is left of any block, "numeric" is one column of zeros.
    """

    n_numeric: int
    n_categories: int
    numbers: NumberSteps
    booleans: BooleanSteps
    categories: CategorySteps
    scaling: Scaling
    restores_gaps: bool
    kept: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)

    def transform(self, dataset: Dataset, rows: Rows) -> Inputs:
        """Prepare rows that were not used to fit it; uses no target."""
        indices = self.categories.index.apply(dataset.codes(rows))
        return self.blocks(dataset.numeric(rows), indices=indices, encoded=self.categories.looked_up(indices))

    def blocks(self, features: Matrix, *, indices: Indices, encoded: Matrix) -> Inputs:
        """The blocks of rows given by numeric features, category indices and looked-up numbers."""
        filled, present = self.numbers.apply(features)
        scaled = self.scaling.apply(np.concatenate([filled, encoded], axis=1)).astype(np.float32)
        if self.restores_gaps:
            scaled[:, : self.numbers.width][~present] = np.nan
        one_hot = self.categories.one_hot.apply(indices)
        missing = (~present[:, self.numbers.indicated]).astype(np.float32)
        blocks = {
            "numeric": scaled,
            "binary": np.concatenate([self.booleans.apply(features), one_hot, missing], axis=1),
            "codes": indices[:, self.categories.embedded],
        }
        inputs = selected(Inputs(blocks, {"codes": self.categories.embedded_sizes}), self.kept)
        if sum(inputs.widths.values()) > 0:
            return inputs
        return Inputs({**inputs.blocks, "numeric": np.zeros((len(features), 1), np.float32)}, inputs.cardinalities)

    def emit(self, graph: Graph) -> Mapping[str, str]:
        """Write the same computation into the graph, from inputs "number" and "category"; blocks of width 0 are left out."""
        features = graph.input(NUMBER_INPUT, np.float64, width=self.n_numeric) if self.n_numeric else ""
        texts = graph.input(CATEGORY_INPUT, np.str_, width=self.n_categories) if self.n_categories else ""
        indices = "" if self.categories.is_empty else self.categories.index.emit(graph, texts)
        filled, present = "", ""
        if self.numbers.width:
            filled, present = self.numbers.emit(graph, features, n_features=self.n_numeric)
        blocks = {
            "numeric": self._emit_numeric(graph, filled, present, indices),
            "binary": self._emit_binary(graph, features, present, indices),
            "codes": graph.columns(indices, self.categories.embedded.tolist()) if len(self.categories.embedded) else "",
        }
        blocks = {name: self._emit_selection(graph, name, block) for name, block in blocks.items() if block}
        blocks = {name: block for name, block in blocks.items() if block}
        return blocks or {"numeric": _emit_zeros(graph, features or texts)}

    def _emit_numeric(self, graph: Graph, filled: str, present: str, indices: str) -> str:
        n_looked_up = self.categories.n_looked_up
        parts = [filled] if filled else []
        if n_looked_up:
            parts.append(self.categories.emit_looked_up(graph, indices))
        if not parts:
            return ""
        scaled = graph.cast(self.scaling.emit(graph, graph.concat(parts)), np.float32)
        if not (self.restores_gaps and filled):
            return scaled
        if n_looked_up:
            width = np.array([n_looked_up], np.int64)
            rows = graph.op("Shape", present, start=0, end=1)
            shape = graph.op("Concat", rows, graph.constant(width), axis=0)
            present = graph.concat([present, graph.op("Expand", graph.constant(np.ones((1, 1), np.bool_)), shape)])
        return graph.op("Where", present, scaled, graph.constant(np.nan, np.float32))

    def _emit_binary(self, graph: Graph, features: str, present: str, indices: str) -> str:
        parts = []
        if len(self.booleans.positions):
            parts.append(self.booleans.emit(graph, features))
        if self.categories.one_hot.width:
            parts.append(self.categories.one_hot.emit(graph, indices))
        if len(self.numbers.indicated):
            missing = graph.op("Not", graph.columns(present, self.numbers.indicated.tolist()))
            parts.append(graph.cast(missing, np.float32))
        return graph.concat(parts) if parts else ""

    def _emit_selection(self, graph: Graph, name: str, block: str) -> str:
        if name not in self.kept:
            return block
        return graph.columns(block, self.kept[name].tolist()) if len(self.kept[name]) else ""


def fit_preparation(choices: TabularPreparation, dataset: Dataset, rows: Rows, *, seed: int) -> Prepared:
    """Fit every step on the training rows, in order; each sees what the ones before it made of them."""
    assert dataset.task is not None, "a preparation is fitted on a dataset with a task"
    assert dataset.target is not None, "a dataset with a task has a target"
    if choices.missing == "drop-rows":
        rows = _complete_rows(dataset, rows)
    if len(rows) == 0:
        raise TrainingError("there is no training row to fit the preparation on; use fewer folds, or more data.")
    features = dataset.numeric(rows)
    numbers, dates, booleans = _layout(dataset)
    if choices.missing == "drop-columns":
        booleans = booleans[is_present(features[:, booleans]).all(axis=0)]
    restores_gaps = choices.missing == "keep" and choices.scaling != "none"
    number_steps = NumberSteps.fit(
        features,
        numbers=numbers,
        dates=dates,
        strategy="mean" if restores_gaps else choices.missing,
        has_indicators=choices.indicators,
        seed=seed,
    )
    category_steps, indices, encoded = fit_categories(choices, dataset, rows, seed=seed)
    filled, present = number_steps.apply(features)
    to_scale = np.concatenate([filled, encoded], axis=1)
    present = np.concatenate([present, np.ones(encoded.shape, np.bool_)], axis=1)
    fitted = FittedTabular(
        n_numeric=features.shape[1],
        n_categories=indices.shape[1],
        numbers=number_steps,
        booleans=BooleanSteps(booleans),
        categories=category_steps,
        scaling=fit_scaling(choices.scaling, to_scale, present),
        restores_gaps=restores_gaps,
    )
    inputs = fitted.blocks(features, indices=indices, encoded=encoded)
    kept = fit_selection(choices.selection, inputs, keep=choices.keep, task=dataset.task, target=dataset.target[rows], seed=seed)
    return Prepared(replace(fitted, kept=kept), selected(inputs, kept), rows) if kept else Prepared(fitted, inputs, rows)


def _layout(dataset: Dataset) -> tuple[Positions, Positions, Positions]:
    """Positions of numbers, date-times and booleans among the numeric features."""
    kinds = np.array([column.kind.value for column in dataset.schema.numeric_features], dtype=np.str_)
    numbers, dates, booleans = (
        np.flatnonzero(kinds == kind.value) for kind in (ColumnKind.NUMBER, ColumnKind.DATETIME, ColumnKind.BOOLEAN)
    )
    return numbers, dates, booleans


def _complete_rows(dataset: Dataset, rows: Rows) -> Rows:
    """The rows without a missing cell.

    Raises:
        TrainingError: fewer than two are left, or none of some class.
    """
    has_all = is_present(dataset.numeric(rows)).all(axis=1) & (dataset.codes(rows) >= 0).all(axis=1)
    complete = rows[has_all]
    assert dataset.target is not None, "a dataset with a task has a target"
    is_classification = dataset.task is not None and dataset.task.is_classification
    lost = np.setdiff1d(dataset.target[rows], dataset.target[complete]) if is_classification else np.empty(0)
    if len(complete) < 2 or len(lost):
        scarce = f", and {len(lost)} classes have none of them; rows of every class are needed" if len(lost) else ""
        raise TrainingError(
            f"only {len(complete)} of {len(rows)} training rows have no missing cell{scarce}. "
            f"Fill missing numbers instead of deleting rows."
        )
    return complete


def _emit_zeros(graph: Graph, any_input: str) -> str:
    """A float tensor of one column of zeros, with as many rows as the input."""
    rows = graph.op("Shape", any_input, start=0, end=1)
    shape = graph.op("Concat", rows, graph.constant(np.array([1], np.int64)), axis=0)
    return graph.op("ConstantOfShape", shape)
