"""What is said of a column after one pass in pieces is what is said of it whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from cupel.core.decoding import decode
from cupel.core.schema import Column, ColumnKind
from cupel.data.frames import array_of_series
from cupel.data.kinds import infer
from cupel.data.streamed.cells import read_cells
from cupel.data.streamed.tally import Asked, Tally, TextTally, tally_of

GENERATOR = np.random.default_rng(0)
N = 300
COLUMNS: dict[str, list[Any]] = {
    "numbers": GENERATOR.normal(size=N).tolist(),
    "gaps": [None if n % 7 == 0 else n / 3 for n in range(N)],
    "whole": GENERATOR.integers(0, 9, N).tolist(),
    "row_id": list(range(1000, 1000 + N)),
    "running": list(range(N)),
    "truths": [n % 3 == 0 for n in range(N)],
    "always": [4] * N,
    "at times": [4 if n % 2 else None for n in range(N)],
    "none": [None] * N,
    "words": [f"word {n % 5}" for n in range(N)],
    "decimals": [f"{n / 7:.3f}" for n in range(N)],
    "marked decimals": ["NA" if n % 10 == 0 else f"{n / 7:.3f}" for n in range(N)],
    "dirty decimals": ["twelve" if n == 77 else f"{n / 7:.3f}" for n in range(N)],
    "comma": [f"{n},5" for n in range(N)],
    "yes": ["yes" if n % 2 else "no" for n in range(N)],
    "dates": [f"2024-01-{n % 28 + 1:02d}" for n in range(N)],
    "prose": [f"this is the sentence number {n} of many, none like another" for n in range(N)],
    "codes": [f"{n:05d}" for n in range(N)],
    "weak": ["-" if n % 3 == 0 else str(n % 20) for n in range(N)],
    "empty": ["" if n % 2 else "a" for n in range(N)],
}


def counted(values: pl.Series, *, asked: Asked | None = None, rows: int = 64) -> Tally:
    tally = tally_of(values, asked or Asked())
    for start in range(0, len(values), rows):
        tally.add(values.slice(start, rows))
    return tally


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("is_target", [False, True])
def test_kinds_are_those_of_the_whole_column(name: str, is_target: bool) -> None:
    series = pl.Series(name, COLUMNS[name], dtype=pl.Float64 if name == "none" else None)
    found = counted(series, asked=Asked(is_target=is_target)).typed()
    whole = infer(name, array_of_series(series), is_target=is_target)
    assert (found.column.kind, found.column.levels, found.column.decimal) == (
        whole.column.kind,
        whole.column.levels,
        whole.column.decimal,
    )


@pytest.mark.parametrize("name", ["numbers", "gaps", "decimals", "marked decimals", "dirty decimals", "dates", "comma", "weak"])
def test_counts_are_those_of_the_decoded_column(name: str) -> None:
    series = pl.Series(name, COLUMNS[name])
    tally = counted(series)
    decoded = decode(array_of_series(series), tally.typed().column)
    counts = tally.counts
    assert (counts.n_rows, counts.n_missing) == (N, int(np.isnan(decoded.values).sum()))
    assert counts.n_unreadable == len(decoded.unreadable)
    assert (counts.low, counts.high) == (np.nanmin(decoded.values), np.nanmax(decoded.values))
    assert counts.total == pytest.approx(np.nansum(decoded.values))


def test_too_many_levels_are_those_met_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cupel.data.streamed.tally.MOST_TEXTS", 10)
    tally = counted(pl.Series("c", [f"word {n // 4 % 40}" for n in range(320)]), asked=Asked(kind=ColumnKind.CATEGORY))
    found = tally.typed()
    assert found.column.kind is ColumnKind.CATEGORY
    assert 10 < len(found.column.levels) < 40
    assert tally.counts.n_beyond > 0


def test_a_kind_that_does_not_hold_to_the_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cupel.data.streamed.tally.MOST_TEXTS", 10)
    tally = TextTally("c", Asked())
    tally.add(pl.Series([str(7 * n) for n in range(50)]))
    tally.add(pl.Series([f"word {n}" for n in range(50)]))
    assert tally.typed().column.kind is ColumnKind.TEXT


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        (["1", " 2 ", "1,000", "(3)", "inf", "nan", "NA", None, "", "x", "1e5", "$4"], Column(name="c", kind=ColumnKind.NUMBER)),
        (["1,5", "2", None, "x"], Column(name="c", kind=ColumnKind.NUMBER, decimal=",")),
        (["2024-01-02", "2024-01-03T10:00:00", "x", None], Column(name="c", kind=ColumnKind.DATETIME)),
        (["2024-01-02 03:04:05.25", "2024-01-03", "?"], Column(name="c", kind=ColumnKind.DATETIME)),
        (["yes", "no", "Yes", None], Column(name="c", kind=ColumnKind.BOOLEAN, levels=("no", "yes"))),
    ],
)
def test_cells_are_read_as_everywhere(cells: list[str | None], column: Column) -> None:
    series = pl.Series(cells, dtype=pl.String)
    found, decoded = read_cells(series, column), decode(series.to_numpy(), column)
    np.testing.assert_array_equal(found.values, decoded.values)
    assert (found.n_unreadable, found.n_infinite) == (len(decoded.unreadable), len(decoded.infinite))


def test_categories_are_places_of_levels() -> None:
    column = Column(name="c", kind=ColumnKind.CATEGORY, levels=("a", "3"))
    assert read_cells(pl.Series([" a", "3.0", "b", None]), column).values.tolist() == [0, 1, -1, -1]
    assert read_cells(pl.Series([3, 4]), column).values.tolist() == [1, -1]
