"""Normalisation of activations, each model by its own statistics."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
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


class MapBatchNorm(nn.Module):
    """Each channel to mean 0 and deviation 1 over rows and positions while training, by running statistics at prediction.

    Maps hold the channels of all models side by side. mean, variance, bias and scale are (M, channel); the scale can be left out
    where what follows can make up for it. `momentum` is the share of a batch in what runs.
    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, section 3.2.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, n_channels: int, *, n_models: int, has_scale: bool = True, momentum: float = MOMENTUM) -> None:
        super().__init__()
        self.momentum = momentum
        self.scale = nn.Parameter(torch.ones(n_models, n_channels)) if has_scale else None
        self.bias = nn.Parameter(torch.zeros(n_models, n_channels))
        self.register_buffer("mean", torch.zeros(n_models, n_channels))
        self.register_buffer("variance", torch.ones(n_models, n_channels))

    def forward(self, x: Float[Tensor, "row side height width"]) -> Float[Tensor, "row side height width"]:
        """Models side by side are to PyTorch's kernel only more channels."""
        return functional.batch_norm(
            x,
            self.mean.view(-1),
            self.variance.view(-1),
            None if self.scale is None else self.scale.view(-1),
            self.bias.view(-1),
            training=self.training and x.numel() > x.shape[1],
            momentum=self.momentum,
            eps=EPSILON,
        )

    def affine(self, model: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Factor and shift per channel that one model's normalisation comes to at prediction."""
        mean, variance, bias = (tensor[model].detach().cpu().double().numpy() for tensor in (self.mean, self.variance, self.bias))
        factor = 1 / np.sqrt(variance + EPSILON)
        if self.scale is not None:
            factor = factor * self.scale[model].detach().cpu().double().numpy()
        return factor, bias - mean * factor


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


class MapLayerNorm(nn.Module):
    """Each position of a map to mean 0 and deviation 1 over its channels, then times scale plus bias, both (M, channel).

    Source: Liu et al. 2022, arXiv:2201.03545, section 2.6; after Ba, Kiros, Hinton 2016, arXiv:1607.06450.
    """

    def __init__(self, n_channels: int, *, n_models: int) -> None:
        super().__init__()
        self.norm = LayerNorm(n_channels, n_models=n_models)

    def forward(self, x: Float[Tensor, "row side height width"]) -> Float[Tensor, "row side height width"]:
        """In channels-last memory the channels of a model already lie together: nothing is moved."""
        scale, bias = self.norm.scale, self.norm.bias
        last = x.permute(0, 2, 3, 1)
        if len(scale) == 1:
            return functional.layer_norm(last, last.shape[-1:], scale[0], bias[0], EPSILON).permute(0, 3, 1, 2)
        by_model = last.reshape(*last.shape[:-1], len(scale), -1)
        normed = torch.addcmul(bias, functional.layer_norm(by_model, by_model.shape[-1:], eps=EPSILON), scale)
        return normed.flatten(-2).permute(0, 3, 1, 2)

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """Channels to the end, ONNX's operator, and back."""
        normed = self.norm.emit(graph, graph.op("Transpose", x, perm=[0, 2, 3, 1]), model=model)
        return graph.op("Transpose", normed, perm=[0, 3, 1, 2])
