"""One formula for both worlds: arithmetic on arrays computes, the same arithmetic on symbols writes ONNX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.graph import Graph

Array = NDArray[Any]


@dataclass(frozen=True)
class Symbol:
    """A double tensor of a graph under construction; operators add nodes."""

    graph: Graph
    tensor: str

    def _with(self, kind: str, other: Symbol | float | Array) -> Symbol:
        right = other.tensor if isinstance(other, Symbol) else self.graph.constant(other, np.float64)
        return Symbol(self.graph, self.graph.op(kind, self.tensor, right))

    def __add__(self, other: Symbol | float | Array) -> Symbol:
        return self._with("Add", other)

    def __sub__(self, other: Symbol | float | Array) -> Symbol:
        return self._with("Sub", other)

    def __mul__(self, other: Symbol | float | Array) -> Symbol:
        return self._with("Mul", other)

    def __truediv__(self, other: Symbol | float | Array) -> Symbol:
        return self._with("Div", other)

    def through(self, kind: str) -> Symbol:
        """The result of a unary operator."""
        return Symbol(self.graph, self.graph.op(kind, self.tensor))


@dataclass(frozen=True)
class Functions:
    """The unary functions that formulas use, for arrays or for symbols."""

    floor: Callable[[Any], Any]
    sin: Callable[[Any], Any]
    cos: Callable[[Any], Any]
    sqrt: Callable[[Any], Any]


FOR_ARRAYS = Functions(floor=np.floor, sin=np.sin, cos=np.cos, sqrt=np.sqrt)
FOR_SYMBOLS = Functions(
    floor=lambda symbol: symbol.through("Floor"),
    sin=lambda symbol: symbol.through("Sin"),
    cos=lambda symbol: symbol.through("Cos"),
    sqrt=lambda symbol: symbol.through("Sqrt"),
)
