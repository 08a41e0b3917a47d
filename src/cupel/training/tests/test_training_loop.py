"""What the loop promises: it learns, repeats itself, keeps folds apart, stops in time, and says why when it cannot."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from cupel import training
from cupel.core.budget import Deadline
from cupel.core.errors import TrainingError, UsageError
from cupel.core.family import FittedUnit, UnitData
from cupel.core.form import Form
from cupel.core.labels import filled
from cupel.core.recipe import Recipe
from cupel.core.task import Task
from cupel.training import crew, environment
from cupel.training.tests.making_units import (
    BINARY,
    JUDGED,
    MULTICLASS,
    REGRESSION,
    REMEMBERING,
    SEVERAL,
    TASKS,
    TINY,
    Config,
    unit_of,
)

QUICK = Recipe(learning_rate=0.01, batch_size=64, epochs=12)


def fitted(
    units: list[UnitData], task: Task, recipe: Recipe = QUICK, *, config: Config | None = None, threads: int = 1
) -> list[FittedUnit]:
    return training.fit(TINY, units, config=config or Config(), recipe=recipe, task=task, threads=threads)


def is_same(first: FittedUnit, second: FittedUnit, *, tolerance: float = 0.0) -> bool:
    return all(np.allclose(first.weights[name], second.weights[name], rtol=0, atol=tolerance) for name in first.weights)


@pytest.mark.parametrize("kind", TASKS)
def test_it_learns_what_a_linear_model_cannot(kind: str) -> None:
    task = TASKS[kind]
    unit = unit_of(task, n_train=512)
    recipe = replace(QUICK, epochs=60, learning_rate=0.02)
    model = fitted([unit], task, recipe, config=Config(width=48, dropout=0.0))[0].model
    own = model.predict(unit.stop)
    train, stop = (np.pad(part.matrix()[:, :4], ((0, 0), (0, 1)), constant_values=1.0) for part in (unit.train, unit.stop))
    linear = stop @ np.linalg.lstsq(train, aims(unit.train_target, task), rcond=None)[0]
    if task.form.has_probabilities:
        assert accuracy(own, unit.stop_target) > accuracy(linear, unit.stop_target) + 0.05
    else:
        assert np.mean((own[:, 0] - unit.stop_target) ** 2) < 0.5 * np.mean((linear[:, 0] - unit.stop_target) ** 2)


def aims(target: np.ndarray, task: Task) -> np.ndarray:
    """What a linear model is fitted to, shape (rows, outputs); unknown labels at their share."""
    if task.form is Form.LABELS:
        return filled(target)
    return np.eye(task.n_outputs)[target] if task.is_classification else target[:, None]


def accuracy(predictions: np.ndarray, target: np.ndarray) -> float:
    """The share of rows, or of known labels, that are said rightly."""
    if target.ndim == 1:
        return float((predictions.argmax(1) == target).mean())
    known = np.isfinite(target)
    return float(((predictions > 0.5) == (target == 1))[known].mean())


def test_the_same_seed_gives_the_same_weights_whatever_global_state_is() -> None:
    unit = unit_of(BINARY)
    first = fitted([unit], BINARY)[0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        np.random.default_rng(4).random()
        second = fitted([unit], BINARY)[0]
    assert is_same(first, second)
    assert not is_same(first, fitted([replace(unit, seed=8)], BINARY)[0], tolerance=1e-3)


@pytest.mark.parametrize("kind", TASKS)
def test_a_fold_trains_in_a_stack_as_it_does_alone(kind: str) -> None:
    task = TASKS[kind]
    sizes = {0: 256, 1: 257, 2: 250}
    units = [unit_of(task, fold=fold, n_train=size, n_stop=40 + fold) for fold, size in sizes.items()]
    recipe = replace(QUICK, schedule="plateau", class_weights=True, ema=0.9, gradient_clip=0.5, patience=3)
    together = fitted(units, task, recipe, config=Config(dropout=0.3))
    for unit, stacked in zip(units, together, strict=True):
        alone = fitted([unit], task, recipe, config=Config(dropout=0.3))[0]
        assert is_same(stacked, alone, tolerance=2e-5)
        assert stacked.best_epoch == alone.best_epoch
        assert np.allclose(stacked.curve["stop_loss"], alone.curve["stop_loss"], rtol=1e-4)


def test_folds_of_very_different_sizes_train_as_they_do_alone() -> None:
    units = [unit_of(BINARY, fold=fold, n_train=size) for fold, size in enumerate((30, 130, 400))]
    together = fitted(units, BINARY)
    assert all(is_same(a, fitted([unit], BINARY)[0], tolerance=2e-5) for a, unit in zip(together, units, strict=True))


def test_folds_trained_in_threads_are_those_trained_in_one() -> None:
    units = [unit_of(REGRESSION, fold=fold) for fold in range(5)]
    heavy = Config(seconds=1e6)
    told: list[float] = []
    several = training.fit(
        TINY, units, config=heavy, recipe=QUICK, task=REGRESSION, threads=2, progress=told.append, deadline=Deadline(60)
    )
    one = fitted(units, REGRESSION)
    assert all(is_same(a, b, tolerance=2e-5) for a, b in zip(several, one, strict=True))
    assert told == sorted(told)
    assert told[-1] > 0.9


def test_threads_are_only_for_what_is_worth_them() -> None:
    assert crew.divided([0] * 5, n_stacks=2) == [[0, 2, 4], [1, 3]]
    assert crew.divided([0] * 5, n_stacks=1) == [[0, 1, 2, 3, 4]]
    assert crew.divided([0, 1, 0], n_stacks=1) == [[0, 2], [1]]
    assert not crew.is_worth_a_thread(1e-5)


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", "rmsprop"])
def test_every_optimizer_lowers_the_loss(optimizer: str) -> None:
    rate = {"sgd": 0.05, "rmsprop": 0.001}.get(optimizer, 0.01)
    unit = fitted([unit_of(BINARY)], BINARY, replace(QUICK, optimizer=optimizer, learning_rate=rate))[0]
    assert unit.curve["train_loss"][-1] < unit.curve["train_loss"][0] - 0.02


@pytest.mark.parametrize("schedule", ["constant", "step", "cosine", "one-cycle", "coslog4", "plateau"])
def test_every_schedule_lowers_the_loss(schedule: str) -> None:
    unit = fitted([unit_of(REGRESSION)], REGRESSION, replace(QUICK, schedule=schedule, warmup=0.1))[0]
    assert unit.curve["train_loss"][-1] < unit.curve["train_loss"][0] * 0.9


@pytest.mark.parametrize(
    "change",
    [
        {"l1": 1e-4},
        {"l2": 1e-3},
        {"weight_decay": 0.1},
        {"label_smoothing": 0.1},
        {"gradient_clip": 0.01},
        {"ema": 0.9},
        {"swa": 0.5},
        {"snapshots": 3, "schedule": "cosine"},
        {"bags": 2},
        {"class_weights": True},
        {"nesterov": False, "optimizer": "sgd", "learning_rate": 0.05},
        {"momentum": 0.0, "optimizer": "sgd", "learning_rate": 0.1},
    ],
    ids=str,
)
def test_every_way_to_regularise_changes_the_weights_and_lets_it_learn(change: dict) -> None:
    unit = unit_of(MULTICLASS)
    plain, changed = (fitted([unit], MULTICLASS, recipe)[0] for recipe in (QUICK, replace(QUICK, **change)))
    assert not np.allclose(plain.predictions, changed.predictions, atol=1e-6)
    assert changed.curve["stop_loss"][-1] < changed.curve["stop_loss"][0]


def test_penalties_make_weights_smaller() -> None:
    unit = unit_of(REGRESSION)
    plain, *punished = (
        np.abs(fitted([unit], REGRESSION, recipe)[0].weights["hidden.weight"]).mean()
        for recipe in (QUICK, replace(QUICK, l1=1e-3), replace(QUICK, l2=1e-2), replace(QUICK, weight_decay=0.1))
    )
    assert all(size < plain for size in punished)


def test_penalties_leave_biases_alone() -> None:
    """Biases of layers of members have as many axes as matrices of others have; a penalty must not draw them to zero."""
    unit = unit_of(REGRESSION)
    recipe = replace(QUICK, optimizer="sgd", momentum=0.0, learning_rate=1e-3, epochs=1, batch_size=256)
    plain, punished = (
        training.fit(SEVERAL, [unit], config=Config(dropout=0.0), recipe=r, task=REGRESSION, threads=1)[0].weights
        for r in (recipe, replace(recipe, l1=1.0, l2=1.0))
    )
    for layer in ("hidden", "output"):
        assert plain[f"inner.{layer}.bias"].ndim == 2
        assert np.array_equal(plain[f"inner.{layer}.bias"], punished[f"inner.{layer}.bias"])
        assert np.abs(punished[f"inner.{layer}.weight"]).sum() < np.abs(plain[f"inner.{layer}.weight"]).sum()


def test_each_fold_keeps_its_own_best_epoch() -> None:
    units = [unit_of(BINARY, fold=fold, n_train=96) for fold in range(3)]
    recipe = replace(QUICK, epochs=60, patience=5, learning_rate=0.05)
    done = fitted(units, BINARY, recipe, config=Config(width=64, dropout=0.0))
    for unit, result in zip(units, done, strict=True):
        losses = result.curve["stop_loss"]
        assert result.best_epoch == int(np.argmin(losses))
        assert len(losses) <= result.best_epoch + 1 + recipe.patience
        probabilities = result.model.predict(unit.stop)
        loss = -np.log(probabilities[np.arange(len(probabilities)), unit.stop_target]).mean()
        assert loss == pytest.approx(losses[result.best_epoch], rel=1e-4)
    assert len({len(result.curve["stop_loss"]) for result in done}) > 1


def test_networks_see_their_own_training_rows_before_the_first_step() -> None:
    units = [unit_of(BINARY, fold=0), unit_of(BINARY, fold=1, n_train=256 + 20)]
    stacked = training.fit(REMEMBERING, units, config=Config(), recipe=QUICK, task=BINARY, threads=1)
    assert np.allclose(stacked[0].weights["mean"], units[0].train.blocks["numeric"].mean(axis=0), atol=1e-5)
    alone = training.fit(REMEMBERING, units[1:], config=Config(), recipe=QUICK, task=BINARY, threads=1)
    assert np.array_equal(stacked[1].weights["mean"], alone[0].weights["mean"])


def test_what_a_network_counts_while_training_is_kept_from_its_best_epoch() -> None:
    (result,) = training.fit(REMEMBERING, [unit_of(BINARY)], config=Config(), recipe=QUICK, task=BINARY, threads=1)
    n_steps = QUICK.pace(256).n_steps
    assert result.best_epoch is not None
    assert result.weights["n_steps"] == (result.best_epoch + 1) * n_steps


def test_epochs_are_compared_by_what_a_network_is_judged_by() -> None:
    (usual,), (other,) = (
        training.fit(family, [unit_of(BINARY)], config=Config(), recipe=QUICK, task=BINARY, threads=1)
        for family in (TINY, JUDGED)
    )
    assert usual.best_epoch
    assert other.best_epoch == 0, "all epochs are alike where all is judged to be zero"


def test_a_loss_that_is_not_finite_names_fold_and_epoch() -> None:
    units = [unit_of(REGRESSION, fold=fold) for fold in (3, 4)]
    with pytest.raises(TrainingError, match=r"fold 4 is not finite in epoch \d"):
        fitted(units, REGRESSION, replace(QUICK, optimizer="sgd", learning_rate=1.0, momentum=0.99, epochs=40))


def test_a_passed_deadline_ends_training_with_the_best_so_far() -> None:
    unit = unit_of(BINARY, n_train=2000)
    deadline = Deadline(0.5)
    recipe = replace(QUICK, epochs=1000, patience=100, learning_rate=1e-4)
    result = training.fit(TINY, [unit], config=Config(), recipe=recipe, task=BINARY, deadline=deadline)[0]
    assert result.cut_short
    assert deadline.elapsed < 5
    assert np.isfinite(result.predictions).all()


def test_no_time_at_all_is_told() -> None:
    with pytest.raises(TrainingError, match="time was up"):
        training.fit(TINY, [unit_of(BINARY)], config=Config(), recipe=QUICK, task=BINARY, deadline=Deadline(0))


def test_what_one_thread_raises_ends_the_others() -> None:
    units = [unit_of(REGRESSION, fold=fold) for fold in range(2)]
    units[1] = replace(units[1], train_target=np.full(256, np.nan))
    recipe = replace(QUICK, epochs=1000, patience=100)
    with pytest.raises(TrainingError, match="fold 2"):
        training.fit(TINY, units, config=Config(seconds=1e6), recipe=recipe, task=REGRESSION, threads=2, deadline=Deadline(50))
    assert not any(thread.name.startswith("training") for thread in threading.enumerate())


def test_a_fold_without_rows_to_stop_by_is_told() -> None:
    with pytest.raises(TrainingError, match="fold 1 has no stop rows"):
        fitted([unit_of(BINARY, n_stop=0)], BINARY)


def test_predictions_of_regression_stay_within_what_was_seen() -> None:
    unit = unit_of(REGRESSION)
    predictions = fitted([unit], REGRESSION)[0].predictions
    assert predictions.min() >= unit.train_target.min()
    assert predictions.max() <= unit.train_target.max()


def test_a_constant_target_is_predicted() -> None:
    unit = unit_of(REGRESSION)
    unit = replace(unit, train_target=np.full(256, 5.0), stop_target=np.full(64, 5.0))
    assert np.allclose(fitted([unit], REGRESSION)[0].predictions, 5.0)


def test_threads_and_denormals_are_as_they_were_afterwards() -> None:
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    fitted([unit_of(BINARY)], BINARY, threads=2)
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == before
    assert float(torch.tensor(1e-38) * 1e-3) > 0


def test_products_and_convolutions_use_matrix_units_where_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    def precisions() -> tuple[str, str]:
        return torch.get_float32_matmul_precision(), torch.backends.mkldnn.conv.fp32_precision

    before = precisions()
    for has_unit, within in ((True, ("medium", "bf16")), (False, before)):
        monkeypatch.setattr(environment, "_has_matrix_unit", lambda has_unit=has_unit: has_unit)
        with environment.settled(1):
            assert precisions() == within
        assert precisions() == before


def test_a_device_that_is_not_there_is_told() -> None:
    assert environment.choose_device("cpu") == "cpu"
    with pytest.raises(UsageError, match="choose auto, cpu or cuda"):
        environment.choose_device("tpu")
    if not torch.cuda.is_available():
        assert environment.choose_device("auto") == "cpu"
        with pytest.raises(UsageError, match="no GPU"):
            environment.choose_device("cuda")


def test_pace_depends_on_rows_alone_and_never_asks_for_more_than_there_are() -> None:
    recipe = Recipe(epochs=0)
    assert recipe.pace(14_000).batch_size == 256
    assert recipe.pace(100).batch_size == 64
    assert recipe.pace(1).batch_size == 1
    for n_rows in (1, 2, 50, 700, 14_000, 10**6):
        pace = recipe.pace(n_rows)
        assert pace.batch_size <= n_rows
        assert abs(pace.n_steps * pace.batch_size - n_rows) <= pace.batch_size
        assert 1 <= pace.n_epochs <= 256


def test_few_rows_are_learned_at_a_lower_rate_where_a_recipe_says_so() -> None:
    recipe = Recipe(full_rate_rows=5_000)
    assert [recipe.pace(n).rate_factor for n in (1, 50, 5_120, 10**6)] == [0.25, 0.25, 1.0, 1.0]
    assert 0.3 < recipe.pace(600).rate_factor < 0.4
    assert Recipe().pace(1).rate_factor == 1.0
    unit = unit_of(BINARY)
    whole, lower = (fitted([unit], BINARY, replace(QUICK, epochs=1, full_rate_rows=n))[0] for n in (0, 10**6))
    assert whole.curve["train_loss"][-1] < lower.curve["train_loss"][-1]
