"""A run never holds more of the disk than it may, ends with a model, and says what it had no room for."""

from __future__ import annotations

import csv
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import packed_examples as examples
from cupel import execution, making, packing, pipeline
from cupel.core import registry, storage
from cupel.core.budget import Deadline
from cupel.core.candidate import Candidate
from cupel.core.errors import InterruptedRunError, PassingError, StorageError
from cupel.core.limits import Limits
from cupel.core.settings import Settings
from cupel.core.stopwatch import Stopwatch
from cupel.core.trial import Status, Trial
from cupel.execution import guard
from cupel.execution.units import UnitFiles, UnitStore
from cupel.problem import Problem, understand
from cupel.run import Run

packing_a_model = sys.modules["cupel.packing.pack"]
KEPT, MB = 2_000_000, 10**6


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LEAST_FREE_BYTES", KEPT)


@pytest.fixture
def peak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the run folder holds at each moment, what is being written included."""
    seen, sync = [0], os.fsync

    def look(descriptor: int) -> None:
        sync(descriptor)
        seen.append(execution.size_of(tmp_path / "run"))

    monkeypatch.setattr(storage.os, "fsync", look)
    return seen


def columns() -> dict[str, Any]:
    generator = np.random.default_rng(0)
    x = generator.normal(size=120).round(3)
    return {"x": x, "word": [f"w{number % 7}" for number in range(120)], "y": np.where(x > 0, "yes", "no")}


@cache
def problem() -> Problem:
    return understand(columns(), "y", settings=Settings(n_folds=3))


def fitted(folder: Path, **given: Any) -> Run:
    settings = Settings(n_folds=3, families=("linear", "kNN"))
    return pipeline.fit(
        columns(), "y", effort="quick", out=folder, settings=settings, limits=Limits(workers=0, **given), progress="none"
    )


@pytest.mark.slow
def test_a_run_that_meets_its_cap_ends_with_a_model_and_needs_little_to_be_concluded_again(tmp_path, peak, monkeypatch):
    most = KEPT + 100_000
    run = fitted(tmp_path / "run", disk_bytes=most)
    with (run.folder / "leaderboard.csv").open() as lines:
        status = {row["name"]: (row["status"], row["reason"]) for row in csv.DictReader(lines)}
    assert status["linear-1"][0] == "done"
    lacking = [reason for state, reason in status.values() if state != "done"]
    assert lacking
    assert all("more with --disk" in reason for reason in lacking)
    assert max(peak) <= most
    assert execution.size_of(run.folder / "units") <= most - KEPT
    packed = run.artifact.stat().st_size
    for part in ("verdict.json", "model.cupel", "report.html"):
        (run.folder / part).unlink()
    monkeypatch.setattr(execution.UnitMaker, "execute", lambda *_, **__: pytest.fail("it is trained already"))
    peak.clear()
    most = execution.size_of(run.folder) + packed + 60_000
    limits = Limits(workers=0, disk_bytes=most)
    again = pipeline.resume(run.folder, source=columns(), limits=limits, progress="none")
    assert again.artifact.stat().st_size == pytest.approx(packed, abs=200)
    assert not again.report.exists()
    assert "had no room for report.html" in str(again.verdict)
    assert execution.read_pick(run.folder).name == again.facts["pick"]["name"]
    assert max(peak) <= most


def test_a_model_is_never_there_twice_and_one_without_room_is_told(tmp_path, peak):
    path = tmp_path / "run" / "model.cupel"
    path.parent.mkdir()
    n_bytes = packing.pack(path, examples.package(), left=10**5)
    assert max(peak) <= n_bytes + packing_a_model.BYTES_OF_CERTIFICATE
    path.unlink()
    with pytest.raises(StorageError, match=r"0\.00 MB are left.*packs it with more --disk"):
        packing.pack(path, examples.package(), left=1000)
    assert list(path.parent.iterdir()) == []


def test_what_is_out_of_date_makes_room(tmp_path):
    with execution.RunFolder(tmp_path, most_bytes=3 * MB) as folder:
        (tmp_path / "report.html").write_bytes(bytes(2 * MB))
        assert folder.has_room(MB // 2, instead_of=("report.html",))
        assert (tmp_path / "report.html").exists()
        assert folder.has_room(2 * MB, instead_of=("report.html",))
        assert not (tmp_path / "report.html").exists()
        assert not folder.has_room(4 * MB, instead_of=("report.html",))
    with execution.RunFolder(tmp_path) as folder:
        assert folder.has_room(10**15, instead_of=())


# --- what units and the worker's data take


def unit_files(n_bytes: int) -> UnitFiles:
    said = np.full((1, 2), 0.5)
    weights = {"w": np.zeros(n_bytes, np.uint8)}
    return UnitFiles(
        rows=np.zeros(1, np.int64), predictions=said, golden=said, model=examples.unit(2)[0],
        facts={"fold": 0, "seconds": 1.0}, weights=weights,
    )  # fmt: skip


def test_units_that_have_no_room_are_refused_before_anything_of_them_is_written(tmp_path):
    store = UnitStore(tmp_path / "units", left=lambda: 3 * MB - execution.size_of(tmp_path))
    with pytest.raises(PassingError, match=r"takes 4\.\d MB, and 3\.0 MB are left .*give more with --disk"):
        store.save_together({"a": unit_files(2 * MB), "b": unit_files(2 * MB)})
    assert not (tmp_path / "units").exists()
    store.save("a", unit_files(2 * MB))
    assert execution.size_of(tmp_path) <= unit_files(2 * MB).n_bytes
    store.checkpoints(["b"]).save("stack-0", bytes(2 * MB))
    assert execution.size_of(tmp_path) < 3 * MB


def test_what_an_ended_worker_had_begun_to_write_makes_room_and_what_was_finished_stays(tmp_path):
    elsewhere, store = tmp_path / "elsewhere", UnitStore(tmp_path / "units")
    store.save("whole", unit_files(10))
    (store.path("begun")).mkdir()
    (store.path("begun") / ".model.onnx.a1b2c3_4").write_bytes(bytes(MB))
    elsewhere.mkdir()
    (elsewhere / "model.onnx").write_bytes(b"1")
    store.path("linked").symlink_to(elsewhere)
    store.clear_unfinished()
    assert sorted(path.name for path in store.folder.iterdir()) == ["linked", "whole"]
    assert (elsewhere / "model.onnx").exists()


class Interrupted:
    """A worker that is ended while it writes a unit, while another writes one of its own."""

    runner: execution.Runner

    def execute(self, assignment: Any, **given: Any) -> Any:
        units, fold = self.runner.folder.units, self.runner.splits.folds[assignment.folds[0]]
        for key in (self.runner.unit_key(assignment.candidate, fold), "of-another"):
            units.path(key).mkdir(parents=True)
            (units.path(key) / "model.onnx").write_bytes(bytes(MB))
        raise InterruptedRunError("the run folder holds 60 MB, and may hold 60 MB")


def runner_of(folder: execution.RunFolder, executor: Any, **given: Any) -> execution.Runner:
    return execution.Runner(dataset=problem().dataset, splits=problem().splits, folder=folder, executor=executor, **given)


def tried(runner: execution.Runner, name: str = "linear") -> Trial:
    family = registry.family_named(registry.modality_named("tabular"), name)
    preset = family.portfolio(runner.dataset.task)[0]  # type: ignore[arg-type]
    parts = {"config": preset.config, "preparation": preset.preparation, "recipe": preset.recipe}
    candidate = Candidate(name=f"{name}-1", modality="tabular", family=name, **parts)
    return runner.run(candidate, family, deadline=Deadline(), progress=lambda _: None)


def test_a_candidate_that_is_ended_for_the_disk_leaves_nothing_half_written(tmp_path):
    with execution.RunFolder(tmp_path) as folder:
        executor = Interrupted()
        executor.runner = runner_of(folder, executor)
        assert tried(executor.runner).status is Status.SKIPPED
    assert [path.name for path in (tmp_path / "units").iterdir()] == ["of-another"]


def test_what_others_of_a_family_took_is_foreseen_and_what_is_there_already_is_taken_up(tmp_path):
    def lack(needed: float) -> str:
        return "the run folder is full; give more with --disk" if needed > MB else ""

    with execution.RunFolder(tmp_path) as folder:
        runner = runner_of(folder, Interrupted(), lack_of_disk=lack)
        runner._taken["linear"] = [MB, MB // 2, MB]
        assert tried(runner).reason == "the run folder is full; give more with --disk."
        assert not runner.trouble, "others may need less"
        runner.lack_of_disk = lambda needed: lack(2 * MB)
        assert tried(runner, "constant").status is Status.SKIPPED
        assert runner.trouble.endswith("--disk")


def test_a_run_that_is_gone_on_with_is_not_asked_for_room_for_what_it_may_not_need(tmp_path):
    (tmp_path / "run.yaml").touch()
    pipeline.demand_disk(problem(), tmp_path, limits=Limits(disk_bytes=guard.LEAST_FREE_BYTES + 1000))
    given = making.handover(problem(), units=tmp_path / "units", kept_bytes=0.0)
    watched = execution.Watched(given, tmp_path / guard.HANDOVER, stopwatch=Stopwatch(), log=lambda *_, **__: None)
    assert not (tmp_path / guard.HANDOVER).exists()
    watched._hand_over()
    assert execution.size_of(tmp_path / guard.HANDOVER) > 1000
    watched.close()
