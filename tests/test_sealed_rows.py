"""Sealed rows are in no fold, and judge what was packed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import packed_examples as examples
from cupel import unsealing
from cupel.core.errors import DataError, UsageError
from cupel.core.settings import Settings
from cupel.core.uncertainty import Decision
from cupel.execution import RunFolder
from cupel.problem import Problem, understand

N_ROWS = 300


def table(*, seed: int = 0) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=N_ROWS)
    groups = [f"g{number}" for number in generator.integers(0, 40, N_ROWS)]
    days = [f"2024-{1 + number // 28:02d}-{1 + number % 28:02d}" for number in range(N_ROWS)]
    return {"x": x, "who": groups, "day": days, "y": np.where(x + generator.normal(0, 0.5, N_ROWS) > 0, "yes", "no")}


def sealed(**settings: Any) -> Problem:
    return understand(table(), "y", settings=Settings(seal=0.2, **settings))


def in_folds(problem: Problem) -> set[int]:
    return {row for fold in problem.splits.folds for part in (fold.train, fold.stop, fold.valid) for row in part.tolist()}


def test_no_fold_sees_a_sealed_row_and_every_other_row_is_used() -> None:
    problem = sealed(drop=("who", "day"))
    rows = set(problem.splits.sealed.tolist())
    assert 0.15 * N_ROWS < len(rows) < 0.25 * N_ROWS
    assert in_folds(problem) == set(range(N_ROWS)) - rows
    assert problem.splits.key != understand(table(), "y", settings=Settings(drop=("who", "day"))).splits.key


def test_groups_are_sealed_whole() -> None:
    problem = sealed(group="who", drop=("day",))
    groups = problem.splits.groups
    assert not set(groups[problem.splits.sealed]) & set(groups[sorted(in_folds(problem))])


def test_the_latest_rows_are_sealed_where_time_orders_them() -> None:
    problem = sealed(time="day", drop=("who",))
    assert problem.splits.sealed.min() > max(in_folds(problem))
    assert [fold.index for fold in problem.splits.folds] == list(range(len(problem.splits.folds)))


def test_no_row_of_a_sealed_group_teaches_where_time_orders_them() -> None:
    columns = {**table(), "who": [f"g{number // 7}" for number in range(N_ROWS)]}
    for name, cells in columns.items():
        columns[name] = np.concatenate([cells, list(cells)[-60::2]])  # as many days, and people who were there before
    columns["who"][-30:] = [f"g{number}" for number in range(30)]
    problem = understand(columns, "y", settings=Settings(seal=0.1, time="day", group="who"))
    sealed_groups = set(problem.splits.groups[problem.splits.sealed].tolist())
    for fold in problem.splits.folds:
        assert not sealed_groups & set(problem.splits.groups[np.concatenate([fold.train, fold.stop])].tolist())


def test_what_cannot_be_sealed_is_refused() -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        understand(table(), "y", settings=Settings(seal=1.5))
    with pytest.raises(DataError, match="seal fewer rows"):
        sealed(drop=("who", "day")).splits.sealing(np.arange(N_ROWS))


def test_the_packed_model_is_judged_and_openings_that_were_told_of_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = sealed(drop=("who", "day"))
    model, _ = examples.unit(2)
    rows = problem.splits.sealed
    told = np.full((len(rows), 2), 0.5)
    told[:, 1] = np.where(problem.target[rows] == 1, 0.9, 0.1)
    monkeypatch.setattr(unsealing.packing, "session", lambda content: SimpleNamespace())
    monkeypatch.setattr(unsealing.packing, "run", lambda session, feeds: told)
    with RunFolder(tmp_path / "run") as folder:
        unsealing.opened(problem, folder, model=model)  # by a process that was ended before it concluded
        first = unsealing.opened(problem, folder, model=model)
        folder.journal.append("concluded")
        second = unsealing.opened(problem, folder, model=model)
    assert first["sealed"]["estimate"] == 1.0
    assert first["sealed"]["opened"] == 1
    assert "opened once" in first["words"][0]
    assert second["sealed"]["opened"] == 2
    assert "opened 2 times" in second["words"][0]


def test_sealed_rows_are_answered_by_the_threshold_of_what_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = sealed(drop=("who", "day"), metric="f1")
    said = np.where(problem.target[problem.splits.sealed, None] == [0, 1], 0.9, 0.1)
    monkeypatch.setattr(unsealing, "said_of", lambda problem, rows, *, model: said)
    with RunFolder(tmp_path / "run") as folder:
        found = [unsealing.opened(problem, folder, model=b"", decision=each) for each in (None, Decision(0.95))]
    assert [each["sealed"]["estimate"] for each in found] == [1.0, 0.0]


def test_without_sealed_rows_nothing_is_opened(tmp_path: Path) -> None:
    problem = understand(table(), "y", settings=Settings(drop=("who", "day")))
    with RunFolder(tmp_path / "run") as folder:
        assert unsealing.opened(problem, folder, model=b"") == {}
