"""Embeddings of numbers: one vector per feature, so that a network can bend each on its own."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cupel.core.graph import Graph

MOST_ROWS = 20_000
NARROWEST = 1e-6


class PeriodicEmbedding(nn.Module):
    """PBLD: `concat(x, weight * cos(2 pi frequency x + phase) + bias)` per feature, with `width` outputs each.

    Shapes: frequency and phase (M, F, H), weight (M, F, H, width - 1), bias (M, F, width - 1).
    Source: Holzmüller et al. 2024, arXiv:2407.04491, section 3; after Gorishniy et al. 2022, arXiv:2203.05556.
    """

    def __init__(
        self, n_features: int, generators: list[torch.Generator], *, n_frequencies: int = 16, width: int = 4, sigma: float = 0.1
    ) -> None:
        super().__init__()
        self.width = width
        shape = (n_features, n_frequencies)
        bound = 1 / math.sqrt(n_frequencies)
        out = width - 1
        self.frequency = nn.Parameter(torch.stack([torch.randn(shape, generator=g) * sigma for g in generators]))
        self.phase = nn.Parameter(torch.stack([(torch.rand(shape, generator=g) * 2 - 1) * math.pi for g in generators]))
        uniform = [torch.rand((*shape, out), generator=g) * 2 * bound - bound for g in generators]
        self.weight = nn.Parameter(torch.stack(uniform))
        self.bias = nn.Parameter(
            torch.stack([torch.rand((n_features, out), generator=g) * 2 * bound - bound for g in generators])
        )

    def forward(self, x: Float[Tensor, "model row feature"]) -> Float[Tensor, "model row embedded"]:
        """Features side by side, each `width` wide."""
        columns = x.transpose(1, 2)[..., None]  # (M, F, B, 1)
        angle = torch.addcmul(self.phase[:, :, None, :], columns, self.frequency[:, :, None, :] * (2 * math.pi))
        mixed = _per_feature(torch.cos(angle), self.weight, self.bias)
        both = torch.cat([columns, mixed], dim=-1)  # (M, F, B, width)
        return both.transpose(1, 2).flatten(2)

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators; x is (rows, features)."""
        frequency, phase = (_array(p[model][:, None, :]) for p in (self.frequency, self.phase))
        weight, bias = _array(self.weight[model]), _array(self.bias[model][:, None, :])
        columns = _feature_first(graph, x)
        frequency = (frequency * np.float32(2 * math.pi)).astype(np.float32)
        angle = graph.op("Add", graph.op("Mul", columns, graph.constant(frequency)), graph.constant(phase))
        mixed = graph.op("MatMul", graph.op("Cos", angle), graph.constant(weight))
        both = graph.concat([columns, graph.op("Add", mixed, graph.constant(bias))], axis=2)
        return _rows_first(graph, both, len(weight) * self.width)


class PeriodicReluEmbedding(nn.Module):
    """PLR: `relu(weight @ concat(cos, sin)(2 pi frequency x) + bias)` per feature, with `width` outputs each.

    Shapes: frequency (M, F, H), weight (M, F, 2 H, width), bias (M, F, width). Frequencies start normal with deviation `sigma`.
    Source: Gorishniy et al. 2022, arXiv:2203.05556, section 3.3.
    """

    def __init__(
        self, n_features: int, generators: list[torch.Generator], *, n_frequencies: int = 48, width: int = 24, sigma: float = 0.1
    ) -> None:
        super().__init__()
        self.width = width
        bound = 1 / math.sqrt(2 * n_frequencies)
        frequency = [torch.randn(n_features, n_frequencies, generator=g) * sigma for g in generators]
        weight = [torch.rand(n_features, 2 * n_frequencies, width, generator=g) * 2 * bound - bound for g in generators]
        self.frequency = nn.Parameter(torch.stack(frequency))
        self.weight = nn.Parameter(torch.stack(weight))
        self.bias = nn.Parameter(
            torch.stack([torch.rand(n_features, width, generator=g) * 2 * bound - bound for g in generators])
        )

    def forward(self, x: Float[Tensor, "model row feature"]) -> Float[Tensor, "model row embedded"]:
        """Features side by side, each `width` wide."""
        angle = x.transpose(1, 2)[..., None] * (self.frequency[:, :, None, :] * (2 * math.pi))  # (M, F, B, H)
        waves = torch.cat([torch.cos(angle), torch.sin(angle)], dim=-1)
        return functional.relu(_per_feature(waves, self.weight, self.bias)).transpose(1, 2).flatten(2)

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators; x is (rows, features)."""
        frequency = (_array(self.frequency[model][:, None, :]) * np.float32(2 * math.pi)).astype(np.float32)
        weight, bias = _array(self.weight[model]), _array(self.bias[model][:, None, :])
        angle = graph.op("Mul", _feature_first(graph, x), graph.constant(frequency))
        waves = graph.concat([graph.op("Cos", angle), graph.op("Sin", angle)], axis=2)
        mixed = graph.op("Add", graph.op("MatMul", waves, graph.constant(weight)), graph.constant(bias))
        return _rows_first(graph, graph.op("Relu", mixed), len(weight) * self.width)


class LinearEmbedding(nn.Module):
    """`weight * x + bias`, `width` outputs per feature; weight and bias (M, F, width), uniform in ±1/sqrt(width).

    Source: Gorishniy et al. 2021, arXiv:2106.11959, section 3.3 (the tokenizer of numbers).
    """

    def __init__(self, n_features: int, generators: list[torch.Generator], *, width: int) -> None:
        super().__init__()
        self.width = width
        shape, bound = (n_features, width), 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.stack([torch.rand(shape, generator=g) * 2 * bound - bound for g in generators]))
        self.bias = nn.Parameter(torch.stack([torch.rand(shape, generator=g) * 2 * bound - bound for g in generators]))

    def forward(self, x: Float[Tensor, "model row feature"]) -> Float[Tensor, "model row embedded"]:
        """Features side by side, each `width` wide."""
        return torch.addcmul(self.bias[:, None], x[..., None], self.weight[:, None]).flatten(2)

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators; x is (rows, features)."""
        weight, bias = _array(self.weight[model]), _array(self.bias[model])
        columns = graph.op("Unsqueeze", x, graph.constant(np.array([2], np.int64)))  # (N, F, 1)
        embedded = graph.op("Add", graph.op("Mul", columns, graph.constant(weight)), graph.constant(bias))
        return graph.op("Reshape", embedded, graph.constant(np.array([-1, weight.size], np.int64)))


class PiecewiseLinearEmbedding(nn.Module):
    """A learned linear map of how far each feature is through each of its quantile bins, plus one of the feature itself.

    `slope` and `offset` (M, F, bins) place a value within each bin, clamped to 0…1; they are set by `initialise` from training
    rows and are not trained. Bins of no width are switched off.
    Source: Gorishniy et al. 2022, arXiv:2203.05556, eq. 1; version B of Gorishniy et al. 2024, arXiv:2410.24210, appendix D.
    Departure: the outer bins are clamped too, so that no value far out explodes; the linear part goes on beyond them.
    """

    slope: Tensor
    offset: Tensor

    def __init__(self, n_features: int, generators: list[torch.Generator], *, n_bins: int = 16, width: int = 8) -> None:
        super().__init__()
        n_models, self.width, self.n_bins = len(generators), width, n_bins
        zeros = torch.zeros(n_models, n_features, n_bins)
        self.register_buffer("slope", zeros)
        self.register_buffer("offset", zeros.clone())
        shape = (n_features, width)
        self.weight = nn.Parameter(torch.zeros(n_models, n_features, n_bins, width))
        self.linear_weight = nn.Parameter(torch.stack([torch.rand(shape, generator=g) * 2 - 1 for g in generators]))
        self.bias = nn.Parameter(torch.stack([torch.rand(shape, generator=g) * 2 - 1 for g in generators]))

    def initialise(self, x: Float[Tensor, "model row feature"]) -> None:
        """Set the bins at quantiles of training rows."""
        ordered = x[:, :MOST_ROWS].sort(dim=1).values
        places = torch.linspace(0, ordered.shape[1] - 1, self.n_bins + 1, device=x.device).round().long()
        edges = ordered[:, places].transpose(1, 2)  # (M, F, bins + 1)
        widths = edges.diff(dim=-1)
        has_width = widths > NARROWEST
        self.slope.copy_(torch.where(has_width, 1 / widths.clamp_min(NARROWEST), 0.0))
        self.offset.copy_(-edges[..., :-1] * self.slope)

    def forward(self, x: Float[Tensor, "model row feature"]) -> Float[Tensor, "model row embedded"]:
        """Features side by side, each `width` wide."""
        columns = x.transpose(1, 2)[..., None]  # (M, F, B, 1)
        through = torch.addcmul(self.offset[:, :, None, :], columns, self.slope[:, :, None, :])
        through = through.clamp_(0.0, 1.0)  # needs no gradient: nothing in it is trained
        straight = torch.addcmul(self.bias[:, :, None, :], columns, self.linear_weight[:, :, None, :])
        curved = torch.baddbmm(straight.flatten(0, 1), through.flatten(0, 1), self.weight.flatten(0, 1))
        return curved.view(*self.weight.shape[:2], *curved.shape[1:]).transpose(1, 2).flatten(2)

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators; x is (rows, features)."""
        slope, offset = (_array(p[model][:, None, :]) for p in (self.slope, self.offset))
        columns = _feature_first(graph, x)
        through = graph.op("Add", graph.op("Mul", columns, graph.constant(slope)), graph.constant(offset))
        through = graph.op("Clip", through, graph.constant(0.0, np.float32), graph.constant(1.0, np.float32))
        curved = graph.op("MatMul", through, graph.constant(_array(self.weight[model])))
        linear = graph.constant(_array(self.linear_weight[model][:, None, :]))
        straight = graph.op("Add", graph.op("Mul", columns, linear), graph.constant(_array(self.bias[model][:, None, :])))
        both = graph.op("Add", curved, straight)
        return _rows_first(graph, both, slope.shape[0] * self.width)


def _per_feature(
    x: Float[Tensor, "model feature row in"],
    weight: Float[Tensor, "model feature in out"],
    bias: Float[Tensor, "model feature out"],
) -> Float[Tensor, "model feature row out"]:
    """An affine map of its own for each feature."""
    mapped = torch.baddbmm(bias.flatten(0, 1)[:, None], x.flatten(0, 1), weight.flatten(0, 1))
    return mapped.view(*weight.shape[:2], *mapped.shape[1:])


def _array(tensor: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return tensor.detach().cpu().numpy().astype(np.float32)


def _feature_first(graph: Graph, x: str) -> str:
    return graph.op("Unsqueeze", graph.op("Transpose", x, perm=[1, 0]), graph.constant(np.array([2], np.int64)))  # (F, N, 1)


def _rows_first(graph: Graph, x: str, width: int) -> str:
    shape = graph.constant(np.array([-1, width], np.int64))
    return graph.op("Reshape", graph.op("Transpose", x, perm=[1, 0, 2]), shape)
