"""Holds this process to an amount of memory for a while, by the system, whoever in it asks for more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STATM = Path("/proc/self/statm")


@contextmanager
def held_to(memory_bytes: int | None) -> Iterator[None]:
    """So many bytes more than the process has now; to ask for more fails as if there were none. None holds it to nothing.

    It is the whole process that is held, with all its threads: only for one that does nothing else meanwhile. Nothing is held
    where the system does not tell what a process has, which is wherever it is not Linux.
    """
    has = _bytes_of_data()
    if memory_bytes is None or has is None:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    known = [limit for limit in before if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([has + memory_bytes, *known]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _bytes_of_data() -> int | None:
    """What the process may write to, touched or not, as the system counts it against its limit; None where it does not say."""
    try:
        return int(STATM.read_text().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
