"""What this process may use of the machine: processors and memory, as cgroup and affinity allow."""

from __future__ import annotations

import math
import os
import platform
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

USUAL_SECONDS = 0.0053
"""Of the plain work by which speed is told, on a quiet core of the machine that costs were measured on (AMD EPYC, 2026)."""
CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), "/proc/self/cgroup"
SECONDS_BETWEEN_READINGS, N_READINGS, MOST_SLOWNESS = 2.0, 5, 3.0


def usable_cores() -> int:
    """Processors that this process may use at once, at least 1: the least of affinity and the quotas of its cgroups."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    quotas = [found for folder in _cgroups("cpu") if (found := _cores_of(folder)) is not None]
    return max(1, min([affinity, *quotas]))


@dataclass(eq=False)
class Speed:
    """How fast plain work goes here and now, beside a quiet core of the machine on which costs were measured."""

    _looked: float = -math.inf
    _taken: list[float] = field(default_factory=list)

    @property
    def slowness(self) -> float:
        """So many times longer it takes, 1 to `MOST_SLOWNESS`: the median of the last readings, at most one every two seconds."""
        if time.monotonic() - self._looked > SECONDS_BETWEEN_READINGS:
            self._taken = [*self._taken[1 - N_READINGS :], min(_seconds_of_plain_work() for _ in range(3))]
            self._looked = time.monotonic()
        return min(max(statistics.median(self._taken) / USUAL_SECONDS, 1.0), MOST_SLOWNESS)


SPEED = Speed()


def _seconds_of_plain_work() -> float:
    """Mixing numbers up, and sorting them: a few milliseconds, for which no library has to be loaded."""
    started = time.perf_counter()
    sorted((number * 7919) % 20_011 for number in range(20_000))
    return time.perf_counter() - started


@contextmanager
def held_to(cores: int | None) -> Iterator[None]:
    """This thread, and those that it begins, on so many of the processors that it may use; None changes nothing."""
    before = os.sched_getaffinity(0)
    if cores is not None:
        os.sched_setaffinity(0, sorted(before)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _cores_of(cgroup: Path) -> int | None:
    """Processors whose time a cgroup leaves at once, begun ones counted whole; None where there is none, or no quota."""
    version_2 = _first_line(str(cgroup / "cpu.max")).split()
    version_1 = [_first_line(str(cgroup / name)) for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")]
    for parts in (version_2, version_1):
        if len(parts) == 2 and all(part.isdigit() and int(part) > 0 for part in parts):
            return math.ceil(int(parts[0]) / int(parts[1]))
    return None


def usable_memory_bytes() -> int:
    """Memory that this process may still take: the least of what the machine has available and what its cgroups leave.

    What the process already holds is no part of it; files that the kernel keeps in memory and can drop are.
    """
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    left = [found for folder in _cgroups("memory") if (found := _left_in(folder)) is not None]
    return max(0, min([available, *left]))


def _cgroups(controller: str) -> list[Path]:
    """Folders of the cgroups that may limit this process: its own and all above it, of either version."""
    found = [CGROUPS, CGROUPS / controller]
    for line in _lines(OWN_CGROUPS):
        number, controllers, name = line.split(":", maxsplit=2)
        if number == "0" or controller in controllers.split(","):
            root = found[0] if number == "0" else found[1]
            own = Path(name.lstrip("/"))
            found += [root / part for part in (own, *own.parents) if part != Path()]
    return found


def _left_in(cgroup: Path) -> int | None:
    """What a memory cgroup leaves; None where there is none, or no limit."""
    for limit_name, used_name, droppable in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit, used = _first_line(str(cgroup / limit_name)), _first_line(str(cgroup / used_name))
        if limit.isdigit() and used.isdigit():
            counts = dict(line.split(maxsplit=1) for line in _lines(str(cgroup / "memory.stat")))
            return int(limit) - int(used) + int(counts.get(droppable, 0))
    return None


def ended_in_own_cgroup() -> int | None:
    """How many processes of this one's memory cgroup the kernel has ended for want of memory; None where it does not say."""
    found = _cgroups("memory")
    for folder in (*found[2:], *found[:2]):  # its own first; what a container shows as the root of all is its own too
        for file in ("memory.events", "memory.oom_control"):
            counts = [line.split() for line in _lines(str(folder / file))]
            ended = [count[1] for count in counts if len(count) == 2 and count[0] == "oom_kill" and count[1].isdigit()]
            if ended:
                return int(ended[0])
    return None


def may_have_gpu() -> bool:
    """Whether there is a driver of NVIDIA's or AMD's, without asking PyTorch, which takes seconds to load."""
    return any(Path("/dev", name).exists() for name in ("nvidiactl", "nvhost-ctrl", "dxg", "kfd"))


def has_flag(name: str) -> bool:
    """Whether the processor has a feature, as Linux names it (avx2, avx512f, amx_bf16)."""
    return any(name in line.split() for line in _lines("/proc/cpuinfo") if line.startswith("flags"))


def process_began() -> float:
    """When this process began, as `time.monotonic` would have told it then; now where Linux does not say."""
    now, fields = time.monotonic(), _first_line("/proc/self/stat").rpartition(")")[2].split()
    if len(fields) < 20 or not hasattr(time, "CLOCK_BOOTTIME"):
        return now
    since_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return now - max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot)


def describe() -> dict[str, str | int]:
    """Machine in words, for `run.yaml` and benchmark tables."""
    models = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": usable_cores(),
        "memory_bytes": usable_memory_bytes(),
        "system": platform.platform(),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _first_line(path: str) -> str:
    lines = _lines(path)
    return lines[0].strip() if lines else ""
