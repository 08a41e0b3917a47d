"""Rows are drawn at random, the same for a seed, in the right shares and by whole groups."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from cupel.core.dataset import Dataset
from cupel.core.errors import DataError, UsageError
from cupel.core.schema import ColumnKind
from cupel.data.reading import Said
from cupel.data.streamed import Whole, batches_of, drawn, needed_bytes, rows_to_search
from cupel.data.streamed.content import Content
from cupel.data.streamed.drawing import Drawing, marks_of
from cupel.data.streamed.planning import rounded_down
from cupel.data.streamed.survey import _demand_time

N = 4000
GENERATOR = np.random.default_rng(0)
FRAME = pl.DataFrame(
    {
        "x": GENERATOR.normal(size=N),
        "kind": [f"kind {n}" for n in GENERATOR.integers(0, 5, N)],
        "who": [f"p{n}" for n in GENERATOR.integers(0, 400, N)],
        "y": ["rare" if n % 400 == 0 else "often" if n % 4 else "seldom" for n in range(N)],
    }
)


def drawn_from(frame: pl.DataFrame, *, rows: int = 700, wanted: int = 400, **options: str) -> tuple[pl.DataFrame, list[int]]:
    drawing = Drawing(wanted, seed=0, **options)  # type: ignore[arg-type]
    for start in range(0, frame.height, rows):
        drawing.add(frame.slice(start, rows))
    found, places = drawing.drawn()
    return found, places.tolist()


def some_of(table: Path) -> tuple[Dataset, Whole]:
    batches = batches_of(table)
    assert batches is not None
    return drawn(batches, Said(target="y"), n_rows=100, seed=0)


def test_marks_are_even_and_differ_by_seed() -> None:
    marks = marks_of(np.arange(100_000), seed=1)
    counts = np.histogram(marks, 20, (0, 1))[0]
    assert counts.min() > 4700
    assert abs(np.corrcoef(marks, marks_of(np.arange(100_000), seed=2))[0, 1]) < 0.02


def test_pieces_of_any_length_give_the_same_rows() -> None:
    first, places = drawn_from(FRAME, rows=113)
    assert places == drawn_from(FRAME, rows=4000)[1] == sorted(places)
    assert first.equals(FRAME[places])
    assert len(places) == 400


def test_nan_and_null_are_one_class() -> None:
    cells = [None if n % 11 == 0 else float("nan") if n % 7 == 0 else float(n % 2) for n in range(N)]
    found, places = drawn_from(FRAME.with_columns(pl.Series("y", cells)), classes="y")
    plain = [None if cell is None or cell != cell else cell for cell in cells]
    assert places == drawn_from(FRAME.with_columns(pl.Series("y", plain)), classes="y")[1] == sorted(set(places))
    assert found.height == pytest.approx(400, abs=2)


def test_each_class_has_its_share_and_rare_ones_some_rows() -> None:
    found, _ = drawn_from(FRAME, classes="y")
    counts = dict(found["y"].value_counts().iter_rows())
    assert counts["rare"] == 10  # all there are
    assert abs(counts["often"] - 300) <= 1
    assert abs(counts["seldom"] - 99) <= 1


def test_groups_are_drawn_whole() -> None:
    found, _ = drawn_from(FRAME, groups="who", classes="y")
    assert 380 < found.height < 440
    for who, n_rows in found["who"].value_counts().iter_rows():
        assert n_rows == (FRAME["who"] == who).sum()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    FRAME.write_csv(tmp_path / "t.csv")
    return tmp_path / "t.csv"


def test_levels_ends_and_counts_are_of_all_rows(table: Path) -> None:
    dataset, whole = some_of(table)
    assert dataset.n_samples == pytest.approx(110, abs=15)
    assert whole.n_rows == N
    assert dataset.schema["x"].low == pytest.approx(FRAME["x"].min())
    assert len(dataset.schema["kind"].levels) == 5
    assert dataset.schema["who"].kind is ColumnKind.CATEGORY
    assert whole.counts["x"]["mean"] == pytest.approx(FRAME["x"].mean())
    assert FRAME["y"][dataset.row_numbers[:5].tolist()].to_list() == [
        dataset.task.classes[code]
        for code in dataset.target[:5].tolist()  # type: ignore[union-attr, index]
    ]


def test_the_file_is_read_again_as_the_drawn_rows_are(table: Path) -> None:
    dataset, whole = some_of(table)
    pieces = list(Whole.from_json(whole.to_json()).pieces(dataset))
    rows = np.concatenate([piece.rows for piece in pieces])
    assert rows.tolist() == list(range(N))
    for name in ("x", "kind", "who"):
        values = np.concatenate([piece.dataset.columns[name] for piece in pieces])
        np.testing.assert_array_equal(values[dataset.row_numbers], dataset.columns[name])
    target = np.concatenate([piece.dataset.target for piece in pieces])  # type: ignore[misc]
    np.testing.assert_array_equal(target[dataset.row_numbers], dataset.target)  # type: ignore[arg-type]


def test_a_file_that_has_changed_is_refused(table: Path) -> None:
    dataset, whole = some_of(table)
    FRAME.head(3000).write_csv(table)
    with pytest.raises(DataError, match="3,000 rows, and had 4,000"):
        list(whole.pieces(dataset))


def test_the_fingerprint_tells_csv_from_nothing_else(table: Path) -> None:
    FRAME.write_parquet(table.with_suffix(".parquet"))
    prints = [
        some_of(path)[0].fingerprint  # type: ignore[arg-type]
        for path in (table, table.with_suffix(".parquet"))
    ]
    assert prints[0] == prints[1]
    FRAME.with_columns(pl.when(pl.int_range(N) == 3999).then(9.5).otherwise("x").alias("x")).write_csv(table)
    changed, _ = some_of(table)  # type: ignore[arg-type]
    assert changed.fingerprint != prints[0]


@pytest.mark.parametrize(("name", "other"), [("kind", "kind 0"), ("y", "seldom")])
def test_one_cell_that_was_not_drawn_changes_the_fingerprint_and_is_refused_later(table: Path, name: str, other: str) -> None:
    dataset, whole = some_of(table)
    place = next(n for n in range(N) if n not in set(dataset.row_numbers.tolist()) and FRAME[name][n] != other)
    cells = FRAME[name].to_list()
    FRAME.with_columns(pl.Series(name, [*cells[:place], other, *cells[place + 1 :]])).write_csv(table)
    changed, _ = some_of(table)
    assert changed.row_numbers.tolist() == dataset.row_numbers.tolist()
    assert changed.fingerprint != dataset.fingerprint
    with pytest.raises(DataError, match="are not what they were when the run began"):
        list(Whole.from_json(whole.to_json()).pieces(dataset, skip=1))


def digest_of(frame: pl.DataFrame, *, rows: int = 3) -> str:
    content = Content()
    for part in frame.iter_slices(rows):
        for series in part:
            content.add(series)
    return content.digest


def test_numbers_and_texts_count_alike_however_a_file_holds_them() -> None:
    typed = pl.DataFrame(
        {"n": [1, 2, None, -3], "f": [0.5, -0.0, math.nan, None], "b": [True, None, False, True], "t": ["a", None, "", "ä"]}
    )
    texts = pl.DataFrame(
        {"n": ["1", "2", "", "-3.0"], "f": ["0.50", "0", "NaN", "n/a"], "b": ["true", "", "false", "true"], "t": typed["t"]}
    )
    assert digest_of(typed) == digest_of(texts)
    assert digest_of(typed.with_columns(typed["t"].cast(pl.Categorical))) == digest_of(texts)


def test_other_cells_and_the_same_in_other_places_have_another_digest() -> None:
    columns: list[list[Any]] = [
        *(["a", "b", "c", None], ["b", "a", "c", None], ["a", "bc", "", None], ["a", "b", None, "c"]),
        *(["1", "x", "2", "y"], ["1", "2", "x", "y"], ["1", "x", "2", None], ["1", "2", "3", "4"], ["1", "2", "4", "3"]),
        *([date(2020, 1, 1)] * 4, [date(2020, 1, 2)] * 4, [[1], [2]], [[1], [3]]),
    ]
    digests = [digest_of(pl.DataFrame({"a": cells}), rows=4) for cells in columns]
    assert len(set(digests)) == len(columns)


def test_how_many_rows_are_searched_on_is_decided_before_reading(table: Path) -> None:
    batches = batches_of(table)
    assert batches is not None
    assert needed_bytes(batches) < 1e9
    assert rows_to_search(batches, memory_bytes=4e9, seconds=60) == 2000
    with pytest.raises(UsageError, match="are needed at least"):
        rows_to_search(batches, memory_bytes=5e8, seconds=60)


@pytest.mark.parametrize(("number", "rounded"), [(1, 1), (4.9, 2), (5, 5), (99, 50), (100, 100), (42_000, 20_000)])
def test_numbers_of_rows_are_round(number: float, rounded: int) -> None:
    assert rounded_down(number) == rounded


def test_too_little_time_to_read_is_told_early() -> None:
    _demand_time(4.0, 0.001, 60.0)  # too early to say
    with pytest.raises(UsageError, match="takes about 400 s"):
        _demand_time(12.0, 0.03, 60.0)
