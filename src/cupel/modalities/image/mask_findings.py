"""What is wrong with masks beside their pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.core.masks import VOID, shares_of
from cupel.core.pixels import digest_of
from cupel.modalities.image.reading.hashing import numbered

Array = NDArray[Any]

N_NAMED = 6
MOST_EQUAL = 0.1
SIMILAR = 0.02
RARE = 0.001


def equal_masks(dataset: Dataset) -> Int64[Array, " row"] | None:
    """A number for each row, equal for masks of several classes that are the same to the last pixel; None without masks.

    Sets of more than a tenth of all, and of more than two, are a kind of mask, and no copies.
    """
    if dataset.task is None or not dataset.task.grid:
        return None
    masks = dataset.columns[dataset.task.target].tolist()
    numbers = numbered([digest_of(mask) if len(np.unique(mask[mask != VOID])) > 1 else None for mask in masks])
    counts = np.bincount(numbers)[numbers]
    is_kind = (counts > 2) & (counts > MOST_EQUAL * len(masks))
    return np.asarray(np.where(is_kind, len(masks) + np.arange(len(masks)), numbers), np.int64)


def mask_findings(
    dataset: Dataset, column: str, *, like: Int64[Array, " row"], equal: Int64[Array, " row"] | None
) -> Iterator[Finding]:
    """Sizes that differ from the picture's, copies, masks of one class, classes that hardly occur; nothing without masks.

    Pictures that look the same share a number in `like`; `equal` are the numbers of `equal_masks`.
    """
    if equal is None:
        return
    assert dataset.task is not None, "equal masks were looked for where there are masks"
    pictures, masks = dataset.columns[column].tolist(), dataset.columns[dataset.task.target].tolist()
    yield from _other_shapes(
        dataset, [None if each is None else each.shape[:2] for each in pictures], [m.shape[:2] for m in masks]
    )
    yield from _copied(dataset, like, equal)
    yield from _one_class(dataset, [len(np.unique(each[each != VOID])) for each in masks])
    yield from _rare(dataset)


def _other_shapes(dataset: Dataset, sizes: list[tuple[int, int] | None], of_masks: list[tuple[int, int]]) -> Iterator[Finding]:
    assert dataset.task is not None, "asked where there are masks"
    pairs = [(row, size, own) for row, (size, own) in enumerate(zip(sizes, of_masks, strict=True)) if size is not None]
    other = [(row, size, own) for row, size, own in pairs if size != own]
    turned = [row for row, size, own in other if abs(np.log(size[0] * own[1] / (size[1] * own[0]))) > SIMILAR]
    if other:
        shown = [
            f"{dataset.name_of(row)} ({size[1]} x {size[0]}, mask {own[1]} x {own[0]})" for row, size, own in other[:N_NAMED]
        ]
        yield Finding(
            code="masks-of-another-size",
            severity=Severity.SERIOUS if turned else Severity.WARNING,
            where=dataset.task.target,
            what=f"{len(other):,} of {len(pairs):,} masks have another size than their picture, {len(turned):,} of them another "
            f"shape: {', '.join(shown)}{_rest(len(other))}.",
            action="They are stretched over their pictures. Where shapes differ, masks may be of other pictures, or turned.",
        )


def _copied(dataset: Dataset, like: Int64[Array, " row"], equal: Int64[Array, " row"]) -> Iterator[Finding]:
    assert dataset.task is not None, "asked where there are masks"
    members: dict[int, list[int]] = {}
    for row, number in enumerate(equal.tolist()):
        members.setdefault(number, []).append(row)
    sets = [rows for rows in members.values() if len(set(like[rows].tolist())) > 1]
    if not sets:
        return
    shown = "; ".join(" = ".join(dataset.name_of(row) for row in rows[:3]) for rows in sets[:N_NAMED])
    schema = dataset.schema
    by = "the groups decide" if schema.group else "the order in time decides" if schema.time else ""
    yield Finding(
        code="copied-masks",
        severity=Severity.WARNING,
        where=dataset.task.target,
        what=f"{sum(map(len, sets)):,} of {dataset.n_samples:,} masks equal another to the last pixel, and their pictures do not "
        f"look alike: {shown}{_rest(len(sets))}.",
        action=(f"Here {by} which of them are together. " if by else "They are always in the same fold. ")
        + "A mask that was saved beside the wrong picture teaches what is not there: look at them.",
        fix=None if by else Fix(kind=FixKind.KEEP_TOGETHER, is_safe=True),
    )


def _one_class(dataset: Dataset, n_classes: list[int]) -> Iterator[Finding]:
    assert dataset.task is not None, "asked where there are masks"
    rows = [row for row, number in enumerate(n_classes) if number == 1]
    if rows:
        named = ", ".join(dataset.name_of(row) for row in rows[:N_NAMED])
        yield Finding(
            code="masks-of-one-class",
            severity=Severity.NOTE,
            where=dataset.task.target,
            what=f"{len(rows):,} of {len(n_classes):,} masks hold a single class: {named}{_rest(len(rows))}.",
            action="They are learned from like the others. Delete those that nobody has drawn yet.",
        )


def _rare(dataset: Dataset) -> Iterator[Finding]:
    assert dataset.task is not None, "asked where there are masks"
    assert dataset.target is not None, "asked where there are masks"
    shares = shares_of(dataset.task, dataset.target)
    overall, n_with = shares.mean(axis=0), (shares > 0).sum(axis=0)
    rare = [klass for klass in np.argsort(overall, kind="stable").tolist() if overall[klass] < RARE]
    if rare:
        shown = ", ".join(
            f"{dataset.task.classes[klass]!r} {overall[klass]:.2g} of all pixels, in {n_with[klass]} masks"
            for klass in rare[:N_NAMED]
        )
        subject = "One class hardly occurs" if len(rare) == 1 else f"{len(rare)} classes hardly occur"
        yield Finding(
            code="rare-classes",
            severity=Severity.WARNING,
            where=dataset.task.target,
            what=f"{subject}: {shown}{_rest(len(rare))}.",
            action="They are kept, and what is said about them rests on few pixels. Add pictures of them, or join classes.",
        )


def _rest(number: int) -> str:
    return f" and {number - N_NAMED:,} more" if number > N_NAMED else ""
