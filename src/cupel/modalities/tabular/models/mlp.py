"""The plain multi-layer perceptron: the network that everything deeper has to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from cupel.core.task import ROW_KINDS, Task
from cupel.modalities.tabular.front import Front, FrontConfig, size_of
from cupel.modalities.tabular.models.portfolio import presets
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
DEFAULT = Preset(config=Config(), preparation=FOR_NETWORKS, recipe=RECIPE)


def portfolio(task: Task) -> Sequence[Preset]:
    """What was learned."""
    return presets(spec.name, DEFAULT, task=task)


def space(task: Task) -> Space:
    """Network, optimiser, schedule and preparation.

    The decay of Adam and RMSprop is an L2 gradient, which steps of equal size turn into a pull to zero: with a decay of .01
    nothing is learned by Adam where AdamW learns (docs/log.md). Both are left to wishes.
    """
    del task
    return Space.around(
        DEFAULT,
        recipe={
            "learning_rate": Range(1e-4, 1e-2, log=True),
            "weight_decay": Range(1e-5, 0.1, log=True),
            "optimizer": Choice("adamw", "sgd"),
            "momentum": Range(0.5, 0.99),
            "schedule": Choice("constant", "cosine", "one-cycle", "plateau"),
            "label_smoothing": Range(0.0, 0.1),
            "gradient_clip": Choice(0.0, 0.5, 1.0, 2.0, 5.0),
            "ema": Choice(0.0, 0.99, 0.999),
        },
        preparation=SEARCHED_FOR_NETWORKS,
    )


spec = Family(
    name="MLP",
    source="Rumelhart, Hinton, Williams 1986, doi:10.1038/323533a0; for tables Gorishniy et al. 2021, arXiv:2106.11959.",
    tasks=ROW_KINDS,
    config=Config,
    portfolio=portfolio,
    space=space,
    cost=cost,
    is_deep=True,
    joins=True,
    build=build,
)
