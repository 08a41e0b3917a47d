"""What people see of a run where nothing moves."""

from __future__ import annotations

import io
import math
import sys
import time
from types import ModuleType

import pytest

from cupel.core import processes
from cupel.core.candidate import Candidate
from cupel.core.errors import UsageError
from cupel.core.held_memory import HeldMemory
from cupel.core.observer import Silent
from cupel.core.plain_lines import PlainLines, observer_of
from cupel.core.trial import Status, Trial

CANDIDATE = Candidate(name="MLP-1", modality="tabular", family="MLP", config=None, preparation=None)
FAILED = Trial(candidate=CANDIDATE, is_deep=True, is_baseline=False, status=Status.FAILED, reason="too large", lost_seconds=7.0)


def after(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + seconds)


def test_by_default_a_short_run_says_nothing_and_a_long_one_all(capsys, monkeypatch):
    observer = observer_of("auto")
    observer.stage("reading churn.csv")
    observer.message("23 rows twice")
    assert capsys.readouterr().err == ""
    after(3.0, monkeypatch)
    observer.stage("training candidates")
    said = [line.split(" s  ")[1] for line in capsys.readouterr().err.splitlines()]
    assert said == ["reading churn.csv …", "23 rows twice", "training candidates …"]


def test_what_was_not_told_before_the_end_is_not_told(capsys):
    observer = observer_of("auto")
    observer.stage("reading churn.csv")
    observer.close()
    assert capsys.readouterr() == ("", "")


def test_silence_can_be_asked_for_and_observers_are_taken_as_they_are():
    mine = Silent()
    assert observer_of(mine) is mine
    assert isinstance(observer_of("none"), Silent)
    with pytest.raises(UsageError, match="expected auto, plain, none"):
        observer_of("loud")


def test_lines_tell_what_each_took_how_much_is_left_and_what_is_held(capsys, monkeypatch):
    monkeypatch.setattr(processes, "memory_bytes", lambda _: 1_250_000_000)
    observer = PlainLines(memory_bytes=2_000_000_000)
    observer.trial_started("MLP-1", number=2, total=9, seconds_left=40.0, time_left=math.inf)
    after(11.0, monkeypatch)
    observer.trial_progress("MLP-1", 0.5)
    observer.trial_finished(FAILED, score="", best="linear-1", best_score="AUC 0.9")
    progress, end = capsys.readouterr().err.splitlines()
    assert progress.endswith("[2/9] MLP-1: 50%; about 29 s of searching left; memory 1.2 of 2.0 GB")
    assert end.endswith("failed: too large (7.0 s, memory 1.2 of 2.0 GB)   best so far: linear-1 AUC 0.9")


def test_one_that_takes_longer_than_was_estimated_has_a_rest_by_its_own_pace(capsys, monkeypatch):
    observer = PlainLines()
    observer.trial_started("MLP-1", number=1, total=1, seconds_left=5.0, time_left=math.inf)
    after(20.0, monkeypatch)
    observer.trial_progress("MLP-1", 0.25)
    assert "25%; about 60 s of searching left" in capsys.readouterr().err


def test_one_that_follows_the_clock_is_said_to_take_no_more_than_the_time_there_is(capsys, monkeypatch):
    observer = PlainLines()
    observer.trial_started("MLP-1", number=1, total=1, seconds_left=50.0, time_left=50.0)
    after(20.0, monkeypatch)
    observer.trial_progress("MLP-1", 0.1)
    assert "10%; about 30 s of searching left" in capsys.readouterr().err


def test_an_unknown_length_is_said_to_be_unknown(capsys, monkeypatch):
    observer = PlainLines()
    observer.trial_started("MLP-1", number=1, total=1, seconds_left=math.inf, time_left=math.inf)
    after(11.0, monkeypatch)
    observer.trial_progress("MLP-1", 0.5)
    assert "about ? of searching left" in capsys.readouterr().err


def test_a_notebook_is_told_where_it_does_not_paint_red(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    PlainLines().message("here")
    assert "here" in capsys.readouterr().out


@pytest.mark.parametrize("stream", ["closed", "none"])
def test_where_nobody_can_read_nothing_is_raised(stream, monkeypatch):
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed if stream == "closed" else None)
    PlainLines().message("here")


def test_memory_is_looked_at_once_a_second(monkeypatch):
    held = iter([1e9, 3e9])
    monkeypatch.setattr(processes, "memory_bytes", lambda _: next(held))
    memory = HeldMemory(most_bytes=4_000_000_000)
    assert str(memory) == str(memory) == "memory 1.0 of 4.0 GB"
    after(1.5, monkeypatch)
    assert str(memory).startswith("memory 3.0 of ")
