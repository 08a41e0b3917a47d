"""Between predictions and the numbers that meta-models add up: log probabilities, log odds, or standardised values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cupel.core.form import Form, sigmoid
from cupel.ensembling.evidence import Array

if TYPE_CHECKING:
    from cupel.core.graph import Graph

Matrix = NDArray[np.float64]
LEAST = 1e-6
"""Probabilities below it are taken for it: a member that was sure and wrong is not infinitely wrong."""


@dataclass(frozen=True)
class Link:
    """Logarithm and softmax for classes, log odds and sigmoid for labels; for values, steps of `noise` away from `centre`.

    `noise` is the error of a plain mean. Measured in it, half the squared error is a log loss too, and one penalty means the same
    for both.
    """

    form: Form
    centre: float = 0.0
    noise: float = 1.0

    @classmethod
    def of(cls, predictions: Sequence[Array], target: Array, *, form: Form) -> Link:
        """The link for members' predictions of these targets."""
        if form.has_probabilities:
            return cls(form)
        error = target - np.mean(predictions, axis=0)[:, 0]
        return cls(form, float(target.mean()), float(np.sqrt(np.mean(error**2))) or 1.0)

    def numbers(self, prediction: Array) -> Matrix:
        """What is added up, shape (rows, outputs)."""
        if self.form is Form.CLASSES:
            return np.log(np.clip(np.asarray(prediction, np.float64), LEAST, 1.0))
        if self.form is Form.LABELS:
            kept = np.clip(np.asarray(prediction, np.float64), LEAST, 1.0 - LEAST)
            return np.asarray(np.log(kept) - np.log1p(-kept))
        return np.asarray((prediction - self.centre) / self.noise, np.float64)

    def prediction(self, numbers: Matrix) -> Matrix:
        """Back to probabilities or values."""
        return self.form.finished(numbers * self.noise + self.centre)

    def loss(self, numbers: Matrix, target: Array) -> tuple[float, Matrix]:
        """The summed log loss (half the squared error, for values), and its slope along the numbers.

        Of several labels the mean over a row's known ones, as elsewhere: one penalty means the same for any number of labels.
        """
        if self.form is Form.LABELS:
            return _loss_of_labels(numbers, target)
        if self.form is Form.VALUES:
            error = numbers - ((target - self.centre) / self.noise)[:, None]
            return 0.5 * float((error**2).sum()), error
        slope = self.prediction(numbers)
        own = np.arange(len(target)), target
        loss = -float(np.log(np.maximum(slope[own], np.finfo(np.float64).tiny)).sum())
        slope[own] -= 1.0
        return loss, slope

    def emit_numbers(self, graph: Graph, prediction: str) -> str:
        """`numbers` in a graph."""
        if self.form.has_probabilities:
            most = 1.0 if self.form is Form.CLASSES else 1.0 - LEAST
            kept = graph.op("Clip", prediction, graph.constant(LEAST, np.float64), graph.constant(most, np.float64))
            logarithm = graph.op("Log", kept)
            if self.form is Form.CLASSES:
                return logarithm
            return graph.op("Sub", logarithm, graph.op("Log", graph.op("Sub", graph.constant(1.0, np.float64), kept)))
        shifted = graph.op("Sub", prediction, graph.constant(self.centre, np.float64))
        return graph.op("Div", shifted, graph.constant(self.noise, np.float64))

    def emit_prediction(self, graph: Graph, numbers: str) -> str:
        """`prediction` in a graph."""
        if self.form.has_probabilities:
            return self.form.emit(graph, numbers)
        scaled = graph.op("Mul", numbers, graph.constant(self.noise, np.float64))
        return graph.op("Add", scaled, graph.constant(self.centre, np.float64))


def _loss_of_labels(numbers: Matrix, target: Array) -> tuple[float, Matrix]:
    known = np.isfinite(target)
    wanted = np.where(known, target, 0.5)
    share = known / np.maximum(known.sum(axis=1, keepdims=True), 1)
    losses = np.logaddexp(0.0, numbers) - wanted * numbers
    return float((share * losses).sum()), share * (sigmoid(numbers) - wanted)
