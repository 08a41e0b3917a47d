"""What tells all cells of a table from others, taken while they pass by."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cupel.core.decoding import STRONG_MARKERS, spelled
from cupel.data.frames import array_of_series

Array = NDArray[Any]
N_PROBED = 200


class Content:
    """A digest of columns in batches of a given length, cell by cell in their order.

    A text table has that of a file with types that holds the same numbers and texts. Moments count as each file holds them.
    """

    def __init__(self) -> None:
        self._digests: dict[str, Any] = {}
        self._as_numbers: dict[str, bool] = {}

    def add(self, series: pl.Series, *, numbers: Array | None = None) -> None:
        """The next batch of a column; `numbers` are its cells as such, NaN for those that are none, where that is known."""
        plain, name = _plain(series), series.name
        digest = self._digests.setdefault(name, hashlib.sha256())
        if plain.dtype == pl.String and not self._as_numbers.setdefault(name, _has_numbers(plain)):
            _add_texts(digest, plain)
            return
        numbers = plain.cast(pl.Float64, strict=False).to_numpy() if numbers is None else numbers
        cells = numbers + 0.0  # -0.0 becomes 0.0
        is_none = np.isnan(cells)
        cells[is_none] = np.nan  # one of the many bit patterns
        digest.update(cells.astype("<f8", copy=False))
        if plain.dtype == pl.String and is_none.any():
            odd = plain.filter(is_none)
            is_text = ~odd.fill_null("").str.strip_chars().str.to_lowercase().is_in(["", *STRONG_MARKERS])
            if is_text.any():
                digest.update(np.flatnonzero(is_none)[is_text.to_numpy()].astype("<i8"))
                _add_texts(digest, odd.filter(is_text))

    @property
    def digest(self) -> str:
        """Of all that has passed."""
        facts = [(name, digest.hexdigest()) for name, digest in self._digests.items()]
        return hashlib.sha256(repr(facts).encode()).hexdigest()


def _add_texts(digest: Any, texts: pl.Series) -> None:
    digest.update(texts.str.len_bytes().fill_null(0).to_numpy().astype("<u4"))
    digest.update(texts.str.join("").item().encode())


def _has_numbers(texts: pl.Series) -> bool:
    """Whether there are any among the first cells, or nothing."""
    first = texts.head(N_PROBED).drop_nulls()
    first = first.filter(first.str.strip_chars() != "")
    return not len(first) or bool(first.cast(pl.Float64, strict=False).is_not_null().any())


def _plain(series: pl.Series) -> pl.Series:
    """Numbers or texts."""
    kind = series.dtype
    if kind.is_temporal():
        return series.to_physical().cast(pl.String)
    if kind.is_numeric() or kind == pl.String:
        return series
    if kind in (pl.Boolean, pl.Categorical, pl.Enum):
        return series.cast(pl.String)
    cells = [None if cell is None else spelled(cell) for cell in array_of_series(series).tolist()]
    return pl.Series(series.name, cells, dtype=pl.String)
