"""ResNet for tables: blocks that add to what they are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cupel.core.family import Cost, Family
from cupel.core.graph import Graph
from cupel.core.inputs import InputShape
from cupel.core.layers import BatchNorm, LayerNorm, Linear, Network, PooledDropout, add_member_axis, generators_for
from cupel.core.presets import Preset, Space
from cupel.core.recipe import Recipe
from cupel.core.space import Choice, Range
from cupel.core.task import ROW_KINDS, Task
from cupel.modalities.tabular.front import Front, FrontConfig, size_of
from cupel.modalities.tabular.models.portfolio import presets
from cupel.modalities.tabular.preparation import FOR_NETWORKS
from cupel.modalities.tabular.work import network_cost, network_space

NORMALISATIONS: dict[str, type[BatchNorm] | type[LayerNorm]] = {"batch": BatchNorm, "layer": LayerNorm}


@dataclass(frozen=True, kw_only=True)
class Config(FrontConfig):
    """`depth` blocks of `width`, each wider inside by `hidden_factor`; the paper normalises over the batch."""

    width: Annotated[int, Range(64, 512, log=True)] = 192
    depth: Annotated[int, Range(1, 6)] = 2
    hidden_factor: Annotated[float, Range(1.0, 4.0)] = 2.0
    normalisation: Annotated[str, Choice("batch", "layer")] = "batch"
    hidden_dropout: Annotated[float, Range(0.0, 0.5)] = 0.15
    residual_dropout: Annotated[float, Range(0.0, 0.5)] = 0.0

    @property
    def hidden_width(self) -> int:
        """Neurons inside a block."""
        return round(self.width * self.hidden_factor)


class Block(nn.Module):
    """`x + dropout(linear(dropout(relu(linear(norm(x))))))`."""

    def __init__(self, config: Config, generators: list[torch.Generator], *, seeds: Sequence[int]) -> None:
        super().__init__()
        self.norm = NORMALISATIONS[config.normalisation](config.width, n_models=len(seeds))
        self.first = Linear((config.width, config.hidden_width), generators)
        self.second = Linear((config.hidden_width, config.width), generators)
        self.hidden_dropout = PooledDropout(config.hidden_dropout, seeds=seeds)
        self.residual_dropout = PooledDropout(config.residual_dropout, seeds=seeds)

    def forward(self, x: Float[Tensor, "model row width"]) -> Float[Tensor, "model row width"]:
        """The input and what is added to it."""
        hidden = self.hidden_dropout(functional.relu(self.first(self.norm(x))))
        added: Tensor = self.residual_dropout(self.second(hidden))
        return x + added

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators; dropout is off."""
        hidden = graph.op("Relu", self.first.emit(graph, self.norm.emit(graph, x, model=model), model=model))
        return graph.op("Add", x, self.second.emit(graph, hidden, model=model))


class ResNet(Network):
    """Front, a linear layer to the width of the blocks, blocks, normalisation, ReLU, output.

    Source: Gorishniy et al. 2021, arXiv:2106.11959, section 3.2.
    """

    def __init__(self, shape: InputShape, config: Config, *, n_outputs: int, seeds: Sequence[int]) -> None:
        super().__init__()
        self.n_models = len(seeds)
        generators = generators_for(seeds)
        self.front = Front.of(shape, generators, config=config)
        self.first = Linear((self.front.width, config.width), generators)
        self.blocks = nn.ModuleList([Block(config, generators, seeds=seeds) for _ in range(config.depth)])
        self.norm = NORMALISATIONS[config.normalisation](config.width, n_models=self.n_models)
        self.output = Linear((config.width, n_outputs), generators)

    def initialise(self, blocks: Mapping[str, Tensor]) -> None:
        """Set the bins of the embedding."""
        self.front.initialise(blocks)

    def forward(self, blocks: Mapping[str, Tensor]) -> Float[Tensor, "model 1 batch output"]:
        """Logits or values."""
        x = self.first(self.front(blocks))
        for block in self.blocks:
            x = block(x)
        outputs: Tensor = self.output(functional.relu(self.norm(x)))
        return outputs[:, None]

    def emit(self, graph: Graph, blocks: Mapping[str, str], *, model: int) -> str:
        """The same from plain operators."""
        x = self.first.emit(graph, self.front.emit(graph, blocks, model=model), model=model)
        for block in self.blocks:
            assert isinstance(block, Block), "blocks are blocks"
            x = block.emit(graph, x, model=model)
        x = graph.op("Relu", self.norm.emit(graph, x, model=model))
        return add_member_axis(graph, self.output.emit(graph, x, model=model))


def build(shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
    """One network holding a model per seed."""
    del task
    return ResNet(shape, config, n_outputs=n_outputs, seeds=seeds)


def cost(n_train: int, shape: InputShape, config: Config, recipe: Recipe | None, task: Task) -> Cost:
    """From the sizes of the layers; normalising passes over its numbers about twice as often as an activation."""
    front = size_of(shape, config)
    n_weights = front.n_weights + config.width * (front.width + 2 * config.depth * config.hidden_width + task.n_outputs)
    n_activations = front.n_activations + config.depth * (config.hidden_width + 3 * config.width) + 3 * config.width
    return network_cost(n_train, recipe, n_weights=n_weights, n_activations=n_activations)


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-5, schedule="cosine", epochs=0, patience=16)
DEFAULT = Preset(config=Config(), preparation=FOR_NETWORKS, recipe=RECIPE)
"""As the authors' package has it (2 blocks of 192, twice as wide inside).

The paper trains long at a constant rate of 1e-4 or so; here a cosine falls from a higher one.
"""


def portfolio(task: Task) -> Sequence[Preset]:
    """What was learned."""
    return presets(spec.name, DEFAULT, task=task)


def space(task: Task) -> Space:
    """The paper's space, narrowed to what a processor can train."""
    del task
    return network_space(DEFAULT, Range(2e-4, 5e-3, log=True))


spec = Family(
    name="ResNet",
    source="Gorishniy et al. 2021, Revisiting deep learning models for tabular data, arXiv:2106.11959.",
    tasks=ROW_KINDS,
    config=Config,
    portfolio=portfolio,
    space=space,
    cost=cost,
    is_deep=True,
    build=build,
)
