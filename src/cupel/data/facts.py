"""What a dataset holds in a few facts, to say later what of it has changed."""

from __future__ import annotations

import zlib
from typing import Any

from cupel.core.dataset import Dataset
from cupel.core.schema import ColumnKind
from cupel.data.reading import bytes_of

MOST_COLUMNS = 1000
"""With more the facts would be long, and nothing is said but that the data have changed."""


def facts_of(dataset: Dataset, *, n_rows: int | None = None) -> dict[str, Any]:
    """The number of rows, and a checksum for each column's kind, levels and cells; "" for pictures, which take long to read.

    `n_rows` is of the source, where the dataset holds some of its rows only. Empty where there are very many columns.
    """
    if len(dataset.columns) > MOST_COLUMNS:
        return {}
    kept = [column for column in dataset.schema.columns if column.name in dataset.columns]
    sums = {
        column.name: ""
        if column.kind is ColumnKind.IMAGE
        else f"{zlib.crc32(bytes_of(dataset.columns[column.name], column.kind), zlib.crc32(repr(column.levels).encode())):08x}"
        for column in kept
    }
    return {"rows": dataset.n_samples if n_rows is None else n_rows, "columns": sums}
