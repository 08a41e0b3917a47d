"""Cells of a batch as models read them: what `decode` gives, without an object for every cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cupel.core.decoding import decode
from cupel.core.schema import Column, ColumnKind
from cupel.data.frames import array_of_series

Array = NDArray[Any]
ISO_FORMS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f")
CODED = (ColumnKind.CATEGORY, ColumnKind.CONSTANT)


@dataclass(frozen=True, eq=False)
class Read:
    """Values of one column as `Dataset.columns` holds them; how many cells were there and could not be read, or were infinite."""

    values: Array
    n_unreadable: int = 0
    n_infinite: int = 0


def read_cells(series: pl.Series, column: Column) -> Read:
    """A batch of a column whose kind is known: numbers, truths, moments and categories."""
    is_plain = column.kind is ColumnKind.NUMBER and column.decimal == "." and not column.mending
    if series.dtype == pl.String and is_plain:
        return _read_numbers(series, column)
    if series.dtype == pl.String and column.kind is ColumnKind.DATETIME and not (column.datetime_format or column.mending):
        return _read_moments(series, column)
    if series.dtype == pl.String or column.kind in CODED:
        return _read_distinct(series, column)
    decoded = decode(array_of_series(series), column)
    return Read(decoded.values, len(decoded.unreadable), len(decoded.infinite))


def _read_numbers(series: pl.Series, column: Column) -> Read:
    """Plain ones by Polars; whatever else is there as anywhere."""
    values = series.cast(pl.Float64, strict=False).to_numpy(writable=True)
    odd = np.flatnonzero(~np.isfinite(values) & series.is_not_null().to_numpy())
    if not len(odd):
        return Read(values)
    decoded = decode(series.gather(odd).to_numpy(), column)
    values[odd] = decoded.values
    return Read(values, len(decoded.unreadable), len(decoded.infinite))


def _read_moments(series: pl.Series, column: Column) -> Read:
    """The usual spellings by Polars; whatever else is there as anywhere."""
    probed = series.drop_nulls().head(1)
    for form in ISO_FORMS if len(probed) else ():
        if probed.str.strptime(pl.Datetime("us"), form, strict=False).null_count():
            continue
        parsed = series.str.strptime(pl.Datetime("us"), form, strict=False)
        values = decode(parsed.to_numpy(), column).values
        odd = np.flatnonzero(parsed.is_null().to_numpy() & series.is_not_null().to_numpy())
        decoded = decode(series.gather(odd).to_numpy(), column)
        values[odd] = decoded.values
        return Read(values, len(decoded.unreadable), len(decoded.infinite))
    return _read_distinct(series, column)


def _read_distinct(series: pl.Series, column: Column) -> Read:
    """Each different cell once."""
    distinct = series.unique(maintain_order=True)
    decoded = decode(array_of_series(distinct), column)
    table = decoded.values
    if column.kind in CODED:
        place = {level: index for index, level in enumerate(column.levels)}
        table = np.array([place.get(text, -1) for text in table.tolist()], np.int32)
    codes = _places(series, distinct)
    n_odd = [int(np.isin(codes, places).sum()) if len(places) else 0 for places in (decoded.unreadable, decoded.infinite)]
    return Read(table[codes], *n_odd)


def _places(series: pl.Series, distinct: pl.Series) -> Array:
    """For each cell which of the different ones it is."""
    numbered = pl.DataFrame({"cell": distinct, "place": pl.int_range(0, len(distinct), eager=True, dtype=pl.Int32)})
    joined = series.alias("cell").to_frame().join(numbered, on="cell", how="left", nulls_equal=True, maintain_order="left")
    return joined["place"].to_numpy()
