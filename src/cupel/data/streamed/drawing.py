"""Draws rows while they pass by: the same for a seed, in the right shares of classes, and by whole groups."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

Array = NDArray[Any]
FEWEST_OF_A_CLASS = 20
MOST_CLASSES = 1000
MARK, ROW = "\x1fmark", "\x1frow"
"""Columns of our own beside those of the table."""
ROOM, KEPT = 1.6, 1.15
"""So many times what is wanted is held at most, and kept when it is too much."""


def marks_of(rows: NDArray[np.int64], *, seed: int) -> NDArray[np.float64]:
    """A number from 0 to 1 for each row, as good as random: what decides what a row is for.

    Source: Steele et al. 2014, doi:10.1145/2660193.2660195, the finaliser of SplitMix64.
    """
    with np.errstate(over="ignore"):
        mixed = rows.astype(np.uint64) + np.uint64((0x9E3779B97F4A7C15 * (2 * seed + 1)) % 2**64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) / 2**53)


def marks_of_groups(groups: pl.Series, *, seed: int) -> NDArray[np.float64]:
    """The same, one number for all rows of a group; rows without one are a group together."""
    distinct = groups.unique(maintain_order=True)
    marks = [_mark(cell, seed) for cell in distinct.to_list()]
    table = pl.DataFrame({"group": distinct, "mark": pl.Series(marks, dtype=pl.Float64)})
    joined = groups.alias("group").to_frame().join(table, on="group", how="left", nulls_equal=True, maintain_order="left")
    return joined["mark"].to_numpy()


def _mark(cell: Any, seed: int) -> float:
    digest = hashlib.blake2b(f"{seed}/{cell}".encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


class Drawing:
    """Rows with the least marks, `n_wanted` of them.

    Where `classes` names a column of few different cells, each has its share of what is drawn, and 20 rows at least where it
    has so many. With `groups` all rows of a group are drawn, or none.
    """

    def __init__(self, n_wanted: int, *, seed: int, classes: str | None = None, groups: str | None = None) -> None:
        self._n_wanted, self._seed, self._groups = n_wanted, seed, groups
        self._classes = None if groups else classes
        self._held: list[pl.DataFrame] = []
        self._threshold = 1.0
        self._n_of: dict[Any, int] = {}
        self.n_rows = 0

    def add(self, frame: pl.DataFrame) -> None:
        """The next rows."""
        if self._classes is not None and frame[self._classes].dtype.is_float():
            frame = frame.with_columns(pl.col(self._classes).fill_nan(None))  # no NaN equals another
        rows = np.arange(self.n_rows, self.n_rows + frame.height)
        self.n_rows += frame.height
        if self._groups is None:
            marks = marks_of(rows, seed=self._seed)
        else:
            marks = marks_of_groups(frame[self._groups], seed=self._seed)
        is_drawn = marks <= self._threshold
        if self._classes is not None:
            is_drawn |= self._is_rare(frame[self._classes])
        marked = frame.with_columns(pl.Series(MARK, marks), pl.Series(ROW, rows)).filter(is_drawn)
        self._held.append(marked)
        if sum(each.height for each in self._held) > ROOM * self._n_wanted:
            self._thin_out()

    def _is_rare(self, classes: pl.Series) -> Array:
        """Rows of classes that are still rare; all classes are counted."""
        counted = classes.value_counts()
        for cell, count in zip(counted.to_series(0).to_list(), counted.to_series(1).to_list(), strict=True):
            self._n_of[cell] = self._n_of.get(cell, 0) + count
        if len(self._n_of) > MOST_CLASSES:
            self._classes, self._n_of = None, {}
            return np.zeros(len(classes), np.bool_)
        few = FEWEST_OF_A_CLASS * max(1.0, self.n_rows / self._n_wanted)
        rare = [cell for cell, count in self._n_of.items() if count <= few]
        return classes.is_in(pl.Series(rare, dtype=classes.dtype), nulls_equal=True).to_numpy()

    def _thin_out(self) -> None:
        held = pl.concat(self._held)
        n_kept = int(KEPT * self._n_wanted)
        if held.height > n_kept:
            self._threshold = float(np.partition(held[MARK].to_numpy(), n_kept)[n_kept])
            is_kept = pl.col(MARK) <= self._threshold
            if self._classes is not None:
                is_kept |= pl.col(MARK).rank("ordinal").over(self._classes) <= FEWEST_OF_A_CLASS
            held = held.filter(is_kept)
        self._held = [held]

    def drawn(self) -> tuple[pl.DataFrame, NDArray[np.int64]]:
        """The rows in their order, and where each stands in the source."""
        held = pl.concat(self._held)
        self._held = []
        marks = held[MARK].to_numpy()
        if self._groups is not None:
            chosen = _whole_groups(marks, self._n_wanted)
        elif self._classes is not None:
            chosen = self._by_class(held)
        else:
            chosen = np.argsort(marks, kind="stable")[: self._n_wanted]
        found = held[np.sort(chosen)].sort(ROW)
        return found.drop(MARK, ROW), found[ROW].to_numpy()

    def _by_class(self, held: pl.DataFrame) -> Array:
        """Each class's share of what is wanted, those with the least marks."""
        assert self._classes is not None, "asked only where there are classes"
        share = self._n_wanted / max(self.n_rows, 1)
        ranked = held.select(pl.col(self._classes).alias("cell"), pl.col(MARK).rank("ordinal").over(self._classes).alias("rank"))
        cells = list(self._n_of)
        quotas = [max(round(share * self._n_of[cell]), FEWEST_OF_A_CLASS) for cell in cells]
        table = pl.DataFrame({"cell": pl.Series(cells, dtype=ranked["cell"].dtype), "quota": pl.Series(quotas, dtype=pl.Int64)})
        joined = ranked.join(table, on="cell", how="left", nulls_equal=True, maintain_order="left")
        return np.flatnonzero((joined["rank"] <= joined["quota"]).to_numpy())


def _whole_groups(marks: Array, n_wanted: int) -> Array:
    """Rows of the groups with the least marks, so many groups as are needed."""
    if len(marks) <= n_wanted:
        return np.arange(len(marks))
    last = float(np.partition(marks, n_wanted - 1)[n_wanted - 1])
    return np.flatnonzero(marks <= last)
