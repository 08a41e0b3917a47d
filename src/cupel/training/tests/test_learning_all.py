"""Of few rows none is held back to stop by: all are learned from, to the end of the schedule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cupel import training
from cupel.core.family import Family, FittedUnit, UnitData
from cupel.core.recipe import Recipe
from cupel.core.split import Fold, Splits
from cupel.core.task import Task
from cupel.training.tests.making_units import (
    BINARY,
    MULTICLASS,
    MULTILABEL,
    NORMALISED,
    REGRESSION,
    TINY,
    Asked,
    Config,
    unit_of,
)

RECIPE = Recipe(learning_rate=0.01, batch_size=32, epochs=12, patience=1, schedule="cosine", stops_from=161, ema=0.5)
FAMILIES = {"stacked": TINY, "folds apart": replace(TINY, folds_apart=True), "normalised": NORMALISED}


def fitted(unit: UnitData, recipe: Recipe = RECIPE, *, family: Family = TINY, deadline: Asked | None = None) -> FittedUnit:
    (found,) = training.fit(family, [unit], config=Config(), recipe=recipe, task=BINARY, threads=1, deadline=deadline)
    return found


def few(n_train: int = 128, n_stop: int = 32) -> UnitData:
    return unit_of(BINARY, n_train=n_train, n_stop=n_stop)


@pytest.mark.parametrize("kind", FAMILIES)
def test_training_goes_to_its_end_and_keeps_what_is_last(kind: str) -> None:
    found = fitted(few(), family=FAMILIES[kind])
    assert len(found.curve["train_loss"]) == RECIPE.epochs
    assert not found.curve["stop_loss"]
    assert (found.best_epoch, found.cut_short) == (RECIPE.epochs - 1, False)
    assert np.isfinite(found.predictions).all()


def test_rows_to_stop_by_are_learned_from() -> None:
    unit = few()
    turned = replace(unit, stop_target=1 - unit.stop_target)
    before, after = (fitted(each).model.predict(unit.stop)[:, 1] for each in (unit, turned))
    assert np.mean(np.where(unit.stop_target == 1, before - after, after - before)) > 0.05
    kept_back = [fitted(each, replace(RECIPE, stops_from=0, patience=100)) for each in (unit, turned)]
    assert kept_back[0].curve["train_loss"] == kept_back[1].curve["train_loss"]


def test_the_same_comes_of_them_as_of_any_other_rows() -> None:
    unit = few()
    joined = replace(
        unit, train=unit.train.followed_by(unit.stop), train_target=np.concatenate([unit.train_target, unit.stop_target])
    )
    by_hand = fitted(joined, replace(RECIPE, stops_from=0, patience=100))
    assert fitted(unit).curve["train_loss"] == by_hand.curve["train_loss"]


def test_of_a_unit_with_a_ninth_of_its_training_rows_a_ninth_of_the_stop_rows_joins() -> None:
    unit = replace(few(n_train=30, n_stop=90), share=1 / 9)
    turned = []
    for row in range(90):
        flipped = np.where(np.arange(90) == row, 1 - unit.stop_target, unit.stop_target)
        turned.append(replace(unit, stop_target=flipped))
    recipe = replace(RECIPE, epochs=1, batch_size=8, stops_from=361)
    assert fitted(unit, replace(recipe, stops_from=360)).curve["stop_loss"], "the whole fold has 270 and 90 rows"
    plain = fitted(unit, recipe).curve["train_loss"]
    assert sum(fitted(each, recipe).curve["train_loss"] != plain for each in turned) == 10


def test_from_so_many_rows_on_they_stop_training() -> None:
    assert fitted(few(129)).curve["stop_loss"], "161 rows are not fewer than 161"
    assert not fitted(few(128)).curve["stop_loss"]
    assert not any(replace(RECIPE, schedule=each).learns_all(10) for each in ("constant", "step", "plateau", "coslog4"))
    assert not replace(RECIPE, snapshots=2).learns_all(10), "stop rows choose among snapshots"


@pytest.mark.parametrize("kind", FAMILIES)
def test_where_time_is_up_the_last_weights_are_kept(kind: str) -> None:
    found = fitted(few(), replace(RECIPE, epochs=10**4), family=FAMILIES[kind], deadline=Asked(0.5))
    n_epochs = len(found.curve["train_loss"])
    assert found.cut_short
    assert 0 < n_epochs < 10**4
    assert found.best_epoch == n_epochs - 1
    agreed = np.mean(found.model.predict(few().train).argmax(axis=1) == few().train_target)
    assert agreed > 0.7, "these are weights that have learned"


@pytest.mark.parametrize("task", [MULTICLASS, MULTILABEL, REGRESSION], ids=lambda task: task.kind.value)
@pytest.mark.parametrize("changes", [{}, {"swa": 0.3, "ema": 0.0}, {"bags": 2}], ids=str)
def test_folds_on_both_sides_of_the_border_are_trained_in_one_call(task: Task, changes: dict[str, Any]) -> None:
    units = [unit_of(task, fold=fold, n_train=size, n_stop=32) for fold, size in enumerate((128, 129, 128))]
    recipe = replace(RECIPE, **changes)
    found = training.fit(TINY, units, config=Config(), recipe=recipe, task=task, threads=1)
    alone = training.fit(TINY, units[:1], config=Config(), recipe=recipe, task=task, threads=1)
    assert [bool(each.curve["stop_loss"]) for each in found] == [False, True, False]
    assert np.allclose(found[0].predictions, alone[0].predictions, rtol=1e-4)
    assert all(np.isfinite(each.predictions).all() for each in found)


def test_what_is_expected_to_be_learned_from_is_what_is() -> None:
    rows = np.arange(200)
    splits = Splits(folds=(Fold(0, rows[:128], rows[128:160], rows[160:]),), scheme="holdout", reason="", key="")
    assert splits.n_learned(RECIPE) == 160
    assert splits.n_learned(replace(RECIPE, stops_from=160)) == 128
    assert splits.n_learned(None) == 128
