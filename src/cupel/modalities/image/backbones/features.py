"""Features of pictures, computed once for each row of a run and kept in a file that is mapped into memory."""

from __future__ import annotations

import errno
import hashlib
import io
import math
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.budget import Deadline
from cupel.core.dataset import Dataset
from cupel.core.errors import PassingError
from cupel.core.storage import storage_error
from cupel.modalities.image.backbones.backbone import Backbone
from cupel.modalities.image.resizing import Resize, pixels_of

Rows = NDArray[np.int64]
Compute = Callable[[Rows], NDArray[np.float32]]
ROWS_AT_ONCE = 32
SHARE_OF_TIME = 0.5
"""Of the time that is left when they are begun: what features may take, so that other candidates get some too."""


def features_of(dataset: Dataset, rows: Rows, *, column: str, resize: Resize, backbone: Backbone) -> NDArray[np.float32]:
    """Features of the pictures in these rows, shape (rows, width); without a cache each time anew.

    Raises:
        PassingError: time was up before all were computed; those that were are kept.
    """

    def compute(some: Rows) -> NDArray[np.float32]:
        return backbone.of(pixels_of(dataset, some, name=column, resize=resize))

    if dataset.cache is None:
        return _computed(rows, compute, width=backbone.width)
    parts = (dataset.fingerprint, backbone.reference, column, repr(resize))
    key = hashlib.sha256("/".join(parts).encode()).hexdigest()[:24]
    kept = KeptFeatures(dataset.cache.folder / f"features-{key}", n_rows=dataset.n_samples, width=backbone.width)
    return kept.rows(rows, compute, deadline=dataset.cache.deadline)


def _computed(rows: Rows, compute: Compute, *, width: int) -> NDArray[np.float32]:
    found = np.empty((len(rows), width), np.float32)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        found[start : start + ROWS_AT_ONCE] = compute(rows[start : start + ROWS_AT_ONCE])
    return found


class KeptFeatures:
    """Two files: `<name>.npy` with the features of all rows, and `<name>.known.npy` that tells which of them are there.

    What tells is written after what it tells of, so that a crash at any moment loses work and nothing else.

    Raises:
        StorageError: they cannot be written.
    """

    def __init__(self, path: Path, *, n_rows: int, width: int) -> None:
        self._folder = path.parent
        self._features = _RowFile(path.with_suffix(".npy"), np.dtype(np.float32), (n_rows, width))
        self._known = _RowFile(path.with_suffix(".known.npy"), np.dtype(np.uint8), (n_rows,))
        files = self._features, self._known
        try:
            self._folder.mkdir(exist_ok=True)  # not its parents: a run folder that was removed is not made again
            if not all(file.is_whole for file in files):  # one without the other tells nothing
                for file in files:
                    file.begin()
            self._cells, self._is_known = self._features.mapped(), self._known.mapped()
        except OSError as error:
            raise storage_error(error, self._folder.parent) from error

    def rows(self, rows: Rows, compute: Compute, *, deadline: Deadline) -> NDArray[np.float32]:
        """These rows, those that are not there yet computed first.

        Raises:
            PassingError: time was up before.
            StorageError: they cannot be written.
        """
        missing = np.unique(rows[self._is_known[rows] == 0])
        until = deadline.within(SHARE_OF_TIME * deadline.remaining)
        for start in range(0, len(missing), ROWS_AT_ONCE):
            if until.passed:
                raise PassingError(
                    f"half of the time that was left was over when features of {start:,} of {len(missing):,} pictures had been "
                    f"computed; they are kept. Give the run more time (`cupel resume`), or a smaller backbone."
                )
            some = missing[start : start + ROWS_AT_ONCE]
            features = compute(some)
            try:
                self._features.write(some, features)
                self._known.write(some, np.ones(len(some)))
            except OSError as error:
                raise storage_error(error, self._folder.parent) from error
        return np.array(self._cells[rows])


class _RowFile:
    """An .npy file that is read as mapped memory, and written as a file: only so a full disk is an error, and no signal.

    It has no other name and is no link, since a stranger may have made the folder.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self._path, self._dtype, self._shape = path, dtype, shape
        stream = io.BytesIO()
        facts = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, facts)
        self._header = stream.getvalue()
        self._n_bytes = len(self._header) + math.prod(shape) * dtype.itemsize

    @property
    def is_whole(self) -> bool:
        """Whether it is there, and such an array."""
        try:
            with self._opened() as file:
                return os.fstat(file.fileno()).st_size == self._n_bytes and file.read(len(self._header)) == self._header
        except OSError:
            return False

    def begin(self) -> None:
        """Zeros, in the place of whatever is there."""
        self._path.unlink(missing_ok=True)
        with self._opened(os.O_CREAT | os.O_EXCL) as file:
            file.write(self._header)
            file.truncate(self._n_bytes)

    def mapped(self) -> Any:
        """The array, in which what is written later is seen."""
        with self._opened() as file:
            return np.memmap(file, self._dtype, "r", offset=len(self._header), shape=self._shape)

    def write(self, rows: Rows, values: NDArray[Any]) -> None:
        """These rows, on disk when this returns."""
        contents = np.ascontiguousarray(values, self._dtype)
        with self._opened() as file:
            for row, content in zip(rows.tolist(), contents, strict=True):
                file.seek(len(self._header) + row * content.nbytes)
                file.write(content.tobytes())
            file.flush()
            os.fsync(file.fileno())

    def _opened(self, flags: int = 0) -> IO[bytes]:
        descriptor = os.open(self._path, flags | os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is no plain file, or another name of one", str(self._path))
        return os.fdopen(descriptor, "r+b")
