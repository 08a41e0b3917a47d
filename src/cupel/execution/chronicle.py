"""Keeps in the journal at which stage a run is and how long it has worked, and reads there how long earlier processes did."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from cupel.core.errors import StorageError
from cupel.core.observer import Observer
from cupel.core.stopwatch import Spent, Stopwatch
from cupel.core.trial import Trial
from cupel.execution.journal import MOST_SECONDS, Journal, is_time

SECONDS_BETWEEN_NOTES = 15.0
"""What a process that is killed has worked since its last note is lost to the count."""


class Chronicle:
    """An observer that hands on what it is told, and keeps of it what `cupel status` and later processes of the run need.

    Who hears of it is told one thing at a time, whichever thread tells it. Nothing is kept before the first stage: a run may
    still be refused. A note that cannot be written is left out; of a disk that is full those records tell that must be there.
    """

    def __init__(self, observer: Observer, journal: Journal, *, stopwatch: Stopwatch) -> None:
        self._observer, self._journal, self._stopwatch = observer, journal, stopwatch
        self._noted = math.inf
        self._lock = threading.RLock()

    def stage(self, name: str) -> None:
        """Handed on, and kept."""
        if math.isinf(self._noted):
            self._stopwatch.go_on_after(spent_before(self._journal))
        self._note("stage", {"name": name})
        self._observer.stage(name)

    def stage_progress(self, fraction: float) -> None:
        """Handed on; the time is kept now and then."""
        with self._lock:
            self._note_time()
            self._observer.stage_progress(fraction)

    def message(self, text: str) -> None:
        """Handed on."""
        with self._lock:
            self._observer.message(text)

    def trial_started(self, name: str, *, number: int, total: int, seconds_left: float, time_left: float) -> None:
        """Handed on; the time is kept now and then."""
        with self._lock:
            self._note_time()
            self._observer.trial_started(name, number=number, total=total, seconds_left=seconds_left, time_left=time_left)

    def trial_progress(self, name: str, fraction: float) -> None:
        """Handed on; the time is kept now and then."""
        with self._lock:
            self._note_time()
            self._observer.trial_progress(name, fraction)

    def trial_finished(self, trial: Trial, *, score: str, best: str, best_score: str) -> None:
        """Handed on; the time is kept now and then."""
        with self._lock:
            self._note_time()
            self._observer.trial_finished(trial, score=score, best=best, best_score=best_score)

    def close(self) -> None:
        """The time is kept; the other observer is closed by whoever made it."""
        if math.isfinite(self._noted):
            self._note("worked", {})

    def _note_time(self) -> None:
        if time.monotonic() - self._noted > SECONDS_BETWEEN_NOTES:
            self._note("worked", {})

    def _note(self, event: str, facts: Mapping[str, Any]) -> None:
        with suppress(StorageError):
            self._journal.append(event, **facts, **noted(self._stopwatch.spent))
        self._noted = time.monotonic()


def noted(spent: Spent) -> dict[str, Any]:
    """The time that a run has taken, as facts of a record."""
    return {"n_parts": spent.n_parts, "seconds": spent.seconds, "seconds_by_stage": dict(spent.by_stage)}


def notes(records: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Spent]]:
    """The events with which a time was kept, oldest first, and what processes of the run had taken by then."""
    for record in records:
        n_parts, by_stage, seconds = record.get("n_parts"), record.get("seconds_by_stage"), record.get("seconds")
        if type(n_parts) is int and 0 < n_parts < MOST_SECONDS and isinstance(by_stage, dict) and is_time(seconds):
            known = {name: own for name, own in by_stage.items() if is_time(own)}
            yield record["event"], Spent(n_parts=n_parts, seconds=seconds, by_stage=known)


def spent_before(journal: Journal) -> Spent:
    """What processes of the run had taken by the last note of it; nothing where there is none."""
    last = Spent()
    for _, spent in notes(journal.read()):
        last = spent
    return last
