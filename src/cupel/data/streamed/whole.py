"""All rows of a table that is larger than memory, as a worker reads them again: in pieces, each with what its rows are for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.errors import DataError
from cupel.core.schema import Column, Schema
from cupel.data.frames import array_of_series
from cupel.data.streamed.batches import batches_of
from cupel.data.streamed.cells import read_cells
from cupel.data.streamed.content import Content
from cupel.data.streamed.drawing import marks_of, marks_of_groups
from cupel.data.targets import answers_of

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Piece:
    """Some rows: features and target as `Dataset` holds them, rows without a target left out.

    `marks` are numbers from 0 to 1, one a row (a group): rows that were drawn for the search have the least, but for those of
    rare classes, of which more were drawn. `rows` are places in the source.
    """

    dataset: Dataset
    marks: NDArray[np.float64]
    rows: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Whole:
    """A file of which only a part is in memory.

    `target` is the target's column as it was typed before the task was known. `counts` has plain facts of all rows by column,
    and `content` is the digest of all cells. `seconds` is what one pass takes.
    """

    path: Path
    n_rows: int
    target: Column
    seed: int
    group: str | None
    seconds: float
    counts: Mapping[str, Mapping[str, Any]]
    content: str

    def to_json(self) -> dict[str, Any]:
        """What another process needs to read it."""
        return {
            "path": str(self.path.absolute()),
            "n_rows": self.n_rows,
            "target": Schema((self.target,)).to_json(),
            "seed": self.seed,
            "group": self.group,
            "seconds": self.seconds,
            "content": self.content,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Whole:
        """Read what `to_json` wrote."""
        target = Schema.from_json(plain["target"]).columns[0]
        return cls(
            path=Path(plain["path"]),
            n_rows=int(plain["n_rows"]),
            target=target,
            seed=int(plain["seed"]),
            group=plain["group"],
            seconds=float(plain["seconds"]),
            counts={},
            content=str(plain["content"]),
        )

    def pieces(self, like: Dataset, *, skip: int = 0) -> Iterator[Piece]:
        """All rows but those of the first pieces, as the dataset `like`, which holds some of them, reads its own.

        Raises:
            DataError: the file is gone, or has changed.
        """
        batches = batches_of(self.path)
        if batches is None:
            raise DataError(f"{self.path} cannot be read any more; put it back as it was.")
        first, content = 0, Content()
        for number, frame in enumerate(batches.frames()):
            rows = np.arange(first, first + frame.height)
            first += frame.height
            for series in frame:
                content.add(series)
            if number >= skip:
                yield self._piece(frame, rows, like)
        if first != self.n_rows:
            raise DataError(f"{self.path} has {first:,} rows, and had {self.n_rows:,} when the run began; put it back as it was.")
        if content.digest != self.content:
            raise DataError(f"cells of {self.path} are not what they were when the run began; put it back as it was.")

    def _piece(self, frame: pl.DataFrame, rows: Array, like: Dataset) -> Piece:
        assert like.task is not None, "a run's dataset has a task"
        marks = marks_of(rows, seed=self.seed) if self.group is None else marks_of_groups(frame[self.group], seed=self.seed)
        answers = answers_of(self.target, array_of_series(frame[self.target.name]), task=like.task)
        is_present = ~np.isnan(answers) if answers.dtype.kind == "f" else answers >= 0
        if not is_present.all():
            frame, rows, marks, answers = (
                frame.filter(pl.Series(is_present)),
                rows[is_present],
                marks[is_present],
                answers[is_present],
            )
        columns = {column.name: read_cells(frame[column.name], column).values for column in like.schema.features}
        schema = replace(like.schema, columns=tuple(column for column in like.schema.columns if column.name in columns))
        dataset = replace(
            like, schema=schema, columns=columns, target=answers, row_numbers=rows, findings=(), names={}, cache=None
        )
        return Piece(dataset, marks, rows)
