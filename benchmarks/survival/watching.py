"""A command that is watched from outside: how long it took, and the most memory that all its processes held together."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cupel.core import processes

SECONDS_BETWEEN_LOOKS = 0.25
MOST_WORDS = 2000


@dataclass(frozen=True, kw_only=True)
class Watch:
    """`peak_bytes` is of proportional set sizes, children included; `words` is the end of what was printed."""

    code: int
    seconds: float
    peak_bytes: int
    words: str


def fitted(table: Path, *options: str, out: Path) -> list[str]:
    """The command line of a fit."""
    return [sys.executable, "-m", "cupel.cli.main", "fit", str(table), "--out", str(out), "--progress", "plain", *options]


def watched(command: Sequence[str], *, log: Path) -> Watch:
    """Run it to its end; what it prints goes to `log`."""
    started, peak = time.monotonic(), 0
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
        while process.poll() is None:
            peak = max(peak, processes.memory_bytes(process.pid))
            time.sleep(SECONDS_BETWEEN_LOOKS)
    words = log.read_text(errors="replace")[-MOST_WORDS:]
    return Watch(code=process.returncode, seconds=time.monotonic() - started, peak_bytes=peak, words=words)
