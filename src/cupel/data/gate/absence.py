"""Missing cells that are missing for a reason, and columns that are nearly constant."""

from __future__ import annotations

import numpy as np

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity
from cupel.core.form import Form
from cupel.core.profile import Profile
from cupel.data.association import association_of

MIN_MISSING = 30
MIN_ASSOCIATION = 0.1
NEARLY_CONSTANT = 0.995
MIN_ROWS = 200
N_SHOWN = 8


def find_telling_absence(dataset: Dataset, profile: Profile) -> list[Finding]:
    """Columns whose missing cells tell the target, and columns of which nearly every cell is the same."""
    return [*_absence(dataset), *_nearly_constant(dataset, profile)]


def _absence(dataset: Dataset) -> list[Finding]:
    if dataset.task is None or dataset.n_samples < MIN_ROWS or dataset.task.form is Form.MASKS:
        return []
    association = association_of(dataset)
    telling = []
    for column in dataset.schema.plain_features:
        values = dataset.columns[column.name]
        is_missing = np.isnan(values) if column.kind.is_numeric else values < 0
        n_missing = int(is_missing.sum())
        if MIN_MISSING <= n_missing <= len(values) - MIN_MISSING:
            told = association.of_categories(is_missing.astype(np.int64))
            if told >= MIN_ASSOCIATION:
                telling.append((told, column.name))
    if not telling:
        return []
    telling.sort(reverse=True)
    shown = ", ".join(f"{name} {told:.2f}" for told, name in telling[:N_SHOWN])
    more = f" and {len(telling) - N_SHOWN} more" if len(telling) > N_SHOWN else ""
    return [
        Finding(
            code="telling-absence",
            severity=Severity.NOTE,
            where=", ".join(name for _, name in telling[:N_SHOWN]),
            what=f"Whether a cell is missing tells of the target (association {shown}{more}): cells are not missing at random.",
            action="Absence is given to every model as a column of its own. It helps only as long as cells are missing for "
            "the same "
            "reasons when the model is used.",
        )
    ]


def _nearly_constant(dataset: Dataset, profile: Profile) -> list[Finding]:
    if profile.n_samples < MIN_ROWS:
        return []
    found = []
    for column in dataset.schema.plain_features:
        values = dataset.columns[column.name]
        present = values[~np.isnan(values)] if column.kind.is_numeric else values[values >= 0]
        if len(present) < len(values):
            continue
        ordered = np.sort(present)
        middle = ordered[len(ordered) // 2]  # what fills nearly all cells stands in the middle
        share = (np.searchsorted(ordered, middle, "right") - np.searchsorted(ordered, middle, "left")) / len(ordered)
        if NEARLY_CONSTANT <= share < 1:
            found.append(f"{column.name} {share:.2%}")
    if not found:
        return []
    names = [words.rpartition(" ")[0] for words in found]
    return [
        Finding(
            code="nearly-constant",
            severity=Severity.NOTE,
            where=", ".join(names[:N_SHOWN]) + (f" and {len(names) - N_SHOWN} more" if len(names) > N_SHOWN else ""),
            what=f"Nearly all rows have the same value: {', '.join(found[:N_SHOWN])}{', …' if len(found) > N_SHOWN else ''}.",
            action="Used; what so few rows differ in can hardly be learned, and folds may see none of them.",
        )
    ]
