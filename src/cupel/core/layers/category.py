"""Learned vectors for categories of high cardinality."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from cupel.core.graph import Graph


class CategoryEmbedding(nn.Module):
    """A table of vectors per column, all in one parameter (M, all levels, width); index 0 of each is "missing or unseen"."""

    starts: Tensor

    def __init__(self, cardinalities: tuple[int, ...], width: int, generators: list[torch.Generator]) -> None:
        super().__init__()
        self.width, self.n_columns = width, len(cardinalities)
        n_levels = sum(cardinalities)
        self.table = nn.Parameter(torch.stack([torch.randn(n_levels, width, generator=g) * 0.1 for g in generators]))
        starts = torch.tensor([0, *np.cumsum(cardinalities)[:-1].tolist()], dtype=torch.int64)
        self.register_buffer("starts", starts.repeat(len(generators), 1))

    def forward(self, codes: Int[Tensor, "model row column"]) -> Float[Tensor, "model row embedded"]:
        """Columns side by side, each `width` wide."""
        places = codes + self.starts[:, None, :]
        n_levels = self.table.shape[1]
        shift = torch.arange(len(codes), device=codes.device)[:, None, None] * n_levels
        return self.table.flatten(0, 1)[places + shift].flatten(2)

    def emit(self, graph: Graph, codes: str, *, model: int) -> str:
        """A lookup; codes are (rows, columns)."""
        places = graph.op("Add", codes, graph.constant(self.starts[model].cpu().numpy().astype(np.int64)))
        table = graph.constant(self.table[model].detach().cpu().numpy().astype(np.float32))
        shape = graph.constant(np.array([-1, self.n_columns * self.width], np.int64))
        return graph.op("Reshape", graph.op("Gather", table, places, axis=0), shape)
