"""Activations, plain or with a learned strength per neuron."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cupel.core.graph import Graph

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "selu": functional.selu,
    "mish": functional.mish,
    "silu": functional.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}
SELU_ALPHA = 1.6732632423543772
SELU_GAMMA = 1.0507009873554805


def emit_activation(graph: Graph, name: str, x: str) -> str:
    """The activation of that name from plain ONNX operators."""
    if name == "gelu":
        error_function = graph.op("Erf", graph.op("Mul", x, graph.constant(1 / math.sqrt(2), np.float32)))
        half = graph.op("Mul", x, graph.constant(0.5, np.float32))
        return graph.op("Mul", half, graph.op("Add", error_function, graph.constant(1.0, np.float32)))
    if name == "mish":
        return graph.op("Mul", x, graph.op("Tanh", graph.op("Softplus", x)))
    if name == "silu":
        return graph.op("Mul", x, graph.op("Sigmoid", x))
    if name == "selu":
        return graph.op("Selu", x, alpha=SELU_ALPHA, gamma=SELU_GAMMA)
    return graph.op({"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}[name], x)


class Activation(nn.Module):
    """An activation by name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Elementwise."""
        return FUNCTIONS[self.name](x)

    def emit(self, graph: Graph, x: str) -> str:
        """Elementwise."""
        return emit_activation(graph, self.name, x)


class ParametricActivation(nn.Module):
    """`x + strength * (activation(x) - x)`, one learned strength per neuron, starting at 1; strength (M, width).

    Source: Holzmüller et al. 2024, arXiv:2407.04491, section 3.
    """

    def __init__(self, name: str, width: int, *, n_models: int) -> None:
        super().__init__()
        self.name = name
        self.strength = nn.Parameter(torch.ones(n_models, width))

    def forward(self, x: Float[Tensor, "model row width"]) -> Float[Tensor, "model row width"]:
        """Elementwise."""
        return torch.lerp(x, FUNCTIONS[self.name](x), self.strength[:, None, :])

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators."""
        strength = graph.constant(self.strength[model].detach().cpu().numpy().astype(np.float32))
        change = graph.op("Sub", emit_activation(graph, self.name, x), x)
        return graph.op("Add", x, graph.op("Mul", strength, change))
