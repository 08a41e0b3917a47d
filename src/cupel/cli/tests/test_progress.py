"""What machines are told while a run works."""

from __future__ import annotations

import io
import json
import math

from rich.console import Console

from cupel.cli.progress import observer_for
from cupel.core import processes
from cupel.core.candidate import Candidate
from cupel.core.trial import Status, Trial


def test_every_line_is_an_object_and_says_what_runs_how_far_it_is_and_what_is_best(capsys):
    observer = observer_for("json")
    candidate = Candidate(name="MLP-1", modality="tabular", family="MLP", config=None, preparation=None)
    trial = Trial(candidate=candidate, is_deep=True, is_baseline=False, status=Status.FAILED, reason="too large")
    observer.stage("training candidates")
    observer.trial_started("MLP-1", number=2, total=9, seconds_left=math.inf)
    observer.trial_progress(0.5)  # within a second of the line before: not told
    observer.trial_finished(trial, score="", best="linear-1", best_score="ROC-AUC 0.9")
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
        observer.trial_started(f"MLP-{number}", number=number, total=2, seconds_left=30.0)
        observer.trial_progress(0.5)
        console = Console(width=120, file=io.StringIO())
        console.print(*observer._progress.get_renderables())
        current, whole = console.file.getvalue().splitlines()
        assert f"[{number}/2] MLP-{number}" in current
        assert "GB" not in current
        assert "left, memory 1.2 of 2.0 GB" in whole
    observer.close()
