"""Learned factors per feature."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from cupel.core.graph import Graph


class Scale(nn.Module):
    """Multiplies each feature by a learned factor; scale (M, width), starting at 1.

    Source: Holzmüller et al. 2024, arXiv:2407.04491, section 3 (the scaling layer of RealMLP).
    """

    def __init__(self, width: int, *, n_models: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(n_models, width))

    def forward(self, x: Float[Tensor, "model row width"]) -> Float[Tensor, "model row width"]:
        """Each feature times its factor."""
        return x * self.scale[:, None, :]

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """One product."""
        return graph.op("Mul", x, graph.constant(self.scale[model].detach().cpu().numpy().astype(np.float32)))


class MemberScale(nn.Module):
    """Gives each of E members its own view of the input: scale (M, E, width), random and constant within a feature's chunk.

    Source: Gorishniy et al. 2024, arXiv:2410.24210, section 3.3 and appendix D (TabM-mini).
    """

    def __init__(self, chunks: list[int], n_members: int, generators: list[torch.Generator]) -> None:
        super().__init__()
        repeats = torch.tensor(chunks)
        per_chunk = [torch.randn(n_members, len(chunks), generator=g) for g in generators]
        self.scale = nn.Parameter(torch.stack([values.repeat_interleave(repeats, dim=1) for values in per_chunk]))

    def forward(self, x: Float[Tensor, "model row width"]) -> Float[Tensor, "model member row width"]:
        """One scaled copy per member."""
        return x[:, None] * self.scale[:, :, None, :]

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """(rows, width) to (member, rows, width)."""
        scale = self.scale[model][:, None, :].detach().cpu().numpy().astype(np.float32)
        return graph.op("Mul", x, graph.constant(scale))
