"""What a run shows while it works: live in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

from cupel.core.observer import Observer, Silent
from cupel.core.trial import Status, Trial

MARKS = {
    Status.DONE: "✓",
    Status.CUT_SHORT: "◐",
    Status.FAILED: "✗",
    Status.SKIPPED: "–",
    Status.DROPPED: "↓",
    Status.SCREENED: "·",
}
COLOURS = {
    Status.DONE: "green",
    Status.CUT_SHORT: "yellow",
    Status.FAILED: "red",
    Status.SKIPPED: "dim",
    Status.DROPPED: "dim",
    Status.SCREENED: "dim",
}


def observer_for(kind: str) -> Observer:
    """The observer of that kind: auto, rich, plain, json or none; auto is rich in a terminal, else plain."""
    if kind == "none":
        return Silent()
    if kind == "json":
        from cupel.cli.progress_json import JsonLines

        return JsonLines()
    if kind == "rich" or (kind == "auto" and sys.stderr.isatty()):
        return Live()
    return Lines()


class Lines:
    """One plain line per event, on standard error."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._name = ""
        self._counter = ""
        self._left = ""
        self._shown = 0.0
        self._stage_began = self._started

    def stage(self, name: str) -> None:
        """A line for the stage."""
        self._stage_began = time.monotonic()
        self._say(f"{name} …")

    def stage_progress(self, fraction: float) -> None:
        """A line every ten seconds, with what is left by the pace so far."""
        now = time.monotonic()
        if now - max(self._shown, self._stage_began) > 10:
            self._shown = now
            self._say(f"  {fraction:.0%}, {left_of(now - self._stage_began, fraction)}")

    def message(self, text: str) -> None:
        """A line for the message."""
        self._say(text)

    def trial_started(self, name: str, *, number: int, total: int, seconds_left: float) -> None:
        """Remembered for the line that the end of the candidate gets."""
        self._name, self._counter, self._left, self._shown = name, f"[{number}/{total}]", in_words(seconds_left), time.monotonic()

    def trial_progress(self, fraction: float) -> None:
        """A line every ten seconds."""
        if time.monotonic() - self._shown > 10:
            self._shown = time.monotonic()
            self._say(f"{self._counter} {self._name}: {fraction:.0%}, about {self._left} to go at its start")

    def trial_finished(self, trial: Trial, *, score: str, best: str, best_score: str) -> None:
        """A line with the outcome."""
        is_best = bool(score) and best == trial.candidate.name
        outcome = best_score if is_best else score if score else f"{trial.status.value}: {trial.reason}"
        best_so_far = f"   best so far: {best} {best_score}" if best and not is_best else ""
        self._say(f"{self._counter} {trial.candidate.name}: {outcome} ({trial.fit_seconds:.1f} s){best_so_far}")

    def close(self) -> None:
        """Nothing is left open."""

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._started:7.1f} s  {text}", file=sys.stderr, flush=True)


class Live:
    """A moving picture in a terminal: a line per finished candidate, bars for the running one and for all, in each search."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[left]}"),
            console=self._console,
            transient=True,
        )
        self._whole: Any = None
        self._current: Any = None
        self._number = 0
        self._total = 1
        self._estimate = math.inf
        self._estimated_at = 0.0
        self._is_over = False
        self._stage_began = 0.0

    def stage(self, name: str) -> None:
        """A dim line; the bars stop when the search is over."""
        self._stage_began = time.monotonic()
        if self._whole is not None and not self._is_over:
            self._progress.stop()
            self._is_over = True
        self._console.print(f"[bold]{name}[/bold] …")

    def stage_progress(self, fraction: float) -> None:
        """A line that is written over, once the stage has taken a while."""
        seconds = time.monotonic() - self._stage_began
        if seconds > 2 and self._console.is_terminal:
            ending = "\n" if fraction >= 1 else "\r"
            self._console.print(f"  {fraction:4.0%}, {left_of(seconds, fraction)}   ", end=ending)

    def message(self, text: str) -> None:
        """A line."""
        self._console.print(text, markup=False)

    def trial_started(self, name: str, *, number: int, total: int, seconds_left: float) -> None:
        """Move the bars to the next candidate."""
        self._number, self._total = number - 1, total
        self._estimate, self._estimated_at = seconds_left, time.monotonic()
        if self._whole is None or self._is_over:
            self._progress.start()
            self._is_over = False
        if self._whole is None:
            self._current = self._progress.add_task(name, total=1.0, left="")
            self._whole = self._progress.add_task("all candidates", total=1.0, left="")
        self._progress.reset(self._current, description=f"[{number}/{total}] {name}", left="")
        self.trial_progress(0.0)

    def trial_progress(self, fraction: float) -> None:
        """Move the bars."""
        left = max(self._estimate - (time.monotonic() - self._estimated_at), 0.0)
        shown = f"about {in_words(left)} left" if math.isfinite(left) else ""
        self._progress.update(self._current, completed=fraction)
        self._progress.update(self._whole, completed=(self._number + fraction) / self._total, left=shown)

    def trial_finished(self, trial: Trial, *, score: str, best: str, best_score: str) -> None:
        """A line that stays above the bars."""
        from rich.markup import escape

        colour, mark = COLOURS[trial.status], MARKS[trial.status]
        is_best = bool(score) and best == trial.candidate.name
        outcome = escape(best_score if is_best else score if score else f"{trial.status.value}: {trial.reason}")
        crown = "  [bold yellow]best so far[/]" if is_best else ""
        seconds = f"[dim]{trial.fit_seconds:6.1f} s[/]" if trial.units else " " * 8
        self._progress.console.print(f"[{colour}]{mark}[/] {escape(trial.candidate.name):<16} {seconds}  {outcome}{crown}")

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._progress.stop()


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
