"""Convolutions of several stacked models at once, over maps that hold all of them side by side as channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cupel.core.graph import Graph
from cupel.core.half_precision import snapped
from cupel.core.layers.normalisation import MapBatchNorm

Array = NDArray[np.float32]
GAIN_OF_RECTIFIERS = 2.0
"""He et al. 2015, arXiv:1502.01852, eq. 10: half of what enters a rectifier does not leave it."""


def folded(x: Shaped[Tensor, "model row channel height width"]) -> Shaped[Tensor, "row side height width"]:
    """Maps of all models side by side: model m has the channels from m * C on.

    The memory is channels-last, in which the kernels of a processor are fastest; one model's maps that lie so are not copied.
    """
    n_models, n_rows, n_channels, height, width = x.shape
    values = x.permute(1, 3, 4, 0, 2).flatten()  # so that maps of one channel, too, get the strides of channels-last memory
    return values.view(n_rows, height, width, n_models * n_channels).permute(0, 3, 1, 2)


def unfolded(x: Float[Tensor, "row side"], *, n_channels: int) -> Float[Tensor, "model row channel"]:
    """What pooling left of folded maps, model by model."""
    n_rows, side = x.shape
    return x.reshape(n_rows, side // n_channels, n_channels).transpose(0, 1)


def joined(parts: Sequence[Tensor], *, n_channels: int) -> Tensor:
    """The channels of several folded maps, `n_channels` a model in each, one after the other model by model; (B, side, H, W)."""
    n_rows, side, height, width = parts[0].shape
    if side == n_channels:
        return torch.cat(list(parts), dim=1)
    by_model = (n_rows, side // n_channels, n_channels, height, width)
    together = torch.cat([part.reshape(by_model) for part in parts], dim=2)
    return together.flatten(1, 2).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True, kw_only=True)
class Window:
    """What a convolution or pooling sees at once, and how far it moves: pixels, the same in both directions.

    `padding` None keeps the size of maps at stride 1 (odd kernels). `groups` divide the channels; one per channel is depthwise.
    """

    kernel: int = 3
    stride: int = 1
    padding: int | None = None
    groups: int = 1

    @property
    def margin(self) -> int:
        """Zeros put around the maps on each side."""
        return self.kernel // 2 if self.padding is None else self.padding

    def size_after(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of what comes out; below 1 where the window does not fit."""
        height, width = ((side + 2 * self.margin - self.kernel) // self.stride + 1 for side in size)
        return height, width


class Convolution(nn.Module):
    """A convolution per model over folded maps; weight (M, out, kernel, kernel, in / groups), bias (M, out) where there is one.

    Weights start normal with variance gain / (kernel² in / groups), biases at zero. Channels stand last in the weight, as they do
    in the maps: PyTorch's kernel takes both as they are, also once models have left the stack.
    """

    def __init__(
        self,
        sizes: tuple[int, int],
        generators: list[torch.Generator],
        *,
        window: Window,
        has_bias: bool = False,
        gain: float = GAIN_OF_RECTIFIERS,
    ) -> None:
        super().__init__()
        n_in, n_out = sizes
        self.window = window
        shape = (n_out, window.kernel, window.kernel, n_in // window.groups)
        deviation = math.sqrt(gain / math.prod(shape[1:]))
        self.weight = nn.Parameter(torch.stack([torch.randn(shape, generator=g) * deviation for g in generators]))
        self.bias = nn.Parameter(torch.zeros(len(generators), n_out)) if has_bias else None

    @torch.no_grad()
    def become_identity(self) -> None:
        """Let the first output channels, as many as there are inputs, give what comes in; further ones stay as they are.

        Source: Zagoruyko and Komodakis 2017, arXiv:1706.00388 (Dirac parametrisation), as a start only.
        """
        assert self.window.groups == 1, "only plain convolutions pass everything through"
        centre, n_passed = self.window.kernel // 2, min(self.weight.shape[1], self.weight.shape[-1])
        self.weight[:, :n_passed] = 0.0
        channels = torch.arange(n_passed)
        self.weight[:, channels, centre, centre, channels] = 1.0

    def forward(self, x: Float[Tensor, "row side height width"]) -> Float[Tensor, "row side_after height_after width_after"]:
        """Models are to PyTorch's kernel only more groups; one model is a plain convolution."""
        return convolved(x, (self.weight, self.bias), window=self.window)

    def emit(self, graph: Graph, x: str, *, model: int, norm: MapBatchNorm | None = None) -> str:
        """One Conv over (rows, channels, height, width), a normalisation that follows multiplied in."""
        weight = self.weight[model].detach().cpu().double().numpy()
        bias = np.zeros(len(weight)) if self.bias is None else self.bias[model].detach().cpu().double().numpy()
        if norm is not None:
            factor, shift = norm.affine(model)
            weight, bias = weight * factor[:, None, None, None], bias * factor + shift
        parameters = snapped(weight), bias.astype(np.float32)
        return emit_convolution(graph, x, parameters=parameters, window=self.window)


def convolved(x: Tensor, parameters: tuple[Tensor, Tensor | None], *, window: Window) -> Tensor:
    """Folded maps convolved with weights (M, out, kernel, kernel, in / groups) and biases (M, out)."""
    weight, bias = parameters
    kernels = weight.flatten(0, 1).permute(0, 3, 1, 2)  # a view in channels-last memory
    biases = None if bias is None else bias.flatten()
    groups = len(weight) * window.groups
    return functional.conv2d(x, kernels, biases, stride=window.stride, padding=window.margin, groups=groups)


def emit_convolution(graph: Graph, x: str, *, parameters: tuple[Array, Array], window: Window) -> str:
    """Conv with one model's weight (out, kernel, kernel, in / groups) and bias (out,)."""
    weight, bias = parameters
    return graph.op(
        "Conv",
        x,
        graph.constant(np.ascontiguousarray(weight.transpose(0, 3, 1, 2))),
        graph.constant(bias),
        kernel_shape=[window.kernel] * 2,
        strides=[window.stride] * 2,
        pads=[window.margin] * 4,
        group=window.groups,
    )


class NormedConvolution(nn.Module):
    """A convolution, pooling by the largest of 2 × 2 where `pools`, and batch normalisation: one Conv once it is packed.

    Before pooling the normalisation would pass over four times as many numbers. That it can be multiplied into the convolution
    all the same takes factors above zero, so with `pools` there is no learned scale.
    """

    def __init__(
        self,
        sizes: tuple[int, int],
        generators: list[torch.Generator],
        *,
        window: Window,
        has_scale: bool = True,
        pools: bool = False,
    ) -> None:
        super().__init__()
        assert not (pools and has_scale), "a learned factor may fall below zero, and the largest become the smallest"
        self.convolution = Convolution(sizes, generators, window=window)
        self.norm = MapBatchNorm(sizes[1], n_models=len(generators), has_scale=has_scale)
        self.pools = pools

    def forward(self, x: Float[Tensor, "row side height width"]) -> Float[Tensor, "row side_after height_after width_after"]:
        """Convolved, pooled, normalised."""
        x = self.convolution(x)
        normed: Tensor = self.norm(functional.max_pool2d(x, 2) if self.pools else x)
        return normed

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """Conv, and MaxPool where it pools."""
        x = self.convolution.emit(graph, x, model=model, norm=self.norm)
        return emit_largest(graph, x, window=HALVING) if self.pools else x


HALVING = Window(kernel=2, stride=2, padding=0)


def emit_largest(graph: Graph, x: str, *, window: Window) -> str:
    """MaxPool."""
    return graph.op("MaxPool", x, kernel_shape=[window.kernel] * 2, strides=[window.stride] * 2, pads=[window.margin] * 4)


def emit_pooled(graph: Graph, x: str, *, kind: str) -> str:
    """What is left of each channel over all positions, (rows, channels); `kind` "GlobalAveragePool" or "GlobalMaxPool"."""
    return graph.op("Flatten", graph.op(kind, x), axis=1)
