"""Activations, plain or with a learned strength per neuron."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

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
WHERE_MISH_IS_LINEAR = 20.0


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

    def forward(self, x: Float[Tensor, " *shape"]) -> Float[Tensor, " *shape"]:
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
        strength = self.strength[:, None, :]
        if self.training and torch.is_grad_enabled() and self.name in CHANGES:
            mixed: Tensor = _Mixed.apply(x, strength, self.name)  # type: ignore[no-untyped-call]
            return mixed
        return torch.lerp(x, FUNCTIONS[self.name](x), strength)

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators."""
        strength = graph.constant(self.strength[model].detach().cpu().numpy().astype(np.float32))
        change = graph.op("Sub", emit_activation(graph, self.name, x), x)
        return graph.op("Add", x, graph.op("Mul", strength, change))


class _Mixed(torch.autograd.Function):
    """`x + strength * change(x)` with its slope worked out on the way: half the passes over memory that autograd makes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: Tensor, name: str) -> Tensor:
        change, slope = CHANGES[name](x)
        ctx.save_for_backward(slope.mul_(strength).add_(1.0), change)
        return torch.addcmul(x, strength, change)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        slope, change = ctx.saved_tensors
        (gradient,) = gradients
        return gradient * slope, (gradient * change).sum(dim=1, keepdim=True), None


def _change_by_mish(x: Tensor) -> tuple[Tensor, Tensor]:
    """With s = 1 + exp(x) and r = 1 / (s² + 1): mish(x) - x = -2 x r, so one exponential serves both change and slope."""
    s = x.clamp(max=WHERE_MISH_IS_LINEAR).exp_().add_(1.0)
    r = (s * s).add_(1.0).reciprocal_()
    change = (x * r).mul_(-2.0)
    return change, torch.addcmul(r, (s - 1.0).mul_(s).mul_(r), change).mul_(-2.0)


def _change_by_selu(x: Tensor) -> tuple[Tensor, Tensor]:
    bent = functional.selu(x)
    slope = torch.where(x > 0, SELU_GAMMA, bent + SELU_GAMMA * SELU_ALPHA).sub_(1.0)
    return bent.sub_(x), slope


def _change_by_relu(x: Tensor) -> tuple[Tensor, Tensor]:
    return (-x).clamp_(min=0.0), -(x < 0).to(x.dtype)


CHANGES: dict[str, Callable[[Tensor], tuple[Tensor, Tensor]]] = {
    "mish": _change_by_mish,
    "selu": _change_by_selu,
    "relu": _change_by_relu,
}
"""activation(x) - x, and its slope, by name."""
