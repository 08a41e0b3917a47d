"""Keeps an eye on the time, for a loop that trains, and on the loop, for whoever waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from cupel.core.budget import Deadline


class Watch:
    """Says when a loop must end: at the deadline, or because it was called off. Also how far the loop is."""

    def __init__(self, deadline: Deadline, *, report: Callable[[float], None] | None = None) -> None:
        self._deadline = deadline
        self._report = report
        self._called_off = threading.Event()
        self.fraction = 0.0

    @property
    def is_over(self) -> bool:
        """Whether the loop must end."""
        return self._deadline.passed or self._called_off.is_set()

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
