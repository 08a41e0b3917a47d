"""The body of a perceptron."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cupel.core.graph import Graph
from cupel.core.layers.activation import Activation
from cupel.core.layers.dropout import PooledDropout
from cupel.core.layers.linear import Linear


class HiddenLayers(nn.Module):
    """Affine maps from each of `widths` to the next, an activation and dropout after each."""

    def __init__(
        self, widths: Sequence[int], generators: list[torch.Generator], *, activation: str, dropout: PooledDropout
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Linear((n_in, n_out), generators) for n_in, n_out in itertools.pairwise(widths)])
        self.activation = Activation(activation)
        self.dropout = dropout

    def forward(self, x: Float[Tensor, "model row in"]) -> Float[Tensor, "model row out"]:
        """Through all layers."""
        for layer in self.layers:
            x = self.dropout(self.activation(layer(x)))
        return x

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators, dropout off; x may have leading axes."""
        for layer in self.layers:
            assert isinstance(layer, Linear), "hidden layers are linear"
            x = self.activation.emit(graph, layer.emit(graph, x, model=model))
        return x
