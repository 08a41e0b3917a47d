"""All that is looked for beside single columns, in one go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding
from cupel.core.form import Form
from cupel.core.labels import alone as only
from cupel.core.labels import known
from cupel.core.masks import shares_of
from cupel.data.sentinel.encodings import find_encodings
from cupel.data.sentinel.future import find_future_columns
from cupel.data.sentinel.groups import find_groups
from cupel.data.sentinel.identifiers import find_telling_identifiers
from cupel.data.sentinel.pairs import find_pair_leaks
from cupel.data.sentinel.picture_files import find_telling_files
from cupel.data.sentinel.picture_groups import find_picture_groups
from cupel.data.sentinel.succession import find_succession_leaks
from cupel.data.skill import Bench

Array = NDArray[Any]
MIN_ROWS = 30
N_LABELS = 3


def find_hidden_leaks(dataset: Dataset, alone: Sequence[Finding]) -> list[Finding]:
    """Findings of every kind but single columns, which are in `alone` and not accused again, and near copies.

    Of several labels the three most frequent are looked at one by one; so is how much of each mask classes cover, three of them
    at most and not the commonest.
    """
    if dataset.task is None or dataset.target is None or dataset.n_samples < MIN_ROWS:
        return []
    if dataset.task.form not in (Form.LABELS, Form.MASKS):
        return _of_one_answer(dataset, alone)
    found: dict[tuple[str, str], Finding] = {}
    is_masked = dataset.task.form is Form.MASKS
    for single, rows, words in _of_masks(dataset) if is_masked else _of_labels(dataset):
        if len(rows) < MIN_ROWS:
            continue
        for finding in _of_one_answer(single, alone, counts_bytes=not is_masked):
            contrast = None if finding.contrast is None else finding.contrast.among(rows)
            found.setdefault((finding.code, finding.where), replace(finding, what=f"{words}: {finding.what}", contrast=contrast))
    return list(found.values())


def _of_labels(dataset: Dataset) -> Iterator[tuple[Dataset, Array, str]]:
    """The most frequent labels, each as a target of two classes in the rows where it is known, and what it is called."""
    assert dataset.task is not None, "leaks are looked for where there is a task"
    assert dataset.target is not None, "leaks are looked for where there is a target"
    for label in np.argsort(-np.nansum(dataset.target, axis=0), kind="stable")[:N_LABELS].tolist():
        yield only(dataset, label), known(dataset.target, label), f"Of the label {dataset.task.classes[label]!r}"


def _of_masks(dataset: Dataset) -> Iterator[tuple[Dataset, Array, str]]:
    """Classes of pixels, each as the share of a mask that it covers, a target of numbers."""
    assert dataset.task is not None, "leaks are looked for where there is a task"
    assert dataset.target is not None, "leaks are looked for where there is a target"
    shares, rows = shares_of(dataset.task, dataset.target), np.arange(dataset.n_samples)
    for klass in np.argsort(-shares.mean(axis=0), kind="stable")[1 : N_LABELS + 1].tolist():
        if np.ptp(shares[:, klass]) > 0:
            words = f"Of how much of a mask is {dataset.task.classes[klass]!r}"
            yield replace(dataset.summary, target=shares[:, klass]), rows, words


def _of_one_answer(dataset: Dataset, alone: Sequence[Finding], *, counts_bytes: bool = True) -> list[Finding]:
    accused = {name for finding in alone if "leak" in finding.code for name in finding.where.split(", ")}
    bench = Bench(dataset)
    encodings = [finding for finding in find_encodings(dataset) if finding.where not in accused]
    accused |= {finding.where for finding in encodings}
    future = find_future_columns(dataset, bench, accused)
    accused |= {finding.where for finding in future}
    found = [*encodings, *future, *find_pair_leaks(dataset, bench, accused)]
    found += [*find_telling_identifiers(dataset, bench), *find_telling_files(dataset, bench, counts_bytes=counts_bytes)]
    found += [*find_groups(dataset), *find_picture_groups(dataset)]
    return [*found, *find_succession_leaks(dataset)]
