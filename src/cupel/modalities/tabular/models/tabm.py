"""TabM: an ensemble of perceptrons that share almost all of their weights."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor, nn

from cupel.core.family import Cost, Family
from cupel.core.graph import Graph
from cupel.core.inputs import InputShape
from cupel.core.layers import (
    Activation,
    BatchEnsembleLinear,
    Linear,
    MemberLinear,
    MemberScale,
    Network,
    PiecewiseLinearEmbedding,
    PooledDropout,
    generators_for,
)
from cupel.core.presets import Preset, Space
from cupel.core.recipe import Recipe
from cupel.core.space import Choice, Range
from cupel.core.task import ROW_KINDS, Task
from cupel.modalities.tabular.front import Front, front_width
from cupel.modalities.tabular.models.portfolio import presets
from cupel.modalities.tabular.preparation import FOR_NETWORKS, SEARCHED_FOR_NETWORKS
from cupel.modalities.tabular.work import network_cost


@dataclass(frozen=True, kw_only=True)
class Config:
    """TabM with piecewise-linear embeddings: "mini", or "full" with scales of each member in every layer.

    The paper's 32 members are dear on a CPU: 8 keep most of the gain.
    """

    kind: Annotated[str, Choice("mini", "full")] = "mini"
    n_members: Annotated[int, Range(8, 32)] = 8
    width: Annotated[int, Range(96, 512, log=True)] = 192
    depth: Annotated[int, Range(1, 4)] = 2
    dropout: Annotated[float, Range(0.0, 0.4)] = 0.0
    n_bins: Annotated[int, Range(4, 64, log=True)] = 32
    numeric_width: Annotated[int, Range(4, 24)] = 10
    category_width: Annotated[int, Range(4, 16)] = 8


class TabM(Network):
    """Embedded input scaled per member, hidden layers that share their weights, one head per member.

    "mini" members differ in the scales of the input and in their heads, "full" ones also in scales and biases of each layer.
    Members share batches, so that embeddings are computed once.
    Source: Gorishniy, Kotelnikov, Babenko 2024, arXiv:2410.24210, section 3.3.
    """

    def __init__(self, shape: InputShape, config: Config, *, n_outputs: int, seeds: Sequence[int]) -> None:
        super().__init__()
        self.n_models = len(seeds)
        generators = generators_for(seeds)
        n_numeric = shape.widths.get("numeric", 0)
        embedding = PiecewiseLinearEmbedding(n_numeric, generators, n_bins=config.n_bins, width=config.numeric_width)
        self.front = Front(shape, generators, numeric=embedding, category_width=config.category_width)
        self.members = MemberScale(self.front.chunks, config.n_members, generators)
        widths = [self.front.width, *[config.width] * config.depth]
        self.hidden = nn.ModuleList(
            [
                Linear(sizes, generators)
                if config.kind == "mini"
                else BatchEnsembleLinear(sizes, config.n_members, generators, has_input_scale=position > 0)
                for position, sizes in enumerate(itertools.pairwise(widths))
            ]
        )
        self.heads = MemberLinear((widths[-1], n_outputs), config.n_members, generators)
        self.activation = Activation("relu")
        self.dropout = PooledDropout(config.dropout, seeds=seeds)

    def initialise(self, blocks: Mapping[str, Tensor]) -> None:
        """Set the bins of the embedding."""
        self.front.initialise(blocks)

    def forward(self, blocks: Mapping[str, Tensor]) -> Float[Tensor, "model member batch output"]:
        """Logits or values of every member."""
        x = self.members(self.front(blocks))  # (M, E, B, width)
        members = x.shape[1:3]
        for layer in self.hidden:
            # A linear layer takes the members' rows as rows, (M, E * B, width).
            mapped = layer(x) if isinstance(layer, BatchEnsembleLinear) else layer(x.flatten(1, 2)).unflatten(1, members)
            x = self.dropout(self.activation(mapped))
        outputs: Tensor = self.heads(x)
        return outputs

    def emit(self, graph: Graph, blocks: Mapping[str, str], *, model: int) -> str:
        """The same from plain operators, (member, rows, output)."""
        x = self.members.emit(graph, self.front.emit(graph, blocks, model=model), model=model)
        for layer in self.hidden:
            assert isinstance(layer, Linear | BatchEnsembleLinear), "hidden layers are linear"
            x = self.activation.emit(graph, layer.emit(graph, x, model=model))
        return self.heads.emit(graph, x, model=model)


def build(shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
    """One network holding a model per seed."""
    del task
    return TabM(shape, config, n_outputs=n_outputs, seeds=seeds)


def cost(n_train: int, shape: InputShape, config: Config, recipe: Recipe | None, task: Task) -> Cost:
    """From the sizes of the layers, times the members."""
    n_numeric = shape.widths.get("numeric", 0)
    width_in = front_width(shape, numeric_width=config.numeric_width, category_width=config.category_width)
    shared = width_in * config.width + (config.depth - 1) * config.width**2 + config.width * task.n_outputs
    n_weights = config.n_members * shared + n_numeric * config.n_bins * config.numeric_width
    n_passes = {"mini": 1, "full": 2}[config.kind]  # over the activations of a layer
    n_activations = config.n_members * (n_passes * config.width * config.depth + width_in) + n_numeric * config.n_bins
    return network_cost(n_train, recipe, n_weights=n_weights, n_activations=n_activations)


RECIPE = Recipe(
    optimizer="adamw",
    schedule="cosine",
    learning_rate=6e-3,
    weight_decay=3e-4,
    gradient_clip=1.0,
    epochs=0,
    patience=16,
    batch_size=0,
)
DEFAULT = Preset(config=Config(), preparation=FOR_NETWORKS, recipe=RECIPE)
"""What was measured of its choices stands in docs/log.md."""


def portfolio(task: Task) -> Sequence[Preset]:
    """What was learned."""
    return presets(spec.name, DEFAULT, task=task)


def space(task: Task) -> Space:
    """The paper's space, narrowed to what a CPU affords."""
    del task
    return Space.around(
        DEFAULT,
        config={"n_members": Choice(8, 16, 24)},
        recipe={
            "learning_rate": Range(1e-3, 1e-2, log=True),
            "weight_decay": Choice(0.0, 1e-4, 3e-4, 1e-3, 1e-2),
            "schedule": Choice("cosine", "constant"),
        },
        preparation=SEARCHED_FOR_NETWORKS,
    )


spec = Family(
    name="TabM",
    source="Gorishniy, Kotelnikov, Babenko 2024, TabM: advancing tabular deep learning, arXiv:2410.24210.",
    tasks=ROW_KINDS,
    config=Config,
    portfolio=portfolio,
    space=space,
    cost=cost,
    is_deep=True,
    build=build,
)
