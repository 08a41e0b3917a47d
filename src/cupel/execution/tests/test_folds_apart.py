"""Folds that are trained apart are kept one by one, and leave time for what follows them."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cupel.core.budget import Deadline
from cupel.core.stopwatch import Stopwatch
from cupel.execution import UnitMaker

SHARE = 10.0


@dataclass(frozen=True)
class Alone:
    """What stands in for an assignment: a family, and folds."""

    folds: tuple[int, ...]
    family: Any = field(default_factory=lambda: SimpleNamespace(folds_apart=True))

    def apart(self) -> list["Alone"]:
        return [replace(self, folds=(fold,)) for fold in self.folds]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    for module in ("cupel.core.budget", "cupel.core.stopwatch"):
        monkeypatch.setattr(f"{module}.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def made(clock: list[float], *, exporting: float, n_folds: int = 4) -> tuple[list[float], list[float], Deadline]:
    """Seconds that each fold was given, what progress was told, and the deadline at the end; training takes what it is given."""
    maker = UnitMaker(*[None] * 8, seed=0, stopwatch=Stopwatch())  # type: ignore[arg-type]
    given, told = list[float](), list[float]()

    def one(assignment: Alone, deadline: Deadline, progress: Any) -> list[int]:
        given.append(deadline.remaining)
        clock[0] += deadline.remaining
        progress(0.5)
        with maker.stopwatch.stage("exporting"):
            clock[0] += exporting
        return list(assignment.folds)

    maker._made = one  # type: ignore[assignment, method-assign]
    deadline = Deadline(n_folds * SHARE)
    found = maker.execute(Alone(tuple(range(n_folds))), deadline=deadline, progress=told.append)  # type: ignore[arg-type]
    assert found == list(range(n_folds))
    return given, told, deadline


def test_all_but_the_first_leave_time_to_be_exported(clock: list[float]) -> None:
    given, told, deadline = made(clock, exporting=3.0)
    assert given[0] == pytest.approx(SHARE)
    assert given[1:] == pytest.approx([(40 - 13) / 3 - 3.0] * 3)
    assert deadline.remaining == pytest.approx(0.0)
    assert told == [0.125, 0.375, 0.625, 0.875]


def test_exporting_never_takes_most_of_the_time_of_training(clock: list[float]) -> None:
    given, _, deadline = made(clock, exporting=12.0)
    assert given[1] == pytest.approx(0.5 * (40 - 22) / 3)
    assert given[2] == pytest.approx(0.25 * (40 - 22 - 3 - 12))
    assert deadline.remaining < 0


def test_without_a_deadline_nobody_waits(clock: list[float]) -> None:
    maker = UnitMaker(*[None] * 8, seed=0, stopwatch=Stopwatch())  # type: ignore[arg-type]
    left = list[float]()
    maker._made = lambda assignment, deadline, progress: left.append(deadline.remaining) or [0]  # type: ignore[assignment, func-returns-value, method-assign, misc]
    maker.execute(Alone((0, 1)), deadline=Deadline(), progress=print)  # type: ignore[arg-type]
    assert np.isinf(left).all()
