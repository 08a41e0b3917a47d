"""Several executors as one, which work at the same time, each on its share of the cores."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from cupel.core.budget import Deadline
from cupel.core.stopwatch import CANDIDATES, Stopwatch
from cupel.core.trial import UnitResult
from cupel.execution.assignment import Assignment
from cupel.execution.watched import Watched


class SideBySide:
    """An executor that hands each assignment to one that is free; which of them makes no difference to what comes of it.

    Within `apart` so many callers may ask at once, and each gets its share of the cores; else one at a time gets all of them.
    Each of `executors` has a stopwatch of its own; `stopwatch` is that of the run. `call_off` ends what all of them are at.
    """

    def __init__(self, executors: Sequence[Watched], *, stopwatch: Stopwatch, call_off: Callable[[], None]) -> None:
        self._executors, self.stopwatch = list(executors), stopwatch
        self.call_off = call_off
        self._free = self._all_free()

    @property
    def n_at_once(self) -> int:
        """How many may ask at the same time within `apart`."""
        return len(self._executors)

    def _all_free(self) -> queue.LifoQueue[Watched]:
        """Whoever worked last is asked first, and the first before anybody has worked."""
        free: queue.LifoQueue[Watched] = queue.LifoQueue()
        for executor in reversed(self._executors):
            free.put(executor)
        return free

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Each executor on its own cores. Its caller's time within counts for training; afterwards for what was really done."""
        cores = sorted(os.sched_getaffinity(0))
        before = [dict(executor.stopwatch.seconds) for executor in self._executors]
        for place, executor in enumerate(self._executors):
            executor.cores = cores[place :: len(self._executors)]
        try:
            with self.stopwatch.stage("training"):
                yield
        finally:
            self.stopwatch.divide("training", self._shares(before))
            for executor in self._executors:
                executor.cores = None
            for executor in self._executors[1:]:  # what it holds is for others now
                executor.close()
            self._free = self._all_free()

    def _shares(self, before: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Seconds of wall time that executors spent beside training, on average."""
        return {
            name: sum(
                executor.stopwatch.seconds.get(name, 0.0) - own.get(name, 0.0)
                for executor, own in zip(self._executors, before, strict=True)
            )
            / len(self._executors)
            for name in CANDIDATES
            if name != "training"
        }

    def execute(self, assignment: Assignment, *, deadline: Deadline, progress: Callable[[float], None]) -> Sequence[UnitResult]:
        """The units, made by whoever is free; waits until somebody is."""
        executor = self._free.get()
        try:
            return executor.execute(assignment, deadline=deadline, progress=progress)
        finally:
            self._free.put(executor)

    def finish(
        self, assignment: Assignment, folder: Path, *, deadline: Deadline, progress: Callable[[float], None]
    ) -> Mapping[str, Any]:
        """The final fit on all rows, made by one of them."""
        executor = self._free.get()
        try:
            return executor.finish(assignment, folder, deadline=deadline, progress=progress)
        finally:
            self._free.put(executor)

    def close(self) -> None:
        """Close all of them."""
        with ExitStack() as stack:
            for executor in self._executors:
                stack.callback(executor.close)
