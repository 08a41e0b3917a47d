"""The data of several folds as one tensor per block, sampled by index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cupel.core.inputs import Inputs, InputShape

Array = NDArray[Any]


def padded(inputs: Inputs, shape: InputShape) -> dict[str, Array]:
    """Blocks as wide as the shape: missing columns are zero. Blocks that nobody fills are left out."""
    blocks = {}
    for name, width in shape.widths.items():
        block = inputs.blocks[name]
        if width:
            blocks[name] = block if block.shape[1] == width else np.pad(block, ((0, 0), (0, width - block.shape[1])))
    return blocks


class Order:
    """The order in which one fold's rows are trained on: every row once before any comes again."""

    def __init__(self, n_rows: int, *, seed: int) -> None:
        self._n_rows = n_rows
        self._generator = torch.Generator().manual_seed(seed)
        self._waiting = torch.empty(0, dtype=torch.int64)

    def take(self, n: int) -> Tensor:
        """The next `n` rows."""
        while len(self._waiting) < n:
            self._waiting = torch.cat([self._waiting, self._more()])
        taken, self._waiting = self._waiting[:n], self._waiting[n:]
        return taken

    def _more(self) -> Tensor:
        return torch.randperm(self._n_rows, generator=self._generator)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Where it is, for a checkpoint."""
        return {"generator": self._generator.get_state(), "waiting": self._waiting}, {}

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""
        del facts
        self._generator.set_state(tensors["generator"])
        self._waiting = tensors["waiting"]


class Stack:
    """Samples of M folds, padded to the longest: each block (M, N, width), the target (M, N), `sizes` (M,) rows of each."""

    def __init__(self, parts: Sequence[Inputs], targets: Sequence[Array], shape: InputShape, *, device: str) -> None:
        self.sizes = [part.n_samples for part in parts]
        self.device = device
        self._all_sizes = list(self.sizes)
        self._longest = max(self.sizes)
        all_blocks = [padded(part, shape) for part in parts]
        self._blocks = {name: self._stacked([blocks[name] for blocks in all_blocks]) for name in all_blocks[0]}
        self._target = self._stacked([target.astype(kept_as(target)) for target in targets])
        self._places = list(range(len(parts)))
        self._shift = self._shifts()

    def _stacked(self, arrays: Sequence[Array]) -> Tensor:
        stacked = np.zeros((len(arrays), self._longest, *arrays[0].shape[1:]), arrays[0].dtype)
        for position, array in enumerate(arrays):
            stacked[position, : len(array)] = array
        return torch.from_numpy(stacked).to(self.device)

    def _shifts(self) -> Tensor:
        return torch.tensor(self._places, device=self.device)[:, None] * self._longest

    def keep(self, models: Sequence[int]) -> None:
        """Go on with some of the folds only; nothing is copied."""
        self._places = [self._places[model] for model in models]
        self.sizes = [self.sizes[model] for model in models]
        self._shift = self._shifts()

    def orders(self, seeds: Sequence[int]) -> list[Order]:
        """An order for each of the models that are left."""
        return [Order(size, seed=seed) for size, seed in zip(self.sizes, seeds, strict=True)]

    def batch(self, rows: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The samples at `rows` (M, B): blocks (M, B, width) and targets (M, B)."""
        places = (rows.to(self.device) + self._shift).flatten()
        return {name: _taken(block, places, rows) for name, block in self._blocks.items()}, _taken(self._target, places, rows)

    def sample(self, place: int, n_rows: int, *, seed: int) -> dict[str, Tensor]:
        """Up to `n_rows` random rows of the fold at this place of the original stack: blocks (1, rows, width)."""
        size = self._all_sizes[place]
        chosen = torch.randperm(size, generator=torch.Generator().manual_seed(seed))[:n_rows].to(self.device)
        return {name: block[place, chosen][None] for name, block in self._blocks.items()}

    def whole(self) -> tuple[dict[str, Tensor], Tensor, list[int]]:
        """All rows of the original stack: blocks (M, N, width), targets (M, N), and how many rows of each are real."""
        return self._blocks, self._target, self._all_sizes

    def fold(self, place: int) -> tuple[dict[str, Tensor], Tensor, list[int]]:
        """The same of the one fold at this place of the original stack."""
        size = self._all_sizes[place]
        chosen = (slice(place, place + 1), slice(size))
        return {name: block[chosen] for name, block in self._blocks.items()}, self._target[chosen], [size]

    def targets(self) -> list[Tensor]:
        """Each fold's own targets."""
        return [self._target[place, :size] for place, size in zip(self._places, self.sizes, strict=True)]

    def slices(self, size: int) -> Iterator[tuple[dict[str, Tensor], Tensor, Tensor]]:
        """Everything in order, `size` rows at a time: blocks, target, and which rows are real (M, B)."""
        limits = torch.tensor(self.sizes, device=self.device)[:, None]
        longest = max(self.sizes)
        for start in range(0, longest, size):
            stop = min(start + size, longest)
            real = torch.arange(start, stop, device=self.device)[None, :] < limits
            blocks = {name: block[self._places, start:stop] for name, block in self._blocks.items()}
            yield blocks, self._target[self._places, start:stop], real


def kept_as(target: Array) -> np.dtype[Any]:
    """Masks as they are, a byte each; classes as whole numbers, all else as float32."""
    return target.dtype if target.ndim == 3 else np.dtype(np.int64 if target.dtype.kind in "iu" else np.float32)


def _taken(block: Tensor, places: Tensor, rows: Tensor) -> Tensor:
    return block.flatten(0, 1).index_select(0, places).view(*rows.shape, *block.shape[2:])
