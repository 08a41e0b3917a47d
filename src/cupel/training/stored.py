"""A network that learns from rows in files: those of many short pieces are in memory at a time, and shuffled among themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cupel.core.inputs import Inputs, InputShape
from cupel.core.stored import StoredRows
from cupel.training.stacking import Order, kept_as, padded

Array = NDArray[Any]
MOST_ROWS_OF_A_PIECE, FEWEST_ROWS_OF_A_PIECE, BYTES_OF_A_PIECE = 4096, 64, 4_000_000
BYTES_SHUFFLED = 64_000_000
FEWEST_PIECES = 8
MOST_ROWS_AT_ONCE = 2048
"""That a batch, or a sample for statistics, asks for."""


class PieceOrder(Order):
    """The order in which stored rows are trained on.

    Pieces are drawn at random, `n_pieces` of them at a time, and the rows of those are shuffled: a batch is made of rows from so
    many places of the table, and each row is read once a pass.
    """

    def __init__(self, n_rows: int, *, n_pieces: int, rows_of_a_piece: int, seed: int) -> None:
        super().__init__(n_rows, seed=seed)
        self._n_pieces, self._rows_of_a_piece = n_pieces, rows_of_a_piece
        self._pieces = torch.empty(0, dtype=torch.int64)

    def _more(self) -> Tensor:
        """The rows of the next pieces."""
        if not len(self._pieces):
            self._pieces = torch.randperm(math.ceil(self._n_rows / self._rows_of_a_piece), generator=self._generator)
        together, self._pieces = self._pieces[: self._n_pieces], self._pieces[self._n_pieces :]
        rows = (together[:, None] * self._rows_of_a_piece + torch.arange(self._rows_of_a_piece)).flatten()
        rows = rows[rows < self._n_rows]
        return rows[torch.randperm(len(rows), generator=self._generator)]

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Where it is, for a checkpoint."""
        tensors, facts = super().state()
        return tensors | {"pieces": self._pieces}, facts

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""
        super().restore(tensors, facts)
        self._pieces = tensors["pieces"]


class StoredStack:
    """Stored rows as a `Stack` of one model gives them: blocks (1, B, width), read when they are asked for.

    Pieces that were used last are held, three times as many as are shuffled together: at the end of a pass, where few are left, a
    batch has rows of so many.
    """

    def __init__(self, rows: StoredRows, target: Array, shape: InputShape, *, device: str) -> None:
        self.sizes = [rows.n_samples]
        self.device = device
        self._rows, self._shape = rows, shape
        self._target = torch.from_numpy(target.astype(kept_as(target))).to(device)
        bytes_of_row = max(rows.bytes_of_row, 1)
        self._rows_of_a_piece = min(max(BYTES_OF_A_PIECE // bytes_of_row, FEWEST_ROWS_OF_A_PIECE), MOST_ROWS_OF_A_PIECE)
        of_a_batch = math.ceil(MOST_ROWS_AT_ONCE / self._rows_of_a_piece)
        self._together = max(FEWEST_PIECES, of_a_batch, BYTES_SHUFFLED // (bytes_of_row * self._rows_of_a_piece))
        n_pieces = math.ceil(rows.n_samples / self._rows_of_a_piece)
        self._slots = np.full(n_pieces, -1)
        self._held = np.full(min(3 * self._together, n_pieces), -1)
        self._used = np.zeros(len(self._held), np.int64)
        self._n_asked = 0
        self._blocks: dict[str, Tensor] = {}

    def orders(self, seeds: Sequence[int]) -> list[Order]:
        """An order for the model."""
        drawn = {"n_pieces": self._together, "rows_of_a_piece": self._rows_of_a_piece}
        return [PieceOrder(self.sizes[0], **drawn, seed=seed) for seed in seeds]

    def keep(self, models: Sequence[int]) -> None:
        """Nothing: there is one model, and when it leaves training ends."""
        del models

    def batch(self, rows: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The samples at `rows` (1, B): blocks (1, B, width) and targets (1, B)."""
        wanted = rows[0].numpy()
        pieces, within = np.divmod(wanted, self._rows_of_a_piece)
        self._hold(np.unique(pieces))
        places = self._slots[pieces] * self._rows_of_a_piece + within
        chosen = torch.from_numpy(places).to(self.device)
        blocks = {name: block.index_select(0, chosen)[None] for name, block in self._blocks.items()}
        return blocks, self._target[rows.to(self.device)]

    def sample(self, place: int, n_rows: int, *, seed: int) -> dict[str, Tensor]:
        """About so many rows from all over the files: blocks (1, rows, width)."""
        del place, seed
        return {name: block[None] for name, block in self._tensors(self._rows.spread(n_rows)).items()}

    def whole(self) -> tuple[dict[str, Tensor], Tensor, list[int]]:
        """A few rows: networks that remember all of theirs cannot learn from files."""
        blocks = {name: block[None] for name, block in self._tensors(self._rows.between(0, 1)).items()}
        return blocks, self._target[None, :1], [1]

    def fold(self, place: int) -> tuple[dict[str, Tensor], Tensor, list[int]]:
        """The same: there is one model."""
        del place
        return self.whole()

    def targets(self) -> list[Tensor]:
        """All targets; they are in memory."""
        return [self._target]

    def _hold(self, pieces: Array) -> None:
        """Have these pieces in memory; those that were not asked for longest make room."""
        self._n_asked += 1
        missing = pieces[self._slots[pieces] < 0]
        self._used[self._slots[pieces[self._slots[pieces] >= 0]]] = self._n_asked
        for piece in missing.tolist():
            slot = int(np.argmin(np.where(self._held < 0, -1, self._used)))
            if self._held[slot] >= 0:
                self._slots[self._held[slot]] = -1
            self._read(piece, slot)
            self._held[slot], self._slots[piece], self._used[slot] = piece, slot, self._n_asked

    def _read(self, piece: int, slot: int) -> None:
        read = self._tensors(self._rows.between(piece * self._rows_of_a_piece, (piece + 1) * self._rows_of_a_piece))
        if not self._blocks:
            n_rows = len(self._held) * self._rows_of_a_piece
            self._blocks = {name: torch.zeros((n_rows, *b.shape[1:]), dtype=b.dtype, device=b.device) for name, b in read.items()}
        start = slot * self._rows_of_a_piece
        for name, block in read.items():
            self._blocks[name][start : start + len(block)] = block

    def _tensors(self, inputs: Inputs) -> Mapping[str, Tensor]:
        return {name: torch.from_numpy(block).to(self.device) for name, block in padded(inputs, self._shape).items()}
