"""`cupel predict`: a packed model and a file of rows, or pictures, in, a file of predictions out."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cupel.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from cupel.serving import Predictor

N_SHOWN = 10
SECONDS_BEFORE_PROGRESS = 2.0
_SUFFIXES = (".csv", ".parquet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("model", metavar="MODEL", help="the model.cupel file")
    parser.add_argument(
        "source",
        metavar="FILE",
        help="the rows: CSV, Parquet, or anything that `fit` reads; pictures, a folder or archive of them",
    )
    parser.add_argument(
        "-o",
        "--out",
        metavar="OUT",
        help=f"a .csv or .parquet file, or - for standard output; without it {N_SHOWN} rows are shown. For masks: a folder",
    )
    parser.add_argument(
        "--proba", action=argparse.BooleanOptionalAction, default=True, help="also the probability of each class (default)"
    )
    parser.add_argument(
        "--coverage",
        type=float,
        metavar="P",
        help="also low and high ends of a range, or the set of classes, that holds the truth with this probability, such as 0.9",
    )
    parser.add_argument(
        "--abstain", type=float, metavar="P", help="answer only rows of which at least this share is surely answered rightly"
    )
    parser.add_argument("--keep", action="append", default=[], metavar="A,B", help="columns of FILE to copy; repeatable")
    parser.add_argument("--query", metavar="SQL", help="for databases: the query whose rows are predicted")
    parser.add_argument("--sheet", help="for Excel: the sheet")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="processors for one prediction (default 1)")
    parser.add_argument(
        "--memory", metavar="SIZE", help="what the model may take, such as 8GB (default: half of what is available)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Predict and write."""
    from cupel.serving import load
    from cupel.serving.pictures import is_picture_source

    if Path(arguments.out or "").suffix.lower() in _SUFFIXES:
        _check_out(arguments)  # before anything is loaded
    predictor = load(arguments.model, threads=arguments.threads, memory=arguments.memory, is_alone=True)
    if predictor.task.grid:
        return _masks(predictor, arguments)
    _check_out(arguments)
    faults: list[str] = []
    if is_picture_source(arguments.source):
        columns, faults = _of_pictures(predictor, arguments)
    else:
        columns = _of_table(predictor, arguments)
    for note in predictor.notes:
        print(f"note: {note}", file=sys.stderr)
    _write(columns, arguments.out)
    if faults:
        from cupel.cli.predicting_pictures import listed

        raise DataError(listed(faults, n_files=len(columns["prediction"]) + len(faults)))
    return 0


def _masks(predictor: Predictor, arguments: argparse.Namespace) -> int:
    """Write a mask for each picture, and a table of them."""
    from cupel.cli.predicting_masks import TABLE, predicted_masks
    from cupel.cli.predicting_pictures import listed
    from cupel.cli.predictions import shown, written
    from cupel.core.storage import write_bytes
    from cupel.serving.pictures import files_in, is_picture_source

    if arguments.out is None or Path(arguments.out).suffix.lower() in _SUFFIXES or arguments.out == "-":
        raise UsageError("this model gives a mask for each picture; name a folder for them with -o FOLDER.")
    if not is_picture_source(arguments.source):
        raise UsageError(f"{arguments.source} holds no pictures, of which this model makes masks; name one, or a folder of them.")
    column = predictor.pictures
    assert column is not None, "a model of masks reads pictures alone"
    files, source, out = files_in(arguments.source), Path(arguments.source), Path(arguments.out)
    with _progress(len(files), "pictures") as progress:
        columns, faults = predicted_masks(predictor, files, column=column, source=source, out=out, progress=progress)
    write_bytes(out / TABLE, written(columns, suffix=".csv"))
    print(shown(columns, n_rows=N_SHOWN))
    print(f"{len(columns['prediction']):,} masks and {TABLE} written to {out}", file=sys.stderr)
    if faults:
        raise DataError(listed(faults, n_files=len(files)))
    return 0


def _of_table(predictor: Predictor, arguments: argparse.Namespace) -> dict[str, Any]:
    """Columns that are kept, and predictions, a row for each row of the file."""
    rows = _columns(predictor, arguments)
    kept = _kept(arguments.keep, rows)
    with _progress(len(next(iter(rows.values()), ())), "rows") as progress:
        predicted = predictor.predict_columns(
            rows,
            progress=progress,
            folder=_folder_of(arguments.source),
            coverage=arguments.coverage,
            abstain=arguments.abstain,
        )
    if not arguments.proba:
        predicted = _without_probabilities(predicted)
    taken = [name for name in kept if name in predicted]
    if taken:
        raise UsageError(f"--keep {taken[0]!r}: the predictions have a column of that name; rename it in the rows.")
    return {**{name: rows[name] for name in kept}, **predicted}


def _columns(predictor: Predictor, arguments: argparse.Namespace) -> dict[str, Any]:
    """The columns of a table, or that of pictures which an archive holds."""
    from cupel.data.files import read_columns
    from cupel.serving.pictures import stack_of
    from cupel.serving.stacks import is_stack_source, stack_in

    if predictor.pictures is None or not is_stack_source(arguments.source):
        return read_columns(arguments.source, query=arguments.query, sheet=arguments.sheet)
    for option in ("query", "sheet"):
        if getattr(arguments, option) is not None:
            raise UsageError(f"--{option} is for tables, and {arguments.source} holds pictures; leave it out.")
    return {predictor.pictures.name: stack_of(stack_in(Path(arguments.source)))}


def _without_probabilities(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {name: cells for name, cells in columns.items() if not name.startswith("probability_")}


def _of_pictures(predictor: Predictor, arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Paths and predictions, a row for each picture that can be read, and what is wrong with the others."""
    from cupel.cli.predicting_pictures import predicted_files
    from cupel.serving.pictures import files_in

    column = predictor.pictures
    if column is None:
        names = ", ".join(predictor.feature_names[:N_SHOWN])
        raise DataError(
            f"{arguments.source} is a picture or a folder, and this model reads a table with the columns "
            f"{names}; name a file of rows."
        )
    for option in ("keep", "query", "sheet"):
        if getattr(arguments, option) not in (None, []):
            raise UsageError(f"--{option} is for tables, and {arguments.source} holds pictures; leave it out.")
    files = files_in(arguments.source)
    with _progress(len(files), "pictures") as progress:
        columns, faults = predicted_files(
            predictor, files, column=column, progress=progress, coverage=arguments.coverage, abstain=arguments.abstain
        )
    return columns if arguments.proba else _without_probabilities(columns), faults


def _folder_of(source: str) -> Path:
    """Where relative paths in the cells of a file begin."""
    return Path() if "://" in source else Path(source).parent


def _write(columns: Mapping[str, Any], out: str | None) -> None:
    """To a file, to standard output, or the first rows to the screen."""
    from cupel.cli.predictions import shown, written
    from cupel.core.storage import write_bytes

    n_rows = len(columns["prediction"])
    if out is None:
        print(shown(columns, n_rows=N_SHOWN))
        if n_rows > N_SHOWN:
            print(f"{N_SHOWN} of {n_rows:,} rows; write all with -o OUT.csv")
    elif out == "-":
        sys.stdout.buffer.write(written(columns, suffix=".csv"))
        sys.stdout.buffer.flush()
    else:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(Path(out), written(columns, suffix=Path(out).suffix.lower()))
        print(f"{n_rows:,} predictions written to {out}", file=sys.stderr)


def _check_out(arguments: argparse.Namespace) -> None:
    """Refuse, before any work, to write what cannot be written or must not be."""
    if arguments.out in (None, "-"):
        return
    out = Path(arguments.out)
    if out.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"-o {arguments.out!r}: predictions are written as .csv or .parquet; name such a file, or - for CSV.")
    if out.is_dir():
        raise UsageError(f"-o {arguments.out!r} is a folder; name a file in it.")
    for given in (arguments.model, arguments.source):
        if os.path.exists(given) and os.path.exists(out) and os.path.samefile(given, out):
            raise UsageError(f"-o {arguments.out!r} would overwrite {given!r}, which is being read; name another file.")


def _kept(options: Sequence[str], rows: Mapping[str, Any]) -> list[str]:
    names: list[str] = []
    for option in options:
        names += [option] if option in rows else [name.strip() for name in option.split(",") if name.strip()]
    unknown = [name for name in names if name not in rows]
    if unknown:
        more = f" and {len(rows) - 20} more" if len(rows) > 20 else ""
        raise UsageError(f"--keep {unknown[0]!r}: the rows have no such column; they have {', '.join(list(rows)[:20])}{more}.")
    return list(dict.fromkeys(names))


@contextmanager
def _progress(n_rows: int, noun: str) -> Iterator[Any]:
    """A function that shows the fraction done on standard error, once it has taken some time and somebody watches."""
    started, is_watched, has_shown = time.monotonic(), sys.stderr.isatty(), False

    def show(fraction: float) -> None:
        nonlocal has_shown
        seconds = time.monotonic() - started
        if is_watched and seconds > SECONDS_BEFORE_PROGRESS:
            has_shown = True
            left = seconds / fraction - seconds
            print(f"\r{fraction:5.0%} of {n_rows:,} {noun}, about {left:.0f} s left ", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        if has_shown:
            print("\r" + " " * 60 + "\r", end="", file=sys.stderr, flush=True)
