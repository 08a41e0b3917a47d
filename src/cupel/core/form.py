"""What the numbers of a prediction are: probabilities that exclude one another, independent ones, or values."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cupel.core.graph import Graph

Array = NDArray[Any]
LEAST_PROBABILITY = 1e-15


class Form(StrEnum):
    """The form of predictions, shape (rows, outputs), and of the targets that they are compared with.

    CLASSES: probabilities of classes, rows summing to 1; targets are class indices. LABELS: a probability for each of several
    labels that may hold together; targets (rows, labels) are 1, 0, or NaN where nobody knows. VALUES: one value; so are targets.
    MASKS: probabilities of classes at every pixel (`core.masks`); targets are class indices of pixels.
    """

    CLASSES = "classes"
    LABELS = "labels"
    VALUES = "values"
    MASKS = "masks"

    @property
    def has_probabilities(self) -> bool:
        """Whether predictions are probabilities."""
        return self is not Form.VALUES

    def finished(self, numbers: Array) -> NDArray[np.float64]:
        """Predictions from what a model adds up, over the last axis: by softmax, by sigmoid, or unchanged."""
        assert self is not Form.MASKS, "masks are finished pixel by pixel"
        if self is Form.VALUES:
            return np.asarray(numbers, np.float64)
        if self is Form.LABELS:
            return sigmoid(numbers)
        exponentials = np.exp(numbers - numbers.max(axis=-1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))

    def emit(self, graph: Graph, numbers: str) -> str:
        """`finished` in a graph, in the type of the numbers."""
        if self is Form.VALUES:
            return numbers
        return graph.op("Sigmoid", numbers) if self is Form.LABELS else graph.op("Softmax", numbers, axis=-1)

    def loss(self, predictions: Array, target: Array) -> float:
        """Mean log loss, over known labels where there are several, or mean squared error: what models are stopped by."""
        if self is Form.VALUES:
            return float(np.mean((predictions[:, 0] - target) ** 2))
        if self is Form.CLASSES:
            said = predictions[np.arange(len(target)), target]
            return float(-np.log(np.maximum(said, LEAST_PROBABILITY)).mean())
        known = np.isfinite(target)
        if not known.any():
            return float(np.log(2.0))
        said = np.where(target == 1, predictions, 1.0 - predictions)[known]
        return float(-np.log(np.maximum(said, LEAST_PROBABILITY)).mean())


def sigmoid(logits: Array) -> NDArray[np.float64]:
    """Probabilities of logits; large ones of either sign do not overflow."""
    small = np.exp(-np.abs(logits))
    return np.asarray(np.where(logits >= 0, 1.0, small) / (1.0 + small))
