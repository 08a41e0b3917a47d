"""DCNv2: layers that multiply features with one another, beside or before a perceptron."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cupel.core.family import Cost, Family
from cupel.core.graph import Graph
from cupel.core.inputs import InputShape
from cupel.core.layers import Cross, HiddenLayers, Linear, Network, PooledDropout, add_member_axis, generators_for
from cupel.core.presets import Preset, Space
from cupel.core.recipe import Recipe
from cupel.core.space import Choice, Range, When
from cupel.core.task import ROW_KINDS, Task
from cupel.modalities.tabular.front import Front, FrontConfig, size_of
from cupel.modalities.tabular.models.portfolio import presets
from cupel.modalities.tabular.preparation import FOR_NETWORKS
from cupel.modalities.tabular.work import network_cost, network_space


@dataclass(frozen=True, kw_only=True)
class Config(FrontConfig):
    """`n_crosses` cross layers, full or of low rank, and `depth` hidden layers: "parallel", or "stacked" crosses first."""

    numeric: Annotated[str, Choice("none", "periodic", "piecewise")] = "piecewise"
    n_bins: Annotated[int, Range(4, 128, log=True), When("numeric", "piecewise")] = 32
    numeric_width: Annotated[int, Range(4, 16), When("numeric", "periodic", "piecewise")] = 8
    structure: Annotated[str, Choice("parallel", "stacked")] = "parallel"
    n_crosses: Annotated[int, Range(1, 4)] = 2
    matrix: Annotated[str, Choice("full", "low-rank")] = "full"
    rank: Annotated[int, Range(8, 128, log=True), When("matrix", "low-rank")] = 32
    width: Annotated[int, Range(64, 512, log=True)] = 256
    depth: Annotated[int, Range(1, 4)] = 2
    dropout: Annotated[float, Range(0.0, 0.5)] = 0.1


class Dcn(Network):
    """Front, cross layers and a perceptron of its outputs, output.

    Source: Wang et al. 2020, arXiv:2008.13535, section 3. Numbers are embedded too, as categories are in the paper.
    """

    def __init__(self, shape: InputShape, config: Config, *, n_outputs: int, seeds: Sequence[int]) -> None:
        super().__init__()
        self.n_models, self._is_stacked = len(seeds), config.structure == "stacked"
        generators = generators_for(seeds)
        self.front = Front.of(shape, generators, config=config)
        width, rank = self.front.width, config.rank if config.matrix == "low-rank" else None
        self.crosses = nn.ModuleList([Cross(width, generators, rank=rank) for _ in range(config.n_crosses)])
        dropout = PooledDropout(config.dropout, seeds=seeds)
        widths = [width, *[config.width] * config.depth]
        self.hidden = HiddenLayers(widths, generators, activation="relu", dropout=dropout)
        self.output = Linear((config.width + (0 if self._is_stacked else width), n_outputs), generators)

    def initialise(self, blocks: Mapping[str, Tensor]) -> None:
        """Set the bins of the embedding."""
        self.front.initialise(blocks)

    def forward(self, blocks: Mapping[str, Tensor]) -> Float[Tensor, "model 1 batch output"]:
        """Logits or values."""
        start = self.front(blocks)
        crossed = start
        for cross in self.crosses:
            crossed = cross(start, crossed)
        x = self.hidden(crossed) if self._is_stacked else torch.cat([crossed, self.hidden(start)], dim=-1)
        outputs: Tensor = self.output(x)
        return outputs[:, None]

    def emit(self, graph: Graph, blocks: Mapping[str, str], *, model: int) -> str:
        """The same from plain operators; dropout is off."""
        start = self.front.emit(graph, blocks, model=model)
        crossed = start
        for cross in self.crosses:
            assert isinstance(cross, Cross), "cross layers are crosses"
            crossed = cross.emit(graph, (start, crossed), model=model)
        x = self.hidden.emit(graph, crossed if self._is_stacked else start, model=model)
        x = x if self._is_stacked else graph.concat([crossed, x])
        return add_member_axis(graph, self.output.emit(graph, x, model=model))


def build(shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
    """One network holding a model per seed."""
    del task
    return Dcn(shape, config, n_outputs=n_outputs, seeds=seeds)


def cost(n_train: int, shape: InputShape, config: Config, recipe: Recipe | None, task: Task) -> Cost:
    """From the sizes of the layers; full crosses grow with the square of the embedded width."""
    front = size_of(shape, config)
    per_cross = front.width * (front.width if config.matrix == "full" else 2 * config.rank)
    deep = front.width * config.width + (config.depth - 1) * config.width**2
    n_weights = front.n_weights + config.n_crosses * per_cross + deep + (config.width + front.width) * task.n_outputs
    n_activations = front.n_activations + 2 * config.n_crosses * front.width + config.depth * config.width
    return network_cost(n_train, recipe, n_weights=n_weights, n_activations=n_activations)


RECIPE = Recipe(
    optimizer="adamw", learning_rate=2e-3, weight_decay=1e-4, schedule="cosine", gradient_clip=1.0, epochs=0, patience=16
)
DEFAULT = Preset(config=Config(), preparation=FOR_NETWORKS, recipe=RECIPE)
"""Parallel with full matrices; what was measured stands in docs/log.md."""


def portfolio(task: Task) -> Sequence[Preset]:
    """What was learned."""
    return presets(spec.name, DEFAULT, task=task)


def space(task: Task) -> Space:
    """The paper's space, narrowed to what a processor can train."""
    del task
    return network_space(DEFAULT, Range(3e-4, 5e-3, log=True), averages=Choice(0.0, 0.99, 0.999))


spec = Family(
    name="DCNv2",
    source="Wang et al. 2020, DCN V2: improved deep and cross network, arXiv:2008.13535.",
    tasks=ROW_KINDS,
    config=Config,
    portfolio=portfolio,
    space=space,
    cost=cost,
    is_deep=True,
    build=build,
)
