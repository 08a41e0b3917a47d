"""What a loop is told of the time: when to end, and how far its schedule should be."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from cupel import training
from cupel.core.budget import Deadline
from cupel.core.recipe import Recipe
from cupel.training.tests.making_units import BINARY, TINY, Asked, Config, Tiny, unit_of
from cupel.training.watch import Watch


class Clock(Deadline):
    """A deadline whose time a test sets."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.now = 0.0

    @property
    def elapsed(self) -> float:
        return self.now


def test_a_schedule_that_fits_into_the_time_never_hears_of_the_clock() -> None:
    clock = Clock(100.0)
    watch = Watch(clock)
    for step in range(100):
        clock.now = 0.9 * step
        assert watch.hurried(step / 100) == step / 100
    assert not watch.is_behind


def test_one_that_does_not_follows_the_clock_to_its_end() -> None:
    clock = Clock(100.0)
    watch = Watch(clock)
    said = []
    for step in range(20):
        clock.now = 5.0 * step
        said.append(watch.hurried(step / 200))
    assert said == sorted(said)
    assert said[:2] == [0.0, 0.005]  # the first steps are slow, and tell nothing
    assert said[10] == pytest.approx(0.5, abs=0.05)
    assert said[-1] == 1.0
    assert watch.is_behind


def test_time_that_was_gone_before_training_began_does_not_count() -> None:
    clock = Clock(100.0)
    clock.now = 50.0
    watch = Watch(clock)
    clock.now = 60.0
    assert watch.hurried(0.2) == 0.2
    clock.now = 75.0
    assert watch.hurried(0.3) == pytest.approx(0.5, abs=0.05)


def test_one_that_goes_on_from_an_earlier_process_never_falls_back() -> None:
    clock = Clock(100.0)
    watch = Watch(clock)
    watch.go_on_from(0.6)
    assert watch.is_behind
    assert watch.hurried(0.2) == 0.6
    clock.now = 50.0
    assert watch.hurried(0.3) == watch.reached == pytest.approx(0.8, abs=0.02)
    clock.now = 96.0
    assert watch.hurried(0.4) == 1.0


def test_a_network_in_a_hurry_ends_its_schedule_and_says_that_it_was_cut_short() -> None:
    unit = unit_of(BINARY)
    recipe = Recipe(learning_rate=0.01, batch_size=64, epochs=20_000, schedule="cosine", patience=20_000)
    hurried = training.fit(TINY, [unit], config=Config(), recipe=recipe, task=BINARY, deadline=Asked(3.0))[0]
    assert hurried.cut_short
    losses = np.array(hurried.curve["stop_loss"])
    # With the rate fallen to nothing the last epochs change next to nothing; at its full height they would jump about.
    assert np.abs(np.diff(losses[-len(losses) // 50 :])).max() < 0.1 * np.abs(np.diff(losses[: len(losses) // 2])).max()


def test_what_is_kept_back_ends_the_loop_before_the_deadline_but_never_takes_most_of_the_time() -> None:
    clock = Clock(100.0)
    watch = Watch(clock)
    watch.keep_back(20.0)
    clock.now = 79.0
    assert not watch.is_over
    clock.now = 81.0
    assert watch.is_over
    watch.keep_back(1e9)
    clock.now = 74.0
    assert not watch.is_over
    clock.now = 76.0
    assert watch.is_over


def test_a_schedule_that_follows_the_clock_is_at_its_end_when_what_is_kept_back_begins() -> None:
    clock = Clock(100.0)
    watch = Watch(clock)
    watch.keep_back(20.0)
    clock.now = 78.0
    assert watch.hurried(0.1) == 1.0


@pytest.mark.parametrize("n_looks", [1, 3])
def test_predictions_for_many_rows_are_made_within_the_time_too(monkeypatch: pytest.MonkeyPatch, n_looks: int) -> None:
    original, seconds, n_rows = Tiny.forward, 3.0, 3_000 // n_looks

    def slow(self: Tiny, blocks: dict[str, object]) -> object:
        rows = next(iter(blocks.values())).shape[1]
        time.sleep(rows * (5e-4 if self.training else 2e-4))
        if not self.training and rows > 64:
            time.sleep((self.n_looks - 1) * rows * 2e-4)
        return original(self, blocks)

    monkeypatch.setattr(Tiny, "forward", slow)
    monkeypatch.setattr(Tiny, "n_looks", n_looks)
    unit = unit_of(BINARY)
    valid = replace(
        unit.valid, blocks={name: np.resize(block, (n_rows, block.shape[1])) for name, block in unit.valid.blocks.items()}
    )
    recipe = Recipe(epochs=10_000, patience=10_000, batch_size=64)
    began = time.monotonic()
    fitted = training.fit(
        TINY, [replace(unit, valid=valid)], config=Config(), recipe=recipe, task=BINARY, deadline=Deadline(seconds)
    )
    assert time.monotonic() - began < seconds + 0.3  # the predictions alone take 0.6 s
    assert fitted[0].cut_short
    assert len(fitted[0].predictions) == n_rows
