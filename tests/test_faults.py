"""What goes wrong around a run: memory, disk, folders, signals. Each fault is told, and what was done before it is kept."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import lightgbm
import numpy as np
import polars
import pytest
import torch

import cupel
import packed_examples as examples
from cupel import execution, making, pipeline, tuning
from cupel.core import processes, registry
from cupel.core.budget import Budget, Deadline, Effort
from cupel.core.candidate import Candidate
from cupel.core.errors import OutOfMemoryError, PassingError, StorageError, TrainingError, UsageError, is_for_memory
from cupel.core.limits import Limits, bytes_in
from cupel.core.observer import Silent
from cupel.core.settings import Settings
from cupel.core.stopwatch import Stopwatch
from cupel.core.trial import Status
from cupel.execution import Guard, Interruption, Journal
from cupel.problem import understand


@pytest.fixture(autouse=True)
def heeding_signals():
    """What began these tests may have had SIGINT ignored, as shells do in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def problem():
    generator = np.random.default_rng(0)
    x, z = generator.normal(size=(2, 300))
    y = np.where(x + 0.5 * generator.normal(size=300) > 0, "yes", "no")
    return understand({"x": x, "z": z, "y": y}, "y", settings=Settings(n_folds=3))


class Failing:
    """An executor that fails with an error as long as batches are large, and works else."""

    def __init__(self, maker, error, *, largest_batch=0):
        self.maker, self.error, self.largest_batch = maker, error, largest_batch
        self.batches = []

    def execute(self, assignment, *, deadline, progress):
        recipe = assignment.candidate.recipe
        self.batches.append(recipe.batch_size if recipe else 0)
        if not recipe or not 0 < recipe.batch_size <= self.largest_batch:
            raise self.error
        return self.maker.execute(assignment, deadline=deadline, progress=progress)

    def close(self):
        self.maker.close()


def runner_with(folder, problem, error, **given):
    maker = making.maker(making.handover(problem, units=folder.units.folder, kept_bytes=0), stopwatch=Stopwatch())
    executor = Failing(maker, error, **given)
    return execution.Runner(dataset=problem.dataset, splits=problem.splits, folder=folder, executor=executor)


def candidate_of(runner, name, **recipe):
    family = registry.family_named(registry.modality_named("tabular"), name)
    preset = family.portfolio(runner.dataset.task)[0]
    changed = None if preset.recipe is None else replace(preset.recipe, **recipe)
    candidate = Candidate(
        name=f"{name}-1", modality="tabular", family=name, config=preset.config, preparation=preset.preparation, recipe=changed
    )
    return candidate, family


def run(runner, name, *, n_folds=None, **recipe):
    candidate, family = candidate_of(runner, name, **recipe)
    return runner.run(candidate, family, deadline=Deadline(), progress=lambda fraction: None, n_folds=n_folds)


# --- memory


def test_a_network_whose_batches_are_too_large_gets_smaller_ones_once(problem, tmp_path):
    with execution.RunFolder(tmp_path) as folder:
        runner = runner_with(folder, problem, OutOfMemoryError("too much"), largest_batch=32)
        trial = run(runner, "MLP", batch_size=128, epochs=2)
    assert runner.executor.batches == [128, 32]
    assert trial.status is Status.DONE
    assert trial.reason == "larger batches did not fit into memory; these have 32 rows"


def test_a_resumed_run_knows_that_its_batches_were_too_large(problem, tmp_path):
    found = []
    for _ in range(2):
        with execution.RunFolder(tmp_path) as folder:
            runner = runner_with(folder, problem, OutOfMemoryError("too much"), largest_batch=32)
            is_kept = runner.is_kept(candidate_of(runner, "MLP", batch_size=128, epochs=2)[0])
            found.append(run(runner, "MLP", batch_size=128, epochs=2))
    assert is_kept
    assert runner.executor.batches == []
    assert np.array_equal(found[0].out_of_fold, found[1].out_of_fold)


def test_what_was_too_large_for_one_fold_is_not_tried_again_on_all(problem, tmp_path):
    with execution.RunFolder(tmp_path) as folder:
        runner = runner_with(folder, problem, OutOfMemoryError("too much"), largest_batch=32)
        for n_folds in (1, None):
            trial = run(runner, "MLP", n_folds=n_folds, batch_size=128, epochs=2)
    assert runner.executor.batches == [128, 32, 32]
    assert trial.status is Status.DONE


def test_what_libraries_raise_for_want_of_memory_is_known_as_such():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**46)
    assert is_for_memory(raised.value)
    assert is_for_memory(torch.OutOfMemoryError("CUDA"))
    assert is_for_memory(lightgbm.basic.LightGBMError("bad allocation"))
    assert is_for_memory(MemoryError())
    assert not is_for_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_for_memory(TrainingError("the words out of memory in a message of our own"))


def test_what_failed_by_its_own_fault_is_not_tried_again_until_that_is_asked_for(problem, tmp_path):
    def tried(error):
        with execution.RunFolder(tmp_path) as folder:
            runner = runner_with(folder, problem, error)
            is_known = runner.is_kept(candidate_of(runner, "LightGBM")[0])
            trial = run(runner, "LightGBM")
            assert is_known == (not runner.executor.batches)
            return trial, len(runner.executor.batches)

    assert tried(PassingError("there was no time"))[1] == 1
    first, n_tried = tried(ZeroDivisionError("a family that raises"))
    assert n_tried == 1
    again, n_tried = tried(AssertionError("never asked"))
    assert n_tried == 0
    assert again.reason == first.reason
    assert again.status is Status.FAILED
    with execution.RunFolder(tmp_path) as folder:
        folder.journal.append("retried")
    assert tried(ZeroDivisionError("still"))[1] == 1


@pytest.mark.parametrize("odd", [{"reason": 5}, {"reason": "x", "seconds": 10**400}, {"reason": "x", "seconds": "y"}, {}])
def test_an_odd_record_of_a_failure_is_passed_over(problem, tmp_path, odd):
    with execution.RunFolder(tmp_path) as folder:
        failed = run(runner_with(folder, problem, ZeroDivisionError("it raises")), "LightGBM")
        assert failed.status is Status.FAILED
        (record,) = [record for record in folder.journal.read() if record["event"] == "failed"]
    (tmp_path / "journal" / "journal.jsonl").unlink()
    with execution.RunFolder(tmp_path) as folder:
        folder.journal.append("failed", candidate="LightGBM-1", key=record["key"], is_own=True, **odd)
        runner = runner_with(folder, problem, PassingError("no time"))
        run(runner, "LightGBM")
        assert len(runner.executor.batches) == 1


def test_what_failed_leaves_no_checkpoints(problem, tmp_path):
    with execution.RunFolder(tmp_path) as folder:
        runner = runner_with(folder, problem, TrainingError("it diverged"))
        save = Failing.execute

        def saving(self, assignment, **how):
            keys = [runner.unit_key(assignment.candidate, problem.splits.folds[index]) for index in assignment.folds]
            folder.units.checkpoints(keys).save("stack-0", b"weights")
            return save(self, assignment, **how)

        runner.executor.execute = partial(saving, runner.executor)
        run(runner, "MLP", epochs=2)
        assert not list((tmp_path / "checkpoints").iterdir())


def test_what_is_too_large_with_small_batches_too_is_a_line(problem, tmp_path):
    with execution.RunFolder(tmp_path) as folder:
        runner = runner_with(folder, problem, MemoryError("80 GB"))
        network, trees = run(runner, "MLP", batch_size=128, epochs=2), run(runner, "LightGBM")
    assert runner.executor.batches == [128, 32, 0]
    assert network.status is trees.status is Status.FAILED
    assert "out of memory (80 GB)" in trees.reason


def test_a_limit_on_memory_that_is_too_low_is_said_before_anything_is_trained(tmp_path):
    held = processes.memory_bytes(os.getpid())
    with pytest.raises(UsageError, match=r"memory is limited to .* MB are held already"):
        Guard(tmp_path, Limits(memory_bytes=held)).memory_bytes()
    assert Guard(tmp_path, Limits(memory_bytes=held + 10**9)).memory_bytes() < 1.1 * 10**9
    assert Guard(tmp_path, Limits()).memory_bytes() > 0


def test_memory_of_processes_counts_those_that_they_began():
    before = processes.memory_bytes(os.getpid())
    code = "held = bytearray(200_000_000); print(len(held), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert processes.memory_bytes(os.getpid()) > before + 150_000_000
        process.communicate("\n")


@pytest.mark.parametrize(
    ("text", "n_bytes"), [("2GB", 2 * 10**9), ("500 mb", 5 * 10**8), ("1.5g", 15 * 10**8), (7, 7), (None, None)]
)
def test_sizes_are_read(text, n_bytes):
    assert bytes_in(text) == n_bytes


@pytest.mark.parametrize("text", ["much", "-1GB", "0", "2 parsecs"])
def test_sizes_that_are_none_are_refused(text):
    with pytest.raises(UsageError, match="cannot be read"):
        bytes_in(text)


@pytest.mark.parametrize("given", [{"workers": -1}, {"workers": 3}, {"cores": 0}, {"at_once": 0}])
def test_limits_that_cannot_be_kept_are_refused(given):
    with pytest.raises(UsageError, match=next(iter(given))):
        Limits(**given)


# --- numbers


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_network_whose_activations_overflow_is_a_line_with_its_reason(problem, tmp_path):
    with execution.RunFolder(tmp_path) as folder:
        runner = runner_with(folder, problem, AssertionError("never"), largest_batch=32)
        trial = run(runner, "MLP", batch_size=32, epochs=2, learning_rate=1e30)
    assert trial.status is Status.FAILED
    assert "finite" in trial.reason


# --- disk and folder


def test_a_folder_that_cannot_be_written_any_more_ends_the_search_and_blames_no_candidate(problem, tmp_path):
    with execution.RunFolder(tmp_path) as folder:
        runner = runner_with(folder, problem, StorageError("the disk is full"))
        trial = run(runner, "LightGBM")
        assert trial.status is Status.SKIPPED
        assert runner.trouble == "the disk is full"
        assert [record["event"] for record in folder.journal.read()] == ["started"]


def test_a_search_of_which_all_is_compared_says_that_its_folder_cannot_be_written(problem, tmp_path, monkeypatch):
    true = making.maker
    full = StorageError("the disk is full")
    monkeypatch.setattr(making, "maker", lambda given, **how: Failing(true(given, **how), full))
    family = next(family for family in problem.families if family.is_baseline)
    candidate = tuning.Namer("tabular").candidate(family, family.portfolio(problem.task)[0])
    strategy = tuning.Given((tuning.Proposal(candidate=candidate, family=family),))
    how = {"observer": Silent(), "stopwatch": Stopwatch(), "guard": Guard(tmp_path, Limits(workers=0))}
    with execution.RunFolder(tmp_path) as folder, pytest.raises(StorageError, match="the disk is full"):
        pipeline.search(problem, folder, strategy, budget=Budget(Effort.STANDARD, None), deadline=Deadline(), **how)


def test_a_full_disk_takes_back_what_was_begun_of_a_record(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "journal" / "journal.jsonl")
    journal.append("started", candidate="a")
    true_write = os.write

    def nearly_full(descriptor, content):
        if len(content) > 10:
            return true_write(descriptor, content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", nearly_full)
        with pytest.raises(StorageError, match="free some space on its disk"):
            journal.append("finished", candidate="a" * 6)
    journal.append("finished", candidate="b")
    assert (tmp_path / "journal" / "journal.jsonl").read_bytes().count(b"\n") == 2
    assert [record["candidate"] for record in journal.read()] == ["a", "b"]


def test_a_full_disk_leaves_a_unit_unfinished_and_says_so(tmp_path, monkeypatch):
    from cupel.core import storage
    from cupel.execution.units import UnitFiles, UnitStore

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    store, said = UnitStore(tmp_path / "units"), np.full((1, 2), 0.5)
    files = UnitFiles(
        rows=np.zeros(1, np.int64),
        predictions=said,
        golden=said,
        model=examples.unit(2)[0],
        facts={"fold": 0, "seconds": 1.0},
        weights={},
    )
    monkeypatch.setattr(storage.os, "fsync", full)
    with pytest.raises(StorageError, match="what was finished is kept"):
        store.save("key", files)
    monkeypatch.undo()
    assert store.load("key") is None
    assert store.save("key", files).fold == 0


def test_a_folder_that_was_removed_is_not_made_again_piece_by_piece(problem, tmp_path):
    path = tmp_path / "run"
    with execution.RunFolder(path) as folder:
        runner = runner_with(folder, problem, AssertionError("never asked"))
        shutil.rmtree(path)
        trial = run(runner, "LightGBM")
        assert "removed or renamed" in trial.reason
    assert not path.exists()


def test_a_damaged_checkpoint_is_as_good_as_none(tmp_path):
    from cupel.execution.units import UnitStore

    (tmp_path / "run").mkdir()
    checkpoints = UnitStore(tmp_path / "run" / "units").checkpoints(["a", "b"])
    checkpoints.save("stack-0", b"weights")
    assert checkpoints.load("stack-0") == b"weights"
    (path,) = (tmp_path / "run" / "checkpoints").iterdir()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    assert checkpoints.load("stack-0") is None
    path.write_bytes(b"")
    assert checkpoints.load("stack-0") is None
    checkpoints.clear()
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


def test_what_a_killed_process_had_begun_to_write_is_removed_and_nothing_else(tmp_path):
    path, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    (path / "units" / "key").mkdir(parents=True)
    (path / "mine").mkdir()
    elsewhere.mkdir()
    begun = [path / ".verdict.json.a1b2c3_4", path / "units" / "key" / ".model.onnx.a1b2c3_4"]
    others = [path / "units" / "key" / "model.onnx", path / ".env.template", path / "mine" / ".bashrc.20240101"]
    others.append(elsewhere / ".model.onnx.a1b2c3_4")
    for file in (*begun, *others):
        file.write_bytes(b"1")
    (path / "units" / "linked").symlink_to(elsewhere)
    packing = path / ".model.cupel.a1b2c3_4"
    packing.mkdir()
    (packing / "model.cupel").write_bytes(b"1")
    (packing / "linked").symlink_to(elsewhere)
    (path / ".report.html.a1b2c3_4").symlink_to(elsewhere)
    (path / "nested" / "1" / "units" / "key").mkdir(parents=True)
    (path / "nested" / "1" / "cache").symlink_to(elsewhere)
    (path / "nested" / "2").write_bytes(b"no folder")
    nested = [".run.json.a1b2c3_4", ".predictions.npy.a1b2c3_4", "units/key/.model.onnx.a1b2c3_4"]
    later = [path / ".rows.npy.a1b2c3_4", path / ".out_of_fold.npy.a1b2c3_4", *(path / "nested" / "1" / name for name in nested)]
    for file in later:
        file.write_bytes(b"1")
    begun += [packing, path / ".report.html.a1b2c3_4", *later]
    with execution.RunFolder(path):
        assert all(file.exists() for file in (*begun, *others)), "it is no run yet"
    (path / "run.yaml").write_text("")
    with execution.RunFolder(path):
        assert not any(file.exists() for file in begun)
        assert all(file.exists() for file in others)


def test_a_run_folder_near_its_limit_ends_the_search(tmp_path):
    (tmp_path / "unit").write_bytes(bytes(60_000_000))
    assert Guard(tmp_path, Limits(disk_bytes=200_000_000)).reason_to_end() == ""
    assert "may hold 100 MB" in Guard(tmp_path, Limits(disk_bytes=100_000_000)).reason_to_end()


# --- signals


def test_the_first_signal_asks_and_the_second_stops():
    told = []
    before = signal.getsignal(signal.SIGTERM)
    with Interruption(told.append) as interruption:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.is_asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert len(told) == 1
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_amidst_a_line_that_is_written_is_told_of_after_it():
    told = []

    class Pipe:
        """Nobody reads it for a while, and meanwhile a signal comes."""

        is_at_work = False

        def write(self, text):
            if self.is_at_work:
                raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")
            self.is_at_work = True
            os.kill(os.getpid(), signal.SIGINT)
            self.is_at_work = False
            told.append(text)

    pipe = Pipe()
    with Interruption(lambda text: pipe.write(text) if pipe.is_at_work else told.append(text)) as interruption:
        pipe.write("12.3 s  [3/9] MLP-1")
        assert interruption.is_asked
        assert interruption.is_asked
    assert told == ["12.3 s  [3/9] MLP-1", "SIGINT: ending with the best so far; once more stops at once"]


def test_signals_elsewhere_than_in_the_main_thread_and_handlers_of_others_are_left_alone():
    found = []
    thread = threading.Thread(target=lambda: found.append(Interruption(print).__enter__()._before))
    thread.start()
    thread.join()
    assert found == [{}]
    before = signal.signal(signal.SIGTERM, lambda number, frame: found.append(number))
    try:
        with Interruption(print):
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert found[1] == signal.SIGTERM


PROVING = """
import sys
from pathlib import Path
from cupel import packing
from cupel.execution import Interruption
sys.modules["cupel.packing.pack"]._CHECK = sys.argv[1]
with Interruption(print) as interruption:
    print(packing.prove(Path("model.cupel")), interruption.is_asked)
"""


def proving(check: str) -> subprocess.Popen[str]:
    """A process, leader of its group, that waits for a check, which is this code."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", PROVING, check],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_of_the_terminal_leaves_the_proof_of_the_packed_model_alone(number):
    as_a_terminal = f"import time; os.killpg(os.getpgid(os.getppid()), {int(number)}); time.sleep(0.3); print('{{}}')"
    said, _ = proving(as_a_terminal).communicate(timeout=60)
    assert said.splitlines()[-1] == "{} True", said


@pytest.mark.slow
def test_the_proof_of_the_packed_model_ends_with_the_run(tmp_path):
    mark = tmp_path / "pid"
    with proving(f"import time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(600)") as owner:
        until = time.monotonic() + 60
        while not (mark.exists() and mark.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        owner.kill()
    pid = int(mark.read_text())
    while processes.memory_bytes(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not processes.memory_bytes(pid)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "table.csv"
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 2000))
    polars.DataFrame({"a": a, "b": b, "y": np.where(a * b > 0, "yes", "no")}).write_csv(path)
    return path


CUPEL = (sys.executable, "-m", "cupel.cli.main")
TIMED = ("fit_seconds", "estimated_seconds", "latency_ms", "bytes")


def fit_of(table: Path, out: Path) -> list[str]:
    """The command line."""
    options = ["--effort", "quick", "--folds", "3", "--families", "linear,LightGBM", "--out", str(out), "--progress", "plain"]
    return [*CUPEL, "fit", str(table), "--target", "y", *options]


@pytest.fixture(scope="module")
def left_alone(table, tmp_path_factory):
    """The run that nobody disturbs."""
    out = tmp_path_factory.mktemp("left-alone") / "run"
    subprocess.run(fit_of(table, out), check=True, capture_output=True)
    return cupel.Run.open(out)


def resumed(out: Path) -> cupel.Run:
    """The run after `cupel resume` has gone on with it to its end."""
    answer = subprocess.run([*CUPEL, "resume", str(out), "--progress", "none"], check=False, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert not (out / ".handover").exists()
    assert not list((out / "checkpoints").glob("*"))
    return cupel.Run.open(out)


def demand_the_same(found: cupel.Run, expected: cupel.Run, table: Path) -> None:
    """The same leaderboard but for times, and packed models that predict the same to the last bit."""
    boards = [run.leaderboard.drop(TIMED, strict=False) for run in (found, expected)]
    assert boards[0].equals(boards[1])
    rows = polars.read_csv(table).drop("y")
    assert np.array_equal(*(run.predictor.predict_proba(rows) for run in (found, expected)))


def begun(table: Path, out: Path) -> subprocess.Popen[str]:
    """`cupel fit` until its first candidate beside the baselines is at work."""
    process = subprocess.Popen(fit_of(table, out), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "linear-1:" in line:
            return process
    raise AssertionError(f"ended with {process.wait()}")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_a_run_with_the_best_so_far_and_it_can_be_resumed(table, left_alone, tmp_path, number):
    process = begun(table, tmp_path / "run")
    time.sleep(0.2)
    process.send_signal(number)
    said, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    assert "Expect" in said
    assert "interrupted" in errors
    assert (tmp_path / "run" / "model.cupel").exists()
    assert not (tmp_path / "run" / ".handover").exists()
    demand_the_same(resumed(tmp_path / "run"), left_alone, table)


@pytest.mark.slow
def test_two_signals_stop_a_run_at_once_and_it_can_be_resumed(table, left_alone, tmp_path):
    process = begun(table, tmp_path / "run")
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=500)
    assert process.returncode == 130
    assert "goes on from there" in errors
    assert not (tmp_path / "run" / "model.cupel").exists()
    demand_the_same(resumed(tmp_path / "run"), left_alone, table)
