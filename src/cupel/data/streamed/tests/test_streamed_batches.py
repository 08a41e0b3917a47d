"""A file that is read in pieces holds what it holds when it is read whole."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cupel.core.errors import DataError
from cupel.data.files import read_columns
from cupel.data.frames import array_of_series
from cupel.data.streamed import batches_of
from cupel.data.streamed.blocks import TextTable

TEXTS = {
    "plain": "a,b\n1,x\n2,y\n3,z\n",
    "windows": "\ufeffa;b\r\n1;x\r\n2;y\r\n",
    "quotes": 'a,b\n1,"x\ny, z"\n2,"he said ""no"""\n\n3,w\n',
    "no end": "a\tb\n1\tx\n2\ty",
    "gaps": 'a,b\n,\n"",x\nNA,\n',
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
@pytest.mark.parametrize("block_bytes", [7, 1 << 20])
@pytest.mark.parametrize("is_compressed", [False, True])
def test_text_in_pieces_is_the_text(
    text: str, block_bytes: int, is_compressed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cupel.data.streamed.blocks.BLOCK_BYTES", block_bytes)
    path = tmp_path / ("t.csv.gz" if is_compressed else "t.csv")
    path.write_bytes(gzip.compress(text.encode()) if is_compressed else text.encode())
    batches = batches_of(path)
    assert batches is not None
    joined = pl.concat(batches.frames())
    whole = read_columns(path)
    assert list(whole) == joined.columns
    for name, cells in whole.items():
        assert [cell or None for cell in joined[name].to_list()] == [cell or None for cell in cells.tolist()]


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_columns_in_pieces_are_the_columns(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cupel.data.streamed.batches.MOST_ROWS_OF_A_BATCH", 7)
    frame = pl.DataFrame({"n": [*range(19), None], "t": [str(n) for n in range(20)]})
    path = tmp_path / f"t.{suffix}"
    frame.write_parquet(path) if suffix == "parquet" else frame.write_ipc(path)
    batches = batches_of(path)
    assert batches is not None
    assert batches.n_rows == 20
    pieces = list(batches.frames())
    assert [piece.height for piece in pieces] == [7, 7, 6]
    assert pl.concat(pieces).equals(frame)


def test_lines_of_another_length_are_left_to_who_reads_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n" + "3,4\n" * 5 + "5,6,7\n")
    assert TextTable.of(path, b"a,b") is None


def test_a_ragged_line_far_down_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cupel.data.streamed.batches.ROWS_TO_WEIGH", 5)
    monkeypatch.setattr("cupel.data.streamed.blocks.SNIFFED_BYTES", 20)
    monkeypatch.setattr("cupel.data.streamed.blocks.BLOCK_BYTES", 20)
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "3,4\n" * 50 + "5,6,7\n")
    batches = batches_of(path)
    assert batches is not None
    with pytest.raises(DataError, match="cells"):
        list(batches.frames())


def test_a_quote_that_is_never_closed_is_named_before_the_file_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cupel.data.streamed.blocks.SNIFFED_BYTES", 20)
    monkeypatch.setattr("cupel.data.streamed.blocks.BLOCK_BYTES", 30)
    monkeypatch.setattr("cupel.data.streamed.blocks.MOST_HELD_BYTES", 60)
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "3,4\n" * 50 + '5,"6\n' + '7,"8"\n' * 50)
    batches = TextTable.of(path, b"a,b")
    assert batches is not None
    with pytest.raises(DataError, match="a quote opens at line 52 and is not closed"):
        list(batches._blocks())


@pytest.mark.parametrize("content", [b"\xff\xfea\x00,\x00", b'{"a": 1}\n', b"", b"just words\n"])
def test_what_is_no_plain_table_is_left_to_who_reads_it_whole(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    assert batches_of(path) is None


def test_frames_folders_and_addresses_are_no_files(tmp_path: Path) -> None:
    assert batches_of(tmp_path) is None
    assert batches_of("postgresql://host/table") is None
    assert batches_of(pl.DataFrame({"a": [1]})) is None


def test_what_reading_takes_grows_with_the_rows(tmp_path: Path) -> None:
    sizes = []
    for n_rows in (3_000, 30_000):
        path = tmp_path / f"{n_rows}.csv"
        pl.DataFrame({"a": np.arange(n_rows) / 7, "b": ["word"] * n_rows}).write_csv(path)
        batches = batches_of(path)
        assert batches is not None
        assert abs(batches.n_rows - n_rows) < 0.2 * n_rows
        sizes.append(batches.read_bytes)
    assert 8 < sizes[1] / sizes[0] < 12


def test_numbers_with_gaps_become_nan() -> None:
    assert np.isnan(array_of_series(pl.Series([1, None]))[1])
