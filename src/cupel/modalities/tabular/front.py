"""Where a table enters a network: numbers embedded or not, binary columns as they are, categories as vectors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cupel.core.graph import Graph
from cupel.core.inputs import InputShape
from cupel.core.layers import CategoryEmbedding, PeriodicEmbedding, PiecewiseLinearEmbedding

NumericEmbedding = PeriodicEmbedding | PiecewiseLinearEmbedding


class Front(nn.Module):
    """The blocks "numeric", "binary" and "codes" as one matrix per model.

    `chunks` are the widths of what came from one column each, in order.
    """

    def __init__(
        self,
        shape: InputShape,
        generators: list[torch.Generator],
        *,
        numeric: NumericEmbedding | None,
        category_width: int,
    ) -> None:
        super().__init__()
        cardinalities = shape.cardinalities.get("codes", ())
        n_numeric, n_binary = shape.widths.get("numeric", 0), shape.widths.get("binary", 0)
        self.numeric = numeric if n_numeric else None
        self.codes = CategoryEmbedding(cardinalities, generators, width=category_width) if cardinalities else None
        self.has_numeric, self.has_binary = n_numeric > 0, n_binary > 0
        each = self.numeric.width if self.numeric is not None else 1
        self.chunks = [each] * n_numeric + [1] * n_binary + [category_width] * len(cardinalities)
        self.width = sum(self.chunks)

    def initialise(self, blocks: Mapping[str, Tensor]) -> None:
        """Let the numeric embedding see training rows."""
        if isinstance(self.numeric, PiecewiseLinearEmbedding):
            self.numeric.initialise(blocks["numeric"])

    def forward(self, blocks: Mapping[str, Tensor]) -> Float[Tensor, "model row width"]:
        """All blocks side by side."""
        parts = []
        if self.has_numeric:
            parts.append(self.numeric(blocks["numeric"]) if self.numeric is not None else blocks["numeric"])
        if self.has_binary:
            parts.append(blocks["binary"])
        if self.codes is not None:
            parts.append(self.codes(blocks["codes"]))
        return torch.cat(parts, dim=-1)

    def emit(self, graph: Graph, blocks: Mapping[str, str], *, model: int) -> str:
        """The same from plain operators, (rows, width)."""
        parts = []
        if self.has_numeric:
            numeric = blocks["numeric"]
            parts.append(numeric if self.numeric is None else self.numeric.emit(graph, numeric, model=model))
        if self.has_binary:
            parts.append(blocks["binary"])
        if self.codes is not None:
            parts.append(self.codes.emit(graph, blocks["codes"], model=model))
        return graph.concat(parts)
