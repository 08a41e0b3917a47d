"""What a run shows while it works: live in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from contextlib import suppress
from typing import Any, TextIO, cast

from cupel.core.held_memory import HeldMemory
from cupel.core.observer import Observer, Silent
from cupel.core.plain_lines import PlainLines, in_words, left_of, rest_of
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


def observer_for(kind: str, *, memory_bytes: int | None = None) -> Observer:
    """The observer of that kind: auto, rich, plain, json or none; auto is rich in a terminal, else plain.

    `memory_bytes` is how much may be held, where there is a cap.
    """
    if kind == "none" or sys.stderr is None:
        return Silent()
    if kind == "json":
        from cupel.cli.progress_json import JsonLines

        return JsonLines()
    if kind == "rich" or (kind == "auto" and sys.stderr.isatty()):
        return Live(memory_bytes=memory_bytes)
    return PlainLines(memory_bytes=memory_bytes)


class Unread:
    """A stream that may lose its reader: what is written to a terminal that is gone, or to a closed pipe, is lost."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = getattr(stream, "encoding", "utf-8")

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()

    def write(self, text: str) -> int:
        """Write what can be."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be."""
        with suppress(OSError, ValueError):
            self._stream.flush()


class Live:
    """A moving picture in a terminal: a line per finished candidate, bars for all and for each that runs, in each search.

    Beside the bar of all stands what the run and its worker hold of the memory. What nobody can read ends no run.
    """

    def __init__(self, *, memory_bytes: int | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = Console(file=cast(TextIO, Unread(sys.stderr)), highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[left]}"),
            TextColumn("[dim]{task.fields[memory]}"),
            console=self._console,
            transient=True,
        )
        self._memory = HeldMemory(most_bytes=memory_bytes)
        self._whole: Any = None
        self._running: dict[str, tuple[Any, float]] = {}  # its bar, and how much of it is done
        self._n_done = 0
        self._total = 1
        self._estimate = self._time_left = math.inf
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

    def trial_started(self, name: str, *, number: int, total: int, seconds_left: float, time_left: float) -> None:
        """A bar for the candidate."""
        self._total = total
        self._estimate, self._time_left, self._estimated_at = seconds_left, time_left, time.monotonic()
        if self._whole is None or self._is_over:
            self._progress.start()
            self._is_over = False
        if self._whole is None:
            self._whole = self._progress.add_task("all candidates", total=1.0, left="", memory=self._memory)
        bar = self._progress.add_task(f"[{number}/{total}] {name}", total=1.0, left="", memory="")
        self._running[name] = bar, 0.0
        self._n_done = number - len(self._running)
        self.trial_progress(name, 0.0)

    def trial_progress(self, name: str, fraction: float) -> None:
        """Move the bars."""
        if name not in self._running:
            return
        bar, _ = self._running[name]
        self._running[name] = bar, fraction
        begun = [done for _, done in list(self._running.values())]
        own = fraction if len(begun) == 1 else 0.0
        left = rest_of(self._estimate, time_left=self._time_left, gone=time.monotonic() - self._estimated_at, fraction=own)
        shown = f"about {in_words(left)} left," if math.isfinite(left) else ""
        self._progress.update(bar, completed=fraction)
        self._progress.update(self._whole, completed=(self._n_done + sum(begun)) / self._total, left=shown)

    def trial_finished(self, trial: Trial, *, score: str, best: str, best_score: str) -> None:
        """A line that stays above the bars."""
        from rich.markup import escape

        if trial.candidate.name in self._running:
            self._progress.remove_task(self._running.pop(trial.candidate.name)[0])
            self._n_done += 1
        colour, mark = COLOURS[trial.status], MARKS[trial.status]
        is_best = bool(score) and best == trial.candidate.name
        outcome = escape(best_score if is_best else score if score else f"{trial.status.value}: {trial.reason}")
        crown = "  [bold yellow]best so far[/]" if is_best else ""
        seconds = f"[dim]{trial.fit_seconds:6.1f} s[/]" if trial.units else " " * 8
        self._progress.console.print(f"[{colour}]{mark}[/] {escape(trial.candidate.name):<16} {seconds}  {outcome}{crown}")

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._progress.stop()
