"""Networks on pictures in the one training loop: they learn, repeat themselves, and leave as what they predict."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from cupel import training
from cupel.core.family import FittedUnit, UnitData
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs
from cupel.core.recipe import Recipe
from cupel.core.task import Task, TaskKind

TASK = Task(kind=TaskKind.BINARY, target="y", metric="log_loss", classes=("a", "b"))
SIDE = 8
CASES: dict[str, tuple[dict[str, Any], Recipe]] = {
    "airbench": ({"width": 16, "growth": 1.0}, Recipe(optimizer="sgd", learning_rate=0.1, ema=0.8, epochs=6, batch_size=16)),
    "vit": (
        {"width": 64, "depth": 2, "expansion": 2, "stochastic_depth": 0.1, "augment": "none"},
        Recipe(learning_rate=3e-3, gradient_clip=1.0, epochs=5, batch_size=16),
    ),
}


def unit(*, fold: int = 0) -> UnitData:
    """Bright above, or bright below; the last rows to stop by and to be judged on."""
    generator = np.random.default_rng(fold)
    target = generator.integers(0, 2, 112)
    pixels = generator.integers(0, 150, (112, 1, SIDE, SIDE)).astype(np.uint8)
    pixels[target == 0, :, : SIDE // 2] += 100
    pixels[target == 1, :, SIDE // 2 :] += 100
    parts = [Inputs({"pixels": pixels[rows]}, {}) for rows in (slice(64), slice(64, 80), slice(80, 112))]
    train, stop, valid = parts
    return UnitData(fold, 7 + fold, train, target[:64], stop, target[64:80], valid)


def fitted(name: str, units: list[UnitData]) -> list[FittedUnit]:
    config, recipe = CASES[name]
    family = import_module(f"cupel.modalities.image.models.{name}").spec
    return training.fit(family, units, config=replace(family.config(), **config), recipe=recipe, task=TASK, threads=1)


@pytest.mark.parametrize("name", CASES)
def test_the_loop_trains_networks_on_pictures_and_they_leave_as_onnx(name: str) -> None:
    units = [unit(), unit(fold=1)]
    both = fitted(name, units)
    for own, found in zip(units, both, strict=True):
        truth = (own.valid.blocks["pixels"][:, 0, : SIDE // 2].mean(axis=(1, 2)) < 125).astype(int)
        assert (found.predictions.argmax(axis=1) == truth).mean() > 0.9
    (alone,), (again,) = fitted(name, units[1:]), fitted(name, units[1:])
    assert np.abs(alone.predictions - both[1].predictions).max() < 0.02
    assert np.array_equal(again.predictions, alone.predictions)
    pixels = units[0].valid.blocks["pixels"]
    graph = Graph()
    flat = graph.input("x", np.uint8, width=SIDE * SIDE)
    maps = graph.op("Reshape", flat, graph.constant(np.array([-1, 1, SIDE, SIDE], np.int64)))
    graph.output("y", both[0].model.emit(graph, {"pixels": maps}), np.float64, width=2)
    packed = graph.model()
    sizes = {kind: sum(np.prod(each.dims) for each in packed.graph.initializer if each.data_type == kind) for kind in (1, 10)}
    assert sizes[TensorProto.FLOAT16] > 5 * sizes[TensorProto.FLOAT]
    session = onnxruntime.InferenceSession(packed.SerializeToString(), providers=["CPUExecutionProvider"])
    given = session.run(None, {"x": pixels.reshape(len(pixels), -1)})[0]
    assert np.abs(given - both[0].predictions).max() < 1e-5
