"""Where decoded pictures are kept, so that they are decoded once, and need not fit into memory."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core import machine
from cupel.core.finding import Finding, Severity
from cupel.core.pixels import WORKING_PIXELS
from cupel.modalities.image.reading.paths import is_absent

Array = NDArray[Any]

VARIABLE = "CUPEL_CACHE"
SUFFIX = ".images"
FEWEST_BYTES = 16 << 20
"""Of picture files: fewer are decoded in a second or two, and are not kept unless they might not fit into memory."""
SHARE_OF_MEMORY = 0.25
"""Of what is usable: what pictures may take at most, were all as large as they can be, before they are read from the disk."""
SHARE_OF_DISK = 0.5
MOST_BYTES = 20 << 30
"""All that is kept together: at most so much, and at most half of what the disk has left beside it."""
LARGEST_PICTURE = 3 * WORKING_PIXELS
SECONDS_UNTIL_ABANDONED = 24 * 3600


def cache_file_for(cells: Sequence[Any] | Array, *, folder: Path) -> Path | None:
    """The file for the decoded pictures of these cells; None where they are few, arrays already, or nothing is to be kept.

    It lies in the folder that the environment's CUPEL_CACHE names ("" keeps nothing), by default in `cupel/pictures` in the
    user's folder for caches. Its name comes from where the pictures are: what changed is decoded again under the same name.
    """
    kept = cache_folder()
    n_bytes, digest = _looked_through(cells, folder)
    might_be_large = LARGEST_PICTURE * len(cells) > SHARE_OF_MEMORY * machine.usable_memory_bytes()
    if kept is None or n_bytes == 0 or (n_bytes < FEWEST_BYTES and not might_be_large) or not _can_write(kept):
        return None
    return kept / f"{digest[:32]}{SUFFIX}"


def cache_folder() -> Path | None:
    """Where decoded pictures are kept; None where they are not."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Path(named) if named else None
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "cupel" / "pictures"


def trim(kept: Path, *, but: Path, most_bytes: int = MOST_BYTES) -> None:
    """Remove what was used longest ago until the rest is small enough; `but`, just used, stays in any case.

    Who has a removed file mapped goes on reading it. What was begun and not gone on with for `SECONDS_UNTIL_ABANDONED` is removed
    first: who wrote it was killed. Others may be trimming too.
    """
    with contextlib.suppress(FileNotFoundError):
        os.utime(but)
    _sweep(kept)
    files = [(status.st_mtime_ns, status.st_size, path) for path, status in _seen(kept, f"*{SUFFIX}")]
    total = sum(size for _, size, _ in files)
    allowed = min(most_bytes, SHARE_OF_DISK * (shutil.disk_usage(kept).free + total))
    for _, size, path in sorted(files):
        if total <= allowed:
            return
        if path != but:
            path.unlink(missing_ok=True)
            total -= size


def _sweep(kept: Path) -> None:
    for path, status in _seen(kept, f".*{SUFFIX}.*"):
        if time.time() - status.st_mtime > SECONDS_UNTIL_ABANDONED:
            path.unlink(missing_ok=True)


def _seen(kept: Path, pattern: str) -> Iterator[tuple[Path, os.stat_result]]:
    """Files and what is known of them; those that vanish meanwhile are none."""
    for path in kept.glob(pattern):
        with contextlib.suppress(FileNotFoundError):
            yield path, path.stat()


def kept_finding(column: str, path: Path, *, n_bytes: int) -> Finding:
    """Where the decoded pictures are, and that they may go."""
    return Finding(
        code="decoded-pictures-kept",
        severity=Severity.NOTE,
        where=column,
        what=f"The decoded pictures, {n_bytes / 1e6:,.0f} MB, are kept in {path}, so that they are decoded once.",
        action=f"They are read from there. The file may be deleted at any time; {VARIABLE} names another folder, or none.",
    )


def _looked_through(cells: Sequence[Any] | Array, folder: Path) -> tuple[int, str]:
    """Bytes of picture files among the cells, and a hash of where they are, or of what they hold."""
    total, digest = 0, hashlib.sha256(str(folder.resolve()).encode())
    for cell in cells:
        inner = (cell.get("bytes") or cell.get("path")) if isinstance(cell, Mapping) else cell
        if isinstance(inner, np.ndarray) or is_absent(inner):
            digest.update(b"\0")
        elif isinstance(inner, bytes | bytearray | memoryview):
            total += len(inner)
            digest.update(hashlib.sha256(inner).digest())
        else:
            total += _size_of(folder / str(inner).strip())
            digest.update(f"{inner}\0".encode())
    return total, digest.hexdigest()


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0


def _can_write(kept: Path) -> bool:
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return False
    return os.access(kept, os.W_OK)
