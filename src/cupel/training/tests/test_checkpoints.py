"""Training that was stopped anywhere goes on from its last checkpoint, and ends where it would have ended."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cupel import training
from cupel.core import keeping
from cupel.core.budget import Deadline
from cupel.core.family import Family, FittedUnit
from cupel.core.recipe import Recipe
from cupel.core.task import Task
from cupel.training import keeper
from cupel.training.hidden import hidden_state, restore_hidden
from cupel.training.tests.making_units import BINARY, NORMALISED, REGRESSION, SEVERAL, TINY, Asked, Config, unit_of
from cupel.training.watch import Watch


class StoppedError(Exception):
    """What a kill is to a test."""


class Kept:
    """Checkpoints in memory; after so many the process is stopped."""

    def __init__(self, *, n_until_stop: int) -> None:
        self.contents: dict[str, bytes] = {}
        self._n_left = n_until_stop

    def save(self, name: str, content: bytes) -> None:
        if self._n_left == 0:
            raise StoppedError
        self._n_left -= 1
        self.contents[name] = content

    def load(self, name: str) -> bytes | None:
        return self.contents.get(name)


@pytest.fixture(autouse=True)
def _at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper.Keeper, "is_due", property(lambda self: self.checkpoints is not None))
    monkeypatch.setattr(keeping, "SECONDS_WORTH_KEEPING", 0.0)


def fitted(
    family: Family,
    recipe: Recipe,
    task: Task,
    checkpoints: Kept | None = None,
    *,
    deadline: Deadline | None = None,
    sizes: Sequence[int] = (128, 96, 128),
    **config: Any,
) -> list[FittedUnit]:
    units = [unit_of(task, fold=fold, n_train=size) for fold, size in enumerate(sizes)]
    how: dict[str, Any] = {"threads": 1, "checkpoints": checkpoints, "deadline": deadline}
    return training.fit(family, units, config=Config(**config), recipe=recipe, task=task, **how)


def assert_same(first: list[FittedUnit], second: list[FittedUnit]) -> None:
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.predictions, other.predictions)
        assert one.curve == other.curve
        assert one.best_epoch == other.best_epoch
        assert one.weights.keys() == other.weights.keys()
        assert all(np.array_equal(one.weights[name], other.weights[name]) for name in one.weights)


BASE = Recipe(learning_rate=0.01, batch_size=32, epochs=5)
CASES = {
    "adamw and a moving average": (TINY, replace(BASE, ema=0.9), BINARY),
    "momentum and a schedule": (TINY, replace(BASE, optimizer="sgd", schedule="cosine", warmup=0.1), REGRESSION),
    "plateaus that end": (TINY, replace(BASE, optimizer="rmsprop", schedule="plateau", patience=1, epochs=9), BINARY),
    "averaged weights": (NORMALISED, replace(BASE, swa=0.4), BINARY),
    "snapshots": (TINY, replace(BASE, snapshots=2, schedule="cosine"), BINARY),
    "bags": (TINY, replace(BASE, bags=2, epochs=3), BINARY),
    "members": (SEVERAL, BASE, REGRESSION),
    "folds apart": (replace(TINY, folds_apart=True), BASE, BINARY),
    "all rows": (NORMALISED, replace(BASE, schedule="cosine", stops_from=10**6, ema=0.9), BINARY),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("n_until_stop", [1, 4, 9, 17])
def test_a_training_that_was_stopped_ends_where_it_would_have_ended(case: str, n_until_stop: int) -> None:
    whole = fitted(*CASES[case])
    first = Kept(n_until_stop=n_until_stop)
    with contextlib.suppress(StoppedError):
        fitted(*CASES[case], first)
    second = Kept(n_until_stop=10**6)
    second.contents = first.contents
    assert first.contents
    assert_same(fitted(*CASES[case], second), whole)


def test_two_stacks_at_a_time_keep_checkpoints_of_their_own() -> None:
    whole = fitted(TINY, BASE, BINARY, seconds=1e9)
    first = Kept(n_until_stop=6)
    with pytest.raises(StoppedError):
        fitted(TINY, BASE, BINARY, first, seconds=1e9)
    second = Kept(n_until_stop=10**6)
    second.contents = dict(first.contents)
    assert_same(fitted(TINY, BASE, BINARY, second, seconds=1e9), whole)
    assert len(second.contents) > 1


def test_a_training_in_a_hurry_goes_on_in_a_hurry_and_anew_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    # What is kept back for looks is measured in real seconds, which a clock that is counted knows nothing of.
    monkeypatch.setattr(Watch, "keep_back", lambda self, seconds: None)
    hurried = (TINY, replace(BASE, epochs=12, schedule="cosine"), BINARY)
    alike: dict[str, Any] = {"sizes": (128, 128, 128)}  # one stack: two would look at the same clock in an order of their own
    first = Kept(n_until_stop=12)
    with pytest.raises(StoppedError):
        fitted(*hurried, first, deadline=Asked(0.1), **alike)
    second, third = Kept(n_until_stop=10**6), Kept(n_until_stop=10**6)
    second.contents, third.contents = dict(first.contents), dict(first.contents)
    again = fitted(*hurried, second, deadline=Asked(0.05), **alike)
    begun = fitted(*hurried, deadline=Asked(0.05), **alike)
    assert all(unit.cut_short for unit in again)
    assert len(again[0].curve["stop_loss"]) > len(begun[0].curve["stop_loss"])
    assert_same(fitted(*hurried, third, **alike), fitted(*hurried, **alike))


def test_what_is_trained_to_its_end_is_not_trained_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(n_until_stop=10**6)
    whole = fitted(TINY, BASE, BINARY, kept)
    monkeypatch.setattr("cupel.training.loop.sample_losses", None)
    assert_same(fitted(TINY, BASE, BINARY, kept), whole)


def test_a_checkpoint_is_due_after_a_while_and_costs_more_time_where_it_is_long_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    now = [100.0]
    monkeypatch.setattr(keeping.time, "monotonic", lambda: now[0])
    kept = Kept(n_until_stop=10)
    kept_one, without = keeper.Keeper(kept, "one"), keeper.Keeper()
    assert not kept_one.is_due
    now[0] += 16
    assert kept_one.is_due
    assert not without.is_due
    monkeypatch.setattr(kept, "save", lambda name, content: now.__setitem__(0, now[0] + 0.4))
    kept_one.save({"a": torch.ones(1)}, {})
    now[0] += 16
    assert not kept_one.is_due  # 0.4 s of writing every 20 s
    now[0] += 5
    assert kept_one.is_due


class Drawing(nn.Module):
    """Holds all that a network may draw from, or count by."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self._places = np.random.Generator(np.random.SFC64(seed))
        self._others = [np.random.default_rng(seed), np.random.default_rng(seed + 1)]
        self._generators = [torch.Generator().manual_seed(seed)]
        self._pool: torch.Tensor | None = None
        self._n_uses = 0
        self.changes = Changing(seed)

    def draw(self) -> list[float]:
        self._n_uses += 1
        self._pool = torch.full((2,), float(self._n_uses))
        drawn = [float(g.random()) for g in (self._places, *self._others)]
        return [*drawn, *(float(torch.rand(1, generator=g)) for g in (*self._generators, self.changes.generator)), self._n_uses]


class Changing:
    """A plain object within a module."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)


def test_random_numbers_of_every_kind_go_on_where_they_were() -> None:
    first, second = Drawing(1), Drawing(2)
    first.draw()
    tensors, values = hidden_state(first)
    restore_hidden(second, ({name: tensor.clone() for name, tensor in tensors.items()}, values))
    assert torch.equal(second._pool, torch.ones(2))  # type: ignore[arg-type]
    assert first.draw() == second.draw()
