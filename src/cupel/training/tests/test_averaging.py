"""Averages of weights and of predictions: of what they are made, what they keep apart, and that they leave as ONNX."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from cupel import training
from cupel.core.candidate import Candidate
from cupel.core.family import Family, FittedUnit, UnitData
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs
from cupel.core.recipe import Recipe
from cupel.core.task import Task
from cupel.training import trainer
from cupel.training.averages import Averages
from cupel.training.bagging import bags_of
from cupel.training.cycles import Cycles
from cupel.training.model import MeanOfModels
from cupel.training.outcome import Outcome
from cupel.training.snapshots import best_run
from cupel.training.tests.making_units import BINARY, NORMALISED, REGRESSION, REMEMBERING, TASKS, TINY, Config, unit_of

QUICK = Recipe(learning_rate=0.01, batch_size=64, epochs=12, schedule="cosine", patience=100)


def fitted(unit: UnitData, task: Task, recipe: Recipe, *, family: Family = TINY, beside: tuple[UnitData, ...] = ()) -> FittedUnit:
    return training.fit(family, [unit, *beside], config=Config(dropout=0.0), recipe=recipe, task=task, threads=1)[0]


def by_graph(fit: FittedUnit, inputs: Inputs, task: Task) -> np.ndarray:
    graph = Graph()
    given = {name: block for name, block in inputs.blocks.items() if block.shape[1]}
    blocks = {name: graph.input(name, block.dtype, width=block.shape[1]) for name, block in given.items()}
    graph.output("prediction", fit.model.emit(graph, blocks), np.float64, width=task.n_outputs)
    session = onnxruntime.InferenceSession(graph.model().SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {each.name: given[each.name] for each in session.get_inputs()})[0]


def stop_loss_of(fit: FittedUnit, unit: UnitData) -> float:
    return float(-np.log(fit.model.predict(unit.stop)[np.arange(64), unit.stop_target]).mean())


# --- when


def test_without_snapshots_and_averages_the_schedule_is_run_once() -> None:
    cycles = Cycles.of(Recipe(), n_epochs=7)
    fractions = [cycles.fraction(epoch, step=step, n_steps=3) for epoch in range(7) for step in range(3)]
    assert fractions == [position / 21 for position in range(21)]
    assert [epoch for epoch in range(7) if cycles.begins(epoch)] == [0]
    assert all(cycles.may_end_training(epoch) and not cycles.averages(epoch) for epoch in range(7))


@pytest.mark.parametrize(("n_epochs", "n_cycles"), [(1, 1), (7, 3), (10, 5), (13, 4), (3, 10)])
def test_every_cycle_runs_the_whole_schedule(n_epochs: int, n_cycles: int) -> None:
    cycles = Cycles.of(Recipe(snapshots=n_cycles), n_epochs=n_epochs)
    begun = [epoch for epoch in range(n_epochs) if cycles.begins(epoch)]
    assert len(begun) == min(n_epochs, n_cycles) == sum(cycles.ends(epoch) for epoch in range(n_epochs))
    assert [cycles.number(epoch) for epoch in begun] == list(range(len(begun)))
    assert all(cycles.fraction(epoch, step=0, n_steps=2) == 0 for epoch in begun)
    assert all(0 <= cycles.fraction(epoch, step=1, n_steps=2) < 1 for epoch in range(n_epochs))
    assert [epoch for epoch in range(n_epochs) if cycles.may_end_training(epoch)] == list(range(begun[-1], n_epochs))


def test_the_rate_is_held_while_weights_are_averaged_and_no_model_leaves_before() -> None:
    cycles = Cycles.of(Recipe(swa=0.25), n_epochs=8)
    assert [epoch for epoch in range(8) if cycles.averages(epoch)] == [6, 7]
    assert [epoch for epoch in range(8) if cycles.begins_to_average(epoch)] == [6]
    assert [epoch for epoch in range(8) if cycles.may_end_training(epoch)] == [6, 7]
    assert {cycles.fraction(epoch, step=step, n_steps=5) for epoch in (6, 7) for step in range(5)} == {0.75}
    assert Cycles.of(Recipe(swa=0.01), n_epochs=4).averages(3)


def test_a_snapshot_of_a_cycle_that_was_left_early_is_none_unless_there_is_no_other() -> None:
    outcome = Outcome()
    for loss in (3.0, 1.0, 2.0):
        outcome.begin_snapshot()
        outcome.add(train_loss=0.0, stop_loss=loss + 1)
        outcome.add(train_loss=0.0, stop_loss=loss)
    assert outcome.best_epochs == [1, 3, 5]
    outcome.cut(n_whole=2)
    assert outcome.best_epochs == [1, 3]
    outcome.cut(n_whole=0)
    assert outcome.best_epochs == [1]
    assert outcome.cut_short


# --- averages of weights


def test_the_mean_is_over_the_ends_of_epochs_and_swaps_back() -> None:
    parameter = nn.Parameter(torch.zeros(2, 3))
    averages = Averages([parameter], ema=0.0)
    assert not averages.are_judged
    for value in (1.0, 2.0, 6.0):
        parameter.data.fill_(value)
        averages.add_step()
        averages.add_epoch()
    averages.swap()
    assert torch.allclose(parameter, torch.full((2, 3), 3.0))
    averages.swap()
    assert torch.equal(parameter, torch.full((2, 3), 6.0))
    averages.end_mean()
    assert not averages.are_judged


@pytest.mark.parametrize("change", [{"ema": 0.9}, {"swa": 0.5}], ids=str)
@pytest.mark.parametrize("family", [TINY, NORMALISED], ids=lambda family: family.name)
def test_averaging_changes_what_is_kept_and_not_how_it_is_trained(family: Family, change: dict) -> None:
    unit, constant = unit_of(BINARY), replace(QUICK, schedule="constant")
    plain, averaged = (fitted(unit, BINARY, recipe, family=family) for recipe in (constant, replace(constant, **change)))
    assert plain.curve["train_loss"][:7] == averaged.curve["train_loss"][:7]
    assert plain.curve["stop_loss"][8:] != averaged.curve["stop_loss"][8:]
    if "ema" in change:
        assert plain.curve["train_loss"] == averaged.curve["train_loss"]
    assert stop_loss_of(averaged, unit) == pytest.approx(min(averaged.curve["stop_loss"]), rel=1e-4)


@pytest.mark.parametrize("change", [{"ema": 0.97}, {"swa": 0.5}], ids=str)
def test_statistics_of_activations_are_those_of_the_averaged_weights(change: dict) -> None:
    unit = unit_of(BINARY)
    epochs = 1 if "swa" in change else 12  # of one epoch the kept weights are a mean for sure
    result = fitted(unit, BINARY, replace(QUICK, learning_rate=0.05, epochs=epochs, **change), family=NORMALISED)
    weights = result.weights
    activations = unit.train.matrix()[:, :4] @ weights["hidden.weight"] + weights["hidden.bias"]
    assert np.allclose(weights["norm.mean"], activations.mean(axis=0), atol=1e-4)
    assert np.allclose(weights["norm.variance"], activations.var(axis=0, ddof=1), rtol=1e-3)
    assert np.abs(by_graph(result, unit.valid, BINARY) - result.predictions).max() < 1e-5


def test_the_rows_that_statistics_are_taken_from_follow_the_models_that_stay() -> None:
    units = [unit_of(BINARY, fold=fold, n_train=size) for fold, size in enumerate((256, 250, 257))]
    recipe = replace(QUICK, epochs=40, patience=3, learning_rate=0.05, ema=0.9)
    together = training.fit(NORMALISED, units, config=Config(), recipe=recipe, task=BINARY, threads=1)
    assert len({len(each.curve["stop_loss"]) for each in together}) > 1
    for unit, stacked in zip(units, together, strict=True):
        (alone,) = training.fit(NORMALISED, [unit], config=Config(), recipe=recipe, task=BINARY, threads=1)
        assert stacked.best_epoch == alone.best_epoch
        assert np.allclose(stacked.predictions, alone.predictions, atol=1e-3)  # a bias before the statistics is free to drift


# --- averages of predictions


@pytest.fixture
def all_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever serves best, all snapshots speak."""
    monkeypatch.setattr(trainer, "best_run", lambda predictions, target: range(len(predictions)))


@pytest.mark.parametrize("change", [{"snapshots": 3}, {"bags": 3}, {"snapshots": 2, "bags": 2, "swa": 0.4}], ids=str)
@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.usefixtures("all_snapshots")
def test_a_mean_of_predictions_leaves_as_onnx_and_repeats_itself_beside_other_folds(kind: str, change: dict) -> None:
    task = TASKS[kind]
    unit, other = unit_of(task), unit_of(task, fold=1, n_train=250)
    result = fitted(unit, task, replace(QUICK, **change))
    assert isinstance(result.model, MeanOfModels)
    spread = 1.0 if task.form.has_probabilities else float(np.std(unit.train_target))
    assert np.abs(by_graph(result, unit.valid, task) - result.predictions).max() < 1e-5 * spread
    assert np.allclose(result.model.predict(unit.valid), result.predictions)
    beside = fitted(unit, task, replace(QUICK, **change), beside=(other,))
    assert beside.weights.keys() == result.weights.keys()
    assert all(np.allclose(result.weights[name], beside.weights[name], atol=5e-5) for name in result.weights)


@pytest.mark.usefixtures("all_snapshots")
def test_snapshots_are_the_best_of_each_cycle_and_differ() -> None:
    unit = unit_of(BINARY)
    result = fitted(unit, BINARY, replace(QUICK, snapshots=3, patience=1, learning_rate=0.03))
    losses = result.curve["stop_loss"]
    assert len(losses) > 8  # patience is for the last cycle alone
    assert isinstance(result.model, MeanOfModels)
    own = [-np.log(model.predict(unit.stop)[np.arange(64), unit.stop_target]).mean() for model in result.model.models]
    assert own == pytest.approx([min(losses[start : start + 4]) for start in (0, 4, 8)], rel=1e-4)
    first, second, third = (model.predict(unit.valid) for model in result.model.models)
    assert np.abs(first - second).max() > 1e-3
    assert np.abs(second - third).max() > 1e-3


def test_what_is_kept_of_the_snapshots_is_no_worse_on_the_stop_rows_than_the_best_of_them() -> None:
    unit = unit_of(BINARY)
    result = fitted(unit, BINARY, replace(QUICK, snapshots=3, learning_rate=0.03))
    assert stop_loss_of(result, unit) <= min(result.curve["stop_loss"]) + 1e-4


def test_the_snapshots_that_speak_are_those_that_serve_best_together() -> None:
    target = np.array([0.0, 0.0])
    far, above, below = (np.array([[value], [value]]) for value in (5.0, 1.0, -1.0))
    assert best_run([far, above, below], target) == range(1, 3)
    assert best_run([above, below, far], target) == range(2)
    assert best_run([far, far, above], target) == range(2, 3)
    assert best_run([above, above, above], target) == range(1)
    sure, wrong = np.array([[0.9, 0.1]]), np.array([[0.0, 1.0]])
    assert best_run([wrong, sure], np.array([0])) == range(1, 2)


def test_bags_differ_and_each_is_a_unit_of_its_own() -> None:
    unit = unit_of(REGRESSION)
    result = fitted(unit, REGRESSION, replace(QUICK, bags=3))
    assert isinstance(result.model, MeanOfModels)
    predicted = [model.predict(unit.valid) for model in result.model.models]
    assert np.allclose(np.mean(predicted, axis=0), result.predictions)
    assert min(np.abs(predicted[a] - predicted[b]).max() for a, b in ((0, 1), (0, 2), (1, 2))) > 1.0
    alone = fitted(bags_of(unit, n_bags=3)[1], REGRESSION, QUICK)
    assert all(np.allclose(alone.weights[name], result.weights[f"bag_1.{name}"], atol=2e-5) for name in alone.weights)


@pytest.mark.parametrize("family", [TINY, REMEMBERING], ids=lambda family: family.name)
def test_a_row_that_a_bag_did_not_draw_changes_nothing_in_it(family: Family) -> None:
    unit = unit_of(REGRESSION)
    marked = replace(unit, train_target=np.arange(256.0))
    drawn = [set(bag.train_target.astype(int)) for bag in bags_of(marked, n_bags=2)]
    assert all(130 < len(rows) < 200 for rows in drawn)  # 63% of 256 is 162
    row = min(drawn[1] - drawn[0])
    blocks = {name: block.copy() for name, block in unit.train.blocks.items()}
    blocks["numeric"][row] += 50.0
    target = unit.train_target.copy()
    target[row] += 1e4
    changed = replace(unit, train=Inputs(blocks, unit.train.cardinalities), train_target=target)
    first, second = (fitted(each, REGRESSION, replace(QUICK, bags=2, epochs=3), family=family) for each in (unit, changed))
    same = {name: np.allclose(first.weights[name], second.weights[name], atol=1e-5) for name in first.weights}
    assert all(is_same for name, is_same in same.items() if name.startswith("bag_0."))
    assert not all(is_same for name, is_same in same.items() if name.startswith("bag_1."))


# --- candidates


def candidate(**recipe: object) -> Candidate:
    return Candidate(name="a", modality="tabular", family="Tiny", config=Config(), preparation=None, recipe=Recipe(**recipe))


@pytest.mark.parametrize("change", [{"swa": 0.25}, {"snapshots": 2}, {"bags": 2}], ids=str)
def test_each_of_them_makes_another_candidate(change: dict) -> None:
    assert candidate(**change).key != candidate().key
    assert candidate(**change).to_plain()["recipe"].items() >= change.items()
