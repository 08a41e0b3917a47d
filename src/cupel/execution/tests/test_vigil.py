"""Who is watched, what counts as a sign of life, and when it is over."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from cupel.core import processes
from cupel.core.budget import Deadline
from cupel.core.errors import OutOfMemoryError, PassingError, TrainingError
from cupel.execution import vigil
from cupel.execution.vigil import Vigil
from cupel.execution.worker import Worker

BEAT = {"is": "beat"}


def watched(patch: pytest.MonkeyPatch, **given: Any) -> Any:
    """A vigil over this process, which seems busy, and a function that lets a second pass and a message come."""
    clock = SimpleNamespace(now=0.0)
    patch.setattr(vigil.time, "monotonic", lambda: clock.now)
    patch.setattr(vigil.processes, "is_busy", lambda pid: True)
    worker: Any = SimpleNamespace(process=SimpleNamespace(pid=os.getpid()), ended_for_memory=None)
    kept = Vigil(worker, **{"deadline": Deadline(), "is_to_end": lambda: False, **given})

    def passes(seconds: int, message: Mapping[str, Any] | None = None) -> None:
        for _ in range(seconds):
            clock.now += 1.0
            kept.look(message)

    return passes


def test_work_that_goes_round_in_circles_is_ended_though_it_is_busy_and_sends_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = watched(monkeypatch, patience_seconds=100.0)
    passes(99, BEAT)
    passes(1, {"is": "progress", "fraction": 0.5})
    passes(99, {"is": "progress", "fraction": 0.5})
    with pytest.raises(TrainingError, match=r"got no further in 10\d s"):
        passes(10, BEAT)


def test_without_patience_that_ends_work_that_takes_long_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    watched(monkeypatch)(10_000, BEAT)


def test_work_that_does_not_end_in_its_time_is_ended_before_the_run_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    left = SimpleNamespace(remaining=60.0)
    passes = watched(monkeypatch, deadline=left)
    left.remaining = -6.7
    passes(1, BEAT)
    left.remaining = -6.9
    with pytest.raises(PassingError, match="after its time was up"):
        passes(1, BEAT)


def test_what_all_hold_together_may_not_pass_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    held = processes.memory_bytes(os.getpid())
    watched(monkeypatch, memory_bytes=2 * held)(1, BEAT)
    with pytest.raises(OutOfMemoryError, match="give more with --memory"):
        watched(monkeypatch, memory_bytes=held / 2)(1, BEAT)
    watched(monkeypatch, memory_bytes=math.inf)(1, BEAT)


def test_the_work_of_children_is_work() -> None:
    before = processes.processor_seconds(os.getpid())
    code = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert processes.processor_seconds(os.getpid()) >= before + 0.2
        process.communicate("\n")


def test_one_whose_end_somebody_else_has_noted_has_ended() -> None:
    worker = object.__new__(Worker)
    worker.process = subprocess.Popen(["true"], start_new_session=True)
    os.waitpid(worker.process.pid, 0)
    assert worker._has_ended
    assert isinstance(worker.ended(), int)


def test_one_that_says_nothing_any_more_and_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cupel.execution.worker.SECONDS_TO_END", 0.05)
    worker = object.__new__(Worker)
    worker.process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    assert worker.ended() == -9


def test_what_a_worker_had_begun_ends_with_it() -> None:
    worker = object.__new__(Worker)
    command = ["sh", "-c", "sleep 600 & echo $!; exit 7"]
    worker.process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True)
    assert worker.process.stdout is not None
    child = int(worker.process.stdout.readline())
    worker.process.stdout.close()
    assert worker.ended() == 7
    until = time.monotonic() + 10
    while processes.memory_bytes(child) and time.monotonic() < until:
        time.sleep(0.01)
    assert not processes.memory_bytes(child)
