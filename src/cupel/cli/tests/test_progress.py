"""What machines are told while a run works."""

from __future__ import annotations

import errno
import io
import json
import math
import sys

import pytest
from rich.console import Console

from cupel.cli.progress import observer_for
from cupel.core import processes
from cupel.core.candidate import Candidate
from cupel.core.trial import Status, Trial

CANDIDATE = Candidate(name="MLP-1", modality="tabular", family="MLP", config=None, preparation=None)
TRIAL = Trial(candidate=CANDIDATE, is_deep=True, is_baseline=False, status=Status.FAILED, reason="too large")


def test_every_line_is_an_object_and_says_what_runs_how_far_it_is_and_what_is_best(capsys):
    observer = observer_for("json")
    observer.stage("training candidates")
    observer.trial_started("MLP-1", number=2, total=9, seconds_left=math.inf, time_left=math.inf)
    observer.trial_progress("MLP-1", 0.5)  # within a second of the line before: not told
    observer.trial_finished(TRIAL, score="", best="linear-1", best_score="ROC-AUC 0.9")
    observer.close()
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in told] == ["stage", "started", "finished", "closed"]
    assert told[1]["candidate"] == "MLP-1"
    assert told[1]["seconds_left"] is None
    assert told[1]["memory_bytes"] > 10**6
    assert (told[2]["status"], told[2]["reason"], told[2]["best"]) == ("failed", "too large", "linear-1")
    assert all(line["seconds"] >= 0 for line in told)


def test_the_bars_show_what_is_held_of_the_memory_beside_all_candidates(monkeypatch):
    monkeypatch.setattr(processes, "memory_bytes", lambda _: 1_250_000_000)
    observer = observer_for("rich", memory_bytes=2_000_000_000)
    for number in (1, 2):
        observer.trial_started(f"MLP-{number}", number=number, total=2, seconds_left=30.0, time_left=math.inf)
        observer.trial_progress(f"MLP-{number}", 0.5)
        console = Console(width=120, file=io.StringIO())
        console.print(*observer._progress.get_renderables())
        whole, *running = console.file.getvalue().splitlines()
        assert [f"[{place}/2] MLP-{place}" in bar for place, bar in enumerate(running, 1)] == [True] * number
        assert "GB" not in running[0]
        assert "left, memory 1.2 of 2.0 GB" in whole
        assert f"{25 * number}%" in whole
    observer.close()


class Gone(io.StringIO):
    """A stream whose reader is gone."""

    def __init__(self, error):
        super().__init__()
        self.error, self.n_writes = error, 0

    def write(self, text):
        self.n_writes += 1
        raise self.error


@pytest.mark.parametrize("kind", ["json", "rich", "plain"])
@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(errno.EIO, "Input/output error"), ValueError("closed")], ids=repr)
def test_what_nobody_can_read_ends_no_run(kind, error, monkeypatch):
    gone = Gone(error)
    monkeypatch.setattr(sys, "stderr", gone)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    observer = observer_for(kind)
    observer.stage("training candidates")
    observer.trial_started("MLP-1", number=1, total=2, seconds_left=30.0, time_left=math.inf)
    observer.trial_progress("MLP-1", 0.5)
    observer.trial_finished(TRIAL, score="", best="linear-1", best_score="ROC-AUC 0.9")
    observer.message("on it goes")
    observer.close()
    assert gone.n_writes > 2


def test_a_program_without_standard_error_tells_nothing(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    for kind in ("auto", "rich", "json", "plain"):
        observer_for(kind).stage("training candidates")
    assert capsys.readouterr().out == ""
