"""What a run may take of disk and memory holds during all of it, and a run that is gone on with has the caps that it had."""

from __future__ import annotations

import math
import resource
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from cupel import execution, making, pipeline, refitting, workbench
from cupel.core import processes
from cupel.core.budget import Budget, Deadline, Effort
from cupel.core.errors import InterruptedRunError, OutOfMemoryError, RunConflictError, UsageError
from cupel.core.limits import Limits
from cupel.core.observer import Silent
from cupel.core.settings import Settings
from cupel.core.stopwatch import Spent, Stopwatch
from cupel.core.trial import Status
from cupel.execution import Guard, guard, vigil
from cupel.problem import Problem, understand

MB = 10**6


def problem_of(source: Any) -> Problem:
    return understand(source, "y", settings=Settings(n_folds=3))


def columns(n_rows: int = 120) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    x = generator.normal(size=n_rows).round(3)
    return {"x": x, "word": [f"w{number % 7}" for number in range(n_rows)], "y": np.where(x > 0, "yes", "no")}


# --- disk


def test_what_is_written_during_training_is_looked_at_every_few_seconds(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(guard.time, "monotonic", lambda: now[0])
    watched = Guard(tmp_path, Limits(disk_bytes=60 * MB))
    (tmp_path / "checkpoint").write_bytes(bytes(20 * MB))
    assert not watched.is_to_end()  # it is not looked at again so soon
    now[0] += 6
    with pytest.raises(InterruptedRunError, match=r"while it was trained.*holds 20 MB, and may hold 60 MB.*more --disk"):
        watched.is_to_end()


def test_an_end_that_is_asked_for_needs_no_look_at_the_disk(tmp_path):
    assert Guard(tmp_path / "none", Limits(), is_interrupted=lambda: True).is_to_end()


def test_a_folder_that_is_gone_ends_the_search(tmp_path):
    assert "removed" in Guard(tmp_path / "none", Limits()).reason_to_end()


@pytest.mark.parametrize("workers", [0, 1])
def test_data_that_pass_the_disk_cap_are_told_before_anything_is_made(tmp_path, workers):
    problem, limits = problem_of(columns(4000)), Limits(disk_bytes=guard.LEAST_FREE_BYTES + 1000, workers=workers)
    if workers:
        with pytest.raises(UsageError, match=r"written for the worker process.*Give at least 51 MB with --disk"):
            pipeline.demand_disk(problem, tmp_path / "run", limits=limits)
    else:
        pipeline.demand_disk(problem, tmp_path / "run", limits=limits)
    assert not (tmp_path / "run").exists()


def test_what_a_killed_process_handed_over_counts_for_nothing(tmp_path):
    (tmp_path / guard.HANDOVER).mkdir()
    (tmp_path / guard.HANDOVER / "column-0.npy").write_bytes(bytes(2 * MB))
    limited = Guard(tmp_path, Limits(disk_bytes=guard.LEAST_FREE_BYTES + MB))
    limited.demand_disk(1000)
    (tmp_path / "unit").write_bytes(bytes(2 * MB))
    with pytest.raises(UsageError, match="2 MB are held already"):
        limited.demand_disk(1000)


def test_what_is_handed_over_is_as_large_as_foreseen(tmp_path):
    given = making.handover(problem_of(columns(4000)), units=tmp_path, kept_bytes=0.0)
    given.write(tmp_path / "data")
    assert given.n_bytes == pytest.approx(execution.size_of(tmp_path / "data"), rel=0.1)


def test_whoever_meets_a_limit_is_told_the_way_out_of_it(tmp_path, monkeypatch):
    (tmp_path / "unit").write_bytes(bytes(20 * MB))
    assert Guard(tmp_path, Limits(disk_bytes=60 * MB)).reason_to_end().endswith("; `cupel resume` with more --disk goes on")
    assert (
        Guard(tmp_path, Limits(disk_bytes=60 * MB), again=refitting.AGAIN)
        .reason_to_end()
        .endswith("; the same `cupel refit` with more --disk goes on")
    )
    monkeypatch.setattr(guard.shutil, "disk_usage", lambda folder: SimpleNamespace(free=MB))
    assert Guard(tmp_path, Limits()).reason_to_end() == (
        "1 MB are free on the disk of the run folder; free some space, then `cupel resume` goes on"
    )


# --- memory


def test_a_run_whose_processes_hold_too_much_is_told_so(monkeypatch):
    monkeypatch.setattr(processes, "memory_bytes", lambda pid: 700 * MB)
    worker: Any = SimpleNamespace(process=SimpleNamespace(pid=1), ended_for_memory=None)
    made = [vigil.Vigil(worker, deadline=Deadline(), is_to_end=lambda: False, memory_bytes=most) for most in (800 * MB, 600 * MB)]
    made[0].look(None)
    with pytest.raises(OutOfMemoryError, match=r"held 700 MB, and 600 MB may be held; give more with --memory"):
        made[1].look(None)


def test_a_process_that_is_held_to_its_memory_gets_no_more():
    before = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        workbench.hold_to(100 * MB)
        with pytest.raises(MemoryError):
            np.ones(100 * MB)
        workbench.hold_to(None)
        assert np.ones(30 * MB).nbytes == 240 * MB
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


# --- going on


def resumed(folder: Path, monkeypatch: pytest.MonkeyPatch, **given: Any) -> dict[str, Any]:
    """What a resume asks of fit."""
    found: dict[str, Any] = {}
    monkeypatch.setattr(pipeline, "fit", lambda source, target, **named: found.update(named))
    pipeline.resume(folder, source="moved.csv", **given)
    return found


def kept(folder: Path, *, effort: Effort = Effort.STANDARD, seconds: float | None = 600.0, **caps: Any) -> execution.RunFolder:
    """A run folder as `fit` leaves it that is killed just after it began."""
    opened = execution.RunFolder(folder)
    problem, budget = problem_of(columns()), Budget(effort, seconds)
    opened.settle_question(pipeline.question(problem, "old.csv", budget=budget, limits=Limits(**caps)))
    return opened


def test_a_run_is_gone_on_with_under_the_caps_that_it_had(tmp_path, monkeypatch):
    with kept(tmp_path, memory_bytes=2 * 10**9, cores=2, disk_bytes=10**9):
        pass
    asked = resumed(tmp_path, monkeypatch)
    assert asked["limits"] == Limits(memory_bytes=2 * 10**9, cores=2, disk_bytes=10**9)
    assert (asked["effort"], asked["time"]) == ("standard", 600.0)
    asked = resumed(tmp_path, monkeypatch, limits=Limits(disk_bytes=5 * 10**9, workers=0), time="1h", effort="quick")
    assert asked["limits"] == Limits(memory_bytes=2 * 10**9, cores=2, disk_bytes=5 * 10**9, workers=0)
    assert (asked["effort"], asked["time"]) == ("quick", "1h")


def test_a_run_without_caps_is_gone_on_with_without(tmp_path, monkeypatch):
    with kept(tmp_path, seconds=None):
        pass
    asked = resumed(tmp_path, monkeypatch)
    assert asked["limits"] == Limits()
    assert asked["time"] is None


@pytest.mark.parametrize("strange", [None, [], {"cores": "8"}, {"memory_bytes": -5, "disk_bytes": True}])
def test_caps_that_a_stranger_wrote_are_passed_over(strange):
    assert Limits(cores=1).completed(strange) == Limits(cores=1)


@pytest.mark.parametrize(
    ("asked", "notes", "left"),
    [
        ({"seconds": 600.0, "part": 2}, [("worked", 1, 100.0), ("stage", 2, 105.0), ("worked", 2, 350.0)], 350.0),
        ({"seconds": 600.0, "part": 1}, [("worked", 1, 595.0)], 30.0),
        ({"seconds": 10.0, "part": 1}, [("stage", 1, 9.0)], 10.0),
        ({"seconds": 600.0, "part": 1}, [("stage", 1, 100.0), ("concluded", 1, 500.0), ("worked", 1, 501.0)], 600.0),
        ({"seconds": 600.0, "part": 2}, [("concluded", 1, 500.0), ("stage", 2, 510.0)], 590.0),
        ({"seconds": 600.0, "part": 2}, [("worked", 1, 500.0)], 600.0),
        ({"seconds": 600.0, "part": "x"}, [("worked", 1, 500.0)], 600.0),
        ({"seconds": 600.0}, [("worked", 1, 500.0)], 600.0),
        ({"seconds": None, "part": 1}, [("worked", 1, 100.0)], None),
        ({"seconds": math.nan, "part": 1}, [], None),
    ],
)
def test_what_is_left_of_a_runs_time_is_told_by_the_notes_of_its_last_process(tmp_path, asked, notes, left):
    log = execution.Journal(tmp_path / "journal" / "journal.jsonl")
    for event, n_parts, seconds in notes:
        log.append(event, **execution.noted(Spent(n_parts=n_parts, seconds=seconds)))
    assert execution.seconds_left(tmp_path, asked) == left


def test_a_clock_that_is_set_changes_nothing_of_what_is_left(tmp_path, monkeypatch):
    clocks = {"monotonic": 5_000.0, "time": 1_800_000_000.0}
    for name in clocks:
        monkeypatch.setattr(time, name, lambda name=name: clocks[name])
    for seconds, change in ((100.0, 3600.0), (200.0, -3600.0)):
        stopwatch = Stopwatch()
        with kept(tmp_path) as folder, closing(execution.Chronicle(Silent(), folder.journal, stopwatch=stopwatch)) as told:
            told.stage("training candidates")
            clocks["monotonic"] += seconds
            clocks["time"] += seconds + change
        assert execution.seconds_left(tmp_path, execution.read_run(tmp_path)) == 600.0 - seconds


# --- data that have changed


def without_a_row(given: dict[str, Any]) -> dict[str, Any]:
    return {name: cells[:-1] for name, cells in given.items()}


def renamed(given: dict[str, Any]) -> dict[str, Any]:
    return {("text" if name == "word" else name): cells for name, cells in given.items()}


def edited(given: dict[str, Any]) -> dict[str, Any]:
    return {**given, "x": np.where(np.arange(len(given["x"])) == 3, 9.5, given["x"])}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without_a_row, "rows were 120, are 119"),
        (renamed, "the data have columns no longer: 'word'; the data have new columns: 'text'"),
        (edited, "the data have other cells in: 'x'"),
    ],
)
def test_a_file_that_has_changed_is_refused_with_what_has(tmp_path, change, told):
    source, settings = tmp_path / "data.csv", Settings(n_folds=3)
    for given in (columns(), change(columns())):
        pl.DataFrame(given).write_csv(source)
        asked = pipeline.question(understand(str(source), "y", settings=settings), source, budget=Budget())
        with execution.RunFolder(tmp_path / "run") as folder:
            if not (tmp_path / "run" / "run.yaml").exists():
                folder.settle_question(asked)
                continue
            with pytest.raises(RunConflictError) as caught:
                folder.settle_question(asked)
    assert f"another question ({told})" in str(caught.value)


# --- a refit


def trained(folder: execution.RunFolder, monkeypatch: pytest.MonkeyPatch, statuses: list[Status], *, asked: bool) -> Any:
    tried = [SimpleNamespace(trial=SimpleNamespace(status=status)) for status in statuses]
    monkeypatch.setattr(refitting, "search", lambda *_, **__: tried)
    plan: Any = SimpleNamespace(problem=None, proposals=statuses, start=None)
    watched = Guard(folder.path, Limits(), is_interrupted=lambda: asked, again=refitting.AGAIN)
    how: Any = {"budget": Budget(), "deadline": Deadline(), "observer": Silent(), "stopwatch": Stopwatch()}
    return refitting._trained(plan, folder, watched, **how)


def test_a_refit_that_is_ended_half_way_compares_nothing_and_one_that_was_through_goes_on(tmp_path, monkeypatch):
    with execution.RunFolder(tmp_path) as folder:
        with pytest.raises(InterruptedRunError, match=r"before all of 2 candidates were trained.*the same `cupel refit`"):
            trained(folder, monkeypatch, [Status.DONE, Status.SKIPPED], asked=True)
        assert len(trained(folder, monkeypatch, [Status.DONE, Status.FAILED], asked=True)) == 2
        assert len(trained(folder, monkeypatch, [Status.DONE, Status.SKIPPED], asked=False)) == 2
