"""Rows in files are the rows that were written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

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


def stored_rows(folder: Path) -> tuple[StoredRows, Inputs]:
    part = Inputs({"numeric": np.arange(12, dtype=np.float32).reshape(4, 3)}, {})
    rows = StoredRows(folder)
    rows.append(part)
    return rows, part


def test_what_was_written_after_the_last_state_is_cut_off(tmp_path: Path) -> None:
    rows, part = stored_rows(tmp_path / "rows")
    state = rows.state()
    rows.append(part)
    again = StoredRows(tmp_path / "rows")
    again.restore(state, like=part)
    again.append(part)
    assert again.state() == rows.state()
    np.testing.assert_array_equal(again.between(0, 9).blocks["numeric"], np.tile(part.blocks["numeric"], (2, 1)))


def test_a_store_that_was_empty_is_empty_again(tmp_path: Path) -> None:
    rows, part = stored_rows(tmp_path / "rows")
    again = StoredRows(tmp_path / "rows")
    again.restore({"n_samples": 0, "checksums": {"numeric": 0}}, like=part)
    again.append(part)
    assert again.state() == rows.state()
    assert (tmp_path / "rows" / "numeric.rows").stat().st_size == 48


@pytest.mark.parametrize("make", [Path.symlink_to, Path.hardlink_to])
def test_nothing_elsewhere_is_cut_off_or_written_to(tmp_path: Path, make: Callable[[Path, Path], None]) -> None:
    rows, part = stored_rows(tmp_path / "rows")
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "rows" / "numeric.rows").rename(elsewhere)
    with elsewhere.open("ab") as stream:
        stream.write(b"more")
    make(tmp_path / "rows" / "numeric.rows", elsewhere)
    with pytest.raises((OSError, ValueError)):
        StoredRows(tmp_path / "rows").restore(rows.state(), like=part)
    with pytest.raises((OSError, ValueError)):
        rows.append(part)
    assert elsewhere.read_bytes().endswith(b"more")


def test_damage_is_seen_before_anything_is_cut_off(tmp_path: Path) -> None:
    rows, part = stored_rows(tmp_path / "rows")
    state = rows.state()
    rows.append(part)
    path = tmp_path / "rows" / "numeric.rows"
    path.write_bytes(b"\x01" + path.read_bytes()[1:])
    with pytest.raises(ValueError, match="not what it was"):
        StoredRows(tmp_path / "rows").restore(state, like=part)
    assert path.stat().st_size == 96
