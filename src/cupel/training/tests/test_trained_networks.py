"""Trained networks predict, row by row the same, and leave as ONNX with the same predictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from cupel import training
from cupel.core.family import FittedUnit, UnitData
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs
from cupel.core.recipe import Recipe
from cupel.training.tests.making_units import BINARY, TASKS, TINY, Config, unit_of


def trained(units: list[UnitData], task) -> list[FittedUnit]:
    return training.fit(TINY, units, config=Config(), recipe=Recipe(epochs=2, batch_size=64), task=task)


def by_graph(unit: FittedUnit, inputs: Inputs, n_outputs: int) -> np.ndarray:
    graph = Graph()
    given = {name: block for name, block in inputs.blocks.items() if block.shape[1]}
    blocks = {name: graph.input(name, block.dtype, width=block.shape[1]) for name, block in given.items()}
    graph.output("prediction", unit.model.emit(graph, blocks), np.float64, width=n_outputs)
    session = onnxruntime.InferenceSession(graph.model().SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {each.name: given[each.name] for each in session.get_inputs()}
    return session.run(None, feeds)[0]


@pytest.mark.parametrize("kind", TASKS)
def test_the_graph_predicts_what_the_model_predicts(kind: str) -> None:
    task = TASKS[kind]
    unit = unit_of(task)
    (result,) = trained([unit], task)
    spread = 1.0 if task.form.has_probabilities else float(np.std(unit.train_target))
    assert np.abs(by_graph(result, unit.valid, task.n_outputs) - result.predictions).max() < 1e-5 * spread


def test_folds_that_saw_fewer_columns_leave_without_them() -> None:
    narrow, wide = unit_of(BINARY, fold=0), unit_of(BINARY, fold=1, n_binary=3)
    absent = unit_of(BINARY, fold=2, n_binary=0)
    for unit, result in zip((narrow, wide, absent), trained([narrow, wide, absent], BINARY), strict=True):
        assert np.abs(by_graph(result, unit.valid, 2) - result.predictions).max() < 1e-5


def test_a_row_is_predicted_alone_as_among_others() -> None:
    unit = unit_of(BINARY)
    (result,) = trained([unit], BINARY)
    one = Inputs({name: block[5:6] for name, block in unit.valid.blocks.items()}, unit.valid.cardinalities)
    assert np.allclose(result.model.predict(one), result.predictions[5:6], atol=1e-6)
    many = Inputs({name: np.repeat(block, 40, axis=0) for name, block in unit.valid.blocks.items()}, unit.valid.cardinalities)
    assert np.allclose(result.model.predict(many), np.repeat(result.predictions, 40, axis=0), atol=1e-6)


def test_no_rows_give_no_predictions() -> None:
    unit = unit_of(BINARY)
    (result,) = trained([unit], BINARY)
    none = Inputs({name: block[:0] for name, block in unit.valid.blocks.items()}, unit.valid.cardinalities)
    assert result.model.predict(none).shape == (0, 2)


def test_weights_are_those_of_this_fold_alone() -> None:
    units = [unit_of(BINARY, fold=fold) for fold in range(2)]
    first, second = trained(units, BINARY)
    assert first.weights["hidden.weight"].shape == (4, 24)
    assert not np.allclose(first.weights["hidden.weight"], second.weights["hidden.weight"])


def test_rows_of_any_layout_in_memory_are_read() -> None:
    unit = unit_of(BINARY)
    strided = Inputs(
        {name: np.asfortranarray(block)[::-1] for name, block in unit.valid.blocks.items()}, unit.valid.cardinalities
    )
    (result,) = trained([replace(unit)], BINARY)
    assert np.allclose(result.model.predict(strided)[::-1], result.predictions, atol=1e-6)
