"""How long a run has worked is known after kills, and at which stage it is while it works."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from cupel.core.errors import StorageError
from cupel.core.observer import Silent
from cupel.core.stopwatch import Spent, Stopwatch
from cupel.execution import Chronicle, Journal, noted
from cupel.execution.chronicle import SECONDS_BETWEEN_NOTES, spent_before


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Moves time on."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def passes(seconds: float) -> None:
        now[0] += seconds

    return passes


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal" / "journal.jsonl")


def test_seconds_of_earlier_processes_are_added_by_stage(journal: Journal, clock: Any) -> None:
    for part, seconds in enumerate((100.0, 10.0), 1):
        stopwatch = Stopwatch()
        chronicle = Chronicle(Silent(), journal, stopwatch=stopwatch)
        clock(5.0)  # reading
        chronicle.stage("training candidates")
        with stopwatch.stage("training"):
            clock(seconds)
            chronicle.trial_progress("MLP-1", 0.5)
        assert stopwatch.spent.n_parts == part
        clock(seconds)  # and killed: nothing is closed
        again = Stopwatch()
        again.go_on_after(spent_before(journal))
    assert again.spent.seconds == 105.0 + 5.0  # the second one's last ten seconds were too short for a note
    assert again.spent.by_stage == {"training": 100.0}
    assert again.spent.n_parts == 3


def test_the_end_of_a_process_is_noted_and_notes_are_rare(journal: Journal, clock: Any) -> None:
    chronicle = Chronicle(Silent(), journal, stopwatch=Stopwatch())
    chronicle.stage("training candidates")
    for _ in range(10):
        clock(SECONDS_BETWEEN_NOTES / 4)
        chronicle.trial_progress("MLP-1", 0.1)
    chronicle.close()
    assert [record["event"] for record in journal.read()] == ["stage", "worked", "worked", "worked"]
    assert spent_before(journal).seconds == pytest.approx(10 * SECONDS_BETWEEN_NOTES / 4)


def test_a_run_that_was_refused_before_its_first_stage_leaves_no_note(journal: Journal) -> None:
    chronicle = Chronicle(Silent(), journal, stopwatch=Stopwatch())
    chronicle.message("the question is another one")
    chronicle.close()
    assert list(journal.read()) == []


def test_what_is_no_time_is_not_counted(journal: Journal) -> None:
    good = noted(Spent(seconds=3.0, by_stage={"training": 2.0}, n_parts=1))
    journal.append("worked", **good)
    for odd in ("x", None, -1.0, 10**400, [3.0], True):
        journal.append("worked", **{**good, "seconds": odd})
        journal.append("worked", **{**good, "n_parts": odd if odd is not True else 10**400})
    journal.append("timed", candidate="MLP-1", seconds=90.0)
    assert spent_before(journal) == Spent(seconds=3.0, by_stage={"training": 2.0}, n_parts=1)


def test_a_note_that_cannot_be_written_ends_nothing(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(journal, "append", full)
    told: list[str] = []
    observer = Silent()
    monkeypatch.setattr(observer, "stage", told.append)
    Chronicle(observer, journal, stopwatch=Stopwatch()).stage("training candidates")
    assert told == ["training candidates"]
