"""Whether a run should go on searching: it was interrupted, or its disk is nearly full."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from cupel.core import machine, processes
from cupel.core.errors import ShortOfDiskError, UsageError
from cupel.core.limits import Limits

LEAST_FREE_BYTES = 50_000_000
"""Kept free on the disk for the artifact, the report, and whoever else writes there."""
LEAST_MEMORY_BYTES = 200_000_000
"""Of `memory_bytes`, beyond what is held when the search begins: the least with which anything can be trained."""

SECONDS_BETWEEN_LOOKS = 5.0
HANDOVER = ".handover"
"""Where a run's data are for its worker: made anew by each process."""
BYTES_OF_PROCESSES = 550_000_000
"""What a run and its worker hold once all is imported, which the worker may still be at."""


class Guard:
    """Looks after the limits of one run.

    `is_interrupted` says whether somebody wants it to end, `again` by what it is gone on with.
    """

    def __init__(
        self, folder: Path, limits: Limits, *, is_interrupted: Callable[[], bool] = lambda: False, again: str = "`cupel resume`"
    ) -> None:
        self.folder, self.limits, self.is_interrupted, self._again = folder, limits, is_interrupted, again
        self._looked = time.monotonic()

    def reason_to_end(self) -> str:
        """Why nothing more should be trained, and what to do about it, "" where it should be."""
        return self.reason_to_stop() or self.lack_of_disk()

    def reason_to_stop(self) -> str:
        """The same, but for the disk: what is there already can be taken up however full that is."""
        if self.is_interrupted():
            return f"the run was interrupted; {self._again} goes on"
        if not self.folder.exists():
            return f"the run folder was removed or renamed; put it back, then {self._again} goes on"
        return ""

    def lack_of_disk(self, needed: float = 0.0) -> str:
        """Why so many more bytes cannot be written, and what to do about it, "" where they can."""
        more = f", {needed / 1e6:,.1f} MB more are needed" if needed else ""
        most = self.limits.disk_bytes
        used = 0 if most is None else size_of(self.folder)
        if most is not None and used + needed + LEAST_FREE_BYTES > most:
            held = f"the run folder holds {used / 1e6:,.0f} MB{more}, and may hold {most / 1e6:,.0f} MB"
            return f"{held}; {self._again} with more --disk goes on"
        free = shutil.disk_usage(self.folder).free
        if free < needed + LEAST_FREE_BYTES:
            return (
                f"{free / 1e6:,.0f} MB are free on the disk of the run folder{more}; free some space, then {self._again} goes on"
            )
        return ""

    def is_to_end(self) -> bool:
        """Whether somebody wants the run to end: asked again and again while something is trained.

        Raises:
            ShortOfDiskError: the disk is full, or what may be taken of it; looked at every few seconds.
        """
        if not self.is_interrupted() and time.monotonic() - self._looked >= SECONDS_BETWEEN_LOOKS:
            self._looked = time.monotonic()
            if reason := self.reason_to_end():
                raise ShortOfDiskError(f"it was ended while it was trained: {reason}.")
        return self.is_interrupted()

    def demand_disk(self, handed_over: int) -> None:
        """Foresee what is written before the first candidate: so many bytes of data for the worker.

        Raises:
            UsageError: the limit on the run folder leaves no room for them.
        """
        most, held = self.limits.disk_bytes, size_of(self.folder) - size_of(self.folder / HANDOVER)
        needed = held + handed_over + LEAST_FREE_BYTES
        if most is not None and needed > most:
            raise UsageError(
                f"the run folder may hold {most / 1e6:,.0f} MB; {handed_over / 1e6:,.0f} MB of data are written for the worker "
                f"process, {LEAST_FREE_BYTES / 1e6:,.0f} MB are kept for the model and its report, and {held / 1e6:,.0f} MB are "
                f"held already. Give at least {math.ceil(needed / 1e6):,} MB with --disk, or fewer rows."
            )

    def memory_bytes(self) -> float:
        """What may still be taken, here and now.

        Raises:
            UsageError: the limit on memory is too low for anything to be trained.
        """
        usable, most = float(machine.usable_memory_bytes()), self.limits.memory_bytes
        if most is None:
            return usable
        held = max(processes.memory_bytes(os.getpid()), BYTES_OF_PROCESSES * self.limits.workers)
        if held + LEAST_MEMORY_BYTES > most:
            raise UsageError(
                f"memory is limited to {most / 1e6:,.0f} MB, and {held / 1e6:,.0f} MB are held already, the data among them; "
                f"give at least {(held + LEAST_MEMORY_BYTES) / 1e6:,.0f} MB with --memory, or fewer rows."
            )
        return min(usable, most - held)


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).lstat().st_size
            except OSError:
                continue  # it was renamed or removed meanwhile
    return total


def bytes_left(folder: Path, disk_bytes: int | None) -> float:
    """What may still be written into a run folder that may hold `disk_bytes`; infinite without a limit."""
    return math.inf if disk_bytes is None else disk_bytes - size_of(folder) - LEAST_FREE_BYTES
