"""The same answer for every row: the yardstick below which nothing is a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.budget import Deadline
from cupel.core.family import Cost, FittedUnit, UnitData
from cupel.core.form import Form
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs, InputShape
from cupel.core.labels import shares_of
from cupel.core.recipe import Recipe
from cupel.core.task import Task

QUANTILES = {"mae": 0.5, "mape": 0.5, "median_absolute_error": 0.5, "pinball_10": 0.1, "pinball_50": 0.5, "pinball_90": 0.9}
"""The quantile that is the best constant for a metric; the mean is for all others."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Nothing to choose."""


@dataclass(frozen=True, eq=False)
class Constant:
    """Shares of classes or labels, or the mean (a quantile, where absolute or quantile errors are judged); shape (outputs,)."""

    values: NDArray[np.float64]

    def predict(self, inputs: Inputs) -> NDArray[np.float64]:
        """The same row for every input."""
        return np.tile(self.values, (inputs.n_samples, 1))

    def emit(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        """The constant, expanded to the number of rows of any block."""
        rows = graph.op("Shape", next(iter(blocks.values())), start=0, end=1)
        shape = graph.concat([rows, graph.constant(np.array([len(self.values)], np.int64))], axis=0)
        return graph.op("Expand", graph.constant(self.values[None, :]), shape)


def fit(
    units: Sequence[UnitData], *, config: Config, task: Task, threads: int | None = None, deadline: Deadline | None = None
) -> list[FittedUnit]:
    """One constant per fold, from training and stop rows."""
    del config, threads, deadline
    fitted = []
    for unit in units:
        target = np.concatenate([unit.train_target, unit.stop_target])
        if task.is_classification:
            values = np.bincount(target, minlength=task.n_outputs) / len(target)
        elif task.form is Form.LABELS:
            values = shares_of(target)
        else:
            quantile = QUANTILES.get(task.metric)
            values = np.array([np.mean(target) if quantile is None else np.quantile(target, quantile)])
        model = Constant(values)
        fitted.append(FittedUnit(model, model.predict(unit.valid)))
    return fitted


def cost(n_train: int, shape: InputShape, config: Any, recipe: Recipe | None, task: Task) -> Cost:
    """Next to nothing."""
    del shape, config, recipe, task
    return Cost(seconds=0.01, memory_bytes=8.0 * n_train)
