"""Learned vectors for categories of high cardinality."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from cupel.core.graph import Graph


class CategoryEmbedding(nn.Module):
    """A table of vectors per column, all in one parameter (M, all levels, width).

    Index 0 of each column is "missing or unseen"; its vector starts at zero and stays there unless training has such rows.
    """

    starts: Tensor

    def __init__(
        self, cardinalities: tuple[int, ...], generators: list[torch.Generator], *, width: int, scale: float = 0.1
    ) -> None:
        super().__init__()
        self.width, self.n_columns = width, len(cardinalities)
        starts = torch.tensor([0, *np.cumsum(cardinalities)[:-1].tolist()], dtype=torch.int64)
        table = torch.stack([torch.randn(sum(cardinalities), width, generator=g) * scale for g in generators])
        table[:, starts] = 0.0
        self.table = nn.Parameter(table)
        self.register_buffer("starts", starts.repeat(len(generators), 1))

    def forward(self, codes: Int[Tensor, "model row column"]) -> Float[Tensor, "model row embedded"]:
        """Columns side by side, each `width` wide."""
        n_models, n_levels, _ = self.table.shape
        shift = torch.arange(n_models, device=codes.device)[:, None] * n_levels
        places = codes + (self.starts + shift)[:, None, :]
        return functional.embedding(places, self.table.flatten(0, 1)).flatten(2)

    def emit(self, graph: Graph, codes: str, *, model: int) -> str:
        """A lookup; codes are (rows, columns)."""
        places = graph.op("Add", codes, graph.constant(self.starts[model].cpu().numpy().astype(np.int64)))
        table = graph.constant(self.table[model].detach().cpu().numpy().astype(np.float32))
        shape = graph.constant(np.array([-1, self.n_columns * self.width], np.int64))
        return graph.op("Reshape", graph.op("Gather", table, places, axis=0), shape)
