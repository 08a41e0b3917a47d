"""The classical bar for masks: what a pixel's grey level says, and trees on what surrounds it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.abreast import fit_each
from cupel.core.budget import Deadline
from cupel.core.family import Cost, Family, FittedModel, FittedUnit, UnitData
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs, InputShape
from cupel.core.masks import VOID
from cupel.core.presets import Preset, Space
from cupel.core.recipe import Recipe
from cupel.core.space import Range
from cupel.core.task import Task, TaskKind
from cupel.learners import lightgbm
from cupel.modalities.image.filters import Filters
from cupel.modalities.image.network import PIXELS
from cupel.modalities.image.preparation import OnGrid

Array = NDArray[Any]
N_LEVELS = 256
MOST_PIXELS, MOST_STOP_PIXELS = 60_000, 20_000
"""Of all pictures together, drawn by chance: neighbours say the same."""
SECONDS_A_PIXEL_AND_TREE = 6e-9


@dataclass(frozen=True, kw_only=True)
class TreesConfig:
    """Of LightGBM, under its own names; every tree is asked at every pixel, so that there are few."""

    learning_rate: Annotated[float, Range(0.05, 0.3, log=True)] = 0.15
    num_leaves: Annotated[int, Range(7, 63, log=True)] = 31
    min_data_in_leaf: Annotated[int, Range(5, 200, log=True)] = 50
    max_rounds: Annotated[int, Range(20, 200, log=True)] = 80

    @property
    def boosting(self) -> lightgbm.Config:
        """All that LightGBM is told."""
        chosen = {field.name: getattr(self, field.name) for field in fields(self)}
        return lightgbm.Config(**chosen, bagging_fraction=0.8)


@dataclass(frozen=True, kw_only=True)
class LevelsConfig:
    """`blur` is how many grey levels share what they have seen, as a deviation."""

    blur: Annotated[float, Range(0.5, 16.0, log=True)] = 4.0


@dataclass(frozen=True, eq=False)
class Levels:
    """Probabilities of classes by a pixel's grey level alone, shape (levels, classes): thresholds, wherever they are best."""

    table: NDArray[np.float64]

    def predict(self, inputs: Inputs) -> NDArray[np.float64]:
        """Looked up."""
        found = self.table[_grey(inputs.blocks[PIXELS])]  # (B, H, W, K)
        return np.ascontiguousarray(found.transpose(0, 3, 1, 2)).reshape(len(found), -1)

    def emit(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        """The same in a graph."""
        axis = graph.constant(np.array([1], np.int64))
        sums = graph.op("ReduceSum", graph.cast(blocks[PIXELS], np.int64), axis, keepdims=0)
        n_channels = graph.op("Shape", blocks[PIXELS], start=1, end=2)
        found = graph.op("Gather", graph.constant(self.table), graph.op("Div", sums, n_channels), axis=0)
        return graph.op("Flatten", graph.op("Transpose", found, perm=[0, 3, 1, 2]), axis=1)


def _grey(pixels: Array) -> NDArray[np.int64]:
    return np.asarray(pixels.sum(axis=1, dtype=np.int64) // pixels.shape[1])


def _fit_levels(
    units: Sequence[UnitData], *, config: LevelsConfig, task: Task, threads: int | None = None, deadline: Deadline | None = None
) -> list[FittedUnit]:
    """One table per fold, from training and stop rows."""
    del threads, deadline
    fitted = []
    for unit in units:
        started = time.monotonic()
        counts = np.zeros((N_LEVELS, len(task.classes)))
        for inputs, target in ((unit.train, unit.train_target), (unit.stop, unit.stop_target)):
            known, grey = target != VOID, _grey(inputs.blocks[PIXELS])
            places = grey[known] * len(task.classes) + target[known]
            counts += np.bincount(places, minlength=counts.size).reshape(counts.shape)
        model = Levels(_shared(counts, config.blur))
        fitted.append(FittedUnit(model, model.predict(unit.valid), seconds=time.monotonic() - started))
    return fitted


def _shared(counts: Array, blur: float) -> NDArray[np.float64]:
    """Frequencies of classes at each level, those near it counted by their distance, and a little of those overall."""
    distances = np.subtract.outer(np.arange(N_LEVELS), np.arange(N_LEVELS))
    near = np.exp(-0.5 * np.square(distances / blur)) @ counts
    near += (counts.sum(axis=0) + 1) / (counts.sum() + counts.shape[1])
    return np.asarray(near / near.sum(axis=1, keepdims=True))


def _cost_of_levels(n_train: int, shape: InputShape, config: Any, recipe: Recipe | None, task: Task) -> Cost:
    del config, recipe
    n_pixels = n_train * float(np.prod(shape.extents[PIXELS]))
    return Cost(seconds=0.02 + 2e-8 * n_pixels * len(task.classes), memory_bytes=10.0 * n_pixels * len(task.classes))


@dataclass(frozen=True, eq=False)
class Trees:
    """A model of plain numbers, asked at every pixel; one picture at a time."""

    filters: Filters
    model: FittedModel
    n_classes: int

    def predict(self, inputs: Inputs) -> NDArray[np.float64]:
        """Probabilities, laid out as (classes, height, width)."""
        pictures = inputs.blocks[PIXELS]
        found = np.empty((len(pictures), self.n_classes * int(np.prod(pictures.shape[2:]))))
        for row in range(len(pictures)):
            maps = self.filters.of(pictures[row : row + 1])[0]
            numbers = Inputs({"filters": np.ascontiguousarray(maps.reshape(len(maps), -1).T)}, {})
            found[row] = self.model.predict(numbers).T.reshape(-1)
        return found

    def emit(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        """Every pixel as a row, and back."""
        maps = self.filters.emit(graph, graph.cast(blocks[PIXELS], np.float32))
        last = graph.op("Transpose", maps, perm=[0, 2, 3, 1])
        rows = graph.op("Reshape", last, graph.constant(np.array([-1, self.filters.n_features], np.int64)))
        said = self.model.emit(graph, {"filters": rows})
        size = graph.op("Shape", last, start=0, end=3)
        shaped = graph.op("Reshape", said, graph.concat([size, graph.constant(np.array([self.n_classes], np.int64))], axis=0))
        return graph.op("Flatten", graph.op("Transpose", shaped, perm=[0, 3, 1, 2]), axis=1)


def _fit_trees(
    units: Sequence[UnitData],
    *,
    config: TreesConfig,
    task: Task,
    threads: int | None = None,
    deadline: Deadline | None = None,
) -> list[FittedUnit]:
    """One booster per fold, on pixels drawn from its pictures."""
    return fit_each(units, partial(_fit_trees_of, config=config, task=task), threads=threads, deadline=deadline)


def _fit_trees_of(unit: UnitData, until: Deadline, *, config: TreesConfig, task: Task) -> FittedUnit:
    started = time.monotonic()
    filters = Filters(unit.train.blocks[PIXELS].shape[1])
    generator = np.random.default_rng(unit.seed)
    train, train_target = _drawn(unit.train, unit.train_target, filters, most=MOST_PIXELS, generator=generator)
    stop, stop_target = _drawn(unit.stop, unit.stop_target, filters, most=MOST_STOP_PIXELS, generator=generator)
    pixels = UnitData(unit.fold, unit.seed, train, train_target, stop, stop_target, stop, checkpoints=unit.checkpoints)
    (fitted,) = lightgbm.fit([pixels], config=config.boosting, task=_by_pixel(task), threads=1, deadline=until)
    model = Trees(filters, fitted.model, len(task.classes))
    return FittedUnit(
        model,
        model.predict(unit.valid),
        curve=fitted.curve,
        best_epoch=fitted.best_epoch,
        seconds=time.monotonic() - started,
        cut_short=fitted.cut_short,
    )


def _drawn(
    inputs: Inputs, target: Array, filters: Filters, *, most: int, generator: np.random.Generator
) -> tuple[Inputs, NDArray[np.int64]]:
    """Some pixels of every picture that are not void, with what surrounds them."""
    pictures, numbers, answers = inputs.blocks[PIXELS], [], []
    n_each = max(1, most // len(pictures))
    for row in range(len(pictures)):
        known = np.flatnonzero(target[row].ravel() != VOID)
        chosen = np.sort(generator.permutation(known)[:n_each])
        maps = filters.of(pictures[row : row + 1])[0]
        numbers.append(maps.reshape(len(maps), -1)[:, chosen].T)
        answers.append(target[row].ravel()[chosen].astype(np.int64))
    return Inputs({"filters": np.ascontiguousarray(np.concatenate(numbers))}, {}), np.concatenate(answers)


def _cost_of_trees(n_train: int, shape: InputShape, config: Any, recipe: Recipe | None, task: Task) -> Cost:
    """Boosting on the pixels that are drawn, and asking at every pixel of a quarter as many pictures."""
    filters, n_grid = Filters(shape.widths[PIXELS]), float(np.prod(shape.extents[PIXELS]))
    drawn = InputShape({"filters": filters.n_features}, {})
    boosting = lightgbm.cost(int(min(MOST_PIXELS, n_train * n_grid)), drawn, config.boosting, recipe, _by_pixel(task))
    n_asked = n_train / 4 * n_grid * len(task.classes)
    seconds = boosting.seconds + SECONDS_A_PIXEL_AND_TREE * n_asked * config.max_rounds + 3e-7 * n_train * n_grid
    return Cost(seconds=seconds, memory_bytes=boosting.memory_bytes + 8.0 * n_asked + 1.0 * n_train * n_grid)


def _by_pixel(task: Task) -> Task:
    """The question of a single pixel."""
    kind = TaskKind.BINARY if len(task.classes) == 2 else TaskKind.MULTICLASS
    return Task(kind=kind, target=task.target, metric="log_loss", classes=task.classes)


def _levels_presets(task: Task) -> Sequence[Preset]:
    del task
    return (Preset(config=LevelsConfig(), preparation=OnGrid()),)


def _trees_presets(task: Task) -> Sequence[Preset]:
    del task
    return (Preset(config=TreesConfig(), preparation=OnGrid()),)


GREY_LEVELS = Family(
    name="grey levels",
    source="Otsu 1979, doi:10.1109/TSMC.1979.4310076, for thresholds of grey; here learned from masks.",
    tasks=frozenset({TaskKind.SEGMENTATION}),
    config=LevelsConfig,
    portfolio=_levels_presets,
    space=lambda task: Space.around(_levels_presets(task)[0]),
    cost=_cost_of_levels,
    is_baseline=True,
    fit=_fit_levels,
)
TREES = Family(
    name="pixel trees",
    source="Arganda-Carreras et al. 2017, doi:10.1093/bioinformatics/btx180, with trees of Ke et al. 2017, LightGBM, NeurIPS 30.",
    tasks=frozenset({TaskKind.SEGMENTATION}),
    config=TreesConfig,
    portfolio=_trees_presets,
    space=lambda task: Space.around(_trees_presets(task)[0]),
    cost=_cost_of_trees,
    is_baseline=True,
    hurries=True,
    fit=_fit_trees,
)
