"""What a run may take of the machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cupel.core import machine
from cupel.core.errors import UsageError

_UNITS = {"": 1, "b": 1, "k": 10**3, "kb": 10**3, "m": 10**6, "mb": 10**6, "g": 10**9, "gb": 10**9, "t": 10**12, "tb": 10**12}
CAPS = ("memory_bytes", "disk_bytes", "cores", "at_once")
SECONDS_WORTH_A_WORKER = 20.0
"""With fewer on one core, what a second process imports would take a third of them."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """None is no limit but the machine's own.

    `memory_bytes` is for this process and its workers together, `disk_bytes` for the run folder, `cores` for all threads.
    `workers` 0 makes units in this process, where a crash of one is the end of the run. At most `at_once` candidates are trained
    side by side, where the time alone ends the search; by default as many as there is room and time for. `seconds` is a cap on
    wall time, which counts from the moment `began` (of `time.monotonic`): that of the call, unless it is said. With
    `allow_network` a run that goes on, or is trained again, may download its backbones: no run folder says that for its reader.
    """

    memory_bytes: int | None = None
    disk_bytes: int | None = None
    cores: int | None = None
    workers: int = 1
    at_once: int | None = None
    seconds: float | None = None
    began: float | None = None
    allow_network: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be kept."""
        if self.workers not in (0, 1):
            raise UsageError(
                f"workers is {self.workers}; choose 1, or 0 for none. How many candidates are trained side by side, each by a "
                f"worker of its own, is said by --at-once (at_once=)."
            )
        if self.at_once is not None and self.at_once < 1:
            raise UsageError(f"at_once is {self.at_once}; a run trains 1 candidate at a time at least.")
        if self.cores is not None and self.cores < 1:
            raise UsageError(f"cores is {self.cores}; a run needs 1 at least.")

    def to_plain(self) -> dict[str, int | None]:
        """Plain values, for whoever goes on with a run."""
        return {name: getattr(self, name) for name in CAPS}

    def for_time(self, seconds: float | None) -> Limits:
        """With this cap on time, where one is given; without a worker where one core has too little time for it.

        One whose memory is to be watched stays.
        """
        limits = self if seconds is None else replace(self, seconds=seconds)
        is_short = limits.seconds is not None and limits.seconds < SECONDS_WORTH_A_WORKER and limits.memory_bytes is None
        return replace(limits, workers=0) if is_short and min(machine.usable_cores(), self.cores or 2) < 2 else limits

    def completed(self, kept: Any) -> Limits:
        """These, and for each cap that is None the one of `kept`, as `to_plain` gave it; what is no number is passed over."""
        known = kept if isinstance(kept, Mapping) else {}
        caps = {name: known.get(name) for name in CAPS if getattr(self, name) is None}
        taken: dict[str, Any] = {name: value for name, value in caps.items() if type(value) is int and value > 0}
        return replace(self, **taken)


def bytes_in(text: str | float | None) -> int | None:
    """Bytes meant by "2GB", "500 MB", "1.5g" or a number; None stays None.

    Raises:
        UsageError: it cannot be read or is not positive.
    """
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(text).lower())
    if match is None or match[2] not in _UNITS or float(match[1]) <= 0:
        raise UsageError(f"size {text!r} cannot be read; expected for example 500MB or 2GB.")
    return int(float(match[1]) * _UNITS[match[2]])
