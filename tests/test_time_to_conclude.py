"""Time is kept for the end of a run: more where there is more to do, and where the machine is slow."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cupel import conclusion, pipeline
from cupel.core.budget import Budget, Effort

TRIAL: Any = SimpleNamespace(is_usable=True, n_bytes=5_000_000)


def kept(seconds: float | None, *, n_samples: int = 10_000, n_trials: int = 8) -> float:
    problem: Any = SimpleNamespace(dataset=SimpleNamespace(n_samples=n_samples), task=SimpleNamespace(n_judged=2))
    return pipeline.seconds_to_conclude(problem, Budget(Effort.OPEN, seconds), trials=[TRIAL] * n_trials)


@pytest.fixture
def slowness(monkeypatch: pytest.MonkeyPatch) -> Any:
    speed = SimpleNamespace(slowness=1.0)
    monkeypatch.setattr("cupel.core.machine.SPEED", speed)
    return speed


def test_more_is_kept_where_there_is_more_to_do(slowness: Any) -> None:
    assert kept(None) == 0.0
    assert kept(60.0) < kept(60.0, n_trials=16) < kept(60.0, n_trials=16, n_samples=50_000)


def test_a_slow_machine_keeps_more_but_never_half_of_a_run(slowness: Any) -> None:
    usual = kept(60.0)
    slowness.slowness = 2.0
    assert usual < kept(60.0) <= usual + pipeline.MOST_STRETCHED * 60.0
    slowness.slowness = 3.0
    assert kept(60.0) <= usual + pipeline.MOST_STRETCHED * 60.0
    assert kept(10.0, n_trials=40) == 5.0
    assert kept(10.0, n_trials=0, n_samples=300) < 2.0


class Chooser:
    """A method that takes so many seconds for each of the rows it is shown."""

    def __init__(self, clock: Any, *, seconds_a_row: float) -> None:
        self._clock, self._seconds_a_row = clock, seconds_a_row

    def choose(self, evidence: Any, rows: Any) -> None:
        self._clock.now += self._seconds_a_row * len(rows)


@pytest.mark.parametrize(("seconds", "n_rows"), [(float("inf"), 6000), (100.0, 6000), (3.0, 1500), (0.1, 500), (-5.0, 500)])
def test_an_ensemble_is_chosen_on_as_many_rows_as_there_is_time_for(
    monkeypatch: pytest.MonkeyPatch, seconds: float, n_rows: int
) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(conclusion.time, "monotonic", lambda: clock.now)
    rows, method = np.arange(0, 12_000, 2), Chooser(clock, seconds_a_row=0.002)
    evidence: Any = SimpleNamespace(seed=0)
    chosen = conclusion._affordable_rows(evidence, rows, method=method, seconds=seconds)  # type: ignore[arg-type]
    assert len(chosen) == n_rows
    assert set(chosen) <= set(rows)
    assert (np.diff(chosen) > 0).all()
