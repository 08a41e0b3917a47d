"""What twice as many rows would be worth is learned from one affordable candidate, or not at all."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cupel.core.candidate import Candidate
from cupel.core.family import Cost
from cupel.core.observer import Observer, Silent
from cupel.core.settings import Settings
from cupel.core.trial import Status, Trial
from cupel.more_rows import worth_of_more_rows
from cupel.problem import Problem, understand
from cupel.tuning import Proposal, Tried

N_ROWS = 1200


@pytest.fixture(scope="module")
def problem() -> Problem:
    generator = np.random.default_rng(0)
    x = generator.normal(size=N_ROWS)
    table = {"x": x, "z": generator.normal(size=N_ROWS), "y": x + generator.normal(0, 0.5, N_ROWS)}
    return understand(table, "y", settings=Settings(n_folds=3, task="regression"))


def trial(
    problem: Problem, *, error: float, n_folds: int = 3, status: Status = Status.DONE, seconds: float = 1.0, seed: int = 1
) -> Trial:
    """Predictions for the rows of the first folds, off by so much."""
    said = np.full((N_ROWS, 1), np.nan)
    for fold in problem.splits.folds[:n_folds]:
        noise = np.random.default_rng(seed).normal(0, error, N_ROWS)
        said[fold.valid, 0] = (problem.target + noise)[fold.valid]
    units: Any = tuple(SimpleNamespace(seconds=seconds / n_folds) for _ in range(n_folds))
    candidate = Candidate(name="it", modality="tabular", family="it", config=None, preparation=None)
    return Trial(candidate=candidate, is_deep=False, is_baseline=False, status=status, out_of_fold=said, units=units)


def tried(problem: Problem, *, seconds: float = 1.0, seed: int = 1) -> Tried:
    whole = trial(problem, error=1.0, seconds=seconds, seed=seed)
    family: Any = SimpleNamespace(name="it")
    score = -float(np.sqrt(((whole.out_of_fold[:, 0] - problem.target) ** 2).mean())) if whole.out_of_fold is not None else None
    return Tried(proposal=Proposal(candidate=whole.candidate, family=family), trial=whole, score=score, seconds=seconds)


def learn(
    problem: Problem,
    *given: Tried,
    seconds: float | None,
    status: Status = Status.DONE,
    observer: Observer | None = None,
) -> tuple[dict[str, Any], list[float]]:
    shares: list[float] = []

    def run(candidate: Candidate, family: Any, *, deadline: Any, progress: Any, n_folds: int | None, share: float) -> Trial:
        shares.append(share)
        return trial(problem, error=1.0 + 0.5 * (share**-0.5 - 1), n_folds=n_folds or 3, status=status)

    return worth_of_more_rows(problem, given, run=run, seconds=seconds, observer=observer), shares


def test_the_gain_and_its_interval_are_told(problem: Problem) -> None:
    found, shares = learn(problem, tried(problem), seconds=10)
    assert len(shares) >= 2
    facts = found["more_rows"]
    assert 0 < facts["low"] <= facts["gain"] <= facts["high"]
    assert facts["points"][-1][1] < facts["points"][0][1]
    assert "Twice as many rows would be worth about" in found["words"][0]


def test_how_a_baseline_gets_better_is_told_only_where_nothing_is_better(problem: Problem) -> None:
    plain = tried(problem)
    baseline, better = (
        replace(plain, trial=replace(plain.trial, is_baseline=True)),
        replace(tried(problem, seconds=99.0), score=0.0),
    )
    assert learn(problem, baseline, better, seconds=10) == ({}, [])
    assert "more_rows" in learn(problem, baseline, seconds=10)[0]


def test_where_time_is_short_the_first_fold_must_do(problem: Problem) -> None:
    found, _ = learn(problem, tried(problem, seconds=4.0), seconds=3.5)
    assert found["more_rows"]["points"][-1][0] == pytest.approx(2 / 3 * 7 / 8 * N_ROWS, rel=0.05)


def test_nothing_is_told_where_there_is_no_time_or_a_model_was_cut_short(problem: Problem) -> None:
    assert learn(problem, tried(problem, seconds=1000), seconds=5) == ({}, [])
    assert learn(problem, tried(problem), seconds=10, status=Status.CUT_SHORT)[0] == {}


@pytest.mark.parametrize("on_the_clock", [0.01, 1.0, 1000.0])
def test_without_a_cap_no_clock_decides(problem: Problem, monkeypatch: pytest.MonkeyPatch, on_the_clock: float) -> None:
    """A run that was killed and gone on with has seen little of its own time."""
    estimated = [90.0]
    monkeypatch.setattr(Problem, "estimator", lambda _: lambda *_: Cost(seconds=estimated[0], memory_bytes=0))
    others = [replace(tried(problem, seconds=on_the_clock), score=-2.0 - place) for place in range(30)]
    found, shares = learn(problem, tried(problem, seconds=on_the_clock), *others, seconds=None)
    assert len(shares) >= 2
    assert found["more_rows"]["points"][-1][0] == round(2 / 3 * 7 / 8 * N_ROWS)
    estimated[0] = 1.0
    assert learn(problem, tried(problem, seconds=on_the_clock), seconds=None) == ({}, [])


def test_the_stage_is_told_where_there_is_one(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    observer = Silent()
    monkeypatch.setattr(observer, "stage", told.append)
    learn(problem, tried(problem, seconds=1000), seconds=5, observer=observer)
    assert told == []
    learn(problem, tried(problem), seconds=10, observer=observer)
    assert told == ["learning from fewer rows what more would be worth"]


def test_few_rows_teach_no_law(problem: Problem) -> None:
    folds = tuple(replace(fold, train=fold.train[:200]) for fold in problem.splits.folds)
    small = replace(problem, splits=replace(problem.splits, folds=folds))
    assert learn(small, tried(problem), seconds=100) == ({}, [])


def test_what_choosing_the_best_of_many_added_to_its_score_is_taken_off(problem: Problem) -> None:
    many = [tried(problem, seed=seed) for seed in range(2, 22)]
    best = max(each.score or 0.0 for each in many)

    def run(candidate: Candidate, family: Any, *, deadline: Any, progress: Any, n_folds: int | None, share: float) -> Trial:
        return trial(problem, error=1.0, n_folds=n_folds or 3)

    facts = worth_of_more_rows(problem, many, run=run, seconds=10)["more_rows"]
    assert -best < 0.98
    assert -best + 0.01 < facts["points"][-1][1] < 1.02
