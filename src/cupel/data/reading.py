"""From a file or a frame to a dataset: typed columns, the task, and what was found amiss."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.decoding import Decoded, decode, spelled
from cupel.core.errors import DataError, UsageError
from cupel.core.finding import Finding, Severity
from cupel.core.modality import ReadColumn, Reader
from cupel.core.pixels import digest_of
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import METRICS_OF_QUANTITIES
from cupel.data import labels
from cupel.data.files import read_table
from cupel.data.kinds import Typed, examples, infer
from cupel.data.mask_targets import mask_target
from cupel.data.overrides import impose, kind_named
from cupel.data.table import Array, RawTable
from cupel.data.targets import Target, find_target

_CODED = (ColumnKind.CATEGORY, ColumnKind.CONSTANT)


def read(
    source: Any,
    *,
    target: str | Sequence[str] | None = None,
    task: str | None = None,
    metric: str | None = None,
    positive: Any = None,
    kinds: Mapping[str, str] | None = None,
    group: str | None = None,
    time: str | None = None,
    query: str | None = None,
    sheet: str | None = None,
    readers: Sequence[Reader] = (),
    progress: Callable[[float], None] = lambda _: None,
) -> Dataset:
    """A dataset from a path, a database URL or a table in memory; without a target, and if the source names none, it has no task.

    `kinds` sets the kind of single columns; all others are inferred from their cells. Rows whose target is missing are
    left out. A `target` of several columns ("a,b,c", or their names) is several labels, as is one column of sets with
    `task` multilabel. `Dataset.findings` says what was seen and done on the way. `readers` open sources that are no tables, and
    decode columns that tables cannot hold; `progress` is told how far they are.

    Raises:
        DataError: the table cannot be read, a named column is not there, or the target cannot be learned.
        UsageError: `task`, `positive` or a kind is unknown or does not fit.
    """
    table = read_table(source, query=query, sheet=sheet, readers=readers)
    said = Said(target=target, task=task, metric=metric, positive=positive, kinds=kinds or {}, group=group, time=time)
    return dataset_of(table, said, readers=readers, progress=progress)


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a user says about the data, as `read` takes it."""

    target: str | Sequence[str] | None = None
    task: str | None = None
    metric: str | None = None
    positive: Any = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    time: str | None = None

    @property
    def wanted(self) -> dict[str, ColumnKind]:
        """Kinds by column.

        Raises:
            UsageError: there is no kind of that name.
        """
        return {str(name): kind_named(name, kind) for name, kind in self.kinds.items()}


def dataset_of(
    table: RawTable,
    said: Said,
    *,
    readers: Sequence[Reader] = (),
    known: Mapping[str, Typed] | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> Dataset:
    """The same from a table that was read; `known` says what columns are where more rows than these have told it."""
    group, time = (None if name is None else str(name) for name in (said.group, said.time))
    known, wanted = known or {}, said.wanted
    asked = {"task": said.task, "metric": said.metric, "positive": said.positive}
    names = labels.target_names(table.target if said.target is None else said.target, table)
    for name in names or (None,):
        _check_table(table, target=name, group=group, time=time, others=wanted)
    table, goal = _goal(table, names, wanted, readers, known=known, asked=asked, progress=progress)
    target = None if goal is None else goal.task.target
    kept = np.arange(table.n_rows) if goal is None else np.flatnonzero(goal.is_present)
    raw = {name: values if len(kept) == table.n_rows else values[kept] for name, values in table.columns.items()}
    special = _special(table, raw, wanted, readers, but=(target, group, time), progress=progress)
    special |= _kept_masks(goal, kept)
    plain = {name: values for name, values in raw.items() if name not in special}
    typed = {
        name: known.get(name) or _typed(name, values, wanted.get(name), group, time)
        for name, values in plain.items()
        if name != target
    }
    if goal is not None:
        typed[goal.column.name] = Typed(goal.column)
        typed = typed if special else _with_a_feature(typed, raw, goal)
    decoded = {name: decode(values, typed[name].column) for name, values in plain.items()}
    columns, described = _described(raw, special, typed, decoded)
    _check_time(time, typed, columns)
    lost = [finding for name in plain for finding in _losses(typed[name].column, decoded[name], raw[name])]
    typing = [*_findings(special.values()), *_findings(_but(typed, target))]
    schema = Schema(described, target, group, time)
    return Dataset(
        schema=schema,
        columns=columns,
        fingerprint=_fingerprint(schema, columns, goal),
        task=goal.task if goal else None,
        target=goal.values[kept] if goal else None,
        row_numbers=kept,
        findings=(*table.findings, *(goal.findings if goal else ()), *_markers(typed.values()), *typing, *lost),
        source=table.source,
        names={name: each.names for name, each in special.items() if each.names is not None},  # those of the target come last
    )


def _special(
    table: RawTable,
    raw: Mapping[str, Array],
    wanted: Mapping[str, ColumnKind],
    readers: Sequence[Reader],
    *,
    but: Sequence[str | None],
    progress: Callable[[float], None],
) -> dict[str, ReadColumn]:
    """Columns that a reader decodes: those said to be of its kind, and those that it claims."""

    def is_for(reader: Reader, name: str) -> bool:
        if name in wanted:
            return wanted[name] is reader.kind
        return raw[name].dtype == object and reader.claims(raw[name], folder=table.folder)

    found = {}
    for name in (name for name in raw if name not in but):
        reader = next((reader for reader in readers if is_for(reader, name)), None)
        if reader is not None:
            read = reader.decode(name, raw[name], folder=table.folder, progress=progress)
            scale = table.scales.get(name, read.column.scale)
            found[name] = replace(read, column=replace(read.column, scale=scale))
    return found


def _described(
    raw: Mapping[str, Array], special: Mapping[str, ReadColumn], typed: Mapping[str, Typed], decoded: Mapping[str, Decoded]
) -> tuple[dict[str, Array], tuple[Column, ...]]:
    """Every column as `Dataset.columns` holds it, and what it is, in the order of the source."""
    columns: dict[str, Array] = {}
    described: list[Column] = []
    for name in raw:
        if name in special:
            columns[name], column = special[name].values, special[name].column
        else:
            columns[name] = _stored(decoded[name].values, typed[name].column)
            column = replace(_with_range(typed[name].column, columns[name]), had_unreadable=len(decoded[name].unreadable) > 0)
        described.append(column)
    return columns, tuple(described)


def _findings(seen: Iterable[ReadColumn | Typed]) -> list[Finding]:
    return [finding for each in seen for finding in each.findings]


def _but(typed: Mapping[str, Typed], target: str | None) -> list[Typed]:
    """All columns' types but the target's."""
    return [each for name, each in typed.items() if name != target]


def _check_table(table: RawTable, *, target: str | None, group: str | None, time: str | None, others: Iterable[str]) -> None:
    roles = {"target": target, "group": group, "time": time}
    for role, name in (*roles.items(), *(("kinds", name) for name in others)):
        if name is not None and name not in table.columns:
            raise DataError(f"{role}={name!r} is no column of {table.source}.{_close(name, list(table.columns))}")
    if target is not None and target in table.repeated:
        raise DataError(f"target {target!r} stands more than once in the header of {table.source}; rename all but one.")
    if target is not None and len(table.columns) == 1:
        raise DataError(
            f"{table.source} has the one column {target!r}; expected at least one beside the target to predict it from."
        )
    if not table.n_rows:
        raise DataError(f"{table.source} has a header but no rows; expected one row per sample at least.")
    for role, name in (("group", group), ("time", time)):
        if name is not None and name == target:
            raise DataError(
                f"{role}={name!r} is the target too; a column that is predicted cannot divide the rows. Name another."
            )


def _close(name: str, names: list[str]) -> str:
    lowered = {known.lower(): known for known in names}
    close = difflib.get_close_matches(name.lower(), lowered, n=1)
    hint = f" Did you mean {lowered[close[0]]!r}?" if close else ""
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"{hint} Its columns are {', '.join(names[:20])}{more}."


def _goal(
    table: RawTable,
    names: Sequence[str],
    wanted: Mapping[str, ColumnKind],
    readers: Sequence[Reader],
    *,
    known: Mapping[str, Typed],
    asked: Mapping[str, Any],
    progress: Callable[[float], None],
) -> tuple[RawTable, Target | None]:
    """The target that the named columns are, and the table that has one column for it; cells that a reader claims are masks."""
    if not names:
        return table, None
    task, metric, positive = (asked[what] for what in ("task", "metric", "positive"))
    several = len(names) > 1 or labels.asks_for_sets(task)
    if several and positive is not None:
        raise UsageError(f"positive={positive!r} was given, but of several labels each may hold or not; leave it out.")
    if len(names) > 1:
        return labels.of_columns(table, names, task=task, metric=metric)
    target = names[0]
    if several:
        return labels.of_sets(table, target, metric=metric)
    raw, kind = table.columns[target], wanted.get(target)
    reader = next((reader for reader in readers if raw.dtype == object and reader.claims(raw, folder=table.folder)), None)
    if reader is not None:
        return table, mask_target(target, reader.masks(raw, folder=table.folder, progress=progress), asked=asked)
    typed = known.get(target)
    if typed is None:
        typed = infer(target, raw, is_target=True) if kind is None else impose(target, raw, kind=kind)
        are_named = table.has_classes and target == table.target and typed.column.kind in (ColumnKind.NUMBER, ColumnKind.DATETIME)
        is_quantity = task == "regression" or (task is None and metric in METRICS_OF_QUANTITIES)
        if kind is None and are_named and not is_quantity:
            typed = impose(target, raw, kind=ColumnKind.CATEGORY)
    return table, find_target(typed, raw, task=task, metric=metric, positive=positive)


def _kept_masks(goal: Target | None, kept: Array) -> dict[str, ReadColumn]:
    """The target's column where it holds masks."""
    if goal is None or goal.cells is None:
        return {}
    names = None if goal.names is None else goal.names[kept]
    return {goal.column.name: ReadColumn(column=goal.column, values=goal.cells[kept], names=names)}


def _typed(name: str, values: Array, kind: ColumnKind | None, group: str | None, time: str | None) -> Typed:
    if kind is not None:
        return impose(name, values, kind=kind)
    typed = infer(name, values, is_time=name == time)
    if name == group and typed.column.kind in (ColumnKind.TEXT, ColumnKind.IDENTIFIER):
        as_category = impose(name, values, kind=ColumnKind.CATEGORY)
        return replace(as_category, column=replace(as_category.column, overridden=False))
    return typed


def _with_a_feature(typed: dict[str, Typed], raw: Mapping[str, Array], goal: Target) -> dict[str, Typed]:
    """Where nothing else is left to learn from, whole numbers that look like row numbers are taken as numbers."""
    columns = tuple(each.column for each in typed.values())
    if Schema(columns, goal.task.target).features:
        return typed
    numbers = {
        name: infer(name, raw[name], is_time=True)
        for name, each in typed.items()
        if each.column.kind is ColumnKind.IDENTIFIER and not each.column.overridden
    }
    return typed | {name: again for name, again in numbers.items() if again.column.kind is ColumnKind.NUMBER}


def _stored(cells: Array, column: Column) -> Array:
    """As `Dataset.columns` holds it: categories as indices of levels."""
    if column.kind not in _CODED:
        return cells
    place = {level: index for index, level in enumerate(column.levels)}
    return np.fromiter(map(place.get, cells.tolist(), repeat(-1)), np.int32, len(cells))


def _with_range(column: Column, values: Array) -> Column:
    if column.kind not in (ColumnKind.NUMBER, ColumnKind.DATETIME) or np.isnan(values).all():
        return column
    return replace(column, low=float(np.nanmin(values)), high=float(np.nanmax(values)))


def _check_time(time: str | None, typed: Mapping[str, Typed], columns: Mapping[str, Array]) -> None:
    if time is None:
        return
    kind = typed[time].column.kind
    if kind not in (ColumnKind.NUMBER, ColumnKind.DATETIME):
        raise DataError(
            f"time={time!r} holds {kind.value} values, which have no order in time; name a column of dates or numbers."
        )
    n_missing = int(np.isnan(columns[time]).sum())
    if n_missing:
        raise DataError(
            f"time={time!r} is missing or unreadable in {n_missing} rows, which have no place in time; fill or drop them."
        )


def _markers(typed: Iterable[Typed]) -> list[Finding]:
    """One note on all the texts that were taken for missing cells."""
    by_text: dict[str, list[str]] = {}
    for each in typed:
        for text, count in each.markers.items():
            by_text.setdefault(text, []).append(f"{each.column.name} ({count})")
    if not by_text:
        return []
    shown = "; ".join(f"{text!r} in {_listed(places)}" for text, places in list(by_text.items())[:6])
    where = ", ".join(dict.fromkeys(place.rpartition(" ")[0] for places in by_text.values() for place in places[:5]))
    return [
        Finding(
            code="missing-markers",
            severity=Severity.NOTE,
            where=where,
            what=f"Some cells hold a text that stands for a missing value: {shown}.",
            action="They are read as missing.",
        )
    ]


def _listed(places: Sequence[str]) -> str:
    return ", ".join(places[:5]) + (f" and {len(places) - 5} more" if len(places) > 5 else "")


def _losses(column: Column, decoded: Decoded, raw: Array) -> list[Finding]:
    """What decoding a column could not keep."""
    findings = []
    n_bad, n_infinite = len(decoded.unreadable), len(decoded.infinite)
    if n_bad:
        texts = list(dict.fromkeys(spelled(cell) for cell in raw[decoded.unreadable[:1000]].tolist()))
        findings.append(
            Finding(
                code="unreadable-cells",
                severity=Severity.WARNING,
                where=column.name,
                what=f"{n_bad} of {len(raw)} cells cannot be read as {column.kind.value}, such as {examples(texts)}.",
                action="They are read as missing.",
            )
        )
    if n_infinite:
        findings.append(
            Finding(
                code="infinite-values",
                severity=Severity.WARNING,
                where=column.name,
                what=f"{n_infinite} of {len(raw)} values are infinite.",
                action="They are read as missing.",
            )
        )
    return findings


def _fingerprint(schema: Schema, columns: Mapping[str, Array], goal: Target | None) -> str:
    """sha256 over names, kinds, levels, roles and decoded cells; how they were written in the file plays no part."""
    digest = hashlib.sha256()
    classes = goal.task.classes if goal else ()
    digest.update(repr((schema.target, schema.group, schema.time, classes)).encode())
    if goal is not None and goal.values.ndim == 2:
        digest.update(np.nan_to_num(goal.values[goal.is_present], nan=-1.0).astype("<i1").tobytes())
    for column in schema.columns:
        digest.update(repr((column.name, column.kind.value, column.levels)).encode())
        digest.update(bytes_of(columns[column.name], column.kind))
    return digest.hexdigest()


def bytes_of(values: NDArray[Any], kind: ColumnKind) -> bytes:
    """The cells of a column, the same however they were written in the file."""
    if kind is ColumnKind.IMAGE:
        return b"".join(bytes(16) if cell is None else digest_of(cell) for cell in values.tolist())
    if values.dtype.kind == "O":
        cells = values.tolist()
        lengths = np.array([-1 if cell is None else len(cell) for cell in cells], dtype="<i8")
        return lengths.tobytes() + "".join(cell for cell in cells if cell is not None).encode("utf-8", "surrogatepass")
    if values.dtype.kind == "f":
        plain = values + 0.0  # -0.0 becomes 0.0
        plain[np.isnan(plain)] = np.nan  # one of the many bit patterns
        return plain.astype("<f8").tobytes()
    return values.astype("<i4").tobytes()
