"""The nearest known rows answer: the local member that trees and networks lack where targets jump from place to place."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.abreast import fit_each
from cupel.core.budget import Deadline
from cupel.core.family import Cost, Family, FittedUnit, UnitData
from cupel.core.form import Form
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs, InputShape
from cupel.core.labels import filled
from cupel.core.presets import Preset, Space
from cupel.core.recipe import Recipe
from cupel.core.space import Choice, Range
from cupel.core.task import ROW_KINDS, Task
from cupel.modalities.tabular.models.portfolio import presets
from cupel.modalities.tabular.preparation import TabularPreparation

Matrix = NDArray[np.float64]
PREPARATION = TabularPreparation(
    missing="median", indicators=True, scaling="quantile", categories="one-hot", one_hot_limit=20, above_limit="target"
)
"""Normal scores: a distance must not be one column's outlier; many-valued categories as one number, not many columns."""

NEIGHBOURS = (1, 2, 4, 8, 16, 32, 64, 128)
FEWEST_ROWS, MOST_ROWS = 50, 2000
MAX_CELLS = 400_000
"""Stored numbers of one fold, where nobody asks for more rows: 1.6 MB in the packed model."""
MAX_STOP_ROWS = 1000
N_CHUNK = 512
LEAST_RADIUS = 1e-6
PRIOR_WEIGHT = 0.1
"""Of one nearest neighbour: what the training shares count, so that no class is impossible."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """`weighting` says whether columns are stretched by how much of the target each explains; "choose" asks the stop rows.

    `max_rows` 0 stores up to 2,000, fewer where rows are so wide that these would be more than 400,000 numbers.
    """

    max_rows: Annotated[int, Range(0, 4000)] = 0
    weighting: Annotated[str, Choice("choose", "plain", "explained")] = "choose"


@dataclass(frozen=True, eq=False)
class Neighbours:
    """A mean over the nearest stored rows, weighted by 1 − d²/r², r being the distance of the nearest that counts no more.

    `rows` are stored as they were prepared, float32; `stretch` multiplies every column. A neighbour enters and leaves with
    weight nothing, so ties and rounding cannot make predictions jump. `answers` are one-hot classes, labels or values.

    Source: Hastie, Tibshirani, Friedman 2009, The Elements of Statistical Learning, section 6.1, eq. 6.5 with the
    Epanechnikov kernel and a nearest-neighbour window.
    """

    rows: NDArray[np.float32]
    stretch: Matrix
    answers: Matrix
    prior: Matrix
    n_neighbours: int

    def predict(self, inputs: Inputs) -> NDArray[np.float64]:
        """Probabilities, or values."""
        matrix = inputs.matrix().astype(np.float64)
        parts = [self._answer(self._distances(matrix[start : start + N_CHUNK])) for start in range(0, len(matrix), N_CHUNK)]
        return np.concatenate(parts) if parts else np.zeros((0, self.answers.shape[1]))

    def _stored(self) -> Matrix:
        return self.rows.astype(np.float64) * self.stretch

    def _distances(self, matrix: Matrix) -> Matrix:
        """Squared distances to every stored row; rounding may leave tiny negative ones."""
        stretched, stored = matrix * self.stretch, self._stored()
        squares = (stretched**2).sum(axis=1, keepdims=True) + (stored**2).sum(axis=1)
        return np.asarray(np.maximum(squares - 2.0 * stretched @ stored.T, 0.0))

    def _answer(self, distances: Matrix) -> Matrix:
        last = min(self.n_neighbours, len(self.rows) - 1)
        radius = np.partition(distances, last, axis=1)[:, last : last + 1] * (1 + LEAST_RADIUS) + LEAST_RADIUS
        weights = np.maximum(1.0 - distances / radius, 0.0)
        prior_weight = PRIOR_WEIGHT if self.answers.shape[1] > 1 else 0.0
        total = weights.sum(axis=1, keepdims=True) + prior_weight
        return np.asarray((weights @ self.answers + prior_weight * self.prior) / total)

    def emit(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        """The same in double: a product for all distances, TopK for the radius, a product for the mean."""

        def number(value: float) -> str:
            return graph.constant(value, np.float64)

        matrix = graph.concat([graph.cast(block, np.float64) for block in blocks.values()])
        stretch = graph.constant(self.stretch[None, :])
        stretched = graph.op("Mul", matrix, stretch)
        stored = graph.op("Mul", graph.cast(graph.constant(self.rows), np.float64), stretch)
        last_axis = graph.constant(np.array([1], np.int64))
        own = graph.op("ReduceSumSquare", stretched, last_axis, keepdims=1)
        theirs = graph.constant((self._stored() ** 2).sum(axis=1)[None, :])
        cross = graph.op("MatMul", stretched, graph.op("Transpose", stored, perm=[1, 0]))
        squares = graph.op("Sub", graph.op("Add", own, theirs), graph.op("Mul", cross, number(2.0)))
        distances = graph.op("Max", squares, number(0.0))
        last = min(self.n_neighbours, len(self.rows) - 1)
        count = graph.constant(np.array([last + 1], np.int64))
        nearest, _ = graph.ops("TopK", distances, count, n_outputs=2, axis=1, largest=0, sorted=1)
        widened = graph.op("Mul", graph.columns(nearest, [last]), number(1 + LEAST_RADIUS))
        radius = graph.op("Add", widened, number(LEAST_RADIUS))
        weights = graph.op("Max", graph.op("Sub", number(1.0), graph.op("Div", distances, radius)), number(0.0))
        summed = graph.op("MatMul", weights, graph.constant(self.answers))
        total = graph.op("ReduceSum", weights, last_axis, keepdims=1)
        if self.answers.shape[1] > 1:
            summed = graph.op("Add", summed, graph.constant(PRIOR_WEIGHT * self.prior[None, :]))
            total = graph.op("Add", total, number(PRIOR_WEIGHT))
        return graph.op("Div", summed, total)


def fit(
    units: Sequence[UnitData], *, config: Config, task: Task, threads: int | None = None, deadline: Deadline | None = None
) -> list[FittedUnit]:
    """One model per fold, as many at a time as there are threads, each on one."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):  # as in the linear models
        return fit_each(
            units, lambda unit, until: _fit_unit(unit, config, task, deadline=until), threads=threads, deadline=deadline
        )


def _fit_unit(unit: UnitData, config: Config, task: Task, *, deadline: Deadline) -> FittedUnit:
    """Number of neighbours and stretch are chosen on the stop rows, which then join the stored ones."""
    started = time.monotonic()
    generator = np.random.default_rng(unit.seed)
    matrix, target = unit.train.matrix(), unit.train_target
    rows = _some(len(matrix), _n_rows(config, matrix.shape[1]), generator)
    stop_rows = _some(unit.stop.n_samples, MAX_STOP_ROWS, generator)
    stop = Inputs({name: block[stop_rows] for name, block in unit.stop.blocks.items()}, unit.stop.cardinalities)
    tried: list[tuple[float, Neighbours]] = []
    for stretch in _stretches(matrix, target, config, task):
        tried += list(_tried(matrix[rows], target[rows], stretch, stop=(stop, unit.stop_target[stop_rows]), task=task))
        if deadline.passed:
            break
    losses = [loss for loss, _ in tried]
    best = tried[int(np.argmin(losses))][1]
    joined, answers = np.concatenate([matrix, unit.stop.matrix()]), np.concatenate([target, unit.stop_target])
    rows = _some(len(joined), min(len(rows) + len(stop_rows), _n_rows(config, matrix.shape[1])), generator)
    model = _model(joined[rows], answers[rows], best.stretch, n_neighbours=best.n_neighbours, task=task)
    seconds = time.monotonic() - started
    return FittedUnit(model, model.predict(unit.valid), curve={"stop_loss": losses}, seconds=seconds)


def _tried(
    matrix: NDArray[np.float32], target: Any, stretch: Matrix, *, stop: tuple[Inputs, Any], task: Task
) -> Iterator[tuple[float, Neighbours]]:
    """Loss on the stop rows and model, for every number of neighbours; distances are computed once."""
    inputs, stop_target = stop
    first = _model(matrix, target, stretch, n_neighbours=1, task=task)
    distances = first._distances(inputs.matrix().astype(np.float64))
    for n_neighbours in NEIGHBOURS:
        if n_neighbours > 1 and n_neighbours >= len(matrix):
            break
        model = _model(matrix, target, stretch, n_neighbours=n_neighbours, task=task)
        yield task.form.loss(model._answer(distances), stop_target), model


def _model(matrix: NDArray[np.float32], target: Any, stretch: Matrix, *, n_neighbours: int, task: Task) -> Neighbours:
    answers = _answers(target, task)
    return Neighbours(matrix, stretch, answers, answers.mean(axis=0), n_neighbours)


def _answers(target: Any, task: Task) -> Matrix:
    """One-hot classes, labels with unknown ones at their share, or values; shape (rows, outputs)."""
    if task.form is Form.LABELS:
        return filled(target)
    return np.eye(task.n_outputs)[target] if task.is_classification else np.asarray(target, np.float64)[:, None]


def _stretches(matrix: NDArray[np.float32], target: Any, config: Config, task: Task) -> Iterator[Matrix]:
    if config.weighting != "explained":
        yield np.ones(matrix.shape[1])
    if config.weighting != "plain":
        yield _explained(matrix.astype(np.float64), target, task)


def _explained(matrix: Matrix, target: Any, task: Task) -> Matrix:
    """Each column's correlation with the target (for classes the square root of the variance between them), the largest 1."""
    wanted = _answers(target, task)
    columns, wanted = matrix - matrix.mean(axis=0), wanted - wanted.mean(axis=0)
    spread, scale = columns.std(axis=0), wanted.std(axis=0)
    correlations = columns.T @ wanted / len(matrix) / np.maximum(np.outer(spread, scale), 1e-12)
    strength = np.sqrt((correlations**2).mean(axis=1))
    largest = float(strength.max(initial=0.0))
    return np.asarray(strength / largest if largest > 0 else np.ones(len(strength)))


def _some(n_rows: int, most: int, generator: np.random.Generator) -> NDArray[np.int64]:
    return np.arange(n_rows) if n_rows <= most else np.sort(generator.choice(n_rows, most, replace=False))


def _n_rows(config: Config, width: int) -> int:
    return config.max_rows or max(FEWEST_ROWS, min(MOST_ROWS, MAX_CELLS // max(width, 1)))


def cost(n_train: int, shape: InputShape, config: Any, recipe: Recipe | None, task: Task) -> Cost:
    """Distances from stop and validation rows to the stored ones."""
    del recipe
    width = sum(shape.widths.values())
    n_stored = min(n_train, _n_rows(config, width))
    n_asked = min(n_train / 5, MAX_STOP_ROWS) * 2 + n_train / 4
    seconds = n_asked * n_stored * (1e-9 * width + 3e-8 + 1e-9 * task.n_outputs)
    return Cost(seconds=0.05 + seconds, memory_bytes=8.0 * n_stored * (width + 3 * N_CHUNK) + 4.0 * n_train * width)


DEFAULT = Preset(config=Config(), preparation=PREPARATION)


def portfolio(task: Task) -> Sequence[Preset]:
    """What was learned."""
    return presets(spec.name, DEFAULT, task=task)


def space(task: Task) -> Space:
    """Ways of weighting, and of scaling."""
    del task
    return Space.around(DEFAULT, config={"max_rows": None}, preparation={"scaling": Choice("quantile", "standard", "robust")})


spec = Family(
    name="kNN",
    source="Cover and Hart 1967, Nearest neighbor pattern classification, doi:10.1109/TIT.1967.1053964.",
    tasks=ROW_KINDS,
    config=Config,
    portfolio=portfolio,
    space=space,
    cost=cost,
    fit=fit,
)
