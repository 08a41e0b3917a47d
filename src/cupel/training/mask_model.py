"""A trained network that answers for every pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.graph import Graph
from cupel.core.inputs import Inputs
from cupel.training.model import TrainedNetwork, mean_of_members

Array = NDArray[Any]
ROWS_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class TrainedMasks:
    """Probabilities of classes at every pixel, laid out as (classes, height, width); a few pictures at a time."""

    trained: TrainedNetwork
    n_classes: int

    def predict(self, inputs: Inputs) -> NDArray[np.float64]:
        """Probabilities averaged over members, shape (rows, classes * height * width)."""
        starts = range(0, max(inputs.n_samples, 1), ROWS_AT_ONCE)
        return np.concatenate([self._some(inputs, slice(start, start + ROWS_AT_ONCE)) for start in starts])

    def _some(self, inputs: Inputs, rows: slice) -> NDArray[np.float64]:
        part = Inputs({name: block[rows] for name, block in inputs.blocks.items()}, inputs.cardinalities)
        logits = self.trained.outputs(part)
        pixels = logits.reshape(*logits.shape[:2], self.n_classes, logits.shape[2] // self.n_classes)  # (E, B, K, H * W)
        exponentials = np.exp(pixels - pixels.max(axis=2, keepdims=True))
        probabilities = exponentials / exponentials.sum(axis=2, keepdims=True)
        return np.asarray(probabilities.mean(axis=0).reshape(logits.shape[1:]))

    def emit(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        """The same from plain operators."""
        shape = graph.constant(np.array([0, 0, self.n_classes, -1], np.int64))
        pixels = graph.op("Reshape", self.trained.emit_outputs(graph, blocks), shape)
        return graph.op("Flatten", mean_of_members(graph, graph.op("Softmax", pixels, axis=2)), axis=1)
