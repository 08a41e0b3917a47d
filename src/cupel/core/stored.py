"""Prepared rows in files, of which a piece at a time is in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.inputs import Inputs

Array = NDArray[Any]


@dataclass(eq=False)
class StoredRows:
    """Inputs row after row, a file for each block, in a folder of its own.

    They are read, not mapped: what is mapped counts as held by the process that looked at it.
    """

    folder: Path
    n_samples: int = 0
    cardinalities: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    _blocks: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = field(default_factory=dict)

    def append(self, inputs: Inputs) -> None:
        """More rows, prepared in the same way."""
        if not self._blocks:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.cardinalities = inputs.cardinalities
            self._blocks = {name: (block.dtype, block.shape[1:]) for name, block in inputs.blocks.items()}
        for name, block in inputs.blocks.items():
            assert (block.dtype, block.shape[1:]) == self._blocks[name], f"a preparation gives {name} one type and shape"
            with self._path(name).open("ab") as stream:
                stream.write(np.ascontiguousarray(block).data)
        self.n_samples += inputs.n_samples

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


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredUnit:
    """What a final model learns from: rows in files, and those by which training is stopped. Targets as in `UnitData`."""

    seed: int
    train: StoredRows
    train_target: Array
    stop: Inputs
    stop_target: Array
