"""Folds in which earlier rows train and later rows judge."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.errors import DataError, UsageError
from cupel.core.schema import ColumnKind
from cupel.core.split import Fold
from cupel.data.dealing import compact

Array = NDArray[Any]
Integers = NDArray[np.int64]

N_FOLDS = 5
STOP_SHARE = 0.125
"""The latest eighth of the rows to learn from decides when training ends."""
FEWEST_STRETCHES = 40


def expanding_windows(
    dataset: Dataset, groups: Integers | None, *, n_folds: int | None, holdout: float | None
) -> tuple[list[Fold], str]:
    """Folds along the time column, and why: all rows before a moment train, the next stretch judges.

    Rows of one moment are never divided. With groups, rows of a group that judges are left out of that fold's training
    part. With `holdout` the one fold judges the latest share of the rows. Where classes are missing from the first
    stretches, folds that would train on one class only are left out unless their number was asked for.

    Raises:
        UsageError: there are too few moments for the folds asked for.
        DataError: the time column has missing cells, or one moment only.
    """
    moments = _moments(dataset)
    n_moments, n_rows = int(moments.max()) + 1, len(moments)
    name = dataset.schema.time
    if n_moments < 3:
        raise DataError(
            f"column {name!r} has {n_moments} different values; at least 3 are needed to order training, stopping and judging. "
            "Name another time column, or none."
        )
    if n_folds is not None and n_folds > n_moments - 2:
        raise UsageError(
            f"{n_folds} folds were asked for, but column {name!r} has {n_moments} different values; "
            f"ask for {n_moments - 2} folds at most."
        )
    wanted = n_folds or min(N_FOLDS, n_moments - 2)
    rows_until = np.cumsum(np.bincount(moments))
    bounds = _bounds(rows_until, [1 - holdout] if holdout else [(i + 1) / (wanted + 1) for i in range(wanted)])
    order = np.argsort(moments, kind="stable")
    folds: list[Fold] = []
    for start, end in zip(bounds, [*bounds[1:], n_moments], strict=True):
        learned, valid = order[: rows_until[start - 1]], np.sort(order[rows_until[start - 1] : rows_until[end - 1]])
        if groups is not None:
            learned = learned[~np.isin(groups[learned], groups[valid])]
        fold = _fold(dataset, moments, learned=learned, valid=valid, index=len(folds))
        if fold is not None and (n_folds is not None or _can_train(dataset, fold)):
            folds.append(fold)
    if not folds:
        raise DataError(
            f"along column {name!r} no earlier rows can train a model that later rows judge: too few rows, one class only, "
            "or every group reaches to the end. Leave out --order or --group, or choose another column."
        )
    missed = f" ({wanted - len(folds)} left out, as their training rows would not do)" if len(folds) < wanted else ""
    apart = f"; groups of {dataset.schema.group!r} that judge are kept out of training" if groups is not None else ""
    shape = (
        f"the latest {len(folds[0].valid) / n_rows:.0%} of the rows judge"
        if holdout
        else f"{len(folds)} stretches of later rows judge"
    )
    return folds, f"{shape} models of earlier rows, by column {name!r}{missed}{apart}"


def stretches(dataset: Dataset) -> Integers | None:
    """Numbers for stretches of rows along the time column, moments whole: what one row strays by, its neighbours do too.

    None where a row has no moment. Of n rows a stretch has n^(1/3) at least, enough where neighbours depend weakly, and up to
    the root of n where that leaves 40 stretches: errors that fade by a tenth a row are then said to stray 0.8 times as far as
    they do on 1,000 rows, with n^(1/3) 0.6 times and row by row 0.2 times.

    Source: blocks apart from one another, Carlstein 1986, doi:10.1214/aos/1176350057; Künsch 1989, doi:10.1214/aos/1176347265.
    """
    values, missing = _cells(dataset)
    if missing.any():
        return None
    n_rows = len(values)
    length = max(n_rows ** (1 / 3), min(n_rows**0.5, n_rows / FEWEST_STRETCHES))
    moments, sizes = np.unique(values, return_inverse=True, return_counts=True)[1:]
    first = np.cumsum(sizes) - sizes
    return compact((first / length).astype(np.int64)[moments.reshape(-1)])


def _moments(dataset: Dataset) -> Integers:
    """The position of each row's moment among all different ones, from 0."""
    values, missing = _cells(dataset)
    if missing.any():
        name = dataset.schema.time
        raise DataError(
            f"time column {name!r} has {int(missing.sum())} missing values; every row needs its moment. "
            "Drop those rows, or name another column."
        )
    return np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _cells(dataset: Dataset) -> tuple[Array, NDArray[np.bool_]]:
    """The time column as values that sort as moments do, and which of them are missing."""
    name = dataset.schema.time
    assert name is not None, "a time scheme needs a time column"
    column, values = dataset.schema[name], dataset.columns[name]
    if column.kind.is_numeric:
        missing = np.isnan(values)
    elif column.kind in (ColumnKind.CATEGORY, ColumnKind.CONSTANT):
        missing = values < 0
        values = np.argsort(np.argsort(np.array(column.levels)))[values]
    else:
        missing = np.array([text is None for text in values.tolist()])
        values = np.where(missing, "", values).astype(str)
    return values, np.asarray(missing)


def _bounds(rows_until: Array, shares: list[float]) -> list[int]:
    """The first moment of each judging stretch: nearest to the shares of the rows, apart, at least 2 moments before."""
    n_moments, n_rows = len(rows_until), int(rows_until[-1])
    bounds: list[int] = []
    for number, share in enumerate(shares):
        after = int(np.searchsorted(rows_until, share * n_rows))
        candidates = [after, after + 1]
        nearest = min(candidates, key=lambda moment: abs((rows_until[moment - 1] if moment else 0) - share * n_rows))
        least = bounds[-1] + 1 if bounds else 2
        bounds.append(int(np.clip(nearest, least, n_moments - (len(shares) - number))))
    return bounds


def _fold(dataset: Dataset, moments: Integers, *, learned: Integers, valid: Integers, index: int) -> Fold | None:
    """A fold whose stop slice is the latest eighth, at a change of moment; None where there is nothing to divide."""
    different = np.unique(moments[learned])
    if len(different) < 2:
        return None
    counts = np.cumsum(np.bincount(moments[learned])[different])
    first = int(np.searchsorted(counts, (1 - STOP_SHARE) * len(learned), "right"))
    border = different[int(np.clip(first, 1, len(different) - 1))]
    is_stop = moments[learned] >= border
    if dataset.task is not None and dataset.task.is_classification and dataset.target is not None:
        _leave_every_class(is_stop, dataset.target[learned])
    return Fold(index, np.sort(learned[~is_stop]), np.sort(learned[is_stop]), valid)


def _leave_every_class(is_stop: NDArray[np.bool_], classes: Array) -> None:
    """Move the earliest row of each class that only the stop slice has to training, as long as the slice keeps a row."""
    for missing in np.setdiff1d(classes[is_stop], classes[~is_stop]):
        if is_stop.sum() > 1:
            is_stop[np.flatnonzero(classes == missing)[0]] = False


def _can_train(dataset: Dataset, fold: Fold) -> bool:
    if dataset.task is None or not dataset.task.is_classification or dataset.target is None:
        return True
    return len(np.unique(dataset.target[fold.train])) > 1
