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
    """Shares of classes (of masks at each pixel) or labels, or the mean, or a quantile where such errors are judged."""

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
        model = Constant(answer_to_all(np.concatenate([unit.train_target, unit.stop_target]), task))
        fitted.append(FittedUnit(model, model.predict(unit.valid)))
    return fitted


def answer_to_all(target: NDArray[Any], task: Task) -> NDArray[np.float64]:
    """The numbers that are the best to say of every row, where these are the answers."""
    if task.form is Form.LABELS:
        return shares_of(target)
    if task.classes:
        return frequencies(target, n_classes=len(task.classes))
    quantile = QUANTILES.get(task.metric)
    return np.array([np.mean(target) if quantile is None else np.quantile(target, quantile)])


def frequencies(target: NDArray[Any], *, n_classes: int) -> NDArray[np.float64]:
    """How often each class is the answer; of masks at each pixel, void left out, and as over all pixels where all are void."""
    counts = np.stack([(target == klass).sum(axis=0) for klass in range(n_classes)]).reshape(n_classes, -1).astype(np.float64)
    overall = counts.sum(axis=1, keepdims=True) / max(counts.sum(), 1.0)
    totals = counts.sum(axis=0)
    return np.asarray(np.where(totals > 0, counts / np.maximum(totals, 1.0), overall).reshape(-1))


def cost(n_train: int, shape: InputShape, config: Any, recipe: Recipe | None, task: Task) -> Cost:
    """Next to nothing."""
    del shape, config, recipe, task
    return Cost(seconds=0.01, memory_bytes=8.0 * n_train)
