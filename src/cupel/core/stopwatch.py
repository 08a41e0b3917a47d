"""Where the time of a run goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

CANDIDATES = ("preparing", "training", "exporting")
"""Stages that are work on candidates: folds prepared, models trained and predicting, each written as ONNX and compared."""

NESTED = "whole runs on outer folds"
"""A stage of its own beside all others: runs within the run."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """The time that a run has taken: in all, by stage, and in how many parts, of which each is a process that went on with it."""

    seconds: float = 0.0
    by_stage: Mapping[str, float] = field(default_factory=dict)
    n_parts: int = 0

    def __add__(self, other: Spent) -> Spent:
        names = dict.fromkeys([*self.by_stage, *other.by_stage])
        return Spent(
            seconds=self.seconds + other.seconds,
            by_stage={name: self.by_stage.get(name, 0.0) + other.by_stage.get(name, 0.0) for name in names},
            n_parts=self.n_parts + other.n_parts,
        )


class Stopwatch:
    """Seconds by stage. Where one stage is within another, the time counts for the inner one alone.

    Stages are begun and ended by one thread; any may ask for what was counted.

    >>> stopwatch = Stopwatch()
    >>> with stopwatch.stage("judging"), stopwatch.stage("reading"):
    ...     pass
    >>> list(stopwatch.seconds)
    ['judging', 'reading']
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._begun = self._since = time.monotonic()
        self._earlier = Spent()
        self._lock = threading.Lock()

    @property
    def seconds(self) -> Mapping[str, float]:
        """Of each stage so far, in the order in which they first began."""
        self._settle()
        return dict(self._seconds)

    @property
    def spent(self) -> Spent:
        """All until now, with what earlier processes of the run took."""
        return self._earlier + Spent(seconds=time.monotonic() - self._begun, by_stage=self.seconds, n_parts=1)

    def go_on_after(self, earlier: Spent) -> None:
        """This process goes on with what earlier ones began."""
        self._earlier = earlier

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Whatever happens within counts for this stage."""
        self._settle()
        self._seconds.setdefault(name, 0.0)
        self._open.append(name)
        try:
            yield
        finally:
            self._settle()
            self._open.pop()

    def divide(self, name: str, parts: Mapping[str, float]) -> None:
        """Count what was counted for one stage for others instead, as another process has measured: so many seconds for each."""
        self._settle()
        for part, seconds in parts.items():
            moved = min(seconds, self._seconds[name]) if part != name else 0.0
            self._seconds[name] -= moved
            self._seconds[part] = self._seconds.get(part, 0.0) + moved

    def _settle(self) -> None:
        """Count what has passed for the innermost open stage."""
        with self._lock:
            now = time.monotonic()
            if self._open:
                self._seconds[self._open[-1]] += now - self._since
            self._since = now


def share_on_candidates(seconds: Mapping[str, float]) -> float:
    """The part of all time but that of runs within the run, 0 to 1, that was work on candidates; 0 where nothing was timed."""
    total = sum(seconds.values()) - seconds.get(NESTED, 0.0)
    return sum(seconds.get(name, 0.0) for name in CANDIDATES) / total if total > 0 else 0.0
