"""A dataset in numbers, before anything is trained."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.labels import is_several
from cupel.core.pixels import digest_of
from cupel.core.profile import ColumnProfile, Profile
from cupel.core.schema import Column, ColumnKind
from cupel.data.association import Association, LabelAssociation, association_of
from cupel.data.duplicates import find_duplicates

Array = NDArray[Any]

MAX_BINS = 20
MAX_LABELS = 12
N_EXAMPLES = 3
N_PICTURES = 1000
MAX_EXAMPLE_LENGTH = 60


def profile(dataset: Dataset) -> Profile:
    """Size, columns and target of a dataset; associations with the target if it has one (see `Association`).

    `n_duplicates` counts rows that equal an earlier one in every feature and the target.
    """
    association = association_of(dataset) if dataset.task is not None and dataset.n_samples else None
    columns = tuple(_profile_column(dataset, column, association) for column in dataset.schema.columns)
    counts: tuple[int, ...] = ()
    if dataset.task is not None and dataset.task.is_classification and dataset.target is not None:
        counts = tuple(np.bincount(dataset.target, minlength=len(dataset.task.classes)).tolist())
    if is_several(dataset.task) and dataset.target is not None:
        counts = tuple((dataset.target == 1).sum(axis=0).tolist())
    return Profile(
        n_samples=dataset.n_samples,
        columns=columns,
        task=dataset.task,
        class_counts=counts,
        n_duplicates=int(find_duplicates(dataset).repeats.sum()),
        memory_bytes=sum(_memory_bytes(values) for values in dataset.columns.values()),
    )


def _profile_column(dataset: Dataset, column: Column, association: Association | LabelAssociation | None) -> ColumnProfile:
    values = dataset.columns[column.name]
    if column.name == dataset.schema.target:
        association = None
    if column.kind.is_numeric:
        return _profile_numbers(column, values, association)
    if column.kind in (ColumnKind.CATEGORY, ColumnKind.CONSTANT):
        return _profile_levels(column, values, association)
    if column.kind is ColumnKind.IMAGE:
        return _profile_pictures(column, values)
    return _profile_text(column, values)


def _profile_numbers(column: Column, values: Array, association: Association | LabelAssociation | None) -> ColumnProfile:
    n_missing = int(np.isnan(values).sum())
    finite = np.sort(values[np.isfinite(values)])
    found = None if association is None else association.of_numbers(values)
    if not len(finite):
        return ColumnProfile(name=column.name, kind=column.kind.value, n_missing=n_missing, n_unique=0, association=found)
    low, high = float(finite[0]), float(finite[-1])
    # Sums of values near the end of the range of doubles overflow: shrink by a power of two, exactly.
    scale = 2.0**600 if max(abs(low), abs(high)) > 2.0**450 else 1.0
    shrunk = finite / scale
    middle = shrunk[[(len(finite) - 1) // 2, len(finite) // 2]].mean()
    edges, counts = histogram(finite)
    return ColumnProfile(
        name=column.name,
        kind=column.kind.value,
        n_missing=n_missing,
        n_unique=1 + int((finite[1:] != finite[:-1]).sum()),
        association=found,
        mean=float(shrunk.mean() * scale),
        std=float(shrunk.std() * scale),
        low=low,
        median=float(middle * scale),
        high=high,
        edges=tuple(edges.tolist()),
        histogram=tuple(counts.tolist()),
    )


def histogram(ordered: Array) -> tuple[Array, Array]:
    """Edges and counts of at most 20 bins of equal width over sorted finite numbers.

    Whole numbers that span fewer than 20 have a bin each.
    """
    low, high = float(ordered[0]), float(ordered[-1])
    span = high / 4 - low / 4  # quarters: the whole may exceed the range of doubles
    if span < MAX_BINS / 4 and low == np.floor(low) and abs(low) < 2.0**52 and bool((ordered == np.floor(ordered)).all()):
        edges = np.arange(low, high + 2) - 0.5
    elif span == 0 or not low < low + span / MAX_BINS:
        edges = np.array([low - max(0.5, abs(low) * 1e-3), high + max(0.5, abs(high) * 1e-3)])
    else:
        edges = 4 * (low / 4 + span * np.linspace(0, 1, min(MAX_BINS, max(2, len(ordered))) + 1))
        edges[0], edges[-1] = low, high
    ends = np.searchsorted(ordered, edges[1:-1], "left")
    return edges, np.diff(np.concatenate([[0], ends, [len(ordered)]]))


def _profile_levels(column: Column, codes: Array, association: Association | LabelAssociation | None) -> ColumnProfile:
    counts = np.bincount(codes[codes >= 0], minlength=len(column.levels))
    n_unique = int((counts > 0).sum())
    order = np.argsort(-counts, kind="stable")[:n_unique]
    shown = order if n_unique <= MAX_LABELS else order[: MAX_LABELS - 1]
    labels, numbers = [column.levels[code] for code in shown], counts[shown].tolist()
    if n_unique > MAX_LABELS:
        labels.append("other")
        numbers.append(int(counts.sum() - sum(numbers)))
    is_feature = column.kind is ColumnKind.CATEGORY and association is not None
    return ColumnProfile(
        name=column.name,
        kind=column.kind.value,
        n_missing=int((codes < 0).sum()),
        n_unique=n_unique,
        association=association.of_categories(codes) if is_feature and association is not None else None,
        labels=tuple(labels),
        histogram=tuple(numbers),
    )


def _profile_pictures(column: Column, pictures: Array) -> ColumnProfile:
    """The commonest sizes as labels; mean, deviation and range are of the pictures' mean brightness, 0 to 255."""
    present = [picture for picture in pictures.tolist() if picture is not None]
    sizes = Counter(f"{picture.shape[1]} x {picture.shape[0]}" for picture in present).most_common()
    shown = (
        sizes if len(sizes) <= MAX_LABELS else [*sizes[: MAX_LABELS - 1], ("other", sum(n for _, n in sizes[MAX_LABELS - 1 :]))]
    )
    few = present[:: max(1, len(present) // N_PICTURES)]
    brightness = np.array([picture.mean() for picture in few])
    return ColumnProfile(
        name=column.name,
        kind=column.kind.value,
        n_missing=len(pictures) - len(present),
        n_unique=len({digest_of(picture) for picture in present}),
        mean=float(brightness.mean()) if len(few) else None,
        std=float(brightness.std()) if len(few) else None,
        low=float(brightness.min()) if len(few) else None,
        high=float(brightness.max()) if len(few) else None,
        labels=tuple(size for size, _ in shown),
        histogram=tuple(count for _, count in shown),
    )


def _profile_text(column: Column, values: Array) -> ColumnProfile:
    seen = dict.fromkeys(values.tolist())
    n_missing = values.tolist().count(None)
    seen.pop(None, None)
    examples = [str(text)[:MAX_EXAMPLE_LENGTH] for text, _ in zip(seen, range(N_EXAMPLES), strict=False)]
    return ColumnProfile(
        name=column.name, kind=column.kind.value, n_missing=n_missing, n_unique=len(seen), examples=tuple(examples)
    )


def _memory_bytes(values: Array) -> int:
    cells = values.tolist() if values.dtype == object else []
    texts = sum(cell.nbytes if isinstance(cell, np.ndarray) else len(cell) for cell in cells if cell is not None)
    return int(values.nbytes) + texts
