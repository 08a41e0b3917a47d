"""Targets of several labels that may hold together: columns of 0 and 1, or one column of sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.decoding import decode
from cupel.core.errors import DataError, UsageError
from cupel.core.finding import Finding, Severity
from cupel.core.numerals import parse_numbers
from cupel.core.schema import Column, ColumnKind
from cupel.core.task import DEFAULT_METRIC, Task, TaskKind
from cupel.data.kinds import examples, infer
from cupel.data.label_sets import sets_of
from cupel.data.table import Array, RawTable
from cupel.data.targets import MAX_CLASSES, Target

SEPARATOR = "|"
UNKNOWN = "?"
MIN_ROWS = 5
"""Labels of sets that hold in fewer rows can be learned or judged, not both."""
N_NAMED = 8


def target_names(target: str | Sequence[str] | None, table: RawTable) -> tuple[str, ...]:
    """The columns that are to be predicted: of "a,b,c" three, unless one column has this name.

    Raises:
        UsageError: columns are named twice, or one of several has a comma in its name.
    """
    if target is None:
        return ()
    if isinstance(target, str | int):  # columns without names are numbered
        target = str(target)
        names = (target,) if target in table.columns or "," not in target else tuple(part.strip() for part in target.split(","))
    else:
        names = tuple(str(name) for name in target)
        if len(names) > 1 and any("," in name for name in names):
            raise UsageError(f"a target's column has a comma in its name ({examples(list(names))}); rename it.")
    if not names or len(set(names)) < len(names) or not all(names):
        raise UsageError(f"target={target!r} does not name different columns; expected for example a,b,c.")
    return names


def of_columns(table: RawTable, names: Sequence[str], *, task: str | None, metric: str | None) -> tuple[RawTable, Target]:
    """The table with columns of 0 and 1 joined into one, and the target that they are; an empty cell is unknown, not 0.

    Raises:
        DataError: a column is no label, or the same in all rows.
        UsageError: another task was asked for.
    """
    if task not in (None, TaskKind.MULTILABEL.value):
        raise UsageError(
            f"task={task} was asked for, but the target has {len(names)} columns ({examples(list(names))}); name one, or leave "
            f"task= out: several columns are several labels."
        )
    values = np.column_stack([_label(name, table.columns[name]) for name in names])
    name = ",".join(names)
    if name in table.columns:
        raise UsageError(f"there is a column {name!r} beside its parts; rename it, or name it alone as the target.")
    columns: dict[str, Array] = {}
    for column, cells in table.columns.items():
        if column == names[0]:
            columns[name] = _spelled(values, names)
        elif column not in names:
            columns[column] = cells
    if len(columns) < 2:
        raise DataError(f"{table.source} has no column beside the labels; expected at least one to predict them from.")
    return replace(table, columns=columns), _target(name, list(names), values, metric=metric)


def of_sets(table: RawTable, name: str, *, metric: str | None) -> tuple[RawTable, Target]:
    """The table, and the target that a column of sets of labels is; rows without a set are left out.

    Labels that hold in every row, or in hardly any, are left out with a finding.

    Raises:
        DataError: cells cannot be read as sets, or there are fewer than two labels, or far too many.
    """
    sets = sets_of(name, table.columns[name])
    n_present = sum(each is not None for each in sets)
    counts = Counter(label for each in sets for label in each or ())
    kept = _in_order([label for label, count in counts.items() if min(MIN_ROWS, n_present // 2) <= count < n_present])
    if not 2 <= len(kept) <= MAX_CLASSES:
        shown = examples(list(counts)) if counts else "none"
        raise DataError(
            f"target {name!r} has {len(kept)} labels that hold in {MIN_ROWS} rows and not in all ({shown}, of {len(counts)}); "
            f"expected 2 to {MAX_CLASSES}. Is it a column of sets, such as red|round?"
        )
    place = {label: position for position, label in enumerate(kept)}
    values = np.zeros((len(sets), len(kept)))
    for row, each in enumerate(sets):
        if each is None:
            values[row] = np.nan
        else:
            values[row, [place[label] for label in each if label in place]] = 1.0
    target = _target(name, kept, values, metric=metric)
    left_out = sorted(set(counts) - set(kept), key=lambda label: -counts[label])
    findings = [*target.findings, *([_rare(name, left_out)] if left_out else [])]
    columns = {**table.columns, name: _spelled(values, kept)}
    return replace(table, columns=columns), replace(target, findings=tuple(findings))


def _label(name: str, raw: Array) -> NDArray[np.float64]:
    """1, 0, or NaN where the cell is empty."""
    column = infer(name, raw, is_target=True).column
    if column.kind in (ColumnKind.BOOLEAN, ColumnKind.NUMBER):
        values = np.asarray(decode(raw, column).values, np.float64)
        if np.isin(values[np.isfinite(values)], (0.0, 1.0)).all():
            return values
    if column.kind is ColumnKind.CONSTANT:
        what = f"has the one value {column.levels[0]!r} in all rows" if column.levels else "is empty in all rows"
        raise DataError(f"label {name!r} {what}; expected rows with and rows without it. Leave it out of the target.")
    texts = list(dict.fromkeys(str(cell) for cell in raw.tolist() if cell is not None))
    raise DataError(
        f"label {name!r} holds {examples(texts)}; of several target columns each is a label: expected 1 and 0, yes and no or "
        f"true and false, and nothing where it is not known. Mend the column, or name one target."
    )


def _target(name: str, labels: list[str], values: Array, *, metric: str | None) -> Target:
    if any(SEPARATOR in label for label in labels):
        raise DataError(f"a label has {SEPARATOR!r} in its name ({examples(labels)}), which stands between labels; rename it.")
    kind = TaskKind.MULTILABEL
    task = Task(kind=kind, target=name, metric=metric or DEFAULT_METRIC[kind], classes=tuple(labels))
    is_present = np.asarray(np.isfinite(values).any(axis=1))
    for label, cells in zip(labels, values.T, strict=True):
        known = cells[np.isfinite(cells)]
        if len(np.unique(known)) < 2:
            raise DataError(f"label {label!r} is the same in all rows where it is known; leave it out of the target.")
    findings = [_described(name, values[is_present]), *_few(name, labels, values), *_unknown(name, values, is_present)]
    return Target(task, Column(name=name, kind=ColumnKind.TEXT), values, is_present, tuple(findings))


def _spelled(values: Array, labels: Sequence[str]) -> Array:
    """Sets as text, for people; an unknown label has a question mark before it."""
    texts = np.empty(len(values), dtype=object)
    for row, cells in enumerate(values.tolist()):
        said = [label if cell == 1 else UNKNOWN + label for label, cell in zip(labels, cells, strict=True) if cell != 0]
        texts[row] = SEPARATOR.join(said) or "(none)"
    return texts


def _in_order(labels: list[str]) -> list[str]:
    numbers = parse_numbers(labels)
    if np.isnan(numbers).any():
        return sorted(labels)
    return [labels[position] for position in np.argsort(numbers, kind="stable")]


def _described(name: str, values: Array) -> Finding:
    holds = values == 1
    none = float((~holds.any(axis=1)).mean())
    return Finding(
        code="several-labels",
        severity=Severity.NOTE,
        where=name,
        what=f"{values.shape[1]} labels that may hold together: {holds.sum(axis=1).mean():.2g} in a row on average, "
        f"{int(holds.sum(axis=1).max())} at most; none is known to hold in {none:.0%} of the rows.",
        action="A probability is predicted for each; they need not sum to 1.",
    )


def _few(name: str, labels: Sequence[str], values: Array) -> list[Finding]:
    counts = [min(int((cells == 1).sum()), int((cells == 0).sum())) for cells in values.T]
    rare = [f"{label!r} {count}" for label, count in zip(labels, counts, strict=True) if count < 2 * MIN_ROWS]
    if not rare:
        return []
    return [
        Finding(
            code="rare-labels",
            severity=Severity.WARNING,
            where=name,
            what=f"{len(rare)} label{'s hold, or do' if len(rare) > 1 else ' holds, or does'} not, in fewer than {2 * MIN_ROWS} "
            f"rows: {', '.join(rare[:N_NAMED])}{', …' if len(rare) > N_NAMED else ''}.",
            action="They are kept, and spread over the folds; what is said about them rests on those few rows.",
        )
    ]


def _unknown(name: str, values: Array, is_present: NDArray[np.bool_]) -> list[Finding]:
    findings = []
    if not is_present.all():
        n_missing = int((~is_present).sum())
        findings.append(
            Finding(
                code="target-missing",
                severity=Severity.WARNING if n_missing > 0.05 * len(values) else Severity.NOTE,
                where=name,
                what=f"No label is known in {n_missing} of {len(values)} rows ({n_missing / len(values):.1%}).",
                action="These rows are left out. Where it is known that no label holds, write 0, or [] in a column of sets.",
            )
        )
    share = float(np.isnan(values[is_present]).mean()) if is_present.any() else 0.0
    if share > 0:
        findings.append(
            Finding(
                code="unknown-labels",
                severity=Severity.NOTE,
                where=name,
                what=f"{share:.1%} of the cells do not say whether the label holds.",
                action="They are taken for neither: no model learns from them, and no score counts them.",
            )
        )
    return findings


def _rare(name: str, labels: Sequence[str]) -> Finding:
    more = f" and {len(labels) - N_NAMED} more" if len(labels) > N_NAMED else ""
    return Finding(
        code="labels-left-out",
        severity=Severity.WARNING,
        where=name,
        what=f"{len(labels)} labels hold in fewer than {MIN_ROWS} rows, or in all: {', '.join(labels[:N_NAMED])}{more}.",
        action="They are not predicted; give more rows, or join them with others.",
    )


def asks_for_sets(task: Any) -> bool:
    """Whether one column is to be read as sets of labels."""
    return task is not None and str(task) == TaskKind.MULTILABEL.value
