"""Keeps an eye on the time, for a loop that trains, and on the loop, for whoever waits for it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from cupel.core.budget import Deadline

PRESSING = 1.25
"""Training is behind where the share of the time that has gone by is so many times the share of the steps that are done."""
SETTLED = 0.1
"""Not before this share of the time has gone by: the first steps are slow."""
IN_HAND = 0.05
"""Of the time, kept for the last evaluation."""
MOST_KEPT_BACK = 0.25
"""Of the time, for what follows."""


class Watch:
    """Says when a loop must end: at the deadline, or so long before it as is kept back, or because it was called off.

    Also how far the loop is.

    `is_behind` once its schedule had to follow the clock; `reached` is how far it has come so, from 0 to 1.
    """

    def __init__(self, deadline: Deadline, *, report: Callable[[float], None] | None = None) -> None:
        self._deadline = deadline
        self._report = report
        self._called_off = threading.Event()
        self._kept_back = 0.0
        self.is_behind = False
        self.reached = self._reached_before = 0.0
        self._begun = deadline.elapsed
        self.fraction = 0.0

    @property
    def is_over(self) -> bool:
        """Whether the loop must end."""
        return self._remaining <= 0 or self._called_off.is_set()

    @property
    def has_end(self) -> bool:
        """Whether time will be up at all."""
        return math.isfinite(self._deadline.remaining)

    def keep_back(self, seconds: float) -> None:
        """End the loop so many seconds before the deadline, as what follows it takes; a part of the whole time at most."""
        gone = self._deadline.elapsed - self._begun
        self._kept_back = min(seconds, MOST_KEPT_BACK * max(gone + self._deadline.remaining, 0.0))

    @property
    def _remaining(self) -> float:
        return self._deadline.remaining - self._kept_back

    def go_on_from(self, reached: float) -> None:
        """Go on with a schedule that followed the clock of an earlier process, and came so far."""
        self.is_behind, self._reached_before = True, reached

    def hurried(self, fraction: float) -> float:
        """How far a schedule should be, 0 to 1, when `fraction` of the steps is done.

        So far, unless time will be up long before the last step: then as far as the time is, so that the rate has fallen
        to its end when time is up. Whoever has time enough never hears of the clock.
        """
        gone = self._deadline.elapsed - self._begun
        share = gone / max(gone + self._remaining, 1e-9) / (1 - IN_HAND)
        share = self._reached_before + (1 - self._reached_before) * share
        self.is_behind = self.is_behind or share > max(SETTLED, PRESSING * fraction)
        self.reached = min(max(fraction, share), 1.0) if self.is_behind else fraction
        return self.reached

    def look(self, fraction: float) -> bool:
        """Tell how much is done, 0 to 1; says whether the loop must end."""
        if fraction - self.fraction >= 0.01:
            self.fraction = fraction
            if self._report is not None:
                self._report(fraction)
        return self.is_over

    def call_off(self) -> None:
        """End the loop at its next look, from another thread."""
        self._called_off.set()
