"""A small network on frozen features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor

from cupel.core.graph import Graph
from cupel.core.inputs import InputShape
from cupel.core.layers import HiddenLayers, Linear, Network, PooledDropout, add_member_axis, generators_for
from cupel.core.space import Choice, Range
from cupel.core.task import Task
from cupel.modalities.image.backbones.backbone import OUTPUT


@dataclass(frozen=True, kw_only=True)
class Config:
    """`depth` hidden layers of `width` neurons behind the features."""

    width: Annotated[int, Range(32, 512, log=True)] = 256
    depth: Annotated[int, Range(1, 2)] = 1
    activation: Annotated[str, Choice("relu", "gelu", "silu")] = "gelu"
    dropout: Annotated[float, Range(0.0, 0.6)] = 0.2


class FeatureHead(Network):
    """Dropout, hidden layers, output."""

    def __init__(self, n_features: int, config: Config, *, n_outputs: int, seeds: Sequence[int]) -> None:
        super().__init__()
        self.n_models = len(seeds)
        generators = generators_for(seeds)
        self.dropout = PooledDropout(config.dropout / 2, seeds=seeds)
        widths = [n_features, *[config.width] * config.depth]
        dropout = PooledDropout(config.dropout, seeds=[seed + 1 for seed in seeds])
        self.hidden = HiddenLayers(widths, generators, activation=config.activation, dropout=dropout)
        self.output = Linear((widths[-1], n_outputs), generators)

    def forward(self, blocks: Mapping[str, Tensor]) -> Float[Tensor, "model 1 batch output"]:
        """Logits or values."""
        outputs: Tensor = self.output(self.hidden(self.dropout(blocks[OUTPUT])))
        return outputs[:, None]

    def emit(self, graph: Graph, blocks: Mapping[str, str], *, model: int) -> str:
        """The same from plain operators; dropout is off."""
        hidden = self.hidden.emit(graph, blocks[OUTPUT], model=model)
        return add_member_axis(graph, self.output.emit(graph, hidden, model=model))


def build(shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
    """One network holding a model per seed."""
    del task
    return FeatureHead(shape.widths[OUTPUT], config, n_outputs=n_outputs, seeds=seeds)
