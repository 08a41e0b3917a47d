"""Worker processes: the same results as without, whatever happens to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import misbehaving
from cupel import execution, making
from cupel.core import processes, registry
from cupel.core.budget import Deadline
from cupel.core.candidate import Candidate
from cupel.core.settings import Settings
from cupel.core.stopwatch import Stopwatch
from cupel.core.trial import Status
from cupel.execution import vigil, worker
from cupel.problem import understand

pytestmark = pytest.mark.slow
N_ROWS = 240


@pytest.fixture(scope="module", autouse=True)
def _plugged_in(tmp_path_factory):
    """The plug-in is installed for this process, and for workers begun from now on."""
    folder = tmp_path_factory.mktemp("plug-in")
    misbehaving.install(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        registry.modalities.cache_clear()
        worker.end_idle_workers()
        yield
    registry.modalities.cache_clear()
    worker.end_idle_workers()


@pytest.fixture(scope="module")
def problem():
    generator = np.random.default_rng(0)
    x, z = generator.normal(size=(2, N_ROWS))
    kind = generator.choice(list("abc"), N_ROWS)
    y = np.where(x + 0.5 * generator.normal(size=N_ROWS) > 0, "yes", "no")
    return understand({"x": x, "z": z, "kind": kind, "y": y}, "y", settings=Settings(n_folds=3))


@contextmanager
def a_run(problem, path, *, modality="tabular", is_watched=True, **given):
    """A runner in a new run folder."""
    problem = replace(problem, modality=registry.modality_named(modality))
    with execution.RunFolder(path) as folder:
        handed = making.handover(problem, units=folder.units.folder, kept_bytes=1e8)
        if is_watched:
            executor = execution.Watched(handed, path / ".handover", stopwatch=Stopwatch(), log=folder.journal.append, **given)
        else:
            executor = making.maker(handed, stopwatch=Stopwatch())
        try:
            yield execution.Runner(dataset=problem.dataset, splits=problem.splits, folder=folder, executor=executor)
        finally:
            executor.close()


def run(runner, family, *, seconds=None, progress=lambda fraction: None, **config):
    modality = registry.modality_named(misbehaving.NAME if family == misbehaving.NAME else "tabular")
    family = registry.family_named(modality, family)
    preset = family.portfolio(runner.dataset.task)[0]
    candidate = Candidate(
        name=f"{family.name}-1",
        modality=modality.name,
        family=family.name,
        config=replace(preset.config, **config),
        preparation=preset.preparation,
        recipe=None if preset.recipe is None else replace(preset.recipe, epochs=6),
    )
    return runner.run(candidate, family, deadline=Deadline(seconds), progress=progress)


def events(folder):
    return [record["event"] for record in folder.journal.read()]


@pytest.mark.parametrize("family", ["linear", "LightGBM", "MLP"])
def test_a_worker_gives_the_same_as_this_process_to_the_last_bit(problem, tmp_path, family):
    files = []
    for is_watched in (False, True):
        with a_run(problem, tmp_path / str(is_watched), is_watched=is_watched) as runner:
            trial = run(runner, family)
        names = ("predictions.npy", "golden.npy", "model.onnx", "rows.npy", *(["weights.safetensors"] if trial.is_deep else []))
        assert trial.status is Status.DONE, trial.reason
        files.append([(unit.key, [(unit.folder / name).read_bytes() for name in names]) for unit in trial.units])
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("raise", "ZeroDivisionError: a family that raises"),
        ("exit", "ended by code that it ran (exit code 7)"),
        ("crash", "crashed (SIGSEGV)"),
        ("die of SIGABRT", "crashed (SIGABRT)"),
        ("diverge", "not finite"),
        ("be killed always", "ended from outside 5 times in a row"),
    ],
)
def test_whatever_a_family_does_is_its_line_and_the_next_candidate_is_trained(problem, tmp_path, deed, reason):
    with a_run(problem, tmp_path / "run", modality=misbehaving.NAME) as runner:
        failed = run(runner, misbehaving.NAME, deed=deed)
        assert failed.status is Status.FAILED
        assert reason in failed.reason
        assert run(runner, misbehaving.NAME).status is Status.DONE
        assert "failed" in events(runner.folder)


def test_what_a_stranger_ended_is_done_again(problem, tmp_path):
    with a_run(problem, tmp_path / "run", modality=misbehaving.NAME) as runner:
        trial = run(runner, misbehaving.NAME, deed="be killed once", mark=str(tmp_path / "mark"))
        assert trial.status is Status.DONE
        assert events(runner.folder) == ["started", "worker lost", "finished"]


def test_one_that_takes_all_memory_is_refused_it_and_the_next_candidate_is_trained(problem, tmp_path):
    most = processes.memory_bytes(os.getpid()) + 1_500_000_000
    with a_run(problem, tmp_path / "run", modality=misbehaving.NAME, memory_bytes=most) as runner:
        failed = run(runner, misbehaving.NAME, deed="hog")
        assert failed.status is Status.FAILED
        assert "memory" in failed.reason
        assert run(runner, misbehaving.NAME).status is Status.DONE


def test_one_that_hangs_is_ended(problem, tmp_path, monkeypatch):
    monkeypatch.setattr(vigil, "SECONDS_TO_HANG", 3.0)
    with a_run(problem, tmp_path / "run", modality=misbehaving.NAME) as runner:
        trial = run(runner, misbehaving.NAME, deed="hang")
    assert trial.status is Status.FAILED
    assert "no sign of life" in trial.reason


def test_one_that_never_looks_at_the_clock_is_ended_after_its_time(problem, tmp_path):
    with a_run(problem, tmp_path / "run", modality=misbehaving.NAME) as runner:
        started = time.monotonic()
        trial = run(runner, misbehaving.NAME, deed="spin", seconds=8.0)
    assert "after its time was up" in trial.reason
    assert time.monotonic() - started < 120


def test_an_end_that_is_asked_for_gives_up_what_is_running_and_leaves_it_to_be_resumed(problem, tmp_path):
    asked = threading.Event()
    threading.Timer(2.0, asked.set).start()
    with a_run(problem, tmp_path / "run", modality=misbehaving.NAME, is_to_end=asked.is_set) as runner:
        trial = run(runner, misbehaving.NAME, deed="spin")
        assert trial.status is Status.SKIPPED
        assert "interrupted" in trial.reason
        assert events(runner.folder) == ["started"]


def test_progress_is_reported_from_the_worker(problem, tmp_path):
    seen = []
    with a_run(problem, tmp_path / "run") as runner:
        run(runner, "MLP", progress=seen.append)
    assert seen == sorted(seen)
    assert 0 < max(seen) <= 1


def test_a_worker_is_kept_for_the_next_run_and_leaves_no_data_behind(problem, tmp_path):
    pids = []
    for name in ("first", "second"):
        with a_run(problem, tmp_path / name) as runner:
            assert run(runner, "constant").status is Status.DONE
            pids.append(runner.executor._worker.process.pid)
        assert not (tmp_path / name / ".handover").exists()
    assert pids[0] == pids[1]


def test_a_worker_ends_when_its_run_is_killed(tmp_path):
    code = "import time; from cupel.execution import worker; print(worker.hired().process.pid, flush=True); time.sleep(600)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.send_signal(signal.SIGKILL)
    until = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and processes.memory_bytes(pid) and time.monotonic() < until:
        time.sleep(0.1)
    assert not processes.memory_bytes(pid)


def test_begun_together_is_done_together_again(problem, tmp_path):
    """Folds share a stack, and who is in it decides the last bits: a crash between two units' files must not divide them."""
    with a_run(problem, tmp_path / "whole", is_watched=False) as runner:
        whole = run(runner, "MLP")
    with a_run(problem, tmp_path / "torn", is_watched=False) as runner:
        torn = run(runner, "MLP")
        (torn.units[1].folder / "unit.json").unlink()
        lines = (tmp_path / "torn" / "journal" / "journal.jsonl").read_text().splitlines(keepends=True)
        (tmp_path / "torn" / "journal" / "journal.jsonl").write_text(lines[0])
        kept = (torn.units[0].folder / "unit.json").stat().st_mtime_ns
    with a_run(problem, tmp_path / "torn", is_watched=False) as runner:
        again = run(runner, "MLP")
        begun = [record["folds"] for record in runner.folder.journal.read() if record["event"] == "started"]
    assert begun == 2 * [list(range(len(whole.units)))]
    assert np.array_equal(again.out_of_fold, whole.out_of_fold)
    assert (again.units[0].folder / "unit.json").stat().st_mtime_ns == kept


@pytest.fixture(params=["numbers", "texts", "pictures"])
def cells(request):
    texts, pictures = np.empty(3, dtype=object), np.empty(3, dtype=object)
    texts[:] = ["häh", None, ""]
    pictures[0], pictures[2] = np.arange(24, dtype=np.uint8).reshape(2, 4, 3), np.zeros((5, 1, 1), np.uint8)
    return {"numbers": np.array([1.5, np.nan, -0.0]), "texts": texts, "pictures": pictures}[request.param]


def test_every_kind_of_cell_is_handed_over_as_it_is(problem, tmp_path, cells):
    dataset = replace(problem.dataset, columns={"cell": cells}, names={"cell": cells} if cells.dtype == object else {})
    execution.Handover(dataset=dataset, splits=problem.splits, golden=np.arange(2), facts={"seed": 3}).write(tmp_path / "data")
    read = execution.Handover.read(tmp_path / "data")
    for first, second in zip(cells.tolist(), read.dataset.columns["cell"].tolist(), strict=True):
        assert type(first) is type(second)
        np.testing.assert_array_equal(first, second)
    assert read.facts == {"seed": 3}
    assert read.splits.key == problem.splits.key


def test_everything_that_a_dataset_and_its_splits_hold_is_handed_over(problem, tmp_path):
    from dataclasses import fields

    making.handover(problem, units=tmp_path, kept_bytes=0).write(tmp_path / "data")
    read = execution.Handover.read(tmp_path / "data")
    for given, got in ((problem.dataset, read.dataset), (problem.splits, read.splits)):
        for field in fields(given):
            first, second = getattr(given, field.name), getattr(got, field.name)
            if field.name == "folds":
                first, second = ([[f.index, *map(list, (f.train, f.stop, f.valid))] for f in each] for each in (first, second))
            if field.name != "findings":
                np.testing.assert_equal(first, second, err_msg=field.name)


def test_every_preset_is_itself_when_it_is_built_again(problem):
    import json

    from cupel.execution import Assignment

    n_built = 0
    for modality in registry.modalities():
        families, task = modality.families(), problem.task
        for family in families:
            for preset in family.portfolio(task) if task.kind in family.tasks else ():
                candidate = Candidate(
                    name="one", modality=modality.name, family=family.name,
                    config=preset.config, preparation=preset.preparation, recipe=preset.recipe,
                )  # fmt: skip
                told = json.loads(json.dumps(Assignment(candidate=candidate, family=family, folds=(0, 2), share=0.5).to_plain()))
                assert Assignment.from_plain(told, families=families, task=task).candidate == candidate
                n_built += 1
    assert n_built > 20
