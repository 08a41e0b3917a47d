"""Affine maps of several stacked models at once."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from cupel.core.graph import Graph


class Linear(nn.Module):
    """`x @ weight + bias` per model; weight (M, in, out), bias (M, out).

    Weights and biases start uniform in ±1/sqrt(in), as PyTorch's do; with `normal` they start normal with deviation
    1/sqrt(in), biases with deviation 1: the NTK parametrisation (Jacot et al. 2018, arXiv:1806.07572) with its factor 1/sqrt(in)
    multiplied in. Under Adam that is the same if the learning rate of the weight has this factor too, its decay the inverse.
    """

    def __init__(self, sizes: tuple[int, int], generators: list[torch.Generator], *, normal: bool = False) -> None:
        super().__init__()
        n_in, n_out = sizes
        bound = 1 / math.sqrt(max(n_in, 1))
        if normal:
            weight = torch.stack([torch.randn(n_in, n_out, generator=g) * bound for g in generators])
            bias = torch.stack([torch.randn(n_out, generator=g) for g in generators])
        else:
            weight = torch.stack([torch.rand(n_in, n_out, generator=g) * 2 * bound - bound for g in generators])
            bias = torch.stack([torch.rand(n_out, generator=g) * 2 * bound - bound for g in generators])
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    @property
    def ntk_factor(self) -> float:
        """1/sqrt(in)."""
        return 1 / math.sqrt(self.weight.shape[-2])

    def forward(self, x: Float[Tensor, "model row in"]) -> Float[Tensor, "model row out"]:
        """Apply each model's map to its own rows."""
        return torch.baddbmm(self.bias[:, None, :], x, self.weight)

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """MatMul and Add; x may have leading axes."""
        weight = self.weight[model].detach().cpu().numpy().astype(np.float32)
        bias = self.bias[model].detach().cpu().numpy().astype(np.float32)
        return graph.op("Add", graph.op("MatMul", x, graph.constant(weight)), graph.constant(bias))


class MemberLinear(nn.Module):
    """An own affine map for each of E members of each model; weight (M, E, in, out), bias (M, E, out).

    Source: Gorishniy et al. 2024, arXiv:2410.24210, section 3.3: the heads of TabM are not shared.
    """

    def __init__(self, sizes: tuple[int, int], n_members: int, generators: list[torch.Generator]) -> None:
        super().__init__()
        n_in, n_out = sizes
        bound = 1 / math.sqrt(max(n_in, 1))
        shape = (n_members, n_in, n_out)
        self.weight = nn.Parameter(torch.stack([torch.rand(shape, generator=g) * 2 * bound - bound for g in generators]))
        self.bias = nn.Parameter(torch.stack([torch.rand(n_members, n_out, generator=g) * 2 * bound - bound for g in generators]))

    def forward(self, x: Float[Tensor, "model member row in"]) -> Float[Tensor, "model member row out"]:
        """Apply each member's map to its own rows."""
        return torch.matmul(x, self.weight) + self.bias[:, :, None, :]

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """MatMul and Add over (member, rows, in)."""
        weight = self.weight[model].detach().cpu().numpy().astype(np.float32)
        bias = self.bias[model][:, None, :].detach().cpu().numpy().astype(np.float32)
        return graph.op("Add", graph.op("MatMul", x, graph.constant(weight)), graph.constant(bias))


class BatchEnsembleLinear(nn.Module):
    """An affine map whose weight E members share, each scaling what enters and leaves it, with a bias of its own.

    weight (M, in, out), input_scale (M, E, in) and output_scale (M, E, out) starting at 1, bias (M, E, out) starting alike.
    `has_input_scale` is off where what comes in has been scaled per member already.
    Source: Wen, Tran, Ba 2020, arXiv:2002.06715, eq. 5; started as in Gorishniy et al. 2024, arXiv:2410.24210, section 3.3.
    """

    def __init__(
        self, sizes: tuple[int, int], n_members: int, generators: list[torch.Generator], *, has_input_scale: bool = True
    ) -> None:
        super().__init__()
        n_in, n_out = sizes
        shared = Linear(sizes, generators)
        self.weight = shared.weight
        self.bias = nn.Parameter(shared.bias.detach()[:, None].repeat(1, n_members, 1))
        ones = torch.ones(len(generators), n_members, n_in)
        self.input_scale = nn.Parameter(ones) if has_input_scale else None
        self.output_scale = nn.Parameter(torch.ones(len(generators), n_members, n_out))

    def forward(self, x: Float[Tensor, "model member row in"]) -> Float[Tensor, "model member row out"]:
        """Apply the shared map to each member's own view of the rows."""
        if self.input_scale is not None:
            x = x * self.input_scale[:, :, None, :]
        mapped = torch.bmm(x.flatten(1, 2), self.weight).view(*x.shape[:3], -1)
        return torch.addcmul(self.bias[:, :, None, :], mapped, self.output_scale[:, :, None, :])

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """Two products beside the MatMul and Add, over (member, rows, in)."""
        weight, bias, scale = (
            _array(tensor[model]) for tensor in (self.weight, self.bias[:, :, None], self.output_scale[:, :, None])
        )
        if self.input_scale is not None:
            x = graph.op("Mul", x, graph.constant(_array(self.input_scale[model][:, None])))
        mapped = graph.op("Mul", graph.op("MatMul", x, graph.constant(weight)), graph.constant(scale))
        return graph.op("Add", mapped, graph.constant(bias))


def _array(tensor: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return tensor.detach().cpu().numpy().astype(np.float32)
