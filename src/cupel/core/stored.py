"""Prepared rows in files, of which a piece at a time is in memory."""

from __future__ import annotations

import math
import os
import stat
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.checkpoints import Checkpoints
from cupel.core.inputs import Inputs

Array = NDArray[Any]
BYTES_AT_ONCE = 1 << 24


@dataclass(eq=False)
class StoredRows:
    """Inputs row after row, a file for each block, in a folder of its own.

    They are read, not mapped: what is mapped counts as held by the process that looked at it.
    """

    folder: Path
    n_samples: int = 0
    cardinalities: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    _blocks: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = field(default_factory=dict)
    _checksums: dict[str, int] = field(default_factory=dict)

    def append(self, inputs: Inputs) -> None:
        """More rows, prepared in the same way."""
        self._learn(inputs)
        for name, block in inputs.blocks.items():
            assert (block.dtype, block.shape[1:]) == self._blocks[name], f"a preparation gives {name} one type and shape"
            content = np.ascontiguousarray(block).data
            with _opened(self._path(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND) as stream:
                stream.write(content)
            self._checksums[name] = zlib.crc32(content, self._checksums[name])
        self.n_samples += inputs.n_samples

    def state(self) -> dict[str, Any]:
        """How far it is, as plain values: another process can go on from there."""
        return {"n_samples": self.n_samples, "checksums": dict(self._checksums)}

    def restore(self, state: Mapping[str, Any], *, like: Inputs) -> None:
        """Go on with what was written when `state` was asked for; what was written later is cut off. `like` are such rows.

        Raises:
            OSError, ValueError, KeyError, TypeError: the files are not what they were, or the state is none.
        """
        self._learn(like)
        n_samples = state["n_samples"]
        if type(n_samples) is not int or n_samples < 0:
            raise ValueError(f"{n_samples!r} is no number of rows")
        for name, (dtype, shape) in self._blocks.items():
            n_bytes = n_samples * math.prod(shape) * dtype.itemsize
            self._checksums[name] = state["checksums"][name]
            if n_bytes:
                _cut_off(self._path(name), n_bytes, checksum=self._checksums[name])
            else:
                self._path(name).unlink(missing_ok=True)
                self._checksums[name] = 0
        self.n_samples = n_samples

    def _learn(self, like: Inputs) -> None:
        """Types and shapes, from the first rows there are."""
        if not self._blocks:
            self.folder.mkdir(exist_ok=True)
            self.cardinalities = like.cardinalities
            self._blocks = {name: (block.dtype, block.shape[1:]) for name, block in like.blocks.items()}
            self._checksums = dict.fromkeys(self._blocks, 0)

    def between(self, start: int, end: int) -> Inputs:
        """The rows from `start` to before `end`."""
        start, end = max(start, 0), min(end, self.n_samples)
        blocks = {name: self._read(name, start, max(end - start, 0)) for name in self._blocks}
        return Inputs(blocks, self.cardinalities)

    def spread(self, n_rows: int, *, pieces: int = 100) -> Inputs:
        """About so many rows, in pieces from all over the files."""
        if n_rows >= self.n_samples:
            return self.between(0, self.n_samples)
        length = math.ceil(n_rows / pieces)
        starts = np.linspace(0, self.n_samples - length, pieces).astype(int).tolist()
        parts = [self.between(start, start + length) for start in starts]
        blocks = {name: np.concatenate([part.blocks[name] for part in parts]) for name in self._blocks}
        return Inputs(blocks, self.cardinalities)

    @property
    def bytes_of_row(self) -> int:
        """In all files."""
        return sum(dtype.itemsize * math.prod(shape) for dtype, shape in self._blocks.values())

    def _read(self, name: str, start: int, n_rows: int) -> Array:
        dtype, shape = self._blocks[name]
        width = math.prod(shape)
        if not width or not n_rows:
            return np.empty((n_rows, *shape), dtype)
        read = np.fromfile(self._path(name), dtype, count=n_rows * width, offset=start * width * dtype.itemsize)
        return read.reshape(n_rows, *shape)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.rows"


def _cut_off(path: Path, n_bytes: int, *, checksum: int) -> None:
    """Leave the first bytes of a file, whose checksum is this, and no others."""
    found, left = 0, n_bytes
    with _opened(path, os.O_RDWR) as stream:
        while left and (read := stream.read(min(left, BYTES_AT_ONCE))):
            found, left = zlib.crc32(read, found), left - len(read)
        if left or found != checksum:
            raise ValueError(f"{path} is not what it was")
        stream.truncate(n_bytes)


def _opened(path: Path, flags: int) -> IO[bytes]:
    """A plain file that has no other name: a stranger may have made the folder, and what is written must stay in it."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
        os.close(descriptor)
        raise ValueError(f"{path} is no plain file, or another name of one")
    return os.fdopen(descriptor, "ab" if flags & os.O_APPEND else "r+b")


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredUnit:
    """What a final model learns from: rows in files, and those by which training is stopped.

    Targets and checkpoints as in `UnitData`.
    """

    seed: int
    train: StoredRows
    train_target: Array
    stop: Inputs
    stop_target: Array
    checkpoints: Checkpoints | None = None
