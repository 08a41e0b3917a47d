"""Checkpoints as files of the run folder, each behind its checksum."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from cupel.core.errors import StorageError
from cupel.core.storage import write_bytes
from cupel.core.untrusted import read_bytes

DIGEST_LENGTH = 64
MOST_BYTES = 8 << 30


@dataclass(frozen=True)
class CheckpointFolder:
    """Those of one piece of work: all begin with its key. `run` is the run folder, where it is not the one above."""

    folder: Path
    key: str
    run: Path | None = None

    def save(self, name: str, content: bytes) -> None:
        """Keep it under this name.

        Raises:
            StorageError: it cannot be written.
        """
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


FULL, UNWRITABLE = (errno.ENOSPC, errno.EDQUOT), (errno.EROFS, errno.EIO, errno.EFBIG, None)
"""None: NumPy says of a full disk how much it wrote, and no number."""
NEARLY_FULL_BYTES = 1 << 20


def is_about(error: OSError, folder: Path) -> bool:
    """Whether an error comes of writing in a folder: it names a file in it, or none, and is of a kind that disks have."""
    if isinstance(error.filename, str | bytes | os.PathLike):
        return Path(os.path.abspath(os.fsdecode(error.filename))).is_relative_to(os.path.abspath(folder))
    return error.errno in (*FULL, *UNWRITABLE)


def storage_error(error: OSError, folder: Path) -> StorageError:
    """What to tell about a run folder that cannot be written any more."""
    if error.errno in FULL or (error.errno is None and _is_nearly_full(folder)):
        remedy = "free some space on its disk"
    elif not folder.exists():
        remedy = "it was removed or renamed; put it back"
    else:
        remedy = "mend its permissions or its disk"
    return StorageError(
        f"the run folder {folder} cannot be written any more ({error.strerror or error}); {remedy}, then "
        f"`cupel resume {folder}`: what was finished is kept."
    )


def _is_nearly_full(folder: Path) -> bool:
    return folder.exists() and shutil.disk_usage(folder).free < NEARLY_FULL_BYTES
