"""Folds that are trained apart are kept one by one, and leave time for what follows them."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cupel.core.budget import Deadline
from cupel.core.stopwatch import Stopwatch
from cupel.execution import UnitMaker

SHARE, N_FOLDS, LOADING = 10.0, 4, 2.0


@dataclass(frozen=True)
class Alone:
    """What stands in for an assignment: a candidate of a family, and folds."""

    folds: tuple[int, ...]
    family: Any = field(default_factory=lambda: SimpleNamespace(name="large", folds_apart=True))
    candidate: Any = field(default_factory=lambda: SimpleNamespace(key="a candidate"))
    share: float = 1.0

    def apart(self) -> list["Alone"]:
        return [replace(self, folds=(fold,)) for fold in self.folds]


class Watching:
    """A maker whose training takes what it is given and whose exports take so long, with what it was given and told."""

    def __init__(self, clock: list[float], *, exporting: float, kept: tuple[int, ...] = (), is_cold: bool = False) -> None:
        self.clock, self.exporting, self.is_cold = clock, exporting, is_cold
        self.given, self.told = list[float](), list[float]()
        folds = [SimpleNamespace(index=index) for index in range(N_FOLDS)]
        store = SimpleNamespace(load=lambda key: next((fold for fold in kept if str(fold) == key), None))
        whole = (SimpleNamespace(fingerprint=""), SimpleNamespace(folds=folds, key=""))
        others: list[Any] = [None, None, store, None, None, None]
        self.maker = UnitMaker(*whole, *others, seed=0, stopwatch=Stopwatch())  # type: ignore[arg-type]
        self.maker._made = self.made  # type: ignore[assignment, method-assign]
        self.maker._folds = lambda assignment, deadline: list(assignment.folds)  # type: ignore[assignment, method-assign, return-value]
        self.maker.get_ready = self.load

    def load(self) -> None:
        self.clock[0] += LOADING if self.is_cold else 0.0
        self.is_cold = False

    def made(self, assignment: Alone, prepared: list[int], deadline: Deadline, *, progress: Any) -> list[int]:
        assert prepared == list(assignment.folds)
        self.given.append(deadline.remaining)
        self.clock[0] += deadline.remaining if np.isfinite(deadline.remaining) else 1.0
        progress(0.5)
        with self.maker.stopwatch.stage("exporting"):
            self.clock[0] += self.exporting
        return list(assignment.folds)

    def execute(self, deadline: Deadline) -> Deadline:
        everything = Alone(tuple(range(N_FOLDS)))
        found = self.maker.execute(everything, deadline=deadline, progress=self.told.append)  # type: ignore[arg-type]
        assert list(found) == list(range(N_FOLDS))
        return deadline


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    for module in ("cupel.core.budget", "cupel.core.stopwatch"):
        monkeypatch.setattr(f"{module}.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr("cupel.execution.maker.unit_key", lambda *whole, fold, **how: str(fold.index))
    return now


def test_all_but_the_very_first_leave_time_to_be_exported(clock: list[float]) -> None:
    watching = Watching(clock, exporting=3.0)
    deadline = watching.execute(Deadline(N_FOLDS * SHARE))
    assert watching.given[0] == pytest.approx(SHARE)
    assert watching.given[1:] == pytest.approx([(40 - 13) / 3 - 3.0] * 3)
    assert deadline.remaining == pytest.approx(0.0)
    assert watching.told == [0.125, 0.375, 0.625, 0.875]
    watching.execute(Deadline(N_FOLDS * SHARE))
    assert watching.given[4:] == pytest.approx([SHARE - 3.0] * 4)  # as it is known now what exporting takes


def test_what_is_loaded_once_is_taken_of_all(clock: list[float]) -> None:
    watching = Watching(clock, exporting=0.0, is_cold=True)
    watching.execute(Deadline(N_FOLDS * SHARE))
    assert watching.given == pytest.approx([(N_FOLDS * SHARE - LOADING) / N_FOLDS] * N_FOLDS)


def test_exporting_never_takes_most_of_the_time_of_training(clock: list[float]) -> None:
    watching = Watching(clock, exporting=12.0)
    watching.execute(Deadline(N_FOLDS * SHARE))
    assert watching.given[1] == pytest.approx(0.5 * (40 - 22) / 3)
    assert watching.given[2] == pytest.approx(0.25 * (40 - 22 - 3 - 12))


def test_folds_that_were_kept_before_their_worker_was_lost_are_not_made_again(clock: list[float]) -> None:
    watching = Watching(clock, exporting=0.0, kept=(0, 1))
    watching.execute(Deadline(N_FOLDS * SHARE))
    assert watching.given == pytest.approx([2 * SHARE] * 2)


def test_without_a_deadline_nobody_waits(clock: list[float]) -> None:
    watching = Watching(clock, exporting=3.0)
    watching.execute(Deadline())
    assert np.isinf(watching.given).all()
