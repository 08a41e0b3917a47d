"""A fix plan: what is to be changed in the data, as a file that people edit, and its application."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.errors import DataError, UsageError
from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.core.mending import NO_MENDING, Mending
from cupel.core.schema import Column, ColumnKind

Array = NDArray[Any]
Rows = NDArray[np.int64]

_TOLD = ("fix", "apply", "why", "effect")
_FIELDS = {
    FixKind.DROP_COLUMN: ("columns",),
    FixKind.GROUP: ("columns",),
    FixKind.ORDER: ("columns",),
    FixKind.KEEP_TOGETHER: (),
    FixKind.MEND_CELLS: ("columns", "spellings", "scales", "low", "high", "codes"),
    FixKind.LEAVE_OUT_ROWS: ("rows",),
    FixKind.RELABEL_ROWS: ("labels",),
}


@dataclass(frozen=True, eq=False)
class FixPlan:
    """The fixes that a plan says are to be applied, and the key of the data whose rows it speaks of."""

    fixes: tuple[Fix, ...] = ()
    data_key: str = ""

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> FixPlan:
        """Read what `plain_plan` made, perhaps edited.

        Raises:
            UsageError: a part is not one of a plan.
        """
        if not plain:
            return cls()
        entries = plain.get("fixes")
        if not isinstance(entries, list) or set(plain) - {"fixes", "data"}:
            raise UsageError(
                f"a fix plan holds a list `fixes` and the key `data`; {', '.join(map(str, plain))} came. See `cupel look "
                "--fixes`."
            )
        fixes = [_fix(entry, place) for place, entry in enumerate(entries, 1)]
        return cls(tuple(fix for fix, entry in zip(fixes, entries, strict=True) if entry["apply"]), str(plain.get("data", "")))

    @property
    def drop(self) -> tuple[str, ...]:
        """Columns to leave out."""
        return tuple(dict.fromkeys(name for fix in self._of_kind(FixKind.DROP_COLUMN) for name in fix.columns))

    @property
    def group(self) -> str | None:
        """The column that tells the groups."""
        return self._one(FixKind.GROUP)

    @property
    def order(self) -> str | None:
        """The column that orders the rows."""
        return self._one(FixKind.ORDER)

    @property
    def changes(self) -> tuple[Fix, ...]:
        """What changes cells or labels."""
        return tuple(fix for fix in self.fixes if fix.kind in (FixKind.MEND_CELLS, FixKind.RELABEL_ROWS))

    @property
    def n_rows(self) -> int:
        """How many rows of its own data it names."""
        return len({row for fix in self.fixes for row in fix.rows})

    def spared(self, dataset: Dataset) -> Rows:
        """Positions of the rows that must not train.

        Raises:
            DataError: the plan was written for other data.
        """
        rows = tuple(row for fix in self._of_kind(FixKind.LEAVE_OUT_ROWS) for row in fix.rows)
        return positions_of(dataset, rows) if rows else np.empty(0, np.int64)

    def check_rows(self, dataset: Dataset) -> None:
        """Demand that rows mean the same as when the plan was written; `dataset` is as it was read.

        Raises:
            DataError: the data are others.
        """
        if self.n_rows and self.data_key != data_key(dataset):
            raise DataError(
                "the fix plan names rows, and was written for other data than these (the targets differ). Write a new one with "
                "`cupel look --fixes`, or set `apply: false` where it names rows."
            )

    def _of_kind(self, kind: FixKind) -> list[Fix]:
        return [fix for fix in self.fixes if fix.kind is kind]

    def _one(self, kind: FixKind) -> str | None:
        names = [name for fix in self._of_kind(kind) for name in fix.columns]
        if len(set(names)) > 1:
            raise UsageError(
                f"the fix plan names {len(set(names))} columns to {kind.value} by ({', '.join(names)}); apply one of them."
            )
        return names[0] if names else None


def plain_plan(findings: Sequence[Finding], dataset: Dataset) -> dict[str, Any]:
    """The fixes of the findings as plain values for YAML; those that are safe with `apply: true`.

    Rows are kept together without being asked. An order that no column tells is named without one, to be filled in.
    """
    entries = []
    for finding in findings:
        fix = finding.fix
        if fix is None or fix.kind is FixKind.KEEP_TOGETHER:
            continue
        entries.append({"fix": fix.kind.value, "apply": fix.is_safe, **_plain_fix(fix), "why": finding.what})
    return {"data": data_key(dataset), "fixes": entries}


def part_of_plan(plain: Mapping[str, Any], *, without: Sequence[FixKind]) -> dict[str, Any]:
    """The same plan without what it says of these kinds; nothing of nothing."""
    return {**plain, "fixes": [entry for entry in plain["fixes"] if entry["fix"] not in without]} if plain else {}


def data_key(dataset: Dataset) -> str:
    """What tells whether row numbers mean the same rows: a hash of the targets in their places."""
    digest = hashlib.sha256(np.ascontiguousarray(dataset.row_numbers, dtype="<i8").tobytes())
    if dataset.target is not None and dataset.target.dtype != object:
        digest.update(np.ascontiguousarray(dataset.target, dtype="<f8").tobytes())
    return digest.hexdigest()[:16]


def positions_of(dataset: Dataset, rows: Sequence[int]) -> Rows:
    """Positions in the dataset of rows of the source, counted from 1.

    Raises:
        DataError: one is not there.
    """
    wanted = np.asarray(rows, np.int64) - 1
    places = np.searchsorted(dataset.row_numbers, wanted)
    known = np.append(dataset.row_numbers, -1)[places] == wanted
    if not known.all():
        raise DataError(
            f"row {int(wanted[~known][0]) + 1} of the fix plan is not in the data, or has no target; take it out of the plan."
        )
    return np.asarray(places, np.int64)


def mended(dataset: Dataset, fixes: Sequence[Fix]) -> Dataset:
    """The dataset with cells and labels changed; its schema carries what later rows need too.

    All that mends a column does so at once, as it does in later rows: one after another, a bound would take cells away that a
    scale was to bring within it.

    Raises:
        UsageError: a fix does not fit its column.
        DataError: a row or class is not there.
    """
    mending: dict[str, Mending] = {}
    for fix in fixes:
        if fix.kind is FixKind.RELABEL_ROWS:
            dataset = _relabelled(dataset, fix)
        for name in fix.columns:
            mending[name] = mending.get(name, NO_MENDING).joined(fix.mending)
    for name, joined in mending.items():
        dataset = _with_mended_column(dataset, name, joined)
    if not fixes:
        return dataset
    said = hashlib.sha256((dataset.fingerprint + repr([replace(fix, is_safe=False) for fix in fixes])).encode())
    return replace(dataset, fingerprint=said.hexdigest())


def _with_mended_column(dataset: Dataset, name: str, mending: Mending) -> Dataset:
    if name not in dataset.schema or name == dataset.schema.target:
        raise UsageError(f"column {name!r} of the fix plan is the target or not there; cells of features can be mended.")
    column, values = dataset.schema[name], dataset.columns[name]
    has_numbers = bool(mending.scales or mending.codes or mending.low is not None or mending.high is not None)
    if column.kind is ColumnKind.CATEGORY and not has_numbers:
        changed, cells = _respelled(column, values, mending)
    elif column.kind in (ColumnKind.NUMBER, ColumnKind.DATETIME) and not mending.spellings:
        cells = mending.numbers(values)
        present = cells[np.isfinite(cells)]
        if not len(present):
            raise UsageError(f"the fix plan makes every cell of {name!r} missing; drop the column, or mend the plan.")
        changed = replace(column, low=float(present.min()), high=float(present.max()))
    else:
        asked = "spellings" if mending.spellings else "scales, low, high or codes"
        raise UsageError(f"the fix plan has {asked} for {name!r}, which holds {column.kind.value} values; mend or drop this fix.")
    changed = replace(changed, mending=column.mending.joined(mending))
    return replace(dataset, schema=dataset.schema.replacing([changed]), columns={**dataset.columns, name: cells})


def _respelled(column: Column, codes: Array, mending: Mending) -> tuple[Column, Array]:
    after = mending.texts(np.array([*column.levels, None], dtype=object)[:-1]).tolist()
    counts: dict[str, int] = dict.fromkeys(after, 0)
    for text, count in zip(after, np.bincount(codes[codes >= 0], minlength=len(after)).tolist(), strict=True):
        counts[text] += count
    levels = tuple(sorted(counts, key=lambda level: (-counts[level], level)))
    place = {level: position for position, level in enumerate(levels)}
    table = np.array([*(place[text] for text in after), -1], np.int32)
    return replace(column, levels=levels), table[codes]


def _relabelled(dataset: Dataset, fix: Fix) -> Dataset:
    task = dataset.task
    if task is None or dataset.target is None:
        raise UsageError("the fix plan relabels rows, but no target was named; name it with --target.")
    if dataset.target.ndim > 1:
        raise UsageError(
            f"the fix plan relabels rows, but {task.target!r} has more than one answer in a row; leave these rows out "
            f"instead, or mend the file."
        )
    rows, target = positions_of(dataset, fix.rows), dataset.target.copy()
    column, values = dataset.schema[task.target], dataset.columns[task.target].copy()
    for row, label in zip(rows.tolist(), fix.labels, strict=True):
        if not task.is_classification:
            target[row] = values[row] = _number(label)
            continue
        if label not in task.classes:
            raise DataError(
                f"label {label!r} of the fix plan is no class of {task.target!r}; its classes are {', '.join(task.classes[:20])}."
            )
        target[row] = task.classes.index(label)
        values[row] = column.levels.index(label) if label in column.levels else float(label)
    findings = (*dataset.findings, _relabelling(len(fix.rows), task.target))
    return replace(dataset, target=target, columns={**dataset.columns, task.target: values}, findings=findings)


def _relabelling(n_rows: int, target: str) -> Finding:
    return Finding(
        code="relabelled-rows",
        severity=Severity.WARNING,
        where=target,
        what=f"{n_rows:,} row{'s have' if n_rows != 1 else ' has'} another target than in the file, as the fix plan says, and "
        "judge by it too.",
        action="Where they were chosen because models contradict them, every score looks better than it will be on targets as "
        "they come. To have them judge as they were, leave them out of training instead.",
    )


def _number(label: str) -> float:
    try:
        number = float(label)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"label {label!r} of the fix plan is no number, as the target is; mend the plan.")
    return number


def _plain_fix(fix: Fix) -> dict[str, Any]:
    plain: dict[str, Any] = {"columns": list(fix.columns)} if fix.columns or fix.kind is FixKind.ORDER else {}
    mending = fix.mending
    if mending.spellings:
        plain["spellings"] = dict(mending.spellings)
    if mending.scales:
        plain["scales"] = [list(scale) for scale in mending.scales]
    plain |= {name: bound for name, bound in (("low", mending.low), ("high", mending.high)) if bound is not None}
    if mending.codes:
        plain["codes"] = list(mending.codes)
    if fix.labels:
        plain["labels"] = dict(zip(fix.rows, fix.labels, strict=True))
    elif fix.rows:
        plain["rows"] = list(fix.rows)
    return plain


def _fix(entry: Any, place: int) -> Fix:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("apply"), bool):
        raise UsageError(f"fix {place} of the plan is no mapping with `fix` and `apply: true` or `apply: false`.")
    try:
        kind = FixKind(str(entry.get("fix")))
    except ValueError as error:
        raise UsageError(f"fix {place} of the plan is a {entry.get('fix')!r}; expected {', '.join(FixKind)}.") from error
    unknown = set(entry) - {*_TOLD, *_FIELDS[kind]}
    if unknown:
        raise UsageError(
            f"fix {place} ({kind.value}) has {sorted(map(str, unknown))[0]!r}; it takes "
            f"{', '.join(_FIELDS[kind]) or 'nothing more'}."
        )
    try:
        labels = {_row(row): _text(label) for row, label in dict(entry.get("labels") or {}).items()}
        rows = tuple(labels) or tuple(map(_row, _listed(entry, "rows")))
        columns = tuple(map(_text, _listed(entry, "columns")))
        spellings = tuple((_text(before), _text(after)) for before, after in dict(entry.get("spellings") or {}).items())
        plain = {name: entry.get(name) for name in ("low", "high")}
        listed = {name: _listed(entry, name) for name in ("scales", "codes")}
        mending = Mending.from_json({**plain, **listed, "spellings": spellings})
    except (TypeError, ValueError) as error:
        raise UsageError(f"fix {place} ({kind.value}) of the plan cannot be read: {error}") from error
    if "columns" in _FIELDS[kind] and not columns and (entry["apply"] or kind is not FixKind.ORDER):
        raise UsageError(f"fix {place} ({kind.value}) of the plan names no columns; write columns: [NAME].")
    return Fix(kind=kind, columns=columns, mending=mending, rows=rows, labels=tuple(labels.values()))


def _listed(entry: Mapping[str, Any], name: str) -> Sequence[Any]:
    """What stands under a name that takes several: a text there would be read letter by letter."""
    value = entry.get(name) or []
    if not isinstance(value, list | tuple):
        raise TypeError(f"{name} is {value!r}; write a list: {name}: [{value}]")
    return value


def _row(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"a row is {value!r}; expected its number in the file, counted from 1")
    return value


def _text(value: Any) -> str:
    """A name or label as it was written: what YAML takes for a truth value or nothing was written otherwise."""
    if isinstance(value, bool) or value is None:
        raise TypeError(f"what is read as {value} may be a text, such as NO; write it in quotes")
    return str(value)
