"""Channels that are turned up or down by what the whole picture shows."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cupel.core.graph import Graph
from cupel.core.layers.convolution import emit_pooled, unfolded
from cupel.core.layers.linear import Linear


class SqueezeExcite(nn.Module):
    """Each channel times a number between 0 and 1 that two linear layers find from the means of all channels.

    Source: Hu et al. 2017, arXiv:1709.01507, section 3.
    """

    def __init__(self, n_channels: int, generators: list[torch.Generator], *, n_hidden: int) -> None:
        super().__init__()
        self.first = Linear((n_channels, n_hidden), generators)
        self.second = Linear((n_hidden, n_channels), generators)

    def forward(self, x: Float[Tensor, "row side height width"]) -> Float[Tensor, "row side height width"]:
        """Folded maps, scaled."""
        means = unfolded(x.mean(dim=(2, 3)), n_channels=self.second.bias.shape[1])
        gates = torch.sigmoid(self.second(functional.relu(self.first(means))))  # (M, B, C)
        return x * gates.transpose(0, 1).flatten(1)[:, :, None, None]

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators."""
        means = emit_pooled(graph, x, kind="GlobalAveragePool")
        hidden = graph.op("Relu", self.first.emit(graph, means, model=model))
        gates = graph.op("Sigmoid", self.second.emit(graph, hidden, model=model))
        over_positions = graph.op("Unsqueeze", gates, graph.constant(np.array([2, 3], np.int64)))
        return graph.op("Mul", x, over_positions)
