"""Predictions as a file for people and spreadsheets, or as a small table on a screen."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cupel.core.decoding import spelled
from cupel.core.spreadsheets import FORMULA, harmless

if TYPE_CHECKING:
    import polars

WIDEST = 32


def written(columns: Mapping[str, Any], *, suffix: str) -> bytes:
    """The columns as the content of a ".csv" or ".parquet" file, in their order.

    In CSV, a text that a spreadsheet would run as a formula has an apostrophe put before it; a number never has.
    """
    import polars

    frame = polars.DataFrame([_series(name, cells) for name, cells in columns.items()])
    stream = io.BytesIO()
    if suffix == ".parquet":
        frame.write_parquet(stream)
    else:
        _harmless(frame).write_csv(stream)
    return stream.getvalue()


def shown(columns: Mapping[str, Any], *, n_rows: int) -> str:
    """The first rows as an aligned table."""
    cells = [[name, *(_short(cell) for cell in column[:n_rows])] for name, column in columns.items()]
    numeric = [np.asarray(column).dtype.kind in "fiu" for column in columns.values()]
    return aligned(list(zip(*cells, strict=True)), right=numeric)


def aligned(rows: Sequence[Sequence[str]], *, right: Sequence[bool]) -> str:
    """Rows of equally many texts as a table; columns of numbers stand to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        placed = zip(row, widths, right, strict=True)
        lines.append("  ".join(cell.rjust(width) if is_right else cell.ljust(width) for cell, width, is_right in placed))
    return "\n".join(line.rstrip() for line in lines)


def _short(cell: Any) -> str:
    if isinstance(cell, float | np.floating):
        return f"{cell:.6g}"
    text = "".join(sign if sign.isprintable() else " " for sign in spelled(cell))  # nothing that steers the terminal
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _series(name: str, cells: Any) -> polars.Series:
    import polars

    if cells.dtype.kind in "fiubM":
        return polars.Series(name, cells, nan_to_null=True)
    texts = [cell if cell is None or type(cell) is str else spelled(cell) for cell in cells.tolist()]
    return polars.Series(name, texts, dtype=polars.String)


def _harmless(frame: polars.DataFrame) -> polars.DataFrame:
    """The frame with an apostrophe before names and texts that a spreadsheet would run as a formula."""
    import polars

    texts = polars.col(polars.String)
    is_formula = texts.str.contains(FORMULA) & texts.cast(polars.Float64, strict=False).is_null()
    safe = frame.with_columns(polars.when(is_formula).then("'" + texts).otherwise(texts).name.keep())
    return safe.rename({name: harmless(name) for name in frame.columns})
