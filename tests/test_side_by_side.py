"""Where the clock decides what is tried, candidates are trained side by side, each on its cores; nothing else changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import cupel
from cupel import execution
from cupel.core import machine
from cupel.core.budget import Budget, Effort
from cupel.core.errors import UsageError
from cupel.core.limits import Limits
from cupel.problem import understand
from cupel.runners import n_lanes_for

OPEN = Budget(Effort.OPEN, 300.0)
needs_two_cores = pytest.mark.skipif(machine.usable_cores() < 2, reason="one core has no room for two")


def columns(n_rows: int = 400) -> dict[str, np.ndarray]:
    a, b, c = np.random.default_rng(0).normal(size=(3, n_rows))
    return {"a": a, "b": b, "c": c, "y": a * b + np.abs(c)}


@pytest.fixture(scope="module")
def problem():
    return understand(columns(), "y", settings=cupel.Settings())


@needs_two_cores
def test_each_has_a_lane_where_there_is_time_for_many(problem, tmp_path):
    assert n_lanes_for(problem, OPEN, guard=execution.Guard(tmp_path, Limits())) >= 2


@pytest.mark.parametrize(
    ("budget", "limits"),
    [
        (Budget(Effort.OPEN, 60.0), Limits()),
        (OPEN, Limits(at_once=1)),
        (OPEN, Limits(workers=0)),
        (Budget(Effort.STANDARD, 300.0), Limits()),
        (Budget(Effort.STANDARD, None), Limits()),
        (OPEN, Limits(memory_bytes=20_000_000_000)),
        (OPEN, Limits(disk_bytes=20_000_000_000)),
    ],
)
def test_one_after_the_other_where_order_or_limits_matter_or_time_is_short(problem, tmp_path, budget, limits):
    assert n_lanes_for(problem, budget, guard=execution.Guard(tmp_path, limits)) == 1


@needs_two_cores
def test_who_asks_for_two_at_once_has_them_in_short_time_too(problem, tmp_path):
    assert n_lanes_for(problem, Budget(Effort.OPEN, 60.0), guard=execution.Guard(tmp_path, Limits(at_once=2))) == 2


def test_two_at_once_and_an_effort_are_refused_before_any_work(tmp_path):
    for asked in ({"effort": "quick"}, {"effort": "standard", "time": 60}, {}):
        with pytest.raises(UsageError, match="leave --at-once out"):
            cupel.fit(columns(), "y", out=tmp_path / "run", limits=Limits(at_once=2), **asked)
    assert not (tmp_path / "run").exists()


def test_one_division_has_one_lane(tmp_path):
    held_out = understand(columns(), "y", settings=cupel.Settings(split="holdout"))
    assert n_lanes_for(held_out, OPEN, guard=execution.Guard(tmp_path, Limits())) == 1


def most_at_once(folder: Path) -> int:
    """How many candidates were at work at the same time, by the journal."""
    at_work, most = set(), 0
    for record in execution.Journal(folder / "journal" / "journal.jsonl").read():
        if record["event"] == "started":
            at_work.add(record["key"])
        elif record["event"] in ("finished", "failed"):
            at_work.discard(record["key"])
        most = max(most, len(at_work))
    return most


@needs_two_cores
def test_a_whole_run_side_by_side_uses_two_workers_and_leaves_a_whole_folder(tmp_path):
    folder, began = tmp_path / "run", time.monotonic()
    run = cupel.fit(columns(), "y", time=25, out=folder, limits=Limits(at_once=2), progress="none")
    took = time.monotonic() - began
    assert most_at_once(folder) == 2
    assert run.facts["n_usable"] > 3
    assert not list(folder.glob(".handover*"))
    assert np.isfinite(run.predictor.predict(columns(50))).all()
    records = execution.Journal(folder / "journal" / "journal.jsonl").read()
    by_stage = next(record for record in records if record["event"] == "concluded")["seconds_by_stage"]
    assert sum(by_stage.values()) < took + 0.5
    assert 3 < by_stage["training"] < took
    assert by_stage["exporting"] > 0


RUN = """
import numpy as np, cupel
from cupel.core.limits import Limits
a, b, c = np.random.default_rng(0).normal(size=(3, 400))
table = {"a": a, "b": b, "c": c, "y": a * b + np.abs(c)}
cupel.fit(table, "y", time=60, out=OUT, limits=Limits(at_once=2), progress="none")
"""


@pytest.mark.slow
@needs_two_cores
def test_a_run_killed_with_two_at_work_is_gone_on_with_and_keeps_what_was_finished(tmp_path):
    folder = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", RUN.replace("OUT", repr(str(folder)))])
    journal = execution.Journal(folder / "journal" / "journal.jsonl")
    until = time.monotonic() + 60
    while time.monotonic() < until and (not folder.exists() or most_at_once(folder) < 2 or len(_finished(journal)) < 4):
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = _finished(journal)
    assert len(before) >= 4
    run = cupel.resume(folder, source=columns(), time=20, progress="none")
    assert run.facts["n_usable"] >= 4
    assert {row["name"] for row in run.leaderboard.to_dicts() if row["status"] == "done"} >= before - {"constant-1"}
    assert not list(folder.glob(".handover*"))


def _finished(journal: execution.Journal) -> set[str]:
    return {record["candidate"] for record in journal.read() if record["event"] == "finished"}
