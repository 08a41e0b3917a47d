"""What a model reads: named blocks of numbers, made from a dataset by a preparation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Inputs:
    """Prepared samples.

    `blocks` maps a block name to an array whose first axis is samples. Float blocks are float32; they are free
    of NaN unless the preparation leaves missing values to the model. Integer blocks are int64 indices;
    `cardinalities[name]` holds, per column of the block, the number of distinct indices (index 0 is "missing or unseen").
    """

    blocks: Mapping[str, Array]
    cardinalities: Mapping[str, tuple[int, ...]]

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return len(next(iter(self.blocks.values())))

    @property
    def widths(self) -> dict[str, int]:
        """Size of the second axis of each block."""
        return {name: int(block.shape[1]) for name, block in self.blocks.items()}

    @property
    def extents(self) -> dict[str, tuple[int, ...]]:
        """Sizes of the further axes of blocks that have any: height and width of pixels."""
        return {name: tuple(map(int, block.shape[2:])) for name, block in self.blocks.items() if block.ndim > 2}

    def at(self, rows: Array) -> Inputs:
        """Some rows, in that order."""
        return Inputs({name: block[rows] for name, block in self.blocks.items()}, self.cardinalities)

    def followed_by(self, other: Inputs) -> Inputs:
        """These rows and then those of another part of the same preparation."""
        blocks = {name: np.concatenate([block, other.blocks[name]]) for name, block in self.blocks.items()}
        return Inputs(blocks, self.cardinalities)

    def matrix(self) -> NDArray[np.float32]:
        """All blocks side by side as one float32 matrix, in block order: what models without embeddings read."""
        return np.concatenate([block.astype(np.float32, copy=False) for block in self.blocks.values()], axis=1)


@dataclass(frozen=True)
class InputShape:
    """What a network must know of its inputs before it sees any: block widths, further extents, and index cardinalities."""

    widths: Mapping[str, int]
    cardinalities: Mapping[str, tuple[int, ...]]
    extents: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def covering(cls, all_inputs: Sequence[Inputs]) -> InputShape:
        """The smallest shape that holds every one of the inputs: folds may differ in the categories they saw.

        Float blocks are padded with zero columns up to the widest; cardinalities are the largest. Further extents are the same
        in all.
        """
        widths: dict[str, int] = {}
        cardinalities: dict[str, tuple[int, ...]] = {}
        extents: dict[str, tuple[int, ...]] = {}
        for inputs in all_inputs:
            for name, sizes in inputs.extents.items():
                assert extents.setdefault(name, sizes) == sizes, f"a preparation gives {name} one size"
            for name, width in inputs.widths.items():
                widths[name] = max(width, widths.get(name, 0))
            for name, sizes in inputs.cardinalities.items():
                known = cardinalities.get(name, sizes)
                cardinalities[name] = tuple(max(a, b) for a, b in zip(known, sizes, strict=True))
        return cls(widths, cardinalities, extents)
