"""Rows in files are the rows that were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cupel.core.inputs import Inputs
from cupel.core.stored import StoredRows


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    numbers, codes = generator.normal(size=(50, 3)).astype(np.float32), generator.integers(0, 9, (50, 2))
    stored = StoredRows(tmp_path / "rows")
    for start in range(0, 50, 20):
        part = slice(start, start + 20)
        blocks = {"numeric": numbers[part], "codes": codes[part], "binary": np.empty((len(numbers[part]), 0), np.float32)}
        stored.append(Inputs(blocks, {"codes": (9, 9)}))
    assert stored.n_samples == 50
    piece = stored.between(15, 45)
    np.testing.assert_array_equal(piece.blocks["numeric"], numbers[15:45])
    np.testing.assert_array_equal(piece.blocks["codes"], codes[15:45])
    assert piece.blocks["binary"].shape == (30, 0)
    assert stored.between(40, 99).n_samples == 10
    assert stored.spread(10, pieces=5).n_samples == 10
    assert stored.spread(99).n_samples == 50
    assert stored.bytes_of_row == 3 * 4 + 2 * 8
