"""Where a run keeps what is dear to compute of its rows, so that it is computed once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cupel.core.budget import Deadline


@dataclass(frozen=True, eq=False)
class Cache:
    """A folder for files, and until when they may be made."""

    folder: Path
    deadline: Deadline
