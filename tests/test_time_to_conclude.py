"""Time is kept for the end of a run: more where there is more to do, and where the machine is slow."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cupel import pipeline
from cupel.core.budget import Budget, Effort

TRIAL: Any = SimpleNamespace(is_usable=True, n_bytes=5_000_000)


def kept(seconds: float | None, *, n_samples: int = 10_000, n_trials: int = 8) -> float:
    problem: Any = SimpleNamespace(dataset=SimpleNamespace(n_samples=n_samples), task=SimpleNamespace(n_judged=2))
    return pipeline._seconds_to_conclude(problem, Budget(Effort.OPEN, seconds), [TRIAL] * n_trials)


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
