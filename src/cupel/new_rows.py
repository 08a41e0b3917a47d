"""Rows that are to be predicted, beside those that were learned from: how they differ, and which pictures are among both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import data
from cupel.core import registry
from cupel.core.dataset import Dataset
from cupel.core.errors import DataError
from cupel.core.finding import Finding, Severity
from cupel.core.modality import ReadColumn
from cupel.core.picture_folders import find_pictures
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.data.table import RawTable

Array = NDArray[Any]
N_PAIRS_SHOWN = 4
LEAST_KNOWN = 0.5
"""A fact about files counts where it is known of so many of the old and of the new."""


def findings_on(dataset: Dataset, source: Any, *, progress: Callable[[float], None] = lambda _: None) -> list[Finding]:
    """How the rows of a source differ from those of a dataset (`data.find_shift`), pictures by what they are like and by what is
    known of their files; and a finding for each column of pictures some of which, or near copies of some, were learned from.

    A folder gives all pictures in it at any depth, as for a prediction.

    Raises:
        DataError: it cannot be read, or has none of the columns that are learned from.
    """
    table = _table_of(dataset, source)
    found: list[Finding] = []
    facts: list[data.Fact] = []
    for column in dataset.schema.image_features:
        if column.name in table.columns:
            both = _read_both(dataset, column, table, progress=progress)
            facts += [*_measured(both), *_about_files(both)]
            found += [*both.findings, *_known_pictures(both)]
    return [*data.find_shift(dataset, table.columns, facts=facts), *found]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Both:
    """A column of pictures, the old ones first, looked through as one; `names` and `folders` are those of their files."""

    column: Column
    n_old: int
    names: tuple[Array, Array]
    folders: tuple[Path, Path]
    measures: dict[str, Array]
    twins: Array
    findings: tuple[Finding, ...]


def _table_of(dataset: Dataset, source: Any) -> RawTable:
    """Raw columns; of a folder where one column of pictures is learned from, all that is a picture, masks left out."""
    pictures, readers = dataset.schema.image_features, registry.readers()
    is_path = isinstance(source, str | Path) and not (isinstance(source, str) and "://" in source)
    if len(pictures) != 1 or not is_path or not Path(source).is_dir():
        return data.read_table(source, readers=readers)
    if dataset.task is not None and dataset.task.grid:
        try:
            return data.read_table(source, readers=readers)
        except DataError:  # pictures without masks
            pass
    paths = find_pictures(Path(source)).pictures
    if not paths:
        return data.read_table(source, readers=readers)
    table = RawTable.of([pictures[0].name], [np.array(paths, dtype=object)], source=str(source))
    return replace(table, folder=Path(source))


def _read_both(dataset: Dataset, column: Column, table: RawTable, *, progress: Callable[[float], None]) -> _Both:
    reader = next(reader for reader in registry.readers() if reader.kind is column.kind)
    new: ReadColumn = reader.decode(column.name, table.columns[column.name], folder=table.folder, progress=progress)
    pictures = np.concatenate([dataset.columns[column.name], new.values])
    old_names = dataset.names.get(column.name, np.full(dataset.n_samples, None))
    new_names = np.full(len(new.values), None) if new.names is None else new.names
    described = replace(column, channels=max(column.channels, new.column.channels))
    joined = Dataset(
        Schema((described,)), {column.name: pictures}, "", names={column.name: np.concatenate([old_names, new_names])}
    )
    look = registry.recognise(joined.schema).inspect
    seen = None if look is None else look(joined)
    return _Both(
        column=column,
        n_old=dataset.n_samples,
        names=(old_names, new_names),
        folders=(data.folder_of(dataset), table.folder),
        measures={} if seen is None else dict(seen.measures),
        twins=np.arange(len(pictures)) if seen is None or seen.twins is None else seen.twins,
        findings=tuple(
            replace(finding, what=f"Of the new rows: {finding.what}")
            for finding in new.findings
            if finding.severity is not Severity.NOTE
        ),
    )


def _measured(both: _Both) -> Iterator[data.Fact]:
    for name, values in both.measures.items():
        column = Column(name=name, kind=ColumnKind.NUMBER)
        yield data.Fact(column=column, old=values[: both.n_old], new=values[both.n_old :])


def _about_files(both: _Both) -> Iterator[data.Fact]:
    each = (data.file_facts(names.tolist(), folder) for names, folder in zip(both.names, both.folders, strict=True))
    for old, new in zip(*each, strict=True):
        if min(old.is_known.mean(), new.is_known.mean()) < LEAST_KNOWN:
            continue
        name = f"{both.column.name}: {old.words}"
        if old.is_ordered:
            kind = ColumnKind.DATETIME if old.words == data.TAKEN else ColumnKind.NUMBER
            yield data.Fact(column=Column(name=name, kind=kind), old=old.values, new=new.values)
            continue
        levels = [level for level in np.unique(np.concatenate([old.values, new.values])).tolist() if level]
        place = {level: position for position, level in enumerate(levels)}
        codes = [np.array([place.get(value, -1) for value in fact.values.tolist()]) for fact in (old, new)]
        yield data.Fact(column=Column(name=name, kind=ColumnKind.CATEGORY, levels=tuple(levels)), old=codes[0], new=codes[1])


def _known_pictures(both: _Both) -> Iterator[Finding]:
    first = {twin: row for row, twin in reversed(list(enumerate(both.twins[: both.n_old].tolist())))}
    pairs = [(first[twin], row) for row, twin in enumerate(both.twins[both.n_old :].tolist()) if twin in first]
    if not pairs:
        return
    shown = "; ".join(f"{_name(both.names[1], new)} = {_name(both.names[0], old)}" for old, new in pairs[:N_PAIRS_SHOWN])
    rest = f" and {len(pairs) - N_PAIRS_SHOWN:,} more" if len(pairs) > N_PAIRS_SHOWN else ""
    n_new = len(both.twins) - both.n_old
    yield Finding(
        code="known-pictures",
        severity=Severity.WARNING,
        where=both.column.name,
        what=f"{len(pairs):,} of {n_new:,} new pictures equal one of the old, or look the same to the eye: {shown}{rest}.",
        action="What is learned from the old knows their answers. A score on the new rows is too good with them: leave them out.",
    )


def _name(names: Array, row: int) -> str:
    return f"row {row + 1:,}" if names[row] is None else str(names[row])
