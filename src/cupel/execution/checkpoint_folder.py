"""Checkpoints as files of the run folder, each behind its checksum."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cupel.core.storage import storage_error, write_bytes
from cupel.core.untrusted import read_bytes

DIGEST_LENGTH = 64
MOST_BYTES = 8 << 30


@dataclass(frozen=True)
class CheckpointFolder:
    """Those of one piece of work: all begin with its key. `run` is the run folder, where it is not the one above.

    `left` says how many bytes may still be written; what takes more is not kept, and would be learned again.
    """

    folder: Path
    key: str
    run: Path | None = None
    left: Callable[[], float] = lambda: math.inf

    def save(self, name: str, content: bytes) -> None:
        """Keep it under this name, where there is room for it.

        Raises:
            StorageError: it cannot be written.
        """
        if DIGEST_LENGTH + len(content) > self.left():
            return
        try:
            self.folder.mkdir(exist_ok=True)  # not its parents: see UnitStore
            write_bytes(self._path(name), hashlib.sha256(content).hexdigest().encode() + content)
        except OSError as error:
            raise storage_error(error, self.run or self.folder.parent) from error

    def load(self, name: str) -> bytes | None:
        """What was kept, None where there is nothing, or a bit of it has changed."""
        try:
            read = read_bytes(self._path(name), most_bytes=MOST_BYTES)
        except (OSError, ValueError):
            return None
        digest, content = read[:DIGEST_LENGTH], read[DIGEST_LENGTH:]
        return content if hashlib.sha256(content).hexdigest().encode() == digest else None

    def clear(self) -> None:
        """Remove them: the work is done."""
        for path in self.folder.glob(f"{self.key}-*"):
            path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{self.key}-{name}"
