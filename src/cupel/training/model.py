"""A trained network of one fold, taken out of the stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cupel.core.graph import Graph
from cupel.core.inputs import Inputs, InputShape
from cupel.core.layers import Network
from cupel.training.loop import outputs_in_batches
from cupel.training.stacking import padded

Array = NDArray[Any]
ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class TargetScale:
    """How regression targets were standardised for training, and the range that predictions are held within."""

    mean: float
    std: float
    low: float
    high: float

    @classmethod
    def of(cls, target: Array) -> TargetScale:
        """From training targets; a constant target gets the deviation 1."""
        std = float(np.std(target))
        return cls(float(np.mean(target)), std if std > 0 else 1.0, float(np.min(target)), float(np.max(target)))

    def standardised(self, target: Array) -> NDArray[np.float32]:
        """Mean 0, deviation 1."""
        return np.asarray((target - self.mean) / self.std, np.float32)


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network holding one model; `scale` is set for regression, where predictions stay within the range seen in training.

    Source of the clamp: Holzmüller et al. 2024, arXiv:2407.04491, section 3.
    """

    network: Network
    shape: InputShape
    scale: TargetScale | None

    def predict(self, inputs: Inputs) -> NDArray[np.float64]:
        """Probabilities averaged over members, or values."""
        if inputs.n_samples == 0:
            raise ValueError("there are no rows to predict")
        parts = outputs_in_batches(self.network, padded(inputs, self.shape), size=ROWS_AT_ONCE)
        if self.scale is None:
            mixed = torch.cat([torch.softmax(part.double(), dim=-1).mean(dim=0) for part in parts])
            return np.asarray(mixed.cpu().numpy())
        values = torch.cat([part.double().mean(dim=0) for part in parts]).cpu().numpy()
        return np.clip(values * self.scale.std + self.scale.mean, self.scale.low, self.scale.high)

    def emit(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        """Padding where this fold saw less than others, the network, and what `predict` does after it."""
        outputs = self.network.emit(graph, self._padded(graph, blocks), model=0)
        if self.scale is None:
            probabilities = graph.op("Softmax", graph.cast(outputs, np.float64), axis=-1)
            return _mean_of_members(graph, probabilities)
        values = _mean_of_members(graph, graph.cast(outputs, np.float64))
        scaled = graph.op("Mul", values, graph.constant(self.scale.std, np.float64))
        restored = graph.op("Add", scaled, graph.constant(self.scale.mean, np.float64))
        return graph.op("Clip", restored, graph.constant(self.scale.low, np.float64), graph.constant(self.scale.high, np.float64))

    def _padded(self, graph: Graph, blocks: Mapping[str, str]) -> dict[str, str]:
        widths = {name: width for name, width in self.shape.widths.items() if width}
        given = next(iter(blocks.values()))
        tensors = {}
        for name, width in widths.items():
            dtype = np.int64 if self.shape.cardinalities.get(name) else np.float32
            zero = graph.constant(np.zeros((1, width), dtype))
            rows = graph.op("Shape", blocks.get(name, given), start=0, end=1)
            wide = graph.op("Expand", zero, graph.concat([rows, graph.constant(np.array([width], np.int64))], axis=0))
            if name in blocks:
                joined = graph.concat([graph.cast(blocks[name], dtype), wide])
                wide = graph.columns(joined, range(width))
            tensors[name] = wide
        return tensors


def _mean_of_members(graph: Graph, outputs: str) -> str:
    return graph.op("ReduceMean", outputs, graph.constant(np.array([0], np.int64)), keepdims=0)


def one_of(stacked: Network, single: Network, position: int) -> Network:
    """`single` (a network of one model) with the weights of one of the stacked models."""
    taken = {name: tensor[position : position + 1].clone() for name, tensor in stacked.state_dict().items()}
    single.load_state_dict(taken)
    single.eval()
    return single
