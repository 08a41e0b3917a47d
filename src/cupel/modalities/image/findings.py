"""Findings about pictures: which files, what Cupel does about them, and what people can do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind

if TYPE_CHECKING:
    from cupel.modalities.image.inspection import Seen

Array = NDArray[Any]

FEW_PICTURES = 20
N_NAMED, N_SETS = 6, 4
MANY = 0.01
UNUSUAL_AREA, UNUSUAL_SHAPE = 16.0, 3.0
"""An area a sixteenth or sixteen times that of the median, a ratio of the sides three times as long or as broad as its."""
MOST_UNUSUAL = 0.05


def findings_of(seen: Seen) -> Iterator[Finding]:
    """What is wrong, file by file."""
    for judge in (_blank, _copies, _near_copies, _unusual_sizes, _few_of_a_class):
        yield from judge(seen)


def _blank(seen: Seen) -> Iterator[Finding]:
    rows = np.flatnonzero(seen.is_blank)
    if len(rows):
        yield Finding(
            code="blank-pictures",
            severity=Severity.WARNING if len(rows) > MANY * len(seen.is_blank) else Severity.NOTE,
            where=seen.column,
            what=f"{_counted(len(rows), seen)} of a single grey level throughout: {_names(seen, rows)}.",
            action="They are kept, and learned from like the others. Delete those that a fault has made.",
        )


def _copies(seen: Seen) -> Iterator[Finding]:
    sets = _sets(np.where(seen.is_present & ~seen.is_blank, seen.copies, -1))
    same, contradicting = _by_label(seen, sets)
    if same:
        n_more = sum(len(rows) - 1 for rows in same)
        yield Finding(
            code="duplicate-rows",
            severity=Severity.WARNING if n_more > MANY * len(seen.copies) else Severity.NOTE,
            where=seen.column,
            what=f"{_counted(n_more, seen)} equal to an earlier one in every pixel: {_listed(seen, same)}.",
            action=f"All are kept. {_kept(seen)} Copies only cost time: delete all but one of each.",
            fix=_together(seen),
        )
    if contradicting:
        n_rows = sum(len(rows) for rows in contradicting)
        yield Finding(
            code="contradicting-rows",
            severity=Severity.SERIOUS,
            where=seen.column,
            what=f"{_counted(n_rows, seen)} equal to others in every pixel, but with other labels: "
            f"{_listed(seen, contradicting, labels=True)}. No model can be right about all of them.",
            action=f"All are kept. {_kept(seen)} Find out which label is right, and delete the copies that have another.",
        )


def _near_copies(seen: Seen) -> Iterator[Finding]:
    sets = [rows for rows in _sets(seen.near) if len(np.unique(seen.copies[rows])) > 1]
    together = [rows for rows in sets if len(np.unique(seen.twins[rows])) == 1]
    apart = [rows for rows in sets if len(np.unique(seen.twins[rows])) > 1]
    same, contradicting = _by_label(seen, together)
    if same:
        n_rows = sum(len(rows) for rows in same)
        yield Finding(
            code="near-copies",
            severity=Severity.WARNING if n_rows > MANY * len(seen.near) else Severity.NOTE,
            where=seen.column,
            what=f"{_counted(n_rows, seen)} all but the same as others to the eye: {_listed(seen, same)}.",
            action=f"All are kept. {_kept(seen)} If they show one thing, such as frames of one film, say so with --group.",
            fix=_together(seen),
        )
    if contradicting:
        n_rows = sum(len(rows) for rows in contradicting)
        yield Finding(
            code="contradicting-near-copies",
            severity=Severity.WARNING,
            where=seen.column,
            what=f"{_counted(n_rows, seen)} all but the same as others to the eye, but with other labels: "
            f"{_listed(seen, contradicting, labels=True)}.",
            action=f"All are kept. {_kept(seen)} Look at them: a label is wrong, or the classes differ in a detail.",
        )
    if apart:
        n_rows = sum(len(rows) for rows in apart)
        yield Finding(
            code="pictures-all-alike",
            severity=Severity.WARNING,
            where=seen.column,
            what=f"{_counted(n_rows, seen)} alike in sets of more than a tenth of all: {_listed(seen, apart)}.",
            action="That many cannot be copies of one, so they are divided like any others. If they are, name a --group.",
        )


def _unusual_sizes(seen: Seen) -> Iterator[Finding]:
    present = np.flatnonzero(seen.is_present)
    if len(present) == 0:
        return
    heights, widths = seen.sizes[present].astype(np.float64).T
    areas, shapes = np.log(heights * widths), np.log(heights / widths)
    far = np.abs(areas - np.median(areas)) >= np.log(UNUSUAL_AREA)
    far |= np.abs(shapes - np.median(shapes)) >= np.log(UNUSUAL_SHAPE)
    rows = present[far]
    if 0 < len(rows) <= max(1, MOST_UNUSUAL * len(present)):
        shown = [f"{seen.dataset.name_of(row)} ({seen.sizes[row, 1]} x {seen.sizes[row, 0]})" for row in rows[:N_NAMED].tolist()]
        yield Finding(
            code="unusual-sizes",
            severity=Severity.NOTE,
            where=seen.column,
            what=f"{_counted(len(rows), seen)} far from the usual size or shape: {', '.join(shown)}{_rest(len(rows), N_NAMED)}.",
            action="All pictures are brought to one size, which blurs small ones and distorts long ones. See that they belong.",
        )


def _few_of_a_class(seen: Seen) -> Iterator[Finding]:
    task, target = seen.dataset.task, seen.dataset.target
    if task is None or target is None or not task.is_classification:
        return
    counts = np.bincount(target[seen.is_present].astype(np.int64), minlength=len(task.classes)).tolist()
    few = sorted((count, label) for count, label in zip(counts, task.classes, strict=True) if count < FEW_PICTURES)
    if few:
        shown = ", ".join(f"{label!r} {count}" for count, label in few[:N_NAMED])
        yield Finding(
            code="rare-classes",
            severity=Severity.WARNING,
            where=task.target,
            what=f"{'One class has' if len(few) == 1 else f'{len(few)} classes have'} fewer than {FEW_PICTURES} pictures: "
            f"{shown}{_rest(len(few), N_NAMED)}.",
            action="They are kept, and spread over the folds; what is said about them rests on those few. "
            "Augmentation varies what is there and shows nothing new: add pictures.",
        )


def _together(seen: Seen) -> Fix | None:
    """What is done about copies; nothing where the user says how pictures are divided."""
    is_divided = seen.dataset.schema.group is not None or seen.dataset.schema.time is not None
    return None if is_divided else Fix(kind=FixKind.KEEP_TOGETHER, is_safe=True)


def _kept(seen: Seen) -> str:
    schema = seen.dataset.schema
    if schema.group is None and schema.time is None:
        return "They are always in the same fold, so that none is judged by a model that learned its copy."
    return f"Here {'the groups decide' if schema.group else 'the order in time decides'} which of them are together."


def _sets(numbers: Int64[Array, " row"]) -> list[Int64[Array, " member"]]:
    """Rows that share a number of 0 or more, sets in the order of their first row."""
    members: dict[int, list[int]] = defaultdict(list)
    for row, number in enumerate(numbers.tolist()):
        members[number].append(row)
    return [np.array(rows, np.int64) for number, rows in members.items() if number >= 0 and len(rows) > 1]


def _by_label(seen: Seen, sets: Sequence[Array]) -> tuple[list[Array], list[Array]]:
    """Sets of one label, and of several; all are of one where classes are not what is asked."""
    task, target = seen.dataset.task, seen.dataset.target
    if task is None or target is None or not task.is_classification:
        return list(sets), []
    is_mixed = [len(np.unique(target[rows])) > 1 for rows in sets]
    same = [rows for rows, mixed in zip(sets, is_mixed, strict=True) if not mixed]
    return same, [rows for rows, mixed in zip(sets, is_mixed, strict=True) if mixed]


def _listed(seen: Seen, sets: Sequence[Array], *, labels: bool = False) -> str:
    """As in "a.png = b.png; c.png = d.png and 3 more"."""
    shown = [" = ".join(_name(seen, row, labels=labels) for row in rows[:3].tolist()) + _rest(len(rows), 3) for rows in sets]
    return "; ".join(shown[:N_SETS]) + _rest(len(shown), N_SETS)


def _name(seen: Seen, row: int, *, labels: bool) -> str:
    task, target, name = seen.dataset.task, seen.dataset.target, seen.dataset.name_of(row)
    return f"{name} ({task.classes[int(target[row])]})" if labels and task is not None and target is not None else name


def _names(seen: Seen, rows: Array) -> str:
    return ", ".join(seen.dataset.name_of(row) for row in rows[:N_NAMED].tolist()) + _rest(len(rows), N_NAMED)


def _rest(number: int, shown: int) -> str:
    return f" and {number - shown:,} more" if number > shown else ""


def _counted(number: int, seen: Seen) -> str:
    """The beginning of a sentence on so many of all pictures."""
    n_present = int(seen.is_present.sum())
    return f"1 of {n_present:,} pictures is" if number == 1 else f"{number:,} of {n_present:,} pictures are"
