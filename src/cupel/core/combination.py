"""How the predictions of several models become one: in numpy while choosing, in ONNX once chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cupel.core.graph import Graph

Array = NDArray[Any]


class Combination(Protocol):
    """A frozen rule. It is given one prediction per member, in the members' order, each of shape (rows, outputs)."""

    def apply(self, predictions: Sequence[Array]) -> NDArray[np.float64]:
        """The combined prediction, shape (rows, outputs); rows of probabilities sum to 1. Rows do not influence one another."""
        ...

    def emit(self, graph: Graph, predictions: Sequence[str]) -> str:
        """Write the same into the graph; tensors are double."""
        ...


@dataclass(frozen=True)
class WeightedMean:
    """The mean with one weight per member, summing to 1; members without weight are not looked at."""

    weights: tuple[float, ...]

    def apply(self, predictions: Sequence[Array]) -> NDArray[np.float64]:
        """The weighted mean."""
        blended: Array = np.zeros(np.shape(predictions[0]))
        for prediction, weight in zip(predictions, self.weights, strict=True):
            if weight != 0:
                blended = blended + weight * prediction
        return blended

    def emit(self, graph: Graph, predictions: Sequence[str]) -> str:
        """Products and a sum; a single member is passed on as it is."""
        terms = [
            prediction if weight == 1.0 else graph.op("Mul", prediction, graph.constant(weight, np.float64))
            for prediction, weight in zip(predictions, self.weights, strict=True)
            if weight != 0
        ]
        return terms[0] if len(terms) == 1 else graph.op("Sum", *terms)


@dataclass(frozen=True, eq=False)
class Among:
    """A combination of some of many members: those at `positions`, in that order."""

    positions: tuple[int, ...]
    combination: Combination

    def apply(self, predictions: Sequence[Array]) -> NDArray[np.float64]:
        """The combination of the chosen ones."""
        return self.combination.apply([predictions[position] for position in self.positions])

    def emit(self, graph: Graph, predictions: Sequence[str]) -> str:
        """The same in the graph."""
        return self.combination.emit(graph, [predictions[position] for position in self.positions])
