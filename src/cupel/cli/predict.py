"""`cupel predict`: a packed model and a file of rows in, a file of predictions out."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np

from cupel.core.errors import UsageError

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
N_SHOWN = 10


def add_parser(subparsers: Any) -> None:
    """Add the verb."""
    parser = subparsers.add_parser("predict", help="predict rows of a file with a packed model")
    parser.add_argument("model", metavar="MODEL", help="the model.cupel file")
    parser.add_argument("source", metavar="FILE", help="the rows: CSV, Parquet, or anything that `fit` reads")
    parser.add_argument(
        "-o", "--out", metavar="OUT", help="CSV or Parquet file to write, - for standard output; without it 10 rows are shown"
    )
    parser.add_argument("--no-proba", action="store_true", help="leave the probabilities out")
    parser.add_argument("--keep", action="append", default=[], metavar="COLUMN", help="copy a column of the input; repeatable")
    parser.add_argument("--query", metavar="SQL", help="for databases: the query whose rows are predicted")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="processors for one prediction (default 1)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Predict and write."""
    import polars

    from cupel.data.files import read_columns
    from cupel.serving import load

    predictor = load(arguments.model, threads=arguments.threads)
    rows = read_columns(arguments.source, query=arguments.query)
    unknown = [name for name in arguments.keep if name not in rows]
    if unknown:
        raise UsageError(f"--keep {unknown[0]!r}: the rows have no such column; they have {', '.join(list(rows)[:20])}.")
    predicted = predictor.predict_columns(rows)
    columns = {name: rows[name] for name in arguments.keep}
    columns |= {name: cells for name, cells in predicted.items() if not (arguments.no_proba and name.startswith("probability_"))}
    frame = polars.DataFrame({name: _series(name, cells) for name, cells in columns.items()})
    _write(frame, arguments.out)
    for note in predictor.notes:
        print(f"note: {note}", file=sys.stderr)
    if arguments.out and arguments.out != "-":
        print(f"{len(frame)} predictions written to {arguments.out}", file=sys.stderr)
    return 0


def _series(name: str, cells: Any) -> Any:
    import polars

    if np.asarray(cells).dtype == object:
        return polars.Series(name, [None if cell is None else str(cell) for cell in cells], dtype=polars.String)
    return polars.Series(name, cells)


def _write(frame: Any, out: str | None) -> None:
    from cupel.core.storage import write_bytes

    if out is None:
        print(frame.head(N_SHOWN))
        return
    stream = io.BytesIO()
    if Path(out).suffix == ".parquet":
        frame.write_parquet(stream)
    else:
        _harmless(frame).write_csv(stream)
    if out == "-":
        sys.stdout.buffer.write(stream.getvalue())
        sys.stdout.flush()
    else:
        write_bytes(Path(out), stream.getvalue())


def _harmless(frame: Any) -> Any:
    """The frame with an apostrophe before texts that a spreadsheet would run as a formula; numbers stay."""
    import polars

    texts = [name for name, kind in frame.schema.items() if kind == polars.String]
    is_formula = [
        polars.when(
            polars.col(name).str.contains(r"^[=+\-@\t\r]") & polars.col(name).cast(polars.Float64, strict=False).is_null()
        )
        .then(polars.lit("'") + polars.col(name))
        .otherwise(polars.col(name))
        .alias(name)
        for name in texts
    ]
    return frame.with_columns(is_formula)
