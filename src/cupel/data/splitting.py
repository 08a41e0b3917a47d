"""Divides the rows: which train a model, which decide when training ends, which judge it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.errors import DataError, UsageError
from cupel.core.finding import Finding, Severity
from cupel.core.form import Form
from cupel.core.split import Fold, Splits
from cupel.data import ordering
from cupel.data.association import average_ranks
from cupel.data.dealing import Integers, compact, deal, draw, draw_like_whole, joined
from cupel.data.duplicates import find_duplicates
from cupel.data.label_strata import label_strata

Array = NDArray[Any]

SCHEMES = ("auto", "holdout", "tenth", "k-fold", "stratified", "repeated", "group", "time")
TENTH = "tenth"
"""A holdout of a tenth of the rows."""
STOP_SHARE = 0.125
MIN_STOP_ROWS = 10
MIN_ROWS = 10
N_QUANTILES = 10
FEW_UNITS, FEW_UNITS_CODE = 20, "few-units"
SMALL, MEDIUM, LARGE = 300, 50_000, 500_000


@dataclass(frozen=True, kw_only=True, eq=False)
class _Plan:
    """What was decided: rows of one number in `units` stay together, `strata` keep their proportions."""

    scheme: str
    n_folds: int
    repeats: int
    holdout: float
    reason: str
    units: Integers
    strata: Integers
    has_groups: bool
    seed: int


def default_folds(n_samples: int) -> int:
    """Folds that are made unless another number is asked for: 5, 3 above 50,000 rows, 1 (a holdout) above 500,000."""
    return 5 if n_samples <= MEDIUM else 3 if n_samples <= LARGE else 1


def split(
    dataset: Dataset,
    *,
    scheme: str = "auto",
    n_folds: int | None = None,
    repeats: int = 1,
    holdout: float = 0.2,
    seed: int = 0,
    twins: Integers | None = None,
) -> Splits:
    """Folds of a dataset, the same for the same seed.

    `scheme` auto orders by the time column or keeps groups whole where the schema names one, else stratifies by
    class or by quantiles of the target; it repeats below 300 rows and makes one holdout above 500,000. Rows that are equal
    in every feature (see `Duplicates.twins`), or share a number in `twins`, are in one fold, unless groups or time say
    otherwise. A "tenth" is a holdout of so many. An eighth of each training part becomes its `stop` slice, drawn by the same
    principle (for time: the latest rows).

    Raises:
        UsageError: what is asked for cannot be done with this table.
        DataError: the rows cannot train and judge a model at all.
    """
    if scheme == TENTH:
        splits = split(dataset, scheme="holdout", n_folds=n_folds, repeats=repeats, holdout=0.1, seed=seed, twins=twins)
        return replace(
            splits, reason=f"{splits.reason}; it is a tenth, so that all time goes into models that learn from the others"
        )
    _check_request(dataset, scheme, n_folds=n_folds, repeats=repeats, holdout=holdout)
    groups, units = _groups(dataset), independent_units(dataset, twins=twins)
    if scheme == "time" or (scheme in ("auto", "holdout") and dataset.schema.time is not None):
        is_holdout = scheme == "holdout" or (n_folds is None and dataset.n_samples > LARGE)
        folds, reason = ordering.expanding_windows(
            dataset, groups, n_folds=1 if is_holdout else n_folds, holdout=holdout if is_holdout else None
        )
        chosen = "holdout" if scheme == "holdout" else "time"
    else:
        plan = _plan(dataset, scheme, n_folds=n_folds, groups=groups, copies=units, has_near=twins is not None)
        plan = _with_repeats(replace(plan, repeats=repeats, holdout=holdout, seed=seed), scheme, len(plan.units))
        folds, reason, chosen = list(_folds(dataset, plan)), plan.reason, plan.scheme
    check_folds(dataset, folds)
    return Splits(tuple(folds), chosen, reason, _key(folds), groups, units=units)


def independent_units(dataset: Dataset, *, twins: Integers | None = None) -> Integers | None:
    """A number for each row; rows that share one say little more than one of them. None where each row counts.

    The groups that the schema names, else stretches along its time column, else copies: rows that are equal in every feature, or
    share a number in `twins`.
    """
    groups = _groups(dataset)
    if groups is not None:
        return groups
    if dataset.schema.time is not None:
        return ordering.stretches(dataset)
    copies = compact(find_duplicates(dataset).twins)
    copies = copies if twins is None else joined(copies, twins)
    return copies if int(copies.max(initial=-1)) + 1 < len(copies) else None


def few_units(dataset: Dataset, splits: Splits) -> list[Finding]:
    """A finding where what judges is so few groups or stretches that nobody can say how far scores stray."""
    units = splits.units
    n_units = FEW_UNITS if units is None else len(np.unique(units[splits.covered]))
    if n_units >= FEW_UNITS:
        return []
    kind = "groups" if dataset.schema.group else "stretches of time" if dataset.schema.time else "different rows"
    return [
        Finding(
            code=FEW_UNITS_CODE,
            severity=Severity.WARNING,
            where="rows",
            what=f"The {len(splits.covered):,} rows that judge are of {n_units} {kind} only, and rows of one may stray together.",
            action="Intervals, ties and ranges count each of these once, and rest on so few that they may be too narrow. More of "
            "the same would not help: add rows of other kinds.",
        )
    ]


def _check_request(dataset: Dataset, scheme: str, *, n_folds: int | None, repeats: int, holdout: float) -> None:
    schema, n_rows = dataset.schema, dataset.n_samples
    if scheme not in SCHEMES:
        raise UsageError(f"split {scheme!r} is unknown; choose {', '.join(SCHEMES)}.")
    if scheme == "group" and schema.group is None:
        raise UsageError("split 'group' needs a column that tells the groups; name it with --group COLUMN (group=).")
    if scheme == "time" and schema.time is None:
        raise UsageError("split 'time' needs a column that orders the rows; name it with --order COLUMN (time=).")
    if scheme in ("k-fold", "stratified", "repeated") and (schema.group or schema.time):
        named = f"the groups of column {schema.group!r}" if schema.group else f"past and future of column {schema.time!r}"
        honest = "group" if schema.group else "time"
        raise UsageError(f"split {scheme!r} would mix {named}; take split {honest!r}, or do not name the column.")
    if repeats < 1:
        raise UsageError(f"{repeats} repeats were asked for; expected 1 or more.")
    if repeats > 1 and (scheme in ("time", "holdout") or (scheme == "auto" and schema.time)):
        raise UsageError(f"{repeats} repeats were asked for, but time or a holdout divides the rows in one way; ask for 1.")
    if not 0 < holdout < 1:
        raise UsageError(f"a holdout share of {holdout} was asked for; expected a number between 0 and 1, such as 0.2.")
    if n_folds is not None and scheme == "holdout":
        raise UsageError("a holdout has one fold; leave the number of folds out, or take split 'k-fold'.")
    if n_folds is not None and n_folds < 2:
        raise UsageError(f"{n_folds} folds were asked for; expected 2 or more. For one division take split 'holdout'.")
    if n_folds is not None and n_folds > n_rows:
        raise UsageError(f"{n_folds} folds were asked for, but there are {n_rows} rows; ask for fewer folds, such as 5.")
    if n_rows < MIN_ROWS:
        raise DataError(f"there are {n_rows} rows with a target; at least {MIN_ROWS} are needed to train and judge. Add rows.")


def _groups(dataset: Dataset) -> Integers | None:
    """A number for each row's group; rows without one are one group, since they may belong together."""
    name = dataset.schema.group
    if name is None:
        return None
    values = dataset.columns[name]
    if values.dtype == object:
        values = np.array(["\0missing" if text is None else text for text in values.tolist()])
    return compact(values)


def _plan(
    dataset: Dataset, scheme: str, *, n_folds: int | None, groups: Integers | None, copies: Integers | None, has_near: bool
) -> _Plan:
    n_rows, notes = dataset.n_samples, ""
    if groups is not None:
        units = groups
        chosen = "holdout" if scheme == "holdout" else "group"
        n_units = int(units.max()) + 1
        what, whole = (
            f"groups in column {dataset.schema.group!r}",
            f"rows with one value of {dataset.schema.group!r} stay together",
        )
    else:
        units = np.arange(n_rows) if copies is None else copies
        chosen = {"auto": "stratified"}.get(scheme, scheme)
        n_units = int(units.max()) + 1
        what, whole = "different rows", ""
        if n_units < n_rows:
            n_kept = int((np.bincount(units)[units] > 1).sum())
            alike = "in every feature" if not has_near else "in every feature, or look like them,"
            notes = f"; {n_kept:,} rows that equal others {alike} stay with them"
    if n_units < 2 or (n_folds or 0) > n_units:
        error = UsageError if n_units >= 2 else DataError
        raise error(
            f"{n_folds or 2} folds are needed, but there are {n_units} {what}; ask for fewer folds, or add rows of other kinds."
        )
    wanted = n_folds or min(max(default_folds(n_rows), 3), n_units)
    if scheme == "auto" and n_folds is None and n_rows > LARGE:
        chosen = "holdout"
    strata = np.zeros(n_rows, np.int64) if scheme == "k-fold" else _strata(dataset, wanted, n_asked=n_folds)
    is_holdout = chosen == "holdout"
    reason = f"{'one part is held out' if is_holdout else f'{wanted} folds'}{_proportions(dataset, scheme, each=not is_holdout)}"
    reason += f"; {whole}" if whole else ""
    return _Plan(
        scheme=chosen, n_folds=wanted, repeats=1, holdout=0.2, reason=reason + notes, units=units, strata=strata,
        has_groups=groups is not None, seed=0,
    )  # fmt: skip


def _with_repeats(plan: _Plan, scheme: str, n_rows: int) -> _Plan:
    if plan.scheme == "holdout":
        return replace(plan, n_folds=1, reason=plan.reason + (f", as there are {n_rows:,} rows" if scheme == "auto" else ""))
    is_small = scheme == "auto" and plan.scheme == "stratified" and n_rows < SMALL
    repeats = max(plan.repeats, 2 if scheme == "repeated" or is_small else 1)
    if repeats == 1:
        return plan
    why = f", since {n_rows} rows are few" if is_small else ""
    chosen = "group" if plan.has_groups else "repeated"
    return replace(plan, scheme=chosen, repeats=repeats, reason=f"{plan.reason}; drawn {repeats} times{why}")


def _proportions(dataset: Dataset, scheme: str, *, each: bool) -> str:
    if scheme == "k-fold" or dataset.task is None:
        return " drawn at random"
    words = {
        Form.CLASSES: "all classes in proportion",
        Form.LABELS: "all labels in proportion",
        Form.VALUES: "the target's whole range",
    }
    return f", {'each ' if each else ''}with {words[dataset.task.form]}"


def _strata(dataset: Dataset, n_folds: int, *, n_asked: int | None) -> Integers:
    """Classes, sets of labels, or quantiles of the target with at least two rows for each fold."""
    if dataset.task is None or dataset.target is None:
        return np.zeros(dataset.n_samples, np.int64)
    if dataset.task.is_classification:
        largest = int(np.bincount(dataset.target).max())
        if n_asked is not None and n_asked > largest:
            raise UsageError(
                f"{n_asked} folds were asked for, but no class has more than {largest} rows; "
                f"ask for {largest} folds at most, or take split 'k-fold'."
            )
        return compact(dataset.target)
    if dataset.task.form is Form.LABELS:
        return label_strata(dataset.target, n_folds=n_folds)
    n_rows = dataset.n_samples
    n_bins = int(np.clip(n_rows // (2 * n_folds), 1, N_QUANTILES))
    return compact(np.floor((average_ranks(dataset.target) + 0.5) * (n_bins / n_rows)))


def _folds(dataset: Dataset, plan: _Plan) -> Iterator[Fold]:
    classes = dataset.target if dataset.task is not None and dataset.task.is_classification else None
    pick = draw_like_whole if plan.has_groups else draw
    for repeat in range(plan.repeats):
        generator = np.random.default_rng([plan.seed, repeat])
        if plan.scheme == "holdout":
            parts = 1 - pick(plan.units, plan.strata, share=plan.holdout, generator=generator).astype(np.int64)
        else:
            parts = deal(plan.units, plan.strata, n_parts=plan.n_folds, generator=generator)
        for fold in range(plan.n_folds):
            learned = np.flatnonzero(parts != fold)
            is_stop = _stop(plan, learned, classes, generator=np.random.default_rng([plan.seed, repeat, fold + 1]))
            index = repeat * plan.n_folds + fold
            yield Fold(index, learned[~is_stop], learned[is_stop], np.flatnonzero(parts == fold))


def _stop(plan: _Plan, learned: Integers, classes: Array | None, *, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Which of the rows to be learned from decide when training ends; every class among them is left to train."""
    units, strata = compact(plan.units[learned]), compact(plan.strata[learned])
    has_groups = plan.has_groups
    if int(units.max()) == 0:  # one group only: it must be divided, which no row is judged by
        units, has_groups = np.arange(len(learned)), False
    pick = draw_like_whole if has_groups else draw
    is_stop = pick(units, strata, share=stop_share(len(learned)), generator=generator)
    if classes is None:
        return is_stop
    present, kept = classes[learned], np.unique(classes[learned[~is_stop]])
    for missing in np.setdiff1d(present, kept):
        moved = units[np.flatnonzero(present == missing)[0]]
        is_stop[units == moved] = False
    return is_stop


def stop_share(n_rows: int) -> float:
    """The share of a training part that decides when training ends: an eighth, or up to a quarter to have ten rows."""
    return float(np.clip(MIN_STOP_ROWS / n_rows, STOP_SHARE, 0.25))


def check_folds(dataset: Dataset, folds: Sequence[Fold]) -> None:
    """Refuse folds that cannot train or judge a model.

    Raises:
        DataError: a fold has no rows to train, to stop or to judge, or those that train are of one class.
    """
    for fold in folds:
        if min(len(fold.train), len(fold.stop), len(fold.valid)) == 0:
            raise DataError(
                f"fold {fold.index + 1} would have {len(fold.train)} rows to train, {len(fold.stop)} to stop and "
                f"{len(fold.valid)} to judge; each needs one at least. Ask for fewer folds, or add rows."
            )
        if dataset.task is None or not dataset.task.is_classification or dataset.target is None:
            continue
        seen = np.unique(dataset.target[fold.train])
        if len(seen) < 2:
            rare = int(np.bincount(dataset.target, minlength=len(dataset.task.classes)).argmin())
            raise DataError(
                f"in fold {fold.index + 1} all rows to train on are of class {dataset.task.classes[seen[0]]!r}; two classes are "
                f"needed. Ask for fewer folds, another split, leave fewer rows out, or add rows of class "
                f"{dataset.task.classes[rare]!r}."
            )


def _key(folds: Sequence[Fold]) -> str:
    digest = hashlib.sha256()
    for fold in folds:
        for rows in (fold.train, fold.stop, fold.valid):
            digest.update(len(rows).to_bytes(8, "little"))
            digest.update(np.ascontiguousarray(rows, dtype="<i8").tobytes())
    return digest.hexdigest()[:16]
