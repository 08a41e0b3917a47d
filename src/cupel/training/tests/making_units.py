"""Small folds and small networks, for the tests of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cupel.core.budget import Deadline
from cupel.core.family import Cost, Family, UnitData
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs, InputShape
from cupel.core.layers import Activation, BatchNorm, Ensemble, Linear, Network, PooledDropout, generators_for
from cupel.core.presets import Preset, Space
from cupel.core.recipe import Recipe
from cupel.core.task import ROW_KINDS, Task, TaskKind

BINARY = Task(kind=TaskKind.BINARY, target="y", metric="log_loss", classes=("no", "yes"))
MULTICLASS = Task(kind=TaskKind.MULTICLASS, target="y", metric="log_loss", classes=("a", "b", "c"))
REGRESSION = Task(kind=TaskKind.REGRESSION, target="y", metric="rmse")
MULTILABEL = Task(kind=TaskKind.MULTILABEL, target="y", metric="log_loss", classes=("a", "b", "c"))
TASKS = {task.kind.value: task for task in (BINARY, MULTICLASS, MULTILABEL, REGRESSION)}
N_NUMERIC = 3


def inputs_of(x: np.ndarray, *, codes: np.ndarray | None = None) -> Inputs:
    codes = np.zeros((len(x), 0), np.int64) if codes is None else codes
    blocks = {"numeric": x[:, :N_NUMERIC].astype(np.float32), "binary": x[:, N_NUMERIC:].astype(np.float32), "codes": codes}
    return Inputs(blocks, {"codes": (6,) * codes.shape[1]})


def surface(x: np.ndarray, task: Task) -> np.ndarray:
    """A target that no linear model can follow."""
    value = np.sin(2 * x[:, 0]) * 2 + x[:, 1] ** 2 + x[:, 3] * x[:, 2]
    if task.kind is TaskKind.REGRESSION:
        return 1000 + 50 * value
    if task.kind is TaskKind.MULTILABEL:
        holds = np.stack([value > np.median(value), np.abs(value) < 1, x[:, 0] * x[:, 1] > 0], axis=1).astype(np.float64)
        return np.where(np.random.default_rng(0).random(holds.shape) < 0.1, np.nan, holds)
    edges = np.quantile(value, np.linspace(0, 1, task.n_outputs + 1)[1:-1])
    return np.searchsorted(edges, value).astype(np.int64)


def unit_of(task: Task, *, fold: int = 0, n_train: int = 256, n_stop: int = 64, n_binary: int = 1) -> UnitData:
    generator = np.random.default_rng(100 + fold)
    n_rows = n_train + n_stop + 80
    x = np.concatenate([generator.normal(size=(n_rows, 3)), generator.integers(0, 2, (n_rows, 3))], axis=1)
    y = surface(x, task)
    x = x[:, : N_NUMERIC + n_binary]
    codes = generator.integers(0, 6, (n_rows, 1))
    parts = np.split(np.arange(n_rows), [n_train, n_train + n_stop])
    train, stop, valid = (inputs_of(x[rows], codes=codes[rows]) for rows in parts)
    return UnitData(
        fold=fold,
        seed=7 + fold,
        train=train,
        train_target=y[parts[0]],
        stop=stop,
        stop_target=y[parts[1]],
        valid=valid,
    )


class Asked(Deadline):
    """A clock that moves by a millisecond whenever somebody looks at it."""

    n_asked = 0

    @property
    def elapsed(self) -> float:
        self.n_asked += 1
        return 0.001 * self.n_asked


@dataclass(frozen=True, kw_only=True)
class Config:
    width: int = 24
    dropout: float = 0.1
    seconds: float = 1e-3


class Tiny(Network):
    """One hidden layer over numbers and binary columns."""

    def __init__(self, shape: InputShape, config: Config, *, n_outputs: int, seeds: Sequence[int]) -> None:
        super().__init__()
        self.n_models = len(seeds)
        generators = generators_for(seeds)
        width = shape.widths["numeric"] + shape.widths["binary"]
        self.hidden = Linear((width, config.width), generators)
        self.output = Linear((config.width, n_outputs), generators)
        self.activation = Activation("silu")
        self.dropout = PooledDropout(config.dropout, seeds=seeds)

    def forward(self, blocks: Mapping[str, Tensor]) -> Tensor:
        x = torch.cat([blocks[name] for name in ("numeric", "binary") if name in blocks], dim=-1)
        return self.output(self.dropout(self.activation(self.hidden(x))))[:, None]

    def emit(self, graph: Graph, blocks: Mapping[str, str], *, model: int) -> str:
        x = graph.concat([blocks[name] for name in ("numeric", "binary") if name in blocks])
        x = self.activation.emit(graph, self.hidden.emit(graph, x, model=model))
        x = self.output.emit(graph, x, model=model)
        return graph.op("Unsqueeze", x, graph.constant(np.array([0], np.int64)))


class Remembering(Tiny):
    """Knows the mean of the training rows that it was shown first, and how many steps it has taken."""

    def __init__(self, shape: InputShape, config: Config, *, n_outputs: int, seeds: Sequence[int]) -> None:
        super().__init__(shape, config, n_outputs=n_outputs, seeds=seeds)
        self.register_buffer("mean", torch.zeros(len(seeds), shape.widths["numeric"]))
        self.register_buffer("n_steps", torch.zeros(len(seeds)))

    def initialise(self, blocks: Mapping[str, Tensor]) -> None:
        self.mean.copy_(blocks["numeric"].mean(dim=1))

    def forward(self, blocks: Mapping[str, Tensor]) -> Tensor:
        if self.training:
            self.n_steps += 1
        return super().forward(blocks)


class Judged(Tiny):
    """Its epochs are all compared by the same answers."""

    def judged(self, blocks: Mapping[str, Tensor]) -> Tensor:
        return torch.zeros_like(self(blocks))


class Normalised(Tiny):
    """Normalises over the batch behind its hidden layer; without dropout statistics can be worked out by hand."""

    def __init__(self, shape: InputShape, config: Config, *, n_outputs: int, seeds: Sequence[int]) -> None:
        super().__init__(shape, config, n_outputs=n_outputs, seeds=seeds)
        self.norm = BatchNorm(config.width, n_models=len(seeds))

    def forward(self, blocks: Mapping[str, Tensor]) -> Tensor:
        x = torch.cat([blocks[name] for name in ("numeric", "binary") if name in blocks], dim=-1)
        return self.output(self.activation(self.norm(self.hidden(x))))[:, None]

    def emit(self, graph: Graph, blocks: Mapping[str, str], *, model: int) -> str:
        x = graph.concat([blocks[name] for name in ("numeric", "binary") if name in blocks])
        x = self.norm.emit(graph, self.hidden.emit(graph, x, model=model), model=model)
        x = self.output.emit(graph, self.activation.emit(graph, x), model=model)
        return graph.op("Unsqueeze", x, graph.constant(np.array([0], np.int64)))


def _build_normalised(shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
    return Normalised(shape, config, n_outputs=n_outputs, seeds=seeds)


def _build_judged(shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
    return Judged(shape, config, n_outputs=n_outputs, seeds=seeds)


def _build_remembering(shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
    return Remembering(shape, config, n_outputs=n_outputs, seeds=seeds)


def _build_several(shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
    return Ensemble(lambda own: Tiny(shape, config, n_outputs=n_outputs, seeds=own), n_members=2, seeds=seeds)


def _build(shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
    return Tiny(shape, config, n_outputs=n_outputs, seeds=seeds)


def _cost(n_train: int, shape: InputShape, config: Any, recipe: Recipe | None, task: Task) -> Cost:
    return Cost(seconds=config.seconds, memory_bytes=1.0)


def _portfolio(task: Task) -> Sequence[Preset]:
    return (Preset(config=Config(), preparation=None, recipe=Recipe()),)


TINY = Family(
    name="Tiny",
    source="made for these tests",
    tasks=ROW_KINDS,
    config=Config,
    portfolio=_portfolio,
    space=lambda task: Space.around(_portfolio(task)[0]),
    cost=_cost,
    is_deep=True,
    build=_build,
)
REMEMBERING = replace(TINY, name="Remembering", build=_build_remembering)
JUDGED = replace(TINY, name="Judged", build=_build_judged)
NORMALISED = replace(TINY, name="Normalised", build=_build_normalised)
SEVERAL = replace(TINY, name="Several", build=_build_several)
