"""How much work may be done: counted in candidates, capped in seconds."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from enum import StrEnum


class Effort(StrEnum):
    """How many candidates are tried: the same number on any machine."""

    QUICK = "quick"
    STANDARD = "standard"
    THOROUGH = "thorough"


@dataclass(frozen=True)
class Budget:
    """What a run may spend: `effort` in candidates, `seconds` of wall time as a cap on top (None: no cap)."""

    effort: Effort = Effort.STANDARD
    seconds: float | None = None


class Deadline:
    """A moment by which work must end, measured on a clock that is never set back."""

    def __init__(self, seconds: float | None = None) -> None:
        self._started = time.monotonic()
        self._seconds = math.inf if seconds is None else seconds

    @property
    def elapsed(self) -> float:
        """Seconds since it was set."""
        return time.monotonic() - self._started

    @property
    def remaining(self) -> float:
        """Seconds left; infinite without a cap, negative once passed."""
        return self._seconds - self.elapsed

    @property
    def passed(self) -> bool:
        """Whether time is up."""
        return self.remaining <= 0

    def minus(self, seconds: float) -> Deadline:
        """An earlier deadline, to leave time for what must still follow."""
        return Deadline(None if math.isinf(self._seconds) else self.remaining - seconds)
