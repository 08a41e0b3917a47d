"""Finds the format in which a column's dates are written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cupel.core.moments import compiled, parse_moments

READABLE_SHARE = 0.95
_N_PROBED = 200
_DATES = (
    "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d",
    "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y", "%d.%m.%y", "%d %b %Y", "%d-%b-%Y", "%d/%b/%Y", "%d-%b-%y", "%d %b %y",
    "%b %d, %Y", "%b %d %Y", "%a, %d %b %Y", "%a %b %d %Y", "%Y-%b-%d",
)  # fmt: skip
_TIMES = (
    "", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", " %I:%M%p", "T%H:%M:%S", ":%H:%M:%S", ", %H:%M",
    " %H:%M:%S %z", " %H:%M:%S.%f %z", ":%H:%M:%S %z",
)  # fmt: skip
_MONTHS = ("%Y-%m", "%Y/%m", "%m/%Y", "%b %Y", "%b-%Y", "%b, %Y", "%b-%y")


@dataclass(frozen=True, eq=False)
class DateReading:
    """A format (`form` as in `Column.datetime_format`) and what it makes of each text: seconds, NaN where it fails.

    `other` is the format that reads them all as well, where day and month could be exchanged.
    """

    form: str
    seconds: NDArray[np.float64]
    other: str = ""


def find_dates(texts: list[str], counts: NDArray[np.int64], *, needed: float = READABLE_SHARE) -> DateReading | None:
    """The format that reads most of the different texts, each weighing its count; None if none reads `needed` of them.

    `texts` are in order of appearance: where day and month can be exchanged, the reading in which they rise or fall
    steadily is preferred, then month first between slashes, and day first otherwise.
    """
    step = max(len(texts) // _N_PROBED, 1)
    probe, weights = texts[::step], counts[::step]
    if not probe or not _might_be_dates(probe, weights, needed):
        return None
    if _share(probe, weights, "") >= needed:
        iso = parse_moments(texts)
        if float(counts[~np.isnan(iso)].sum()) >= needed * float(counts.sum()):
            return DateReading("", iso)  # every other format would read as much, since it falls back on ISO 8601
    likely = [form for form in _candidates(probe[:8]) if _share(probe, weights, form) >= needed]
    readings = [DateReading(form, parse_moments(texts, form=form)) for form in likely]
    shares = [float(counts[~np.isnan(reading.seconds)].sum() / counts.sum()) for reading in readings]
    if not shares or max(shares) < needed:
        return None
    best = [reading for reading, share in zip(readings, shares, strict=True) if share == max(shares)]
    return _preferred(best)


def _candidates(texts: list[str]) -> list[str]:
    """The formats whose date part begins half of a few texts at least."""
    dates = [date for date in _DATES if sum(bool(compiled(date).match(text)) for text in texts) >= len(texts) / 2]
    return [*(date + time for date in dates for time in _TIMES), *_MONTHS]


def _might_be_dates(texts: list[str], counts: NDArray[np.int64], needed: float) -> bool:
    """A cheap refusal of what is plainly text: a date is short, and holds a digit and one mark at least."""
    plausible = [6 <= len(text) <= 40 and any(c.isdigit() for c in text) and any(c in "-/.: ," for c in text) for text in texts]
    return float(counts[np.array(plausible)].sum()) >= needed * float(counts.sum())


def _share(texts: list[str], counts: NDArray[np.int64], form: str) -> float:
    # A format that fails on the first texts of a column is not tried on all.
    head = parse_moments(texts[:8], form=form)
    if np.isnan(head).mean() > 0.5:
        return 0.0
    return float(counts[~np.isnan(parse_moments(texts, form=form))].sum() / counts.sum())


def _preferred(readings: list[DateReading]) -> DateReading:
    first = readings[0]
    exchanged = [reading for reading in readings if sorted(reading.form) == sorted(first.form) and reading.form != first.form]
    if not exchanged:
        return first
    by_order = sorted(readings[:1] + exchanged[:1], key=lambda reading: not _is_steady(reading.seconds))
    if _is_steady(by_order[0].seconds) and not _is_steady(by_order[1].seconds):
        return by_order[0]
    month_first = first.form.startswith("%m")
    chosen, other = (first, exchanged[0]) if month_first == ("/" in first.form) else (exchanged[0], first)
    if np.array_equal(chosen.seconds, other.seconds, equal_nan=True):
        return chosen
    return DateReading(chosen.form, chosen.seconds, other.form)


def _is_steady(seconds: NDArray[np.float64]) -> bool:
    steps = np.diff(seconds[~np.isnan(seconds)])
    return len(steps) > 0 and bool((steps >= 0).all() or (steps <= 0).all())
