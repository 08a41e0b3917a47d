"""Columns that give the target away: known only once the answer is known, or made from it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.core.labels import alone, is_several
from cupel.core.profile import Profile
from cupel.core.schema import ColumnKind
from cupel.data.skill import Bench

Array = NDArray[Any]

MIN_ROWS = 30
MIN_ASSOCIATION = 0.1
N_TRIED = 200
ALMOST_PERFECT_CLASSES, ALMOST_PERFECT_NUMBERS = 0.98, 0.999
TELLING, STRONG = 0.5, 0.8
ERROR_RATIO = 5
MAX_STATES = 20
MIN_PURE_SHARE, MIN_PURE_ROWS, MIN_EXPECTED_EXCEPTIONS = 0.1, 100, 20
MAX_OTHERS_ACCURACY = 0.9
MAX_SUMMANDS = 10
N_ROWS_SUMMED = 2_000
N_LABELS = 10
SURE_BY_COUNT, SURE_BY_SHARE = 0.999, 0.99
"""Probabilities that are no test's: of what holds without exception where twenty are expected, and of a share below 1% where 10%
are."""

KEPT = "It is kept, and every score rests on it. If it is not known at the moment of prediction, leave it out with --drop {name}."


DOUBTED = "It is kept. If it is not known at the moment of prediction, leave it out with --drop {name}."


@dataclass(frozen=True, eq=False)
class _Pure:
    """A value of a column (or its absence) for which the target is always the same."""

    column: str
    value: float
    label: int
    rows: NDArray[np.bool_]


def find_leaks(dataset: Dataset, profile: Profile) -> list[Finding]:
    """One finding for each feature that gives the target away, most telling first.

    Three ways are looked for, each on rows not learned from. *Alone*: a column by itself predicts almost without error
    (98 % of the mistakes avoided; 99.9 % of the rank variance) while all other columns together leave at
    least five times its error; so an honest strong predictor in an easy table is not accused. *One value*: some value, or
    the absence of one, in a tenth of the rows or more goes with one class without exception, where chance would bring
    20 exceptions, and the other columns cannot tell this; serious where the column avoids 80 % of the mistakes, and then
    columns that avoid half of them are not asked, since they may be leaks too. *Sum*: the target is exactly a sum of columns.
    Of several labels the ten most frequent are looked at one by one.
    """
    if is_several(dataset.task):
        return _of_labels(dataset, profile)
    names = _telling(dataset, profile)
    if dataset.task is None or not names:
        return []
    bench = Bench(dataset)
    if len(bench.rows) < MIN_ROWS:
        return []
    alone = {name: bench.alone(name) for name in names}
    found = _alone(dataset, bench, alone)
    if bench.is_classification:
        found += _one_value(dataset, bench, alone, known={finding.where for finding in found})
    else:
        found += _sum(dataset, bench, known={finding.where for finding in found})
    return found


def _of_labels(dataset: Dataset, profile: Profile) -> list[Finding]:
    """What gives a label away, each column once."""
    assert dataset.task is not None, "leaks are looked for where there is a task"
    found: dict[str, Finding] = {}
    frequent = np.argsort(-np.array(profile.class_counts), kind="stable")[:N_LABELS]
    for label in frequent.tolist():
        for finding in find_leaks(alone(dataset, label), profile):
            told = replace(finding, what=f"Of the label {dataset.task.classes[label]!r}: {finding.what}")
            found.setdefault(finding.where, told)
    return list(found.values())


def _telling(dataset: Dataset, profile: Profile) -> list[str]:
    features = {column.name for column in dataset.schema.plain_features}
    by_association = sorted((-(c.association or 0.0), c.name) for c in profile.columns if c.name in features)
    return [name for negative, name in by_association[:N_TRIED] if -negative >= MIN_ASSOCIATION]


def _alone(dataset: Dataset, bench: Bench, alone: dict[str, float]) -> list[Finding]:
    limit = ALMOST_PERFECT_CLASSES if bench.is_classification else ALMOST_PERFECT_NUMBERS
    suspects = [name for name, skill in alone.items() if skill >= limit]
    if not suspects:
        return []
    rest = [column.name for column in dataset.schema.plain_features if column.name not in suspects][:N_TRIED]
    others, _, _ = bench.together(rest)
    found = []
    for name in sorted(suspects, key=lambda name: -alone[name]):
        least_error = max(1 - alone[name], 1 / len(bench.rows))
        if 1 - others < ERROR_RATIO * least_error and not _is_recoding(bench, name, alone[name]):
            continue
        unit = "of the mistakes of a constant guess" if bench.is_classification else "of the variance of the target's ranks"
        verb = "avoids" if bench.is_classification else "explains"
        what = (
            f"{name!r} alone gives the target away: on rows not learned from it {verb} {_percent(alone[name])} {unit}; "
            f"the other columns together {_percent(others)}."
        )
        found.append(
            Finding(
                code="leak",
                severity=Severity.SERIOUS,
                where=name,
                what=what,
                action=KEPT.format(name=shlex.quote(name)),
                probability=bench.probability(alone[name], n_tried=len(alone)),
                fix=Fix(kind=FixKind.DROP_COLUMN, columns=(name,)),
            )
        )
    return found


def _is_recoding(bench: Bench, name: str, skill: float) -> bool:
    """Whether the column has no more values than the target has classes, and never errs."""
    return bench.is_classification and skill == 1 and len(np.unique(bench.states(name))) <= bench.answers.shape[1]


def _one_value(dataset: Dataset, bench: Bench, alone: dict[str, float], known: set[str]) -> list[Finding]:
    pure = [found for name in alone if name not in known for found in [_purest(dataset, bench, name)] if found is not None]
    if not pure:
        return []
    accused = known | {suspect.column for suspect in pure}
    companions = {suspect.column: _companions(dataset, bench, alone, suspect) for suspect in pure}
    related = set().union(*companions.values())
    tellers = {name for name, skill in alone.items() if skill >= TELLING}
    found: list[Finding] = []
    for is_strong, besides in ((True, accused | tellers), (False, accused | related)):
        asked = [suspect for suspect in pure if (alone[suspect.column] >= STRONG) is is_strong]
        found += _untold(dataset, bench, asked, besides=besides, is_strong=is_strong)
    leaks = [finding.where for finding in found if finding.code == "leak"]
    filled = set().union(*(companions[name] for name in leaks)) - known - {finding.where for finding in found}
    return [*found, _companion_finding(sorted(filled), leaks)] if filled else found


def _untold(dataset: Dataset, bench: Bench, suspects: list[_Pure], *, besides: set[str], is_strong: bool) -> list[Finding]:
    """Findings for the suspects whose settled class the columns not in `besides` cannot tell."""
    if not suspects:
        return []
    rest = [column.name for column in dataset.schema.plain_features if column.name not in besides][:N_TRIED]
    _, used, predicted = bench.together(rest)
    found = []
    for suspect in suspects:
        asked = used & suspect.rows
        accuracy = float((predicted[asked].argmax(axis=1) == suspect.label).mean()) if asked.any() else 1.0
        if accuracy <= MAX_OTHERS_ACCURACY:
            found.append(_pure_finding(dataset, bench, suspect, accuracy=accuracy, is_strong=is_strong))
    return found


def _purest(dataset: Dataset, bench: Bench, name: str) -> _Pure | None:
    """The most frequent value that settles the class, if it is frequent enough to mean something."""
    states = bench.states(name)
    values, codes = np.unique(states, return_inverse=True)
    if len(values) > MAX_STATES:
        values, codes = np.array([-np.inf, 0.0]), np.isfinite(states).astype(np.int64)
    n_classes = bench.answers.shape[1]
    table = np.bincount(codes.reshape(-1) * n_classes + bench.target, minlength=len(values) * n_classes)
    table = table.reshape(len(values), n_classes)
    counts, labels = table.sum(axis=1), table.argmax(axis=1)
    expected = counts * (1 - bench.answers.mean(axis=0)[labels])
    is_pure = (
        (table.max(axis=1) == counts)
        & (counts >= max(MIN_PURE_ROWS, MIN_PURE_SHARE * len(states)))
        & (expected >= MIN_EXPECTED_EXCEPTIONS)
    )
    if not is_pure.any():
        return None
    best = int(np.argmax(np.where(is_pure, counts, 0)))
    rows = codes.reshape(-1) == best
    assert dataset.target is not None, "leaks are looked for where there is a task"
    is_one_class = len(np.unique(dataset.target[bench.rows[rows]])) == 1  # the bench joins rare classes
    return _Pure(name, float(values[best]), int(labels[best]), rows) if is_one_class else None


def _pure_finding(dataset: Dataset, bench: Bench, suspect: _Pure, *, accuracy: float, is_strong: bool) -> Finding:
    assert dataset.task is not None, "leaks are looked for where there is a task"
    assert dataset.target is not None, "leaks are looked for where there is a task"
    first = bench.rows[np.flatnonzero(suspect.rows)[0]]
    label = dataset.task.classes[dataset.target[first]]
    n_rows, share = int(suspect.rows.sum()), float(suspect.rows.mean())
    what = (
        f"Where {suspect.column!r} {_state_words(dataset, suspect)}, the target is always {label!r}: {n_rows:,} rows "
        f"({share:.0%}) without exception. {'Columns that tell less' if is_strong else 'The other columns'} get "
        f"{1 - accuracy:.0%} of these wrong."
    )
    return Finding(
        code="leak" if is_strong else "possible-leak",
        severity=Severity.SERIOUS if is_strong else Severity.WARNING,
        where=suspect.column,
        what=what + " Such a value is often filled in after the outcome.",
        action=(KEPT if is_strong else DOUBTED).format(name=shlex.quote(suspect.column)),
        probability=SURE_BY_COUNT,
        fix=Fix(kind=FixKind.DROP_COLUMN, columns=(suspect.column,)),
    )


def _state_words(dataset: Dataset, suspect: _Pure) -> str:
    if suspect.value == -np.inf:
        return "is missing"
    column = dataset.schema[suspect.column]
    if column.kind is ColumnKind.CATEGORY or (column.kind is ColumnKind.BOOLEAN and column.levels):
        return f"is {column.levels[int(suspect.value)]!r}"
    is_presence = len(np.unique(dataset.columns[suspect.column])) > MAX_STATES and suspect.value == 0
    return "is not missing" if is_presence else f"is {suspect.value:g}"


def _companions(dataset: Dataset, bench: Bench, alone: dict[str, float], suspect: _Pure) -> set[str]:
    """Columns that are filled in almost only where the suspect does not settle the class."""
    found = set()
    for column in dataset.schema.plain_features:
        present = np.asarray(bench.states(column.name) > -np.inf)
        is_partly_missing = present.any() and present.mean() < 1 - MIN_PURE_SHARE
        if column.name != suspect.column and column.name in alone and is_partly_missing:
            inside = float((present & suspect.rows).sum() / present.sum())
            if inside < 0.01:
                found.add(column.name)
    return found


def _companion_finding(names: list[str], leaks: list[str]) -> Finding:
    listed = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return Finding(
        code="possible-leak",
        severity=Severity.WARNING,
        where=listed,
        what=f"{'These columns are' if len(names) > 1 else 'This column is'} filled in only where {leaks[0]!r} "
        "does not settle the target.",
        action=f"{'They are' if len(names) > 1 else 'It is'} kept. What is not known at the moment of prediction, leave out with "
        f"{_options(names)}.",
        probability=SURE_BY_SHARE,
        fix=Fix(kind=FixKind.DROP_COLUMN, columns=tuple(names)),
    )


def _sum(dataset: Dataset, bench: Bench, known: set[str]) -> list[Finding]:
    """A finding if the target is exactly a weighted sum of some numeric columns, found on half the rows, true on the rest."""
    numeric = [column.name for column in dataset.schema.numeric_features if column.name not in known][:N_TRIED]
    matrix = np.column_stack([bench.states(name) for name in numeric]) if numeric else np.zeros((len(bench.rows), 0))
    complete = [position for position in range(len(numeric)) if np.isfinite(matrix[:, position]).all()]
    numeric, matrix = [numeric[position] for position in complete], matrix[:, complete]
    n_rows = min(len(matrix), N_ROWS_SUMMED)
    matrix, target = matrix[:n_rows], bench.target[:n_rows]
    spread, deviation = matrix.std(axis=0), float(target.std())
    if not numeric or n_rows < 4 * len(numeric) + 8 or deviation == 0 or not np.isfinite(spread).all():
        return []
    scaled = np.column_stack([(matrix - matrix.mean(axis=0)) / np.maximum(spread, 1e-300), np.ones(n_rows)])
    weights = np.linalg.lstsq(scaled[::2], target[::2] / deviation, rcond=None)[0]
    residual = np.abs(scaled[1::2] @ weights - target[1::2] / deviation).max()
    summands = [position for position in range(len(numeric)) if abs(weights[position]) > 1e-6]
    if residual > 1e-6 or not 1 <= len(summands) <= MAX_SUMMANDS:
        return []
    terms = [(weights[position] * deviation / spread[position], numeric[position]) for position in summands]
    formula = " + ".join(name if abs(weight - 1) < 1e-6 else f"{weight:.4g} × {name}" for weight, name in terms)
    listed = ", ".join(name for _, name in terms)
    return [
        Finding(
            code="leak",
            severity=Severity.SERIOUS,
            where=listed,
            what=f"The target is made of other columns: {dataset.schema.target} = {formula}, without error in {n_rows:,} rows.",
            action=f"They are kept. If {'they are' if len(terms) > 1 else 'it is'} not known at the moment of prediction, "
            f"leave out with {_options([name for _, name in terms])}.",
            probability=SURE_BY_COUNT,
            fix=Fix(kind=FixKind.DROP_COLUMN, columns=tuple(name for _, name in terms)),
        )
    ]


def _options(names: Sequence[str]) -> str:
    return " ".join(f"--drop {shlex.quote(name)}" for name in names)


def _percent(skill: float) -> str:
    return "all" if skill == 1 else f"{min(skill, 0.9999):.2%}" if skill > 0.99 else f"{skill:.0%}"
