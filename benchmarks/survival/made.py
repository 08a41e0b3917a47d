"""Tables of any length, made piece by piece: numbers, categories of up to many levels, missing cells, a real signal."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

N_NUMBERS, N_WHOLE, N_TRUE = 30, 4, 2
LEVELS = (2, 3, 5, 8, 12, 20, 40, 100, 300, 1000, 3000, 10_000)
ROWS_OF_A_PIECE = 250_000
TARGET = "bought"
N_COLUMNS = N_NUMBERS + N_WHOLE + N_TRUE + len(LEVELS) + 2
"""With a moment and the target: 50."""


def written(path: Path, *, n_rows: int, seed: int = 0) -> Path:
    """The table in a file of the kind that its suffix tells (.parquet, .arrow, .csv, .csv.gz), made unless it is there."""
    if path.exists():
        return path
    write = {".parquet": _parquet, ".arrow": _arrow, ".csv": _csv, ".gz": _gzip}[path.suffix]
    unfinished = path.with_name(f".{path.name}.part")
    write(unfinished, pieces(n_rows, seed=seed))
    unfinished.rename(path)
    return path


def pieces(n_rows: int, *, seed: int = 0) -> Iterator[pl.DataFrame]:
    """The table in pieces, each drawn by itself."""
    world = np.random.default_rng(seed)
    weights = world.normal(size=N_NUMBERS) / np.sqrt(N_NUMBERS)
    effects = [world.normal(size=n) for n in LEVELS]
    for start in range(0, n_rows, ROWS_OF_A_PIECE):
        n_here = min(ROWS_OF_A_PIECE, n_rows - start)
        yield _piece(np.random.default_rng([seed, start]), n_here, weights=weights, effects=effects)


def _piece(generator: np.random.Generator, n_rows: int, *, weights: Any, effects: list[Any]) -> pl.DataFrame:
    numbers = generator.normal(size=(n_rows, N_NUMBERS)).round(3)
    whole = generator.poisson(20, size=(n_rows, N_WHOLE))
    truths = generator.random((n_rows, N_TRUE)) < 0.3
    codes = [_codes(generator, n, n_rows) for n in LEVELS]
    moment = np.datetime64("2024-01-01") + generator.integers(0, 366 * 86400, n_rows).astype("timedelta64[s]")
    logit = numbers @ weights + 0.8 * numbers[:, 0] * numbers[:, 1] + 0.7 * (numbers[:, 2] > 1) * truths[:, 0]
    logit += 0.05 * (whole[:, 0] - 20) + 0.5 * sum(effect[code] for effect, code in zip(effects[4:], codes[4:], strict=True)) / 2
    answer = generator.random(n_rows) < 1 / (1 + np.exp(-(logit - 1.0)))
    numbers[:, 5:12][generator.random((n_rows, 7)) < 0.1] = np.nan
    columns: dict[str, Any] = {f"number_{place}": pl.Series(numbers[:, place], nan_to_null=True) for place in range(N_NUMBERS)}
    columns |= {f"whole_{place}": whole[:, place] for place in range(N_WHOLE)}
    columns |= {f"true_{place}": truths[:, place] for place in range(N_TRUE)}
    for n, code in zip(LEVELS, codes, strict=True):
        texts = pl.Series([f"level {level}" for level in range(n)])[code]
        is_missing = pl.Series(generator.random(n_rows) < (0.05 if n % 3 else 0.0))
        columns[f"of_{n}"] = texts.zip_with(~is_missing, pl.Series([None] * n_rows, dtype=pl.String))
    columns["at"] = moment.astype("datetime64[us]")
    columns[TARGET] = pl.Series(np.where(answer, "yes", "no"))
    return pl.DataFrame(columns)


def _codes(generator: np.random.Generator, n_levels: int, n_rows: int) -> Any:
    """Levels of which the first are frequent and the last rare."""
    return np.minimum((n_levels * generator.random(n_rows) ** 2).astype(np.int64), n_levels - 1)


def _parquet(path: Path, made: Iterator[pl.DataFrame]) -> None:
    import pyarrow.parquet as pq

    _arrow_writer(made, lambda schema: pq.ParquetWriter(path, schema))


def _arrow(path: Path, made: Iterator[pl.DataFrame]) -> None:
    import pyarrow as pa

    _arrow_writer(made, lambda schema: pa.ipc.new_file(str(path), schema))


def _arrow_writer(made: Iterator[pl.DataFrame], opened: Callable[[Any], Any]) -> None:
    first = next(made).to_arrow()
    with opened(first.schema) as writer:
        writer.write_table(first)
        for piece in made:
            writer.write_table(piece.to_arrow())


def _csv(path: Path, made: Iterator[pl.DataFrame]) -> None:
    with path.open("wb") as stream:
        for number, piece in enumerate(made):
            piece.write_csv(stream, include_header=number == 0)


def _gzip(path: Path, made: Iterator[pl.DataFrame]) -> None:
    with gzip.open(path, "wb", compresslevel=1) as stream:
        for number, piece in enumerate(made):
            stream.write(piece.write_csv(include_header=number == 0).encode())
