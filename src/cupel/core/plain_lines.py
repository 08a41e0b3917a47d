"""What a run shows where nothing moves: one plain line per event, for logs, scripts and notebooks."""

from __future__ import annotations

import math
import sys
import time
from contextlib import suppress

from cupel.core.errors import UsageError
from cupel.core.held_memory import HeldMemory
from cupel.core.observer import Observer, Silent
from cupel.core.trial import Trial

SECONDS_OF_PATIENCE = 2.0
"""What takes no longer than this needs no telling."""
SECONDS_BETWEEN_LINES = 10.0


def observer_of(progress: Observer | str, *, memory_bytes: int | None = None) -> Observer:
    """The observer itself, or the one of that name: "auto" (lines, of what takes a while), "plain" (lines) or "none".

    `memory_bytes` is how much may be held, where there is a cap.

    Raises:
        UsageError: there is none of that name.
    """
    if not isinstance(progress, str):
        return progress
    match progress:
        case "auto":
            return PlainLines(memory_bytes=memory_bytes, patience=SECONDS_OF_PATIENCE)
        case "plain":
            return PlainLines(memory_bytes=memory_bytes)
        case "none":
            return Silent()
    raise UsageError(f"progress is {progress!r}; expected auto, plain, none, or an observer.")


class PlainLines:
    """One line per event, on standard error; in a notebook, which paints that red, on standard output.

    Nothing is shown before `patience` seconds have passed, then also what had happened. What nobody can read ends no run.
    """

    def __init__(self, *, memory_bytes: int | None = None, patience: float = 0.0) -> None:
        self._started = time.monotonic()
        self._memory = HeldMemory(most_bytes=memory_bytes)
        self._patience = patience
        self._waiting: list[str] = []
        self._running: dict[str, tuple[str, float]] = {}  # its number of the total, and how much of it is done
        self._estimate = self._time_left = math.inf
        self._began = self._started
        self._shown = 0.0
        self._stage_began = self._started

    def stage(self, name: str) -> None:
        """A line for the stage."""
        self._stage_began = time.monotonic()
        self._say(f"{name} …")

    def stage_progress(self, fraction: float) -> None:
        """A line every ten seconds, with what is left by the pace so far."""
        now = time.monotonic()
        if now - max(self._shown, self._stage_began) > SECONDS_BETWEEN_LINES:
            self._shown = now
            self._say(f"  {fraction:.0%}, {left_of(now - self._stage_began, fraction)}")

    def message(self, text: str) -> None:
        """A line for the message."""
        self._say(text)

    def trial_started(self, name: str, *, number: int, total: int, seconds_left: float, time_left: float) -> None:
        """Remembered for the line that the end of the candidate gets."""
        self._shown = self._began = time.monotonic()
        self._estimate, self._time_left = seconds_left, time_left
        self._running[name] = f"[{number}/{total}]", 0.0

    def trial_progress(self, name: str, fraction: float) -> None:
        """A line of all that is at work every ten seconds."""
        if name in self._running:
            self._running[name] = self._running[name][0], fraction
        now = time.monotonic()
        if now - self._shown > SECONDS_BETWEEN_LINES:
            self._shown = now
            running = dict(self._running)
            shown = ", ".join(f"{counter} {each}: {done:.0%}" for each, (counter, done) in running.items())
            slowest = min((done for _, done in running.values()), default=fraction)
            own = slowest if len(running) == 1 else 0.0
            left = rest_of(self._estimate, time_left=self._time_left, gone=now - self._began, fraction=own)
            self._say(f"{shown}; about {in_words(left)} of searching left; {self._memory}")

    def trial_finished(self, trial: Trial, *, score: str, best: str, best_score: str) -> None:
        """A line with the outcome, and what it took."""
        is_best = bool(score) and best == trial.candidate.name
        outcome = best_score if is_best else score if score else f"{trial.status.value}: {trial.reason}"
        best_so_far = f"   best so far: {best} {best_score}" if best and not is_best else ""
        took = f"{trial.fit_seconds:.1f} s, {self._memory}"
        counter, _ = self._running.pop(trial.candidate.name, ("", 0.0))
        self._say(f"{counter} {trial.candidate.name}: {outcome} ({took}){best_so_far}".lstrip())

    def close(self) -> None:
        """What still waits was not worth telling."""
        self._waiting.clear()

    def _say(self, text: str) -> None:
        seconds = time.monotonic() - self._started
        self._waiting.append(f"{seconds:7.1f} s  {text}")
        stream = sys.stdout if "ipykernel" in sys.modules else sys.stderr
        if seconds < self._patience or stream is None:
            return
        with suppress(OSError, ValueError):
            stream.write("".join(f"{line}\n" for line in self._waiting))
            stream.flush()
        self._waiting.clear()


def rest_of(estimate: float, *, time_left: float, gone: float, fraction: float) -> float:
    """Seconds left of a search that was estimated when its running candidate began, `gone` seconds ago.

    By its pace that one's own rest at least, but no more than the `time_left` there was then: what may take all of it hurries.
    """
    own = gone / fraction - gone if fraction > 0 else 0.0
    return min(max(estimate - gone, own), max(time_left - gone, 0.0))


def left_of(seconds: float, fraction: float) -> str:
    """What is left of something that came so far in so many seconds."""
    return f"about {in_words(seconds / fraction - seconds) if fraction > 0 else '?'} left"


def in_words(seconds: float) -> str:
    """A rough length of time: "8 s", "3 min", "1.5 h"; "?" where unknown."""
    if not math.isfinite(seconds):
        return "?"
    if seconds < 90:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
