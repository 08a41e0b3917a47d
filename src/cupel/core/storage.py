"""Files that are whole or absent: written under a temporary name, synced, renamed."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from cupel.core.errors import StorageError

_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}", re.DOTALL)
"""As `tempfile` makes them of a prefix like the one given below."""


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a crash at any moment leaves the old content or the new, never a part.

    Its folder must be there: one that somebody has removed meanwhile is not made again piece by piece.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def is_temporary(name: str) -> bool:
    """Whether what has this name was being written, and had not been given its own name yet."""
    return _TEMPORARY.fullmatch(name) is not None


def write_text(path: Path, content: str) -> None:
    """As `write_bytes`, in UTF-8."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """As `write_text`, indented JSON; NaN and infinity become null, since JSON has neither."""
    write_text(path, json.dumps(finite(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def npy(array: np.ndarray[Any, Any]) -> bytes:
    """An array as the content of an .npy file, in C order; objects, which would be pickled, are refused."""
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()


def move(source: Path, target: Path) -> None:
    """Give a finished, synced file its final name on the same disk, so that it lasts through a loss of power."""
    os.replace(source, target)
    _sync_folder(target.parent)


def finite(value: Any) -> Any:
    """The same structure with NaN and infinite numbers as None."""
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


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


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
