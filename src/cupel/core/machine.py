"""What this process may use of the machine: processors and memory, as cgroup and affinity allow."""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path


def usable_cores() -> int:
    """Processors that this process may use at once, at least 1: the least of affinity and cgroup quota."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return max(1, min(affinity, _cgroup_cores()))


def _cgroup_cores() -> int:
    quota = _first_line("/sys/fs/cgroup/cpu.max").split()
    if len(quota) == 2 and quota[0] != "max":
        return max(1, math.ceil(int(quota[0]) / int(quota[1])))
    limit, period = _first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), _first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
    if limit and period and int(limit) > 0:
        return max(1, math.ceil(int(limit) / int(period)))
    return os.cpu_count() or 1


def usable_memory_bytes() -> int:
    """Memory that this process may use: the least of what the machine has available and the cgroup's limit."""
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        limit = _first_line(path)
        if limit.isdigit():
            available = min(available, int(limit))
    return available


def has_flag(name: str) -> bool:
    """Whether the processor has a feature, as Linux names it (avx2, avx512f, amx_bf16)."""
    return any(name in line.split() for line in _lines("/proc/cpuinfo") if line.startswith("flags"))


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
