"""Numbers and dates that cannot be: codes for "missing", negatives where none belong, the far future, single far values."""

from __future__ import annotations

import re
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.core.mending import Mending
from cupel.core.schema import Column, ColumnKind

Array = NDArray[Any]

MIN_ROWS = 50
MAX_SHARE = 0.01
MAX_CODE_SHARE = 0.5
CODES = (-9999.0, -999.0, -99.0, -9.0, -1.0, 99.0, 999.0, 9999.0, 99999.0, 999999.0)
CODE_GAP = 2.0
"""In ranges of the other values: how far away a value must lie to be taken for a code."""
FAR = 8.0
"""In deviations (of quartiles), of the values or of their logarithms."""
FAR_SHARE = 0.002
N_SHOWN = 5
YEAR = 365.25 * 86_400.0
_NEVER_NEGATIVE = re.compile(
    r"(?:^|[^a-z])(?:age|price|cost|fare|salary|income|wage|amount|count|number|quantity|qty|weight|height|length|width|depth|area|size|distance|"
    r"duration|speed|rooms?|year|population|volume|mass|visits?|hours?|minutes?|days?|alter|preis|anzahl|menge|gewicht)(?:[^a-z]|$)"
)


def find_impossible(dataset: Dataset, column: Column) -> list[Finding]:
    """Findings about one column of numbers or dates; the first that fits of: code, negative or future, far."""
    values = dataset.columns[column.name]
    present = values[np.isfinite(values)]
    if len(present) < MIN_ROWS:
        return []
    if column.kind is ColumnKind.DATETIME:
        return _dates(column, present)
    return _codes(column, present) or _negatives(column, present) or _far(dataset, column, values)


def _codes(column: Column, present: Array) -> list[Finding]:
    """Round numbers of nines, or -1, several times, far from all others: how some systems write "missing"."""
    for code in CODES:
        is_code = present == code
        n_rows = int(is_code.sum())
        others = present[~is_code]
        if n_rows < 3 or len(others) < MIN_ROWS or n_rows > MAX_CODE_SHARE * len(present):
            continue
        low, high = float(others.min()), float(others.max())
        reach = max(high - low, 1.0)
        is_apart = (
            code > high + CODE_GAP * reach
            or (code < low - CODE_GAP * reach)
            or (code < 0 <= low and code in (-999.0, -9999.0, -99.0))
        )
        is_minus_one = code == -1.0 and low >= 0 and high > 20 and len(np.unique(others)) > 20
        if is_apart or is_minus_one:
            return [
                _finding(
                    column,
                    f"{n_rows:,} cells of {column.name!r} are {code:g}, the others lie from {low:.4g} to {high:.4g}: a code "
                    "for a missing value?",
                    Mending(codes=(code,)),
                    code="missing-code",
                    is_safe=False,
                )
            ]
    return []


def _negatives(column: Column, present: Array) -> list[Finding]:
    negative = present[present < 0]
    named = _NEVER_NEGATIVE.search(re.sub(r"([a-z])([A-Z])", r"\1_\2", column.name).lower().replace("_", " "))
    if not len(negative) or len(negative) > MAX_SHARE * len(present) or not named:
        return []
    return [
        _finding(
            column,
            f"{len(negative):,} of {len(present):,} values of {column.name!r} are negative, such as {_shown(negative)}; by "
            "its name none should be.",
            Mending(low=0.0),
            code="impossible-values",
            is_safe=True,
        )
    ]


def _dates(column: Column, present: Array) -> list[Finding]:
    """Dates after today where nearly all are before, and dates a century before all others."""
    now = time.time()
    future = present[present > now + 86_400.0]
    low, middle = float(np.quantile(present, 0.01)), float(np.median(present))
    ancient = present[present < low - max(50 * YEAR, 5 * (middle - low))]
    found = []
    if 0 < len(future) <= MAX_SHARE * len(present):
        words = f"{len(future):,} of {len(present):,} dates of {column.name!r} lie in the future, up to {_day(future.max())}."
        found.append(
            _finding(
                column, words, Mending(high=float(present[present <= now + 86_400.0].max())), code="future-dates", is_safe=True
            )
        )
    if 0 < len(ancient) <= MAX_SHARE * len(present):
        words = (
            f"{len(ancient):,} of {len(present):,} dates of {column.name!r} lie long before all others, such as "
            f"{_day(ancient.min())}."
        )
        found.append(
            _finding(column, words, Mending(low=float(present[present >= low].min())), code="ancient-dates", is_safe=False)
        )
    return found


def _far(dataset: Dataset, column: Column, values: Array) -> list[Finding]:
    """Few values far from the quartiles, as they are and as logarithms, with an empty stretch before them."""
    present = values[np.isfinite(values)]
    is_far = _is_far(values)
    if present.min() > 0:
        is_far &= _is_far(np.log(np.maximum(values, 1e-300)))
    n_far = int(is_far.sum())
    if not 0 < n_far <= max(1, FAR_SHARE * len(present)):
        return []
    rest = values[np.isfinite(values) & ~is_far]
    farthest = values[is_far]
    gap = min(float(np.abs(farthest[:, None] - np.array([rest.min(), rest.max()])).min(axis=1).min()), np.inf)
    if gap < 0.5 * float(np.ptp(rest)):
        return []  # a long tail, no stray values
    rows = (dataset.row_numbers[is_far] if len(dataset.row_numbers) else np.flatnonzero(is_far)) + 1
    return [
        Finding(
            code="outliers",
            severity=Severity.NOTE,
            where=column.name,
            what=f"{n_far:,} of {len(present):,} values of {column.name!r} lie far from all others ({_shown(farthest)}; the "
            "others from "
            f"{rest.min():.4g} to {rest.max():.4g}), in row{'s' if n_far > 1 else ''} "
            f"{', '.join(map(str, rows[:N_SHOWN].tolist()))}"
            f"{', …' if n_far > N_SHOWN else ''}.",
            action="They are taken as they stand. If they are mistakes, a fix plan can make them missing (`cupel look --fixes "
            "FILE`).",
            fix=Fix(
                kind=FixKind.MEND_CELLS,
                columns=(column.name,),
                mending=Mending(
                    low=float(rest.min()) if (farthest < rest.min()).any() else None,
                    high=float(rest.max()) if (farthest > rest.max()).any() else None,
                ),
            ),
        )
    ]


def _is_far(values: Array) -> NDArray[np.bool_]:
    present = values[np.isfinite(values)]
    low, middle, high = np.quantile(present, [0.25, 0.5, 0.75])
    spread = float(high - low) / 1.349
    return np.abs(values - middle) > FAR * spread if spread > 0 else np.zeros(len(values), bool)


def _shown(values: Array) -> str:
    distinct = np.unique(values)
    return ", ".join(f"{value:.6g}" for value in distinct[:3]) + (", …" if len(distinct) > 3 else "")


def _day(seconds: float) -> str:
    return str(np.datetime64(int(seconds), "s").astype("datetime64[D]"))


def _finding(column: Column, what: str, mending: Mending, *, code: str, is_safe: bool) -> Finding:
    return Finding(
        code=code,
        severity=Severity.WARNING,
        where=column.name,
        what=what,
        action="They are taken as they stand. `cupel look --fixes FILE` writes that they are missing, `cupel fit --fixes "
        "FILE` makes them so, in "
        "the packed model too.",
        fix=Fix(kind=FixKind.MEND_CELLS, columns=(column.name,), mending=mending, is_safe=is_safe),
    )
