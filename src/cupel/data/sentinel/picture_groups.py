"""Names of files and folders that say which pictures are of one thing, so that folds should keep them together."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.finding import Contrast, Finding, Severity
from cupel.data.association import adjusted_correlation_ratio, average_ranks
from cupel.data.dealing import compact
from cupel.data.sentinel.groups import ALIKE_FEATURES, ALIKE_TARGET, FEATURE_SHARE, are_things, probability_of

Array = NDArray[Any]

MAX_COLUMNS = 3
MAX_DROPPED = 4
"""Pieces at the end of a name that may tell the pictures of one thing apart."""
N_ROWS = 4_000
MOST_PROBED = 32
CLASS_FOLDERS = 0.9
_PIECES = re.compile(r"\d+|[^\W\d_]+")


def find_picture_groups(dataset: Dataset) -> list[Finding]:
    """A finding for each column of pictures whose names begin alike where they are, as patient_12_a and patient_12_b do.

    Names are cut before their last pieces (letters, or digits), up to four, the folder of the class left out. As of columns
    (`find_groups`) a tenth of the target's variance must lie between beginnings, and of half of what is looked at, the light of
    each colour in the four quarters and the contrast, 40 % more than lies between classes: those are alike anyhow.
    """
    if dataset.task is None or dataset.target is None or dataset.schema.group is not None:
        return []
    columns = [column.name for column in dataset.schema.image_features if column.name in dataset.names][:MAX_COLUMNS]
    return [finding for name in columns for finding in _of_column(dataset, name)]


def _of_column(dataset: Dataset, column: str) -> list[Finding]:
    assert dataset.target is not None, "groups are looked for where there is a target"
    paths = _without_class(dataset, dataset.names[column])
    for n_dropped in range(MAX_DROPPED, 0, -1):
        stems = np.array([_beginning(path, n_dropped) or f"\0{row}" for row, path in enumerate(paths)])
        every = compact(stems)
        if not are_things(every):
            continue
        rows = _whole_groups(every)
        codes, target = compact(every[rows]), average_ranks(dataset.target[rows].astype(np.float64))
        alike_target = _between(codes, target)
        if alike_target < ALIKE_TARGET:
            continue
        is_class = dataset.task is not None and dataset.task.is_classification
        classes = compact(dataset.target[rows]) if is_class else np.zeros(len(rows), np.int64)
        ranks = [average_ranks(look) for look in _looks(dataset.columns[column][rows]).T if np.ptp(look) > 0]
        alike = [_between(codes, each) - _between(classes, each) for each in ranks]
        share = float(np.mean([value >= ALIKE_FEATURES for value in alike])) if alike else 0.0
        if share >= FEATURE_SHARE:
            return [_finding(column, stems, every, alike_target=alike_target, probability=probability_of(codes, alike_target))]
    return []


def _without_class(dataset: Dataset, names: Array) -> list[str]:
    """Names without suffix, and without their first folder where that is the class; "" where there is no file."""
    paths = [PurePosixPath(str(name).replace("\\", "/")) if name else None for name in names.tolist()]
    classes = () if dataset.task is None else dataset.task.classes
    is_named = [path is not None and len(path.parts) > 1 and path.parts[0] in classes for path in paths]
    n_first = 1 if np.mean(is_named) >= CLASS_FOLDERS else 0
    return ["" if path is None else "/".join((*path.parts[n_first:-1], path.stem)) for path in paths]


def _beginning(path: str, n_dropped: int) -> str:
    """As far as the last piece that is kept; "" where none is."""
    pieces = list(_PIECES.finditer(path))
    return path[: pieces[-n_dropped - 1].end()] if len(pieces) > n_dropped else ""


def _whole_groups(codes: Array) -> Array:
    """Rows of groups drawn until there are enough, in order."""
    order = np.random.default_rng(0).permutation(int(codes.max()) + 1)
    place = np.argsort(order)[codes]
    return np.sort(np.argsort(place, kind="stable")[:N_ROWS])


def _looks(pictures: Array) -> NDArray[np.float64]:
    """Mean of each colour in each quarter, and deviation of all, shape (rows, 13); zeros where a picture is missing."""
    found = np.zeros((len(pictures), 13))
    for row, picture in enumerate(pictures.tolist()):
        if picture is None:
            continue
        probed = picture[:: -(-picture.shape[0] // MOST_PROBED), :: -(-picture.shape[1] // MOST_PROBED)].astype(np.float64)
        down, across = -(-probed.shape[0] // 2), -(-probed.shape[1] // 2)
        quarters = (probed[top:][:down, left:][:, :across] for top in (0, -down) for left in (0, -across))
        found[row, :12] = np.concatenate([np.broadcast_to(quarter.mean(axis=(0, 1)), 3) for quarter in quarters])
        found[row, 12] = probed.std()
    return found


def _between(codes: Array, ranks: Array) -> float:
    return adjusted_correlation_ratio(codes, ranks) ** 2 if codes.max() > 0 else 0.0


def _finding(column: str, stems: Array, codes: Array, *, alike_target: float, probability: float) -> Finding:
    counts = np.bincount(codes)
    first = np.unique(codes, return_index=True)[1]
    shown = ", ".join(repr(str(stems[first[code]])[-60:]) for code in np.argsort(-counts, kind="stable")[:3].tolist())
    n_several = int((counts > 1).sum())
    return Finding(
        code="group-leak",
        severity=Severity.WARNING,
        where=column,
        what=f"{int(counts[counts > 1].sum()):,} of {len(codes):,} pictures share the beginning of their name with others, "
        f"{n_several:,} beginnings such as {shown}, and look alike where they do, as the target is ({alike_target:.0%} of its "
        "variance lies between them): pictures of one thing train and judge.",
        action="Pictures are divided one by one. If new ones will be of new things, give a table with a column of paths and one "
        "of these beginnings, and name the latter with --group.",
        probability=probability,
        contrast=Contrast(rows=np.arange(len(codes)), units=codes),
    )
