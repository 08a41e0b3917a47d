"""Between predictions and the numbers that meta-models add up: log probabilities, or standardised values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cupel.ensembling.evidence import Array

if TYPE_CHECKING:
    from cupel.core.graph import Graph

Matrix = NDArray[np.float64]
LEAST = 1e-6
"""Probabilities below it are taken for it: a member that was sure and wrong is not infinitely wrong."""


@dataclass(frozen=True)
class Link:
    """Logarithm and softmax for classes; for values, steps of `noise` (the error of a plain mean) away from `centre`.

    Measured in `noise`, half the squared error is a log loss too, and one penalty means the same for both.
    """

    is_classification: bool
    centre: float = 0.0
    noise: float = 1.0

    @classmethod
    def of(cls, predictions: Sequence[Array], target: Array, *, is_classification: bool) -> Link:
        """The link for members' predictions of these targets."""
        if is_classification:
            return cls(True)
        error = target - np.mean(predictions, axis=0)[:, 0]
        return cls(False, float(target.mean()), float(np.sqrt(np.mean(error**2))) or 1.0)

    def numbers(self, prediction: Array) -> Matrix:
        """What is added up, shape (rows, outputs)."""
        if self.is_classification:
            return np.log(np.clip(np.asarray(prediction, np.float64), LEAST, 1.0))
        return np.asarray((prediction - self.centre) / self.noise, np.float64)

    def prediction(self, numbers: Matrix) -> Matrix:
        """Back to probabilities or values."""
        if not self.is_classification:
            return numbers * self.noise + self.centre
        exponentials = np.exp(numbers - numbers.max(axis=1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))

    def loss(self, numbers: Matrix, target: Array) -> tuple[float, Matrix]:
        """The summed log loss (half the squared error, for values), and its slope along the numbers."""
        if not self.is_classification:
            error = numbers - ((target - self.centre) / self.noise)[:, None]
            return 0.5 * float((error**2).sum()), error
        slope = self.prediction(numbers)
        own = np.arange(len(target)), target
        loss = -float(np.log(np.maximum(slope[own], np.finfo(np.float64).tiny)).sum())
        slope[own] -= 1.0
        return loss, slope

    def emit_numbers(self, graph: Graph, prediction: str) -> str:
        """`numbers` in a graph."""
        if self.is_classification:
            limits = graph.constant(LEAST, np.float64), graph.constant(1.0, np.float64)
            return graph.op("Log", graph.op("Clip", prediction, *limits))
        shifted = graph.op("Sub", prediction, graph.constant(self.centre, np.float64))
        return graph.op("Div", shifted, graph.constant(self.noise, np.float64))

    def emit_prediction(self, graph: Graph, numbers: str) -> str:
        """`prediction` in a graph."""
        if self.is_classification:
            return graph.op("Softmax", numbers, axis=1)
        scaled = graph.op("Mul", numbers, graph.constant(self.noise, np.float64))
        return graph.op("Add", scaled, graph.constant(self.centre, np.float64))
