"""Families whose folds are trained one after another, and networks that change their batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cupel import training
from cupel.core.budget import Deadline
from cupel.core.errors import TrainingError
from cupel.core.family import UnitData
from cupel.core.inputs import InputShape
from cupel.core.layers import Network
from cupel.core.recipe import Recipe
from cupel.core.task import Task
from cupel.training.tests.making_units import BINARY, MULTICLASS, REGRESSION, TINY, Config, Tiny, unit_of

APART = replace(TINY, name="Apart", folds_apart=True)
RECIPE = Recipe(epochs=3, batch_size=64)


def fitted(family: Any, units: Sequence[UnitData], task: Task, recipe: Recipe = RECIPE, **options: Any) -> list[Any]:
    return training.fit(family, units, config=Config(), recipe=recipe, task=task, threads=1, **options)


@pytest.mark.parametrize("task", [BINARY, REGRESSION], ids=lambda task: task.kind.value)
def test_folds_trained_apart_are_those_trained_alone_and_near_those_stacked(task: Task) -> None:
    units = [unit_of(task, fold=fold, n_train=128) for fold in range(3)]
    apart, stacked = fitted(APART, units, task), fitted(TINY, units, task)
    spread = 1.0 if task.is_classification else float(np.std(units[0].train_target))
    for unit, own, beside in zip(units, apart, stacked, strict=True):
        (alone,) = fitted(APART, [unit], task)
        assert np.array_equal(own.predictions, alone.predictions)
        assert np.abs(own.predictions - beside.predictions).max() < 1e-3 * spread


def test_folds_apart_may_differ_in_size() -> None:
    units = [unit_of(BINARY, fold=0, n_train=64), unit_of(BINARY, fold=1, n_train=300, n_binary=3)]
    first, second = fitted(APART, units, BINARY)
    assert np.isfinite(first.predictions).all()
    assert second.predictions.shape == (80, 2)


def test_bags_of_a_fold_are_trained_and_averaged() -> None:
    units = [unit_of(BINARY, fold=fold, n_train=128) for fold in range(2)]
    bagged = fitted(APART, units, BINARY, replace(RECIPE, bags=3))
    assert all({name.partition(".")[0] for name in unit.weights} == {"bag_0", "bag_1", "bag_2"} for unit in bagged)
    stacked = fitted(TINY, units, BINARY, replace(RECIPE, bags=3))
    assert np.abs(bagged[1].predictions - stacked[1].predictions).max() < 1e-3


def test_progress_rises_from_fold_to_fold_to_its_end() -> None:
    heard: list[float] = []
    fitted(APART, [unit_of(BINARY, fold=fold, n_train=128) for fold in range(3)], BINARY, progress=heard.append)
    assert heard == sorted(heard)
    assert 0 <= heard[0] < 1 / 3
    assert 2 / 3 < heard[-1] <= 1


def test_each_fold_has_its_share_of_what_time_is_left() -> None:
    deadline = Deadline(1.0)
    slow = replace(RECIPE, epochs=100_000, patience=100_000)
    units = [unit_of(BINARY, fold=fold, n_train=64) for fold in range(3)]
    done = fitted(APART, units, BINARY, slow, deadline=deadline)
    assert all(unit.cut_short for unit in done)
    assert all(len(unit.curve["train_loss"]) > 0 for unit in done)
    assert deadline.elapsed < 20


def test_no_time_at_all_is_told() -> None:
    with pytest.raises(TrainingError, match="time was up"):
        fitted(APART, [unit_of(BINARY)], BINARY, deadline=Deadline(0))


class Changing(Tiny):
    """Notes what it is told of batches, and trains on targets that are turned round, or softened."""

    seen: list[tuple[tuple[int, ...], bool, int]]

    def __init__(self, shape: InputShape, *, n_outputs: int, seeds: Sequence[int], how: str) -> None:
        super().__init__(shape, Config(dropout=0.0), n_outputs=n_outputs, seeds=seeds)
        self.how = how
        self.n_changed = 0

    def changed(self, blocks: Mapping[str, Tensor], target: Tensor, *, n_outputs: int) -> tuple[dict[str, Tensor], Tensor]:
        self.n_changed += 1
        Changing.seen.append((tuple(target.shape), self.training, n_outputs))
        if target.is_floating_point():
            return dict(blocks), -target
        turned = n_outputs - 1 - target
        if self.how == "soft":
            return dict(blocks), 0.9 * torch.nn.functional.one_hot(turned, n_outputs) + 0.1 / n_outputs
        return dict(blocks), turned


def changing(how: str) -> Any:
    def build(shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
        return Changing(shape, n_outputs=n_outputs, seeds=seeds, how=how)

    return replace(TINY, name=f"Changing {how}", build=build)


@pytest.mark.parametrize(("task", "how"), [(BINARY, "turned"), (BINARY, "soft"), (MULTICLASS, "soft"), (REGRESSION, "turned")])
def test_what_a_network_makes_of_a_batch_is_what_it_learns(task: Task, how: str) -> None:
    Changing.seen = []
    unit = unit_of(task, n_train=256)
    honest = replace(unit, stop=unit.train, stop_target=unit.train_target, valid=unit.train)
    turned = fitted(changing(how), [honest], task, Recipe(epochs=1, batch_size=32, learning_rate=0.02))[0]
    plain = fitted(TINY, [honest], task, Recipe(epochs=1, batch_size=32, learning_rate=0.02))[0]
    column = 0 if not task.is_classification else task.n_outputs - 1
    assert np.corrcoef(turned.predictions[:, column], plain.predictions[:, column])[0, 1] < -0.3
    assert {shape[0] for shape, _, _ in Changing.seen} == {1}
    assert all(is_training and n_outputs == task.n_outputs for _, is_training, n_outputs in Changing.seen)


def test_by_default_a_batch_is_left_as_it_is() -> None:
    network = Tiny(InputShape({"numeric": 3, "binary": 1}, {}), Config(), n_outputs=2, seeds=[0])
    blocks, target = {"numeric": torch.zeros(1, 4, 3)}, torch.zeros(1, 4, dtype=torch.int64)
    changed, wanted = network.changed(blocks, target, n_outputs=2)
    assert changed["numeric"] is blocks["numeric"]
    assert changed is not blocks
    assert wanted is target
