"""A number column in two units: a part of the rows is off by a known factor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.core.mending import Mending
from cupel.core.schema import Column

Array = NDArray[Any]

FACTORS = {
    10.0: "a decimal place",
    100.0: "metres and centimetres, or shares and per cent",
    1000.0: "thousands: metres and kilometres, grams and kilograms",
    1e6: "millions",
    2.54: "inches and centimetres",
    0.3048: "feet and metres",
    30.48: "feet and centimetres",
    0.45359237: "pounds and kilograms",
    1.609344: "miles and kilometres",
    3.785411784: "gallons and litres",
    3600.0: "seconds and hours",
    60.0: "minutes and hours, or seconds and minutes",
}
"""What one unit is in the other, and of what they may be units."""
MIN_ROWS, MIN_DISTINCT = 5, 4
MIN_SHARE, MAX_SHARE = 0.002, 0.3
MIN_GAP = 1.5
"""In widths (middle 90 %, as logarithms, halved) of the larger part: what lies between the parts."""
MAX_OFF = 0.4
"""In the same width: how far the smaller part's middle may lie from the larger's after correction, beside its standard errors."""
MAX_WIDTH_RATIO = 2.0


def find_units(column: Column, values: Array) -> list[Finding]:
    """A finding where positive numbers fall into two parts with an empty stretch between, one of them the other times a known
    factor.

    The parts must be as wide as each other up to a factor of two, in logarithms, and the middle of the smaller must fall on
    that of the larger when corrected. One value repeated, such as 999 for missing, is no part; that is another finding.
    """
    present = values[np.isfinite(values) & (values > 0)]
    n_needed = max(MIN_ROWS, int(np.ceil(MIN_SHARE * len(present))))
    if len(present) < 10 * MIN_ROWS or len(np.unique(present)) < 4 * MIN_DISTINCT:
        return []
    logs = np.sort(np.log(present))
    gaps = np.diff(logs)
    inner = np.arange(n_needed - 1, len(gaps) - n_needed + 1)
    cut = int(inner[np.argmax(gaps[inner])])
    parts = logs[: cut + 1], logs[cut + 1 :]
    small, large = sorted(parts, key=len)
    if not len(small) <= MAX_SHARE * len(logs) or min(len(np.unique(small)), len(np.unique(large))) < MIN_DISTINCT:
        return []
    width = _width(large)
    if width == 0 or gaps[cut] < MIN_GAP * width / 2 or not width / MAX_WIDTH_RATIO <= _width(small) <= width * MAX_WIDTH_RATIO:
        return []
    shift = float(np.median(large) - np.median(small))
    factors = sorted([*FACTORS, *(1 / factor for factor in FACTORS)], key=lambda factor: abs(np.log(factor) - shift))
    off = abs(np.log(factors[0]) - shift)
    if off > MAX_OFF * width + width / np.sqrt(len(small)):
        return []
    bounds = (float(np.exp(small[0]) * (1 - 1e-9)), float(np.exp(small[-1]) * (1 + 1e-9)))
    ends = np.log(bounds) + np.log(factors[0])
    if ends[0] <= np.log(bounds[1]) and ends[1] >= np.log(bounds[0]):
        return []
    return [_finding(column, bounds, factors[0], n_rows=len(small), n_present=len(present))]


def _width(logs: Array) -> float:
    low, high = np.quantile(logs, [0.05, 0.95])
    return float(high - low) / 2


def _finding(column: Column, bounds: tuple[float, float], factor: float, *, n_rows: int, n_present: int) -> Finding:
    known = factor if factor in FACTORS else min(FACTORS, key=lambda other: abs(np.log(other * factor)))
    return Finding(
        code="mixed-units",
        severity=Severity.WARNING,
        where=column.name,
        what=f"{n_rows:,} of {n_present:,} values of {column.name!r}, from {bounds[0]:.4g} to {bounds[1]:.4g}, lie apart from "
        "the others and among "
        f"them when multiplied by {factor:.4g}: two units ({FACTORS[known]})?",
        action="They are taken as they stand. `cupel look --fixes FILE` writes the correction, `cupel fit --fixes FILE` makes "
        "it, in the packed "
        "model too.",
        fix=Fix(kind=FixKind.MEND_CELLS, columns=(column.name,), mending=Mending(scales=((*bounds, factor),))),
    )
