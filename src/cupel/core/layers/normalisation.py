"""Normalisation of activations, each model by its own statistics."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cupel.core.graph import Graph

EPSILON = 1e-5
MOMENTUM = 0.1


class BatchNorm(nn.Module):
    """Each neuron to mean 0 and deviation 1 over the batch while training, by running statistics at prediction.

    scale and bias (M, width) are learned; mean and variance (M, width) run. A batch of one row says nothing of deviations and
    is normalised by what has run so far. Averages of weights have no running statistics of their own: `Network.renew_statistics`
    takes them anew.
    Source: Ioffe and Szegedy 2015, arXiv:1502.03167.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, width: int, *, n_models: int) -> None:
        super().__init__()
        self.momentum = MOMENTUM
        self.scale = nn.Parameter(torch.ones(n_models, width))
        self.bias = nn.Parameter(torch.zeros(n_models, width))
        self.register_buffer("mean", torch.zeros(n_models, width))
        self.register_buffer("variance", torch.ones(n_models, width))

    def forward(self, x: Float[Tensor, "model row width"]) -> Float[Tensor, "model row width"]:
        """Models side by side are to PyTorch's kernel only more neurons."""
        n_models, n_rows, width = x.shape
        normed = functional.batch_norm(
            x.transpose(0, 1).reshape(n_rows, n_models * width),
            self.mean.view(-1),
            self.variance.view(-1),
            self.scale.view(-1),
            self.bias.view(-1),
            training=self.training and n_rows > 1,
            momentum=self.momentum,
            eps=EPSILON,
        )
        return normed.view(n_rows, n_models, width).transpose(0, 1)

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """One product and one sum."""
        mean, variance, scale, bias = (
            tensor[model].detach().cpu().double().numpy() for tensor in (self.mean, self.variance, self.scale, self.bias)
        )
        factor = scale / np.sqrt(variance + EPSILON)
        scaled = graph.op("Mul", x, graph.constant(factor.astype(np.float32)))
        return graph.op("Add", scaled, graph.constant((bias - mean * factor).astype(np.float32)))


class LayerNorm(nn.Module):
    """Each row to mean 0 and deviation 1 over its neurons, then times scale plus bias, both (M, width).

    Source: Ba, Kiros, Hinton 2016, arXiv:1607.06450.
    """

    def __init__(self, width: int, *, n_models: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(n_models, width))
        self.bias = nn.Parameter(torch.zeros(n_models, width))

    def forward(self, x: Float[Tensor, "model row width"]) -> Float[Tensor, "model row width"]:
        """Row by row."""
        normed = functional.layer_norm(x, x.shape[-1:], eps=EPSILON)
        return torch.addcmul(self.bias[:, None], normed, self.scale[:, None])

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """ONNX has an operator for it; x may have leading axes."""
        scale, bias = (
            graph.constant(parameter[model].detach().cpu().numpy().astype(np.float32)) for parameter in (self.scale, self.bias)
        )
        return graph.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=EPSILON)
