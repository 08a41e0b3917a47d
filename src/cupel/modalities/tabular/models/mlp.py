"""The plain multi-layer perceptron: the network that everything deeper has to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from jaxtyping import Float
from torch import Tensor

from cupel.core.family import Cost, Family
from cupel.core.graph import Graph
from cupel.core.inputs import InputShape
from cupel.core.layers import HiddenLayers, Linear, Network, PooledDropout, add_member_axis, generators_for
from cupel.core.presets import Preset, Space
from cupel.core.recipe import Recipe
from cupel.core.space import Choice, Range
from cupel.core.task import Task, TaskKind
from cupel.modalities.tabular.front import Front, FrontConfig, size_of
from cupel.modalities.tabular.preparation import FOR_NETWORKS, SEARCHED_FOR_NETWORKS
from cupel.modalities.tabular.work import network_cost

ACTIVATIONS = ("relu", "gelu", "selu", "mish", "silu", "tanh", "sigmoid")


@dataclass(frozen=True, kw_only=True)
class Config(FrontConfig):
    """`depth` hidden layers of `width` neurons behind the front."""

    width: Annotated[int, Range(32, 512, log=True)] = 256
    depth: Annotated[int, Range(1, 6)] = 3
    activation: Annotated[str, Choice(*ACTIVATIONS)] = "relu"
    dropout: Annotated[float, Range(0.0, 0.5)] = 0.1


class Mlp(Network):
    """Front, hidden layers with activation and dropout, output."""

    def __init__(self, shape: InputShape, config: Config, *, n_outputs: int, seeds: Sequence[int]) -> None:
        super().__init__()
        self.n_models = len(seeds)
        generators = generators_for(seeds)
        self.front = Front.of(shape, generators, config=config)
        widths = [self.front.width, *[config.width] * config.depth]
        dropout = PooledDropout(config.dropout, seeds=seeds)
        self.hidden = HiddenLayers(widths, generators, activation=config.activation, dropout=dropout)
        self.output = Linear((widths[-1], n_outputs), generators)

    def initialise(self, blocks: Mapping[str, Tensor]) -> None:
        """Set the bins of the embedding."""
        self.front.initialise(blocks)

    def forward(self, blocks: Mapping[str, Tensor]) -> Float[Tensor, "model 1 batch output"]:
        """Logits or values."""
        outputs: Tensor = self.output(self.hidden(self.front(blocks)))
        return outputs[:, None]

    def emit(self, graph: Graph, blocks: Mapping[str, str], *, model: int) -> str:
        """The same from plain operators; dropout is off."""
        x = self.hidden.emit(graph, self.front.emit(graph, blocks, model=model), model=model)
        return add_member_axis(graph, self.output.emit(graph, x, model=model))


def build(shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
    """One network holding a model per seed."""
    del task
    return Mlp(shape, config, n_outputs=n_outputs, seeds=seeds)


def cost(n_train: int, shape: InputShape, config: Config, recipe: Recipe | None, task: Task) -> Cost:
    """From the sizes of the layers."""
    front = size_of(shape, config)
    n_weights = (
        front.n_weights + front.width * config.width + (config.depth - 1) * config.width**2 + config.width * task.n_outputs
    )
    return network_cost(n_train, recipe, n_weights=n_weights, n_activations=config.width * config.depth + front.n_activations)


RECIPE = Recipe(optimizer="adamw", learning_rate=1e-3, weight_decay=1e-2, epochs=0, patience=16)
PRESETS = (
    Preset(config=Config(), preparation=FOR_NETWORKS, recipe=RECIPE),
    Preset(
        config=Config(numeric="piecewise", n_bins=63, numeric_width=20, width=384, dropout=0.13),
        preparation=FOR_NETWORKS,
        recipe=replace(RECIPE, learning_rate=4e-4, weight_decay=2.4e-4, schedule="cosine"),
    ),
    Preset(
        config=Config(numeric="periodic", n_frequencies=52, numeric_width=24, sigma=0.3, width=384, depth=2, dropout=0.2),
        preparation=FOR_NETWORKS,
        recipe=replace(RECIPE, learning_rate=4e-4, weight_decay=2.5e-4, schedule="cosine"),
    ),
    Preset(
        config=Config(depth=4, dropout=0.25, activation="gelu"),
        preparation=FOR_NETWORKS,
        recipe=replace(RECIPE, learning_rate=5e-4, schedule="cosine"),
    ),
    Preset(
        config=Config(width=384, depth=2, activation="selu", dropout=0.0),
        preparation=FOR_NETWORKS,
        recipe=replace(RECIPE, schedule="one-cycle", learning_rate=2e-3, ema=0.995),
    ),
)
"""The default, then piecewise-linear and periodic embeddings with the medians of 86 tuned configs each (repository of
Gorishniy et al. 2024, arXiv:2410.24210), narrower and at a higher rate that falls by a cosine, for the few epochs that a CPU
affords; frequencies hardly move in those, so they start wider (docs/log.md). Then two perceptrons from the middle of tuned
ranges."""


def portfolio(task: Task) -> Sequence[Preset]:
    """Five presets, the default first."""
    del task
    return PRESETS


def space(task: Task) -> Space:
    """Network, optimiser, schedule and preparation."""
    del task
    return Space.around(
        PRESETS[0],
        recipe={
            "learning_rate": Range(1e-4, 1e-2, log=True),
            "weight_decay": Range(1e-5, 0.1, log=True),
            "optimizer": Choice("adamw", "adam", "rmsprop", "sgd"),
            "momentum": Range(0.5, 0.99),
            "schedule": Choice("constant", "cosine", "one-cycle", "plateau"),
            "label_smoothing": Range(0.0, 0.1),
            "gradient_clip": Range(0.5, 5.0, log=True),
            "ema": Choice(0.0, 0.99, 0.999),
        },
        preparation=SEARCHED_FOR_NETWORKS,
    )


spec = Family(
    name="MLP",
    source="Rumelhart, Hinton, Williams 1986, doi:10.1038/323533a0; for tables Gorishniy et al. 2021, arXiv:2106.11959.",
    tasks=frozenset(TaskKind),
    config=Config,
    portfolio=portfolio,
    space=space,
    cost=cost,
    is_deep=True,
    build=build,
)
