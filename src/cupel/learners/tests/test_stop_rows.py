"""Boosted trees learn from their stop rows too, once these have said how many rounds are best."""

from __future__ import annotations

import math
from dataclasses import replace

import lightgbm as library
import numpy as np
import pytest

from cupel.core.budget import Deadline
from cupel.core.family import FittedUnit, UnitData
from cupel.core.inputs import Inputs, InputShape
from cupel.core.labels import binary_task
from cupel.core.task import Task, TaskKind
from cupel.learners import lightgbm

VALUES = Task(target="y", kind=TaskKind.REGRESSION, metric="rmse")
LABELS = Task(target="y", kind=TaskKind.MULTILABEL, metric="log_loss", classes=("a", "b"))
CONFIG = lightgbm.Config(num_leaves=7, min_data_in_leaf=5, max_rounds=60)
N_TRAIN, N_STOP, N_VALID = 280, 40, 60
RARE = 0.9
"""Above it the answer is another one: rows that are so are among the stop rows, and not among the training rows."""


def unit_of(task: Task = VALUES) -> UnitData:
    generator = np.random.default_rng(0)
    x = generator.uniform(-1, 1, size=(N_TRAIN + N_STOP + N_VALID, 3)).astype(np.float32)
    x[:, 1] = RARE * np.abs(x[:, 1])
    is_rare = np.arange(len(x)) >= N_TRAIN
    is_rare[N_TRAIN + 20 : -20] = False
    x[is_rare, 1] = generator.uniform(RARE, 1, size=int(is_rare.sum()))
    value = x[:, 0] + 3 * is_rare + 0.1 * generator.normal(size=len(x))
    target = np.stack([value > 0, x[:, 2] > 0], axis=1).astype(np.float64) if task is LABELS else value
    ends = [slice(0, N_TRAIN), slice(N_TRAIN, N_TRAIN + N_STOP), slice(N_TRAIN + N_STOP, None)]
    train, stop, valid = (Inputs({"numeric": x[rows]}, {}) for rows in ends)
    return UnitData(0, 7, train, target[ends[0]], stop, target[ends[1]], valid)


def fitted(
    unit: UnitData, *, task: Task = VALUES, config: lightgbm.Config = CONFIG, deadline: Deadline | None = None
) -> FittedUnit:
    return lightgbm.fit([unit], config=config, task=task, threads=1, deadline=deadline)[0]


def test_what_only_stop_rows_show_is_learned_and_a_stranger_to_them_says_what_it_did_not_know():
    found = fitted(unit_of())
    assert not found.cut_short
    assert found.predictions[-20:].mean() > 1.5
    assert found.stop_predictions is not None
    assert found.stop_predictions.shape == (N_STOP, 1)
    assert found.stop_predictions[:20].mean() < 0.5
    assert found.model.predict(unit_of().stop)[:20].mean() > 1.5


@pytest.mark.parametrize("n_rounds", [0, 3])
def test_where_time_is_up_before_or_in_the_second_training_the_trees_of_the_first_are_taken(monkeypatch, n_rounds):
    join, update, left = lightgbm._n_joining, library.Booster.update, [math.inf]

    def joined(unit):
        left[0] = n_rounds
        return join(unit)

    def updated(booster, **given):
        left[0] -= 1
        return update(booster, **given)

    monkeypatch.setattr(lightgbm, "_n_joining", joined)
    monkeypatch.setattr(library.Booster, "update", updated)
    found = fitted(unit_of(), deadline=Deadline(is_called_off=lambda: left[0] <= 0))
    assert left == [0]
    assert found.cut_short
    assert np.array_equal(found.model.predict(unit_of().stop), found.stop_predictions)
    monkeypatch.undo()
    assert np.array_equal(found.stop_predictions, fitted(unit_of()).stop_predictions)


def test_what_took_larger_steps_for_want_of_time_is_not_trained_again(monkeypatch):
    monkeypatch.setattr(lightgbm._Pace, "__call__", lambda pace, _: setattr(pace._boosting, "rate", 0.2))
    monkeypatch.setattr(lightgbm, "_with_stop_rows", lambda _: pytest.fail("it was trained again"))
    found = fitted(unit_of())
    assert found.cut_short
    assert np.array_equal(found.model.predict(unit_of().stop), found.stop_predictions)


def test_the_second_training_needs_the_time_of_its_rounds(monkeypatch):
    how = {"n_rounds": 60, "a_round": 1.0, "after": 0.5}
    monkeypatch.setattr(lightgbm, "_begun", lambda *given, **named: pytest.fail("it was begun"))
    most = lightgbm.TIMES_EXPECTED * 60 + 0.5 * 60
    assert lightgbm._grown_of_both(unit_of(), CONFIG, VALUES, until=Deadline(most - 1), **how) == (None, False)
    with pytest.raises(pytest.fail.Exception, match="it was begun"):
        lightgbm._grown_of_both(unit_of(), CONFIG, VALUES, until=Deadline(most + 1), **how)


def test_rounds_grow_with_the_rows_up_to_the_most():
    found, most = fitted(unit_of()), fitted(unit_of(), config=replace(CONFIG, max_rounds=20))
    assert found.best_epoch is not None
    assert found.model.n_rounds == min(round((found.best_epoch + 1) * 8 / 7), CONFIG.max_rounds)
    assert most.model.n_rounds == 20


def test_stop_rows_that_would_outnumber_the_training_rows_are_not_all_learned_from():
    unit = unit_of()
    few = replace(unit, train=unit.train.at(np.arange(60)), train_target=unit.train_target[:60])
    both = lightgbm._with_stop_rows(few)
    assert both.train.n_samples == len(both.train_target) == 75
    assert set(both.train_target[60:]) <= set(unit.stop_target)
    assert lightgbm._with_stop_rows(unit).train.n_samples == N_TRAIN + N_STOP
    assert fitted(few).stop_predictions.shape == (N_STOP, 1)


def test_each_label_has_a_stranger_to_the_stop_rows_that_know_it():
    unit = unit_of(LABELS)
    partly = unit.stop_target.copy()
    partly[:10, 0] = np.nan
    found = fitted(replace(unit, stop_target=partly), task=LABELS)
    alone = fitted(
        replace(unit, stop=unit.stop.at(np.arange(10, N_STOP)), stop_target=partly[10:, 0].astype(np.int64),
                train_target=unit.train_target[:, 0].astype(np.int64)),
        task=binary_task(LABELS, 0),
    )  # fmt: skip
    assert np.array_equal(found.stop_predictions[10:, 0], alone.stop_predictions[:, 1])
    assert np.array_equal(found.stop_predictions[:10, 0], found.model.predict(unit.stop)[:10, 0])
    nowhere = replace(unit, stop_target=np.column_stack([np.full(N_STOP, np.nan), unit.stop_target[:, 1]]))
    assert np.isfinite(fitted(nowhere, task=LABELS).stop_predictions).all()


def test_the_estimate_counts_the_rows_of_both_trainings_and_the_seconds_of_the_first():
    few, many = (lightgbm.cost(n, InputShape({"numeric": 100}, {}), CONFIG, None, VALUES) for n in (70_000, 80_000))
    first = lightgbm._rounds(CONFIG, VALUES) * lightgbm._seconds_per_round(70_000, 100, CONFIG, VALUES)
    assert few.seconds == pytest.approx(first, rel=0.1)
    assert few.memory_bytes > 80_000 * 100 * 10
    assert many.memory_bytes > few.memory_bytes
