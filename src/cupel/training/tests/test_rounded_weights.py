"""Large matrices end as numbers that half precision holds, before anything is predicted by them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto

from cupel import training
from cupel.core.family import Family, FittedUnit, UnitData
from cupel.core.graph import Graph
from cupel.core.inputs import InputShape
from cupel.core.layers import round_weights
from cupel.core.recipe import Recipe
from cupel.training import trainer
from cupel.training.tests.making_units import BINARY, NORMALISED, REGRESSION, SEVERAL, TASKS, TINY, Config, unit_of

WIDTH = 600
"""Both matrices have more than a thousand numbers."""
QUICK = Recipe(learning_rate=0.01, batch_size=64, epochs=2)
RECIPES = {
    "plain": QUICK,
    "moving average": replace(QUICK, ema=0.9),
    "mean over epochs": replace(QUICK, epochs=4, swa=0.5),
    "snapshots": replace(QUICK, epochs=6, snapshots=3, schedule="cosine"),
    "bags": replace(QUICK, bags=2),
}


def fitted(unit: UnitData, recipe: Recipe = QUICK, *, family: Family = TINY, task: Any = BINARY) -> FittedUnit:
    return training.fit(family, [unit], config=Config(width=WIDTH), recipe=recipe, task=task, threads=1)[0]


def is_half(array: NDArray[Any]) -> bool:
    return bool(np.array_equal(array, array.astype(np.float16).astype(np.float32)))


def graph_of(unit: UnitData, result: FittedUnit, *, n_outputs: int) -> onnx.ModelProto:
    graph = Graph()
    given = {name: block for name, block in unit.valid.blocks.items() if block.shape[1]}
    blocks = {name: graph.input(name, block.dtype, width=block.shape[1]) for name, block in given.items()}
    graph.output("prediction", result.model.emit(graph, blocks), np.float64, width=n_outputs)
    return graph.model()


@pytest.mark.parametrize("family", [TINY, NORMALISED, SEVERAL], ids=lambda family: family.name)
@pytest.mark.parametrize("name", RECIPES)
def test_matrices_are_rounded_and_nothing_else(name: str, family: Family) -> None:
    result = fitted(unit_of(BINARY), RECIPES[name], family=family)
    matrices = {key: array for key, array in result.weights.items() if key.endswith("weight")}
    assert len(matrices) >= 2
    assert all(is_half(array) for array in matrices.values())
    assert not any(is_half(array) for key, array in result.weights.items() if key.endswith("bias") and array.size > 10)


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("name", RECIPES)
def test_what_is_judged_is_what_is_packed_in_half_the_bytes(name: str, kind: str) -> None:
    task = TASKS[kind]
    unit = unit_of(task)
    result = fitted(unit, RECIPES[name], task=task)
    model = graph_of(unit, result, n_outputs=task.n_outputs)
    sizes = {tensor.data_type: int(np.prod(tensor.dims)) for tensor in model.graph.initializer if len(tensor.dims) > 1}
    assert sizes[TensorProto.FLOAT16] >= 1000
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = session.run(None, {each.name: unit.valid.blocks[each.name] for each in session.get_inputs()})[0]
    spread = 1.0 if task.form.has_probabilities else float(np.std(unit.train_target))
    assert np.abs(given - result.predictions).max() < 1e-5 * spread
    assert np.array_equal(result.model.predict(unit.valid), result.predictions)


def test_rounding_changes_predictions_by_less_than_what_they_are_off_by(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = unit_of(REGRESSION)
    after = fitted(unit, task=REGRESSION)
    monkeypatch.setattr(trainer, "round_weights", lambda _: None)
    before = fitted(unit, task=REGRESSION)
    assert before.curve == after.curve, "training itself goes on as it did"
    assert 0 < np.abs(before.predictions - after.predictions).max() < 1e-3 * np.std(unit.train_target)
    assert not is_half(before.weights["hidden.weight"])


def test_training_starts_from_rounded_weights_and_rounds_its_own() -> None:
    unit = unit_of(BINARY)
    first = fitted(unit)
    second = fitted(replace(unit, start=first.weights))
    assert not np.array_equal(second.weights["hidden.weight"], first.weights["hidden.weight"])
    assert is_half(second.weights["hidden.weight"])


def test_a_matrix_that_half_precision_cannot_hold_stays_as_it_is() -> None:
    assert TINY.build is not None
    shape = InputShape.covering([unit_of(BINARY).train])
    network = TINY.build(shape, n_outputs=2, task=BINARY, config=Config(width=WIDTH), seeds=[1, 2])
    with torch.no_grad():
        network.hidden.weight[1] *= 1e6
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    round_weights(network)
    weights = network.state_dict()["hidden.weight"]
    assert is_half(weights[0].numpy())
    assert torch.equal(weights[1], before["hidden.weight"][1]), "each model by itself"
