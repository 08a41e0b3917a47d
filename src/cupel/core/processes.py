"""What other processes take of the machine, as Linux counts it: memory, processor time, and who was ended for want of memory."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from cupel.core import machine

PROC = Path("/proc")
BUSY_STATES = "RD"
"""Running or ready to; waiting for a disk."""
STRANGERS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
"""Signals by which others end a process; its own faults come as another one, or as an exit code."""
RECENT_SECONDS = 10.0
"""A process that held much takes a while to be gone after the kernel has ended it."""


def memory_bytes(pid: int) -> int:
    """Memory of a process and its descendants, pages that several share divided among them; 0 where it is not there."""
    own = _proportional(pid)
    return own + sum(memory_bytes(child) for child in _children(pid))


def processor_seconds(pid: int) -> float:
    """Processor time that a process and its descendants have taken, all their threads together."""
    fields = _stat(PROC / str(pid) / "stat")
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0
    return own + sum(processor_seconds(child) for child in _children(pid))


def is_busy(pid: int) -> bool:
    """Whether some thread of it or of its descendants runs, waits for its turn on a processor, or for a disk."""
    try:
        threads = list((PROC / str(pid) / "task").iterdir())
    except OSError:
        return False
    states = [fields[0] for thread in threads if (fields := _stat(thread / "stat"))]
    return any(state in BUSY_STATES for state in states) or any(is_busy(child) for child in _children(pid))


def n_ended_for_memory() -> int:
    """How many processes the kernel has ended for want of memory: of this one's cgroup, or of all where it counts no others.

    0 where it does not say.
    """
    if (own := machine.ended_in_own_cgroup()) is not None:
        return own
    for line in _lines(PROC / "vmstat"):
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0


class EndedForMemory:
    """Whether the kernel has ended any process just now, by a count that somebody looks at every second or so.

    What it ended long ago says nothing of a process that is gone now: others end processes too.
    """

    def __init__(self) -> None:
        self._seen = [(time.monotonic(), n_ended_for_memory())]

    def look(self) -> None:
        """Note the count."""
        now = time.monotonic()
        self._seen.append((now, n_ended_for_memory()))
        while now - self._seen[1][0] > RECENT_SECONDS:
            del self._seen[0]

    @property
    def is_recent(self) -> bool:
        """Whether the count is above that of some seconds ago."""
        return n_ended_for_memory() > self._seen[0][1]


def _proportional(pid: int) -> int:
    for line in _lines(PROC / str(pid) / "smaps_rollup"):
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    pages = _lines(PROC / str(pid) / "statm")
    return int(pages[0].split()[1]) * os.sysconf("SC_PAGE_SIZE") if pages else 0


def _children(pid: int) -> list[int]:
    """Processes that any of its threads has begun."""
    found = [line for path in (PROC / str(pid)).glob("task/*/children") for line in _lines(path)]
    return [int(child) for line in found for child in line.split()]


def _stat(path: Path) -> list[str]:
    """The fields after the name, which may hold spaces and brackets itself: state, parent, …"""
    lines = _lines(path)
    return lines[0].rpartition(")")[2].split() if lines else []


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
