"""Watches one piece of work of a worker: is it alive, is it in time, should it go on at all."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from cupel.core import processes
from cupel.core.budget import Deadline
from cupel.core.errors import InterruptedRunError, OutOfMemoryError, PassingError, TrainingError
from cupel.execution.assignment import FAULT_OF_A_FAMILY, INTERRUPTED
from cupel.execution.worker import Worker

SECONDS_TO_HANG = 60.0
"""So long without any use of a processor or disk, and nothing is going to happen any more."""
SECONDS_WITHOUT_BEAT = 300.0
"""So long without a heartbeat, though processors are used: something holds the interpreter and does not let go."""
SECONDS_BEYOND, SHARE_BEYOND = 5.0, 0.03
"""What may be needed after the deadline to predict and export: so much, and this share of the time. A run may take 5 s and 5%
more than it was given."""
SECONDS_BETWEEN_LOOKS = 1.0
LEAST_USE_SECONDS = 0.05


class Vigil:
    """Counts how long a worker has been silent.

    Only time in which this process itself could run is counted: a machine that was asleep, or had something more important to
    do, has not hung. Work that gets no further for `patience_seconds` goes round in circles.
    """

    def __init__(
        self,
        worker: Worker,
        *,
        deadline: Deadline,
        is_to_end: Callable[[], bool],
        memory_bytes: float = math.inf,
        patience_seconds: float = math.inf,
    ) -> None:
        self._memory_bytes, self._patience_seconds = memory_bytes, patience_seconds
        self._pid, self._deadline, self._is_to_end = worker.process.pid, deadline, is_to_end
        self._ended_for_memory = worker.ended_for_memory = processes.EndedForMemory()
        self._given = deadline.remaining
        self._looked = time.monotonic()
        self._used = processes.processor_seconds(self._pid)
        self._idle = self._silent = self._standing = self._farthest = 0.0

    def look(self, message: Mapping[str, Any] | None) -> None:
        """Take note of a message, or of none.

        Raises:
            InterruptedRunError: the run is to end.
            OutOfMemoryError: this process and its workers hold more than they may.
            PassingError: the worker does not end in time.
            TrainingError: it hangs.
        """
        if self._is_to_end():
            raise InterruptedRunError(INTERRUPTED)
        if math.isfinite(self._memory_bytes):
            self._weigh()
        if message is not None:
            self._note(message)
        passed = time.monotonic() - self._looked
        if passed < SECONDS_BETWEEN_LOOKS:
            return
        self._looked += passed
        self._ended_for_memory.look()
        self._count(min(passed, 2 * SECONDS_BETWEEN_LOOKS))
        if self._idle > SECONDS_TO_HANG or self._silent > SECONDS_WITHOUT_BEAT:
            silence = max(self._idle, self._silent)
            raise TrainingError(
                f"its worker process gave no sign of life for {silence:.0f} s and was ended, and the run went on; "
                f"{FAULT_OF_A_FAMILY}."
            )
        if self._standing > self._patience_seconds:
            raise TrainingError(
                f"it got no further in {self._standing:.0f} s, though estimated to need far less, and was ended; "
                f"{FAULT_OF_A_FAMILY}."
            )
        if self._deadline.remaining < -(SECONDS_BEYOND + SHARE_BEYOND * self._given):
            raise PassingError(
                f"it was still at work {-self._deadline.remaining:.0f} s after its time was up, and was ended; "
                f"give the run more time with --time."
            )

    def _note(self, message: Mapping[str, Any]) -> None:
        """A sign of life; where it tells of progress, that too."""
        self._silent = 0.0
        fraction = float(message["fraction"]) if message.get("is") == "progress" else 0.0
        if fraction > self._farthest:
            self._farthest, self._standing = fraction, 0.0

    def _weigh(self) -> None:
        held = processes.memory_bytes(os.getpid())
        if held > self._memory_bytes:
            raise OutOfMemoryError(
                f"with it all processes held {held / 1e6:,.0f} MB, and {self._memory_bytes / 1e6:,.0f} MB may be held; "
                f"give more with --memory."
            )

    def _count(self, seconds: float) -> None:
        used = processes.processor_seconds(self._pid)
        is_idle = abs(used - self._used) < LEAST_USE_SECONDS and not processes.is_busy(self._pid)
        self._used = used
        self._idle = self._idle + seconds if is_idle else 0.0
        self._silent += seconds
        self._standing += seconds
