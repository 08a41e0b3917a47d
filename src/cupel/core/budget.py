"""How much work may be done: counted in candidates, capped in seconds."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cupel.core.errors import UsageError


class Effort(StrEnum):
    """How many candidates are tried: the same number on any machine. OPEN: as many as there is time for."""

    QUICK = "quick"
    STANDARD = "standard"
    THOROUGH = "thorough"
    OPEN = "open"


_UNITS = {"": 1.0, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def seconds_in(text: str | float | None) -> float | None:
    """Seconds meant by "90", "90s", "10min", "1.5h" or a number; None stays None.

    Raises:
        UsageError: it cannot be read or is not positive.
    """
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(text).lower())
    if match is None or match[2] not in _UNITS or float(match[1]) <= 0:
        raise UsageError(f"time {text!r} cannot be read; expected for example 90s, 10min or 1.5h.")
    return float(match[1]) * _UNITS[match[2]]


@dataclass(frozen=True)
class Budget:
    """What a run may spend: `effort` in candidates, `seconds` of wall time as a cap on top (None: no cap)."""

    effort: Effort = Effort.STANDARD
    seconds: float | None = None


class Deadline:
    """A moment by which work must end, so many seconds after it `began` (now), on a clock that is never set back.

    It may come earlier: as soon as `is_called_off`.
    """

    def __init__(
        self, seconds: float | None = None, *, began: float | None = None, is_called_off: Callable[[], bool] = lambda: False
    ) -> None:
        self._started = time.monotonic() if began is None else began
        self._seconds = math.inf if seconds is None else seconds
        self._is_called_off = is_called_off

    @property
    def elapsed(self) -> float:
        """Seconds since it was set."""
        return time.monotonic() - self._started

    @property
    def remaining(self) -> float:
        """Seconds left; infinite without a cap, negative once passed."""
        left = self._seconds - self.elapsed
        return min(left, 0.0) if self._is_called_off() else left

    @property
    def passed(self) -> bool:
        """Whether time is up."""
        return self.remaining <= 0

    def within(self, seconds: float) -> Deadline:
        """This deadline, or one so many seconds from now where that is earlier."""
        return self if seconds >= self.remaining else Deadline(seconds, is_called_off=self._is_called_off)

    def minus(self, seconds: float) -> Deadline:
        """An earlier deadline, to leave time for what must still follow."""
        left = None if math.isinf(self._seconds) else self.remaining - seconds
        return Deadline(left, is_called_off=self._is_called_off)

    def unless(self, is_called_off: Callable[[], bool]) -> Deadline:
        """The same, or at once as soon as that is so."""
        return Deadline(self._seconds, began=self._started, is_called_off=is_called_off)
