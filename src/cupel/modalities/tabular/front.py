"""Where a table enters a network: numbers embedded or not, binary columns as they are, categories as vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cupel.core.graph import Graph
from cupel.core.inputs import InputShape
from cupel.core.layers import CategoryEmbedding, PeriodicEmbedding, PeriodicReluEmbedding, PiecewiseLinearEmbedding
from cupel.core.space import Choice, Range, When

NumericEmbedding = PeriodicEmbedding | PeriodicReluEmbedding | PiecewiseLinearEmbedding


@dataclass(frozen=True, kw_only=True)
class FrontConfig:
    """How numbers and categories enter: the fields that the configs of several families have in common.

    `numeric`: "periodic" is PLR, "piecewise" the way through each quantile bin, `numeric_width` outputs per number (Gorishniy et
    al. 2022, arXiv:2203.05556); ranges cover what was tuned there and in arXiv:2410.24210. Categories of many levels get vectors.
    """

    numeric: Annotated[str, Choice("none", "periodic", "piecewise")] = "none"
    n_frequencies: Annotated[int, Range(8, 96, log=True), When("numeric", "periodic")] = 48
    sigma: Annotated[float, Range(0.01, 10.0, log=True), When("numeric", "periodic")] = 0.1
    n_bins: Annotated[int, Range(4, 128, log=True), When("numeric", "piecewise")] = 48
    numeric_width: Annotated[int, Range(4, 32), When("numeric", "periodic", "piecewise")] = 16
    category_width: Annotated[int, Range(2, 32, log=True)] = 8


@dataclass(frozen=True, kw_only=True)
class FrontSize:
    """What a front gives and needs per sample: outputs, weights multiplied, numbers stored."""

    width: int
    n_weights: int
    n_activations: int


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

    @classmethod
    def of(cls, shape: InputShape, generators: list[torch.Generator], *, config: FrontConfig) -> Front:
        """The front that a config describes."""
        n_numeric, width = shape.widths.get("numeric", 0), config.numeric_width
        numeric: NumericEmbedding | None = None
        if n_numeric and config.numeric == "periodic":
            numeric = PeriodicReluEmbedding(
                n_numeric, generators, n_frequencies=config.n_frequencies, width=width, sigma=config.sigma
            )
        elif n_numeric and config.numeric == "piecewise":
            numeric = PiecewiseLinearEmbedding(n_numeric, generators, n_bins=config.n_bins, width=width)
        return cls(shape, generators, numeric=numeric, category_width=config.category_width)

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


def front_width(shape: InputShape, *, numeric_width: int, category_width: int) -> int:
    """How many numbers a front gives, without building it."""
    n_categories = len(shape.cardinalities.get("codes", ()))
    return shape.widths.get("numeric", 0) * numeric_width + shape.widths.get("binary", 0) + n_categories * category_width


def size_of(shape: InputShape, config: FrontConfig) -> FrontSize:
    """The size of the front that a config describes; a cosine costs as much as some two stored numbers."""
    n_numeric, is_embedded = shape.widths.get("numeric", 0), config.numeric != "none"
    inner = {"none": 0, "periodic": 2 * config.n_frequencies, "piecewise": config.n_bins}[config.numeric]
    waves = 4 if config.numeric == "periodic" else 1
    width = front_width(shape, numeric_width=config.numeric_width if is_embedded else 1, category_width=config.category_width)
    return FrontSize(
        width=width,
        n_weights=n_numeric * inner * config.numeric_width,
        n_activations=width + n_numeric * inner * waves,
    )
