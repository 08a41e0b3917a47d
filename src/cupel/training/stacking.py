"""The data of several folds as one tensor per block, sampled by index."""

from __future__ import annotations

from collections.abc import Sequence
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


class Stack:
    """Samples of M folds, padded to the longest: each block (M, N, width), the target (M, N), `sizes` (M,) rows of each."""

    def __init__(self, parts: Sequence[Inputs], targets: Sequence[Array], shape: InputShape, *, device: str) -> None:
        self.sizes = [part.n_samples for part in parts]
        self.longest = max(self.sizes)
        self.n_models = len(parts)
        self.device = device
        all_blocks = [padded(part, shape) for part in parts]
        names = list(all_blocks[0])
        self.blocks = {name: self._stacked([blocks[name] for blocks in all_blocks]) for name in names}
        self.target = self._stacked([target.astype(np.int64 if target.dtype.kind in "iu" else np.float32) for target in targets])
        self._shift = torch.arange(self.n_models, device=device)[:, None] * self.longest

    def _stacked(self, arrays: Sequence[Array]) -> Tensor:
        stacked = np.zeros((self.n_models, self.longest, *arrays[0].shape[1:]), arrays[0].dtype)
        for position, array in enumerate(arrays):
            stacked[position, : len(array)] = array
        return torch.from_numpy(stacked).to(self.device)

    def batch(self, rows: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The samples at `rows` (M, B): blocks (M, B, width) and targets (M, B)."""
        places = (rows + self._shift).flatten()
        return {name: _taken(block, places, rows) for name, block in self.blocks.items()}, _taken(self.target, places, rows)

    def shuffled(self, batch_size: int, generators: Sequence[torch.Generator]) -> list[Tensor]:
        """Rows of each step of an epoch, (M, B) each; every fold draws its own order, a short fold starts over."""
        n_steps = max(self.longest // batch_size, 1)
        n_rows = min(n_steps * batch_size, max(self.longest, 1)) if self.longest >= batch_size else self.longest
        orders = [_order(size, n_rows, generator) for size, generator in zip(self.sizes, generators, strict=True)]
        order = torch.stack(orders).to(self.device)
        return list(torch.split(order, batch_size, dim=1)) if self.longest >= batch_size else [order]

    def slices(self, size: int) -> list[tuple[dict[str, Tensor], Tensor, Tensor]]:
        """Everything in order, `size` rows at a time: blocks, target, and which rows are real (M, B)."""
        limits = torch.tensor(self.sizes, device=self.device)[:, None]
        parts = []
        for start in range(0, self.longest, size):
            stop = min(start + size, self.longest)
            real = torch.arange(start, stop, device=self.device)[None, :] < limits
            parts.append(({name: block[:, start:stop] for name, block in self.blocks.items()}, self.target[:, start:stop], real))
        return parts


def _order(size: int, n_rows: int, generator: torch.Generator) -> Tensor:
    order = torch.randperm(size, generator=generator)
    while len(order) < n_rows:
        order = torch.cat([order, torch.randperm(size, generator=generator)])
    return order[:n_rows]


def _taken(block: Tensor, places: Tensor, rows: Tensor) -> Tensor:
    return block.flatten(0, 1).index_select(0, places).view(*rows.shape, *block.shape[2:])
