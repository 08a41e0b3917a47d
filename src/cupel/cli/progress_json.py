"""What a run does, for machines: one JSON object per line on standard error."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from cupel.core import processes
from cupel.core.storage import finite
from cupel.core.trial import Trial

SECONDS_BETWEEN_LINES = 1.0


class JsonLines:
    """An observer whose every line has `event` and `seconds` since the beginning; with those of candidates comes `memory_bytes`.

    Events are stage, message, started, progress (once a second at most), finished and closed. What nobody can read ends no run.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._said = 0.0

    def stage(self, name: str) -> None:
        """`name` of the stage."""
        self._say("stage", {"name": name})

    def stage_progress(self, fraction: float) -> None:
        """`fraction` of the stage."""
        if self._is_time:
            self._say("progress", {"fraction": fraction})

    def message(self, text: str) -> None:
        """`text` for people."""
        self._say("message", {"text": text})

    def trial_started(self, name: str, *, number: int, total: int, seconds_left: float, time_left: float) -> None:
        """`candidate`, its `number` of a `total`, `seconds_left` of the search and its `time_left`, null where unknown."""
        told = {"candidate": name, "number": number, "total": total, "seconds_left": seconds_left, "time_left": time_left}
        self._say("started", {**told, "memory_bytes": _memory_bytes()})

    def trial_progress(self, name: str, fraction: float) -> None:
        """`candidate` and the `fraction` of it that is done."""
        if self._is_time:
            self._say("progress", {"candidate": name, "fraction": fraction, "memory_bytes": _memory_bytes()})

    def trial_finished(self, trial: Trial, *, score: str, best: str, best_score: str) -> None:
        """`candidate`, `status`, `reason`, `score`, `fit_seconds`, and the `best` so far with its `best_score`."""
        told = {"candidate": trial.candidate.name, "status": trial.status.value, "reason": trial.reason, "score": score}
        self._say("finished", {**told, "fit_seconds": trial.fit_seconds, "best": best, "best_score": best_score})

    def close(self) -> None:
        """Nothing follows."""
        self._say("closed")

    @property
    def _is_time(self) -> bool:
        return time.monotonic() - self._said >= SECONDS_BETWEEN_LINES

    def _say(self, event: str, facts: Mapping[str, Any] | None = None) -> None:
        self._said = time.monotonic()
        line = {"event": event, "seconds": round(self._said - self._started, 3), **(facts or {})}
        with suppress(OSError, ValueError):
            print(json.dumps(finite(line)), file=sys.stderr, flush=True)


def _memory_bytes() -> int:
    """Of this process and its workers."""
    return processes.memory_bytes(os.getpid())
