"""A trained network of one fold, taken out of the stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cupel.core.family import FittedModel
from cupel.core.form import Form
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs, InputShape
from cupel.core.layers import Network
from cupel.training.stacking import padded

Array = NDArray[Any]
ROWS_AT_ONCE = 1024


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

    `widths` are those of the blocks of this fold's preparation; where others saw more, `shape` is wider.
    Source of the clamp: Holzmüller et al. 2024, arXiv:2407.04491, section 3.
    """

    network: Network
    shape: InputShape
    widths: Mapping[str, int]
    scale: TargetScale | None
    form: Form

    def predict(self, inputs: Inputs) -> NDArray[np.float64]:
        """Probabilities averaged over members, or values."""
        outputs = self.outputs(inputs)  # (member, rows, output)
        if self.scale is None:
            return np.asarray(self.form.finished(outputs).mean(axis=0))
        values = outputs.mean(axis=0) * self.scale.std + self.scale.mean
        return np.asarray(np.clip(values, self.scale.low, self.scale.high))

    @torch.inference_mode()
    def outputs(self, inputs: Inputs) -> NDArray[np.float64]:
        """Logits or standardised values of each member, shape (member, rows, outputs)."""
        self.network.eval()
        device = next(self.network.parameters()).device
        blocks = {name: torch.from_numpy(np.ascontiguousarray(block)) for name, block in padded(inputs, self.shape).items()}
        parts = []
        for start in range(0, max(inputs.n_samples, 1), ROWS_AT_ONCE):
            slices = {name: block[None, start : start + ROWS_AT_ONCE].to(device) for name, block in blocks.items()}
            parts.append(self.network(slices)[0].double().cpu().numpy())
        return np.concatenate(parts, axis=1)

    def emit(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        """Padding where this fold saw less than others, the network, and what `predict` does after it."""
        outputs = self.emit_outputs(graph, blocks)
        if self.scale is None:
            return mean_of_members(graph, self.form.emit(graph, outputs))
        values = mean_of_members(graph, outputs)
        scaled = graph.op("Mul", values, graph.constant(self.scale.std, np.float64))
        restored = graph.op("Add", scaled, graph.constant(self.scale.mean, np.float64))
        return graph.op("Clip", restored, graph.constant(self.scale.low, np.float64), graph.constant(self.scale.high, np.float64))

    def emit_outputs(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        """`outputs` in a graph, double."""
        return graph.cast(self.network.emit(graph, self._padded(graph, blocks), model=0), np.float64)

    def _padded(self, graph: Graph, blocks: Mapping[str, str]) -> dict[str, str]:
        """Every block that the network reads, as wide as it reads it."""
        tensors = {}
        for name, width in self.shape.widths.items():
            own = self.widths.get(name, 0)
            if own == width:
                if width:
                    tensors[name] = blocks[name]
                continue
            dtype = np.int64 if name in self.shape.cardinalities else np.float32
            zeros = _zeros(graph, next(iter(blocks.values())), width - own, dtype)
            tensors[name] = graph.concat([blocks[name], zeros]) if own else zeros
        return tensors


@dataclass(frozen=True)
class MeanOfModels:
    """Several models whose predictions are averaged: snapshots of one training, or bags."""

    models: tuple[FittedModel, ...]

    def predict(self, inputs: Inputs) -> NDArray[np.float64]:
        """The mean of what they predict."""
        return np.asarray(np.mean([model.predict(inputs) for model in self.models], axis=0))

    def emit(self, graph: Graph, blocks: Mapping[str, str]) -> str:
        """All models side by side in one graph."""
        total = graph.op("Sum", *[graph.cast(model.emit(graph, blocks), np.float64) for model in self.models])
        return graph.op("Mul", total, graph.constant(1 / len(self.models), np.float64))


def _zeros(graph: Graph, like: str, width: int, dtype: type) -> str:
    """A tensor of zeros with as many rows as another."""
    rows = graph.op("Shape", like, start=0, end=1)
    shape = graph.concat([rows, graph.constant(np.array([width], np.int64))], axis=0)
    return graph.op("Expand", graph.constant(np.zeros((1, 1), dtype)), shape)


def mean_of_members(graph: Graph, outputs: str) -> str:
    """The mean over the first axis."""
    return graph.op("ReduceMean", outputs, graph.constant(np.array([0], np.int64)), keepdims=0)
