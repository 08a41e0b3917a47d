"""What is wrong or peculiar about a dataset, and what is done about it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.core.profile import ColumnProfile, Profile
from cupel.core.schema import ColumnKind
from cupel.data.duplicates import column_hash, find_duplicates, partition_hash
from cupel.data.gate import judge_cells
from cupel.data.leaks import find_leaks
from cupel.data.sentinel import find_hidden_leaks
from cupel.data.splitting import SMALL, default_folds

Array = NDArray[Any]

N_LISTED = 8
FEW_ROWS, VERY_FEW_ROWS = 200, 50
RARE = 10
MANY_LEVELS = 50
OFTEN_MISSING, MOSTLY_MISSING = 0.2, 0.9
SKEWED = 3.0
EXTREME_DEVIATIONS = 10.0
EXTREME_SHARE, EXTREME_VARIANCE = 0.01, 0.5
MAX_CODED = 1000
_ORDER = (Severity.SERIOUS, Severity.WARNING, Severity.NOTE)


def judge_quality(dataset: Dataset, profile: Profile) -> tuple[Finding, ...]:
    """Findings, those made while reading first, then by severity.

    What each action says is what happens without further asking: no row and no usable column is taken away. Of masks only what
    could leak is looked for by the target, since all else knows one answer a row.
    """
    found: list[Finding] = []
    if dataset.task is not None:
        found += find_leaks(dataset.unasked, profile)
        found += find_hidden_leaks(dataset, found)
    dataset = dataset.unasked
    found += judge_cells(dataset, profile)
    for judge in (_duplicates, _size, _columns_not_used, _columns_alike, _missing, _levels, _roles, _classes):
        found += judge(dataset, profile)
    found += _target_values(dataset)
    told = {(finding.code, finding.where) for finding in dataset.findings}
    told |= {("repeated-identifier", finding.where) for finding in found if finding.code == "group-leak"}
    told |= {("dates-not-ordered", finding.where) for finding in found if finding.code == "time-leak"}
    new = [finding for finding in found if (finding.code, finding.where) not in told]
    return (*dataset.findings, *sorted(new, key=lambda finding: _ORDER.index(finding.severity)))


def listed(names: Sequence[str]) -> str:
    """Names in a row, the first eight and the number of the others."""
    rest = f" and {len(names) - N_LISTED} more" if len(names) > N_LISTED else ""
    return ", ".join(names[:N_LISTED]) + rest


def _duplicates(dataset: Dataset, profile: Profile) -> Iterator[Finding]:
    duplicates = find_duplicates(dataset)
    n_conflicts, n_twins = int(duplicates.conflicts.sum()), duplicates.n_twins
    kept = "All are kept. "
    if n_twins and dataset.schema.group is None and dataset.schema.time is None:
        kept += "Rows that are equal in every feature are always in the same fold, so that no row is judged by its copy."
    elif n_twins:
        by = "the groups decide" if dataset.schema.group else "the order in time decides"
        kept += f"Here {by} which rows are together; copies may train and judge."
    else:
        kept += "The features take so few values that equal rows are to be expected; they are divided like any others."
    if profile.n_duplicates:
        share = profile.n_duplicates / profile.n_samples
        yield Finding(
            code="duplicate-rows",
            severity=Severity.WARNING if n_twins and share > 0.01 else Severity.NOTE,
            where="rows",
            what=f"{profile.n_duplicates:,} of {profile.n_samples:,} rows ({_share(share)}) repeat an earlier one in every "
            f"feature{' and the target' if dataset.task else ''}.",
            action=kept,
        )
    if n_conflicts and dataset.task is not None and dataset.task.is_classification:
        yield Finding(
            code="contradicting-rows",
            severity=Severity.WARNING if n_conflicts / profile.n_samples > 0.05 else Severity.NOTE,
            where="rows",
            what=f"{n_conflicts:,} of {profile.n_samples:,} rows ({_share(n_conflicts / profile.n_samples)}) are equal to others "
            "in every feature, but not in the target. No model can be right about all of them.",
            action=kept,
        )


def _size(dataset: Dataset, profile: Profile) -> Iterator[Finding]:
    n_rows, n_features = profile.n_samples, len(dataset.schema.features)
    if n_rows < FEW_ROWS:
        twice = n_rows < SMALL and not dataset.schema.group and not dataset.schema.time
        yield Finding(
            code="few-rows",
            severity=Severity.SERIOUS if n_rows < VERY_FEW_ROWS else Severity.WARNING,
            where="rows",
            what=f"There are {n_rows} rows; what is found in so few may be chance.",
            action=("The folds are drawn twice, and e" if twice else "E")
            + "very score comes with its interval, which will be wide.",
        )
    if n_features > n_rows:
        yield Finding(
            code="more-columns-than-rows",
            severity=Severity.WARNING,
            where="columns",
            what=f"There are {n_features:,} features and {n_rows:,} rows, so some features fit the target by chance.",
            action="All are used; candidates that select features or regularise strongly have the better odds.",
        )


def _columns_not_used(dataset: Dataset, profile: Profile) -> Iterator[Finding]:
    kinds = {
        ColumnKind.CONSTANT: ("constant-column", Severity.NOTE, "the same value in every row, or none"),
        ColumnKind.IDENTIFIER: ("identifier-column", Severity.NOTE, "a name or number of its own for nearly each row"),
        ColumnKind.TEXT: ("text-column", Severity.WARNING, "free text"),
    }
    roles = (dataset.schema.target, dataset.schema.group, dataset.schema.time)
    for kind, (code, severity, holds) in kinds.items():
        found = [c for c in profile.columns if c.kind == kind.value and c.name not in roles]
        if not found:
            continue
        example = f", such as {found[0].examples[0]!r} in {found[0].name}" if found[0].examples else ""
        subject = "This column holds" if len(found) == 1 else f"These {len(found)} columns hold"
        what = f"{subject} {holds}{example}."
        hint = {
            ColumnKind.CONSTANT: "",
            ColumnKind.IDENTIFIER: f" If it is a quantity after all, say --kind {shlex.quote(found[0].name + '=number')}.",
            ColumnKind.TEXT: f" If texts are classes after all, say --kind {shlex.quote(found[0].name + '=category')}.",
        }[kind]
        yield Finding(code=code, severity=severity, where=listed([c.name for c in found]), what=what, action="Not used." + hint)


def _columns_alike(dataset: Dataset, profile: Profile) -> Iterator[Finding]:
    same: dict[tuple[str, int], list[str]] = {}
    uniques = {column.name: column.n_unique for column in profile.columns}
    for column in dataset.schema.plain_features:
        values = dataset.columns[column.name]
        is_coded = 1 < uniques[column.name] <= min(MAX_CODED, profile.n_samples // 4)
        if is_coded:
            key = ("coded", partition_hash(np.unique(values, return_inverse=True)[1].reshape(-1)))
        elif column.kind.is_numeric:
            key = ("numbers", column_hash(values))
        else:
            key = ("levels", partition_hash(values))
        same.setdefault(key, []).append(column.name)
    alike = [names for names in same.values() if len(names) > 1]
    for names in alike[:N_LISTED]:
        yield Finding(
            code="identical-columns",
            severity=Severity.NOTE,
            where=listed(names),
            what=f"These {len(names)} columns tell the same: rows that are equal in one are equal in all.",
            action=f"All are used; their importance is shared among them. One would do: --drop {shlex.quote(names[-1])}.",
        )
    if len(alike) > N_LISTED:
        rest = [name for names in alike[N_LISTED:] for name in names[1:]]
        yield Finding(
            code="identical-columns",
            severity=Severity.NOTE,
            where=listed(rest),
            what=f"{len(alike) - N_LISTED} more sets of columns tell the same as one another; {len(rest)} columns could go.",
            action="All are used; their importance is shared among them.",
        )


def _missing(dataset: Dataset, profile: Profile) -> Iterator[Finding]:
    features = {column.name for column in dataset.schema.features}
    shares = sorted(
        ((c.n_missing / max(1, profile.n_samples), c.name) for c in profile.columns if c.name in features), reverse=True
    )
    action = (
        "They are used. Gaps are filled from the training rows of each fold, with a column that says where they were; "
        "tree models read them as gaps."
    )
    for code, severity, low, high in (
        ("mostly-missing", Severity.WARNING, MOSTLY_MISSING, 1.1),
        ("missing-cells", Severity.NOTE, OFTEN_MISSING, MOSTLY_MISSING),
    ):
        found = [(share, name) for share, name in shares if low <= share < high]
        if not found:
            continue
        cells = ", ".join(f"{name} {share:.0%}" for share, name in found[:N_LISTED])
        rest = f", and {len(found) - N_LISTED} more" if len(found) > N_LISTED else ""
        yield Finding(
            code=code,
            severity=severity,
            where=listed([name for _, name in found]),
            what=f"{'Nearly all' if low == MOSTLY_MISSING else 'Many'} cells are missing: {cells}{rest}.",
            action=action,
        )


def _levels(dataset: Dataset, profile: Profile) -> Iterator[Finding]:
    uniques = {column.name: column.n_unique for column in profile.columns}
    for column in dataset.schema.category_features:
        if uniques[column.name] <= MANY_LEVELS:
            continue
        codes = dataset.columns[column.name]
        n_single = int((np.bincount(codes[codes >= 0]) == 1).sum())
        yield Finding(
            code="many-levels",
            severity=Severity.NOTE,
            where=column.name,
            what=f"{column.name!r} has {uniques[column.name]:,} levels, {n_single:,} of them in one row only.",
            action="Networks learn an embedding of it, linear models its mean target, trees its frequency; "
            "a level of a single training row is read by networks and linear models as one never seen.",
        )


def _roles(dataset: Dataset, profile: Profile) -> Iterator[Finding]:
    schema = dataset.schema
    columns = {column.name: column for column in profile.columns}
    if schema.group is not None and columns[schema.group].n_missing:
        yield Finding(
            code="group-missing",
            severity=Severity.WARNING,
            where=schema.group,
            what=f"{columns[schema.group].n_missing:,} rows have no value in the group column.",
            action="They are treated as one group, since any two of them may belong together.",
        )
    if schema.group is None:
        repeated = [c for c in profile.columns if c.kind == ColumnKind.IDENTIFIER.value and _is_repeated(c, profile)]
        for column in repeated[:N_LISTED]:
            yield Finding(
                code="repeated-identifier",
                severity=Severity.WARNING,
                where=column.name,
                what=f"{column.name!r} has {column.n_unique:,} values in {profile.n_samples - column.n_missing:,} rows, so some "
                "things have several rows.",
                action=f"Rows are divided one by one. If new rows will be of new things, say --group {shlex.quote(column.name)}.",
                fix=Fix(kind=FixKind.GROUP, columns=(column.name,)),
            )
    dates = [c for c in schema.features if c.kind is ColumnKind.DATETIME and columns[c.name].n_unique > RARE]
    if schema.time is None and dates and dataset.task is not None:
        yield Finding(
            code="dates-not-ordered",
            severity=Severity.NOTE,
            where=listed([c.name for c in dates]),
            what="The rows carry dates.",
            action="They are divided without regard to time. If later rows are to be predicted, "
            f"say --order {shlex.quote(dates[0].name)}.",
        )


def _is_repeated(column: ColumnProfile, profile: Profile) -> bool:
    return column.n_unique < 0.98 * (profile.n_samples - column.n_missing)


def _classes(dataset: Dataset, profile: Profile) -> Iterator[Finding]:
    task = dataset.task
    if task is None or not task.is_classification:
        return
    counts = profile.class_counts
    told = any(finding.code == "single-row-class" for finding in dataset.findings)
    limit = max(RARE, default_folds(profile.n_samples))
    rare = [(n, label) for n, label in sorted(zip(counts, task.classes, strict=True)) if (1 if told else 0) < n < limit]
    if rare:
        shown = ", ".join(f"{label!r} {n}" for n, label in rare[:N_LISTED])
        yield Finding(
            code="rare-classes",
            severity=Severity.WARNING,
            where=task.target,
            what=f"{len(rare)} class{'es have' if len(rare) > 1 else ' has'} fewer than {limit} rows: {shown}"
            f"{', …' if len(rare) > N_LISTED else ''}.",
            action="They are kept, and spread over the folds; what is said about them rests on those few rows.",
        )
    low, high = min(n for n in counts if n), max(counts)
    share = low / profile.n_samples
    is_strong = low * 100 < high
    if low * 9 >= high:
        return
    label = task.classes[counts.index(low)]
    advice = "Every fold keeps the proportions" if not dataset.schema.time else "The folds follow the order in time"
    warning = f"; always answering {task.classes[counts.index(high)]!r} already has {high / profile.n_samples:.1%} accuracy"
    yield Finding(
        code="imbalance",
        severity=Severity.WARNING if is_strong or task.metric == "accuracy" else Severity.NOTE,
        where=task.target,
        what=f"The rarest class {label!r} has {low:,} of {profile.n_samples:,} rows ({_share(share)}).",
        action=f"{advice}, and {task.metric} is judged{warning if task.metric == 'accuracy' else ''}.",
    )


def _target_values(dataset: Dataset) -> Iterator[Finding]:
    """What is peculiar about the numbers of a regression's target."""
    task, target = dataset.task, dataset.target
    if task is None or task.form.has_probabilities or target is None or len(target) < 3:
        return
    low, median, high = np.quantile(target, [0.25, 0.5, 0.75])
    centred = target / max(float(np.abs(target).max()), 1e-300)
    centred = centred - centred.mean()
    deviation = float(centred.std())
    if deviation == 0:
        return
    skewness = float(((centred / deviation) ** 3).mean())
    spread = float(high - low) / 1.349  # that of a normal distribution with these quartiles
    is_extreme = np.abs(target - median) > EXTREME_DEVIATIONS * spread if spread > 0 else np.zeros(len(target), bool)
    carried = float((centred[is_extreme] ** 2).sum() / (centred**2).sum())
    n_extreme = int(is_extreme.sum())
    farthest = float(target[np.abs(target - median).argmax()])
    is_robust = task.metric in ("mae", "median_absolute_error", "mape", "smape")
    advice = "" if is_robust else f" Far values rule {task.metric}; --metric mae weighs them less."
    if 0 < n_extreme <= EXTREME_SHARE * len(target) and carried >= EXTREME_VARIANCE:
        yield Finding(
            code="extreme-targets",
            severity=Severity.WARNING,
            where=task.target,
            what=f"{n_extreme:,} rows ({_share(n_extreme / len(target))}) lie more than {EXTREME_DEVIATIONS:.0f} deviations from "
            f"the median {median:.4g}, up to {farthest:.4g}; they make {carried:.0%} of the variance.",
            action=f"They are kept.{advice}",
        )
    elif abs(skewness) >= SKEWED:
        yield Finding(
            code="skewed-target",
            severity=Severity.NOTE,
            where=task.target,
            what=f"The target leans far to {'high' if skewness > 0 else 'low'} values (skewness {skewness:.1f}): half of the "
            f"rows lie between {low:.4g} and {high:.4g}, the farthest at {farthest:.4g}.",
            action=f"It is learned as it is.{advice}",
        )


def _share(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else f"{100 * share:.1g}%"
