"""Products of features, learned."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from cupel.core.graph import Graph
from cupel.core.layers.linear import Linear


class Cross(nn.Module):
    """`start * (x @ weight + bias) + x`: raises the degree of the polynomial in `start` by one.

    With `rank`, weight is a product of (width, rank) and (rank, width) matrices.
    Source: Wang et al. 2020, arXiv:2008.13535, eq. 1 and 2.
    """

    def __init__(self, width: int, generators: list[torch.Generator], *, rank: int | None = None) -> None:
        super().__init__()
        self.narrow: nn.Parameter | None = None
        if rank is not None:
            bound = 1 / math.sqrt(max(width, 1))
            narrow = [torch.rand(width, rank, generator=g) * 2 * bound - bound for g in generators]
            self.narrow = nn.Parameter(torch.stack(narrow))
        self.linear = Linear((width if rank is None else rank, width), generators)

    def forward(
        self, start: Float[Tensor, "model row width"], x: Float[Tensor, "model row width"]
    ) -> Float[Tensor, "model row width"]:
        """One degree more."""
        mapped = self.linear(x if self.narrow is None else torch.bmm(x, self.narrow))
        return torch.addcmul(x, start, mapped)

    def emit(self, graph: Graph, tensors: tuple[str, str], *, model: int) -> str:
        """The same from plain operators; `tensors` are start and x."""
        start, x = tensors
        given = x
        if self.narrow is not None:
            given = graph.op("MatMul", x, graph.constant(self.narrow[model].detach().cpu().numpy().astype(np.float32)))
        return graph.op("Add", graph.op("Mul", start, self.linear.emit(graph, given, model=model)), x)
