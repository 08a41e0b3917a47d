"""One pass over all rows: what every column is, what is missing, and the rows that are drawn to be searched on."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.errors import DataError, UsageError
from cupel.core.schema import ColumnKind
from cupel.data.frames import columns_of_polars
from cupel.data.kinds import Typed
from cupel.data.reading import Said
from cupel.data.streamed.batches import Batches
from cupel.data.streamed.content import Content
from cupel.data.streamed.drawing import Drawing
from cupel.data.streamed.tally import Asked, Counts, Tally, tally_of
from cupel.data.table import RawTable

SHARE_OF_TIME = 0.4
"""Of a capped run, that reading all rows once may take: they are read again for the final fit."""
SECONDS_TO_FORESEE = (10.0, 25.0)
"""When it is foreseen: neither from the first rows nor when most is done."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Survey:
    """What one pass found.

    `typed` and `counts` are of all rows, by column, and `content` is the digest of all cells. `table` holds the rows that were
    drawn, and `rows` where they stand. `seconds` is what the pass took.
    """

    n_rows: int
    typed: Mapping[str, Typed]
    counts: Mapping[str, Counts]
    content: str
    table: RawTable
    rows: NDArray[np.int64]
    seconds: float

    def told(self, dataset: Dataset) -> Dataset:
        """The dataset of the rows that were drawn, with the ends of columns and the fingerprint of all rows."""
        ends = {
            name: (counts.low, counts.high)
            for name, counts in self.counts.items()
            if counts.n_numbers and name in dataset.schema and dataset.schema[name].kind in _MEASURED
        }
        columns = [replace(dataset.schema[name], low=low, high=high) for name, (low, high) in ends.items()]
        digest = hashlib.sha256(f"{dataset.fingerprint}/{self.content}".encode()).hexdigest()
        schema, rows = dataset.schema.replacing(columns), self.rows[dataset.row_numbers]
        return replace(dataset, schema=schema, fingerprint=digest, row_numbers=rows)


_MEASURED = (ColumnKind.NUMBER, ColumnKind.DATETIME)


def surveyed(
    batches: Batches,
    said: Said,
    *,
    n_wanted: int,
    seed: int,
    seconds: float = math.inf,
    progress: Callable[[float], None] = lambda _: None,
) -> Survey:
    """All rows, counted; `n_wanted` of them, drawn.

    Raises:
        DataError: a named column is not there, or the file is damaged.
        UsageError: reading it would take too much of the `seconds` that the run has.
    """
    target, kinds = str(said.target), said.wanted
    _check(batches, target=target, named=(said.group, said.time, *kinds))
    started, used = time.monotonic(), time.process_time()  # others that begin meanwhile take time, and no work
    drawing = Drawing(n_wanted, seed=seed, classes=target, groups=said.group)
    tallies: dict[str, Tally] = {}
    content = Content()
    for frame in batches.frames():
        for series in frame:
            tally = tallies.get(series.name)
            if tally is None:
                name = series.name
                roles = {"is_target": name == target, "is_time": name == said.time, "is_group": name == said.group}
                tally = tallies[name] = tally_of(series, Asked(kind=kinds.get(name), **roles))
            content.add(series, numbers=tally.add(series))
        drawing.add(frame)
        done = drawing.n_rows / max(batches.n_rows, drawing.n_rows, 1)
        _demand_time(min(time.monotonic() - started, time.process_time() - used), done, seconds)
        progress(done)
    if not drawing.n_rows:
        raise DataError(f"{batches.path} has a header but no rows; expected one row per sample at least.")
    typed = {name: tally.typed() for name, tally in tallies.items()}
    drawn, rows = drawing.drawn()
    table = RawTable(
        dict(zip(drawn.columns, columns_of_polars(drawn), strict=True)),
        str(batches.path),
        batches.findings,
        batches.repeated,
        batches.path.parent,
    )
    counts = {name: tally.counts for name, tally in tallies.items()}
    return Survey(
        n_rows=drawing.n_rows,
        typed=typed,
        counts=counts,
        content=content.digest,
        table=table,
        rows=rows,
        seconds=time.monotonic() - started,
    )


def _check(batches: Batches, *, target: str, named: Sequence[str | None]) -> None:
    for name in (target, *named):
        if name is not None and name not in batches.names:
            shown = ", ".join(batches.names[:20])
            raise DataError(f"{name!r} is no column of {batches.path}; its columns are {shown}.")
    if target in batches.repeated:
        raise DataError(f"target {target!r} stands more than once in the header of {batches.path}; rename all but one.")


def _demand_time(elapsed: float, done: float, seconds: float) -> None:
    if not SECONDS_TO_FORESEE[0] < elapsed < SECONDS_TO_FORESEE[1] or done <= 0 or math.isinf(seconds):
        return
    needed = elapsed / done
    if needed > SHARE_OF_TIME * seconds:
        raise UsageError(
            f"reading all rows takes about {needed:.0f} s, too much of the {seconds:.0f} s of this run, which reads them twice; "
            f"give it {needed / SHARE_OF_TIME / 60:.0f} min at least with --time, or fewer rows."
        )
