"""What is trained in the run's own process ends as well as what a worker trains, where somebody asks for it."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars
import pytest

from cupel import execution, making, pipeline
from cupel.core import registry
from cupel.core.budget import Deadline
from cupel.core.candidate import Candidate
from cupel.core.limits import Limits
from cupel.core.observer import Silent
from cupel.core.settings import Settings
from cupel.core.stopwatch import Stopwatch
from cupel.core.trial import Status, Trial
from cupel.problem import understand


def columns(n_rows: int) -> dict[str, object]:
    a, b = np.random.default_rng(0).normal(size=(2, n_rows))
    return {"a": a, "b": b, "y": np.where(a * b > 0, "yes", "no")}


def test_a_deadline_that_is_called_off_has_passed_and_so_have_those_made_of_it():
    asked: list[int] = []
    whole = Deadline().unless(lambda: bool(asked))
    made = [whole, whole.within(60.0), whole.minus(60.0), Deadline(60.0).unless(lambda: bool(asked)).minus(1.0).within(9.0)]
    assert [math.isinf(each.remaining) for each in made] == [True, False, True, False]
    assert not any(each.passed for each in made)
    asked.append(1)
    assert all(each.passed for each in made)


def trained(path: Path, family: str, *, asked_at: float) -> tuple[Trial, list[str]]:
    """A candidate's trial where the run is asked to end when so much of it is done, and the events in the journal."""
    problem, asked = understand(columns(300), "y", settings=Settings(n_folds=3)), [asked_at <= 0]
    modality = registry.modality_named("tabular")
    preset = registry.family_named(modality, family).portfolio(problem.task)[0]
    candidate = Candidate(
        name=f"{family}-1", modality="tabular", family=family,
        config=preset.config, preparation=preset.preparation, recipe=preset.recipe,
    )  # fmt: skip

    def progress(fraction: float) -> None:
        asked[0] = asked[0] or fraction >= asked_at

    with execution.RunFolder(path) as folder:
        given = making.handover(problem, units=folder.units.folder, kept_bytes=0)
        maker = making.maker(given, stopwatch=Stopwatch(), is_to_end=lambda: asked[0])
        runner = execution.Runner(dataset=problem.dataset, splits=problem.splits, folder=folder, executor=maker)
        trial = runner.run(candidate, registry.family_named(modality, family), deadline=Deadline(), progress=progress)
        return trial, [record["event"] for record in folder.journal.read()]


def test_what_is_at_work_ends_with_what_it_has_learned_so_far(tmp_path):
    trial, _ = trained(tmp_path, "MLP", asked_at=0.02)
    assert trial.status is Status.CUT_SHORT
    assert trial.is_usable


def test_what_has_learned_nothing_yet_is_not_blamed_and_begun_it_stays(tmp_path):
    trial, events = trained(tmp_path, "LightGBM", asked_at=0.0)
    assert trial.status is Status.SKIPPED
    assert trial.reason == "the run was interrupted while it was trained; `cupel resume` goes on with it."
    assert events == ["started"]


@pytest.mark.parametrize(("workers", "n_told"), [(0, 1), (1, 0)])
def test_it_is_said_that_no_worker_is_used(workers, n_told, monkeypatch):
    told: list[str] = []
    observer = Silent()
    monkeypatch.setattr(observer, "message", told.append)
    monkeypatch.setattr(pipeline.execution, "prepare_worker", lambda _: None)
    pipeline.begin_worker(observer, Limits(workers=workers))
    assert len(told) == n_told


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_a_run_without_a_worker_with_the_best_so_far(tmp_path, number):
    polars.DataFrame(columns(2000)).write_csv(tmp_path / "table.csv")
    options = ["--workers", "0", "--folds", "3", "--families", "linear,MLP", "--progress", "plain"]
    process = subprocess.Popen(
        [sys.executable, "-m", "cupel.cli.main", "fit", str(tmp_path / "table.csv"), "--target", "y", *options],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stderr is not None
    said = next(line for line in process.stderr if "linear-1:" in line)
    process.send_signal(number)
    _, errors = process.communicate(timeout=500)
    assert process.returncode == 0, said + errors
    assert "ending with the best so far" in errors
    assert (tmp_path / "runs" / "table" / "model.cupel").exists()
