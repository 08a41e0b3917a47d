"""Tables in memory: Polars, pandas and Arrow frames, dictionaries, records and NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from cupel.core.errors import DataError
from cupel.data.table import Array, RawTable, array_of, columns_of_records

_EXPECTED = "a path, a database URL, a Polars or pandas frame, an Arrow table, a dict of columns, a list of dicts or a 2-D array"


def table_of(source: Any) -> RawTable:
    """Raw columns of a table in memory. Neither pandas nor pyarrow is imported: a frame is read by what it offers.

    Raises:
        DataError: it is none of the tables that are known, or its columns differ in length.
    """
    if isinstance(source, pl.LazyFrame):
        source = source.collect()
    if isinstance(source, pl.DataFrame):
        return _of_polars(source, "the Polars frame")
    if isinstance(source, np.ndarray):
        return _of_array(source)
    if isinstance(source, Mapping):
        return _of_mapping(source)
    if hasattr(source, "iloc") and hasattr(source, "dtypes") and hasattr(source, "columns"):
        return _of_pandas(source)
    if isinstance(source, pl.Series) or hasattr(source, "iloc"):
        raise DataError("a single series is no table; give a frame with a column for every feature and the target.")
    if hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
        return _of_arrow(source)
    if isinstance(source, Sequence) and not isinstance(source, str | bytes):
        return _of_records(source)
    raise DataError(f"a {type(source).__name__} is no table that can be read; expected {_EXPECTED}.")


def columns_of_polars(frame: pl.DataFrame) -> list[Array]:
    """NumPy columns of a Polars frame, in its order."""
    return [array_of_series(series) for series in frame]


def _of_polars(frame: pl.DataFrame, source: str) -> RawTable:
    return RawTable.of(frame.columns, columns_of_polars(frame), source=source)


def array_of_series(series: pl.Series) -> Array:
    """A NumPy column of a Polars one: numbers, truths and moments as such, NaN for null, all else as objects."""
    kind = series.dtype
    if kind.is_integer() or kind.is_float():
        return series.to_numpy()  # NaN for null, then as floats
    if kind == pl.Boolean or kind == pl.String:
        return series.to_numpy()
    if kind.is_decimal():
        return series.cast(pl.Float64).to_numpy()
    if kind == pl.Datetime:
        if getattr(kind, "time_zone", None):
            series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return series.cast(pl.Datetime("us")).to_numpy()
    if kind == pl.Date:
        return series.cast(pl.Datetime("us")).to_numpy()
    if kind == pl.Duration:
        return series.dt.total_microseconds().cast(pl.Float64).to_numpy() / 1e6
    if kind in (pl.Categorical, pl.Enum, pl.Time):
        return series.cast(pl.String).to_numpy()
    return array_of(series.to_list())


def _of_pandas(frame: Any) -> RawTable:
    names = ["_".join(map(str, name)) if isinstance(name, tuple) else name for name in frame.columns]
    columns = [_of_pandas_series(frame.iloc[:, position]) for position in range(len(names))]
    return RawTable.of(names, columns, source="the pandas frame")


def _of_pandas_series(series: Any) -> Array:
    kind = series.dtype
    if isinstance(kind, np.dtype) and kind.kind in "fiubMm":
        return np.asarray(series.to_numpy())
    if hasattr(kind, "tz"):
        return np.asarray(series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy())
    if hasattr(kind, "categories"):
        return array_of(_cells(series.astype(object)))
    if getattr(kind, "kind", "O") in "fiu" and not isinstance(kind, np.dtype):  # nullable and Arrow-backed numbers
        has_missing = bool(series.isna().any()) or kind.kind == "f"
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan) if has_missing else series.to_numpy(dtype=np.int64))
    return array_of(_cells(series.astype(object)))


def _cells(series: Any) -> list[Any]:
    """Python values with None for every way in which pandas says "missing"."""
    missing = series.isna().to_numpy()
    return [None if is_missing else cell for cell, is_missing in zip(series.tolist(), missing, strict=True)]


def _of_arrow(source: Any) -> RawTable:
    names = getattr(source, "column_names", None)
    if names is not None and len(set(names)) < len(names):  # Polars refuses two columns of one name
        frames = [pl.DataFrame(source.select([position])) for position in range(len(names))]
        return RawTable.of(names, [array_of_series(frame.to_series()) for frame in frames], source="the Arrow table")
    try:
        return _of_polars(pl.DataFrame(source), "the Arrow table")
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise DataError(f"the Arrow table cannot be read ({error}); expected columns of plain types.") from error


def _of_mapping(source: Mapping[Any, Any]) -> RawTable:
    columns = [_of_anything(name, column) for name, column in source.items()]
    lengths = {str(name): len(column) for name, column in zip(source, columns, strict=True)}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name!r} has {length}" for name, length in list(lengths.items())[:5])
        raise DataError(f"the columns differ in length ({shown}); give every column one value per row.")
    return RawTable.of(list(source), columns, source="the dict of columns")


def _of_anything(name: Any, column: Any) -> Array:
    if isinstance(column, pl.Series):
        return array_of_series(column)
    if hasattr(column, "iloc"):
        return _of_pandas_series(column)
    if isinstance(column, str | bytes) or not hasattr(column, "__len__"):
        raise DataError(
            f"column {name!r} is {column!r}; expected one value per row. Write {{{name!r}: [{column!r}]}} for one row."
        )
    if isinstance(column, np.ndarray) and column.dtype.kind == "c":
        raise DataError(f"column {name!r} holds complex numbers; give real and imaginary part as two columns.")
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiubMm":
        return column
    return array_of(column.tolist() if isinstance(column, np.ndarray) else list(column))


def _of_records(source: Sequence[Any]) -> RawTable:
    if source and not all(isinstance(record, Mapping) for record in source):
        raise DataError(f"a list of {type(source[0]).__name__} is no table; expected {_EXPECTED}.")
    return RawTable.of(*columns_of_records(source), source="the list of records")


def _of_array(source: Array) -> RawTable:
    if source.dtype.names and source.ndim == 1:
        names: Sequence[Any] = source.dtype.names
        columns = [source[name] for name in names]
    elif source.ndim == 2:
        names = range(source.shape[1])
        columns = [source[:, position] for position in names]
    else:
        raise DataError(f"the array has the shape {source.shape}; expected rows and columns. Reshape it to two dimensions.")
    return RawTable.of(names, [_of_anything(n, c) for n, c in zip(names, columns, strict=True)], source="the array")
