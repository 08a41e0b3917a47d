"""What kind of column it is, from the different cells that it holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cupel.core.decoding import (
    FALSE_WORDS,
    STRONG_MARKERS,
    TRUE_WORDS,
    WEAK_MARKERS,
    canonical,
    distinct_texts,
    plain_numbers,
    spelled,
)
from cupel.core.finding import Finding, Severity
from cupel.core.numerals import parse_numbers
from cupel.core.schema import Column, ColumnKind
from cupel.data.dates import READABLE_SHARE, find_dates
from cupel.data.table import Array

_MIXED_SHARE = 0.5
_MIN_SEQUENCE = 20
_N_PROBED = 200
_MOST_SPELLINGS = 12  # of yes and no: yes, Yes, YES…
_ID_NAME = re.compile(
    r"(^|[_\W])(id|ids|uid|uuid|guid|key|pk|idx|index|rowid|rownum|row_number|row|record|serial|instant|nr|no)$"
    r"|^(id|uuid|guid)[_\W]|[a-z](Id|ID|Key|UUID|Guid)$|^unnamed: 0$|^[a-z]+id$",
    re.ASCII,
)
_WORDS_IN_ID = re.compile(
    r"(avoid|humid|acid|paid|bid|grid|solid|fluid|valid|said|raid|aid|hybrid|android|covid|thyroid)$", re.IGNORECASE
)
_TIME_NAME = re.compile(r"(year|month|week|day|hour|minute|second|time|date|age|step|period|epoch|lag)", re.IGNORECASE)
_CODE = re.compile(r"[\w\-:./#+@]{1,64}")
_DIGIT = re.compile(r"\d")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_INTEGER = re.compile(r"[+-]?\d+")


@dataclass(frozen=True, eq=False)
class Cells:
    """The different cells of a raw column as stripped texts, in order of appearance, and how often each occurs.

    `markers` (text: count) are the texts taken for "missing", and `n_missing` counts them and empty cells.
    """

    texts: list[str]
    counts: NDArray[np.int64]
    n_missing: int
    markers: dict[str, int] = field(default_factory=dict)

    @property
    def n_present(self) -> int:
        """Number of cells that are not missing."""
        return int(self.counts.sum())


@dataclass(frozen=True)
class Typed:
    """A column's kind, how its cells are read, and what was noticed. `markers` as in `Cells`."""

    column: Column
    findings: tuple[Finding, ...] = ()
    markers: dict[str, int] = field(default_factory=dict)


def cells_of(values: Array, *, with_weak: bool = True) -> Cells:
    """The different cells of a raw column.

    Without weak markers, only those texts are taken for "missing" that can mean nothing else ("NA", not "none"). A
    hyphen beside a plus sign is the result of a test, not a missing one.
    """
    texts, codes = distinct_texts(values)
    return cells_counted(texts, np.bincount(codes, minlength=len(texts)).astype(np.int64), with_weak=with_weak)


def cells_counted(texts: Sequence[str], counts: NDArray[np.int64], *, with_weak: bool = True) -> Cells:
    """The same from different stripped texts, "" for missing, and how often each occurs."""
    known = STRONG_MARKERS | WEAK_MARKERS if with_weak else STRONG_MARKERS
    if "+" in texts:
        known = known - {"-"}
    is_marker = np.array([text.lower() in known for text in texts], dtype=bool)
    is_absent = np.array([not text for text in texts], dtype=bool) | is_marker
    return Cells(
        texts=[text for text, absent in zip(texts, is_absent, strict=True) if not absent],
        counts=counts[~is_absent],
        n_missing=int(counts[is_absent].sum()),
        markers={texts[position]: int(counts[position]) for position in np.flatnonzero(is_marker).tolist()},
    )


def infer(name: str, values: Array, *, is_target: bool = False, is_time: bool = False) -> Typed:
    """The kind of a raw column and how it is to be read.

    Targets and columns of time are never taken for identifiers. "none", "-" and the like are missing among numbers and
    dates; among words they are values of their own in a target, or where they fill more than half of the column.
    """
    may_identify = not (is_target or is_time)
    if values.dtype.kind in "fiubMm":
        return _infer_typed(name, values, may_identify=may_identify)
    decimals = _infer_decimals(name, values)
    if decimals is not None:
        return decimals
    return _infer_cells(name, partial(cells_of, values), is_target=is_target, may_identify=may_identify)


def infer_counted(
    name: str, texts: Sequence[str], *, counts: NDArray[np.int64], is_target: bool = False, is_time: bool = False
) -> Typed:
    """As `infer`, of a column of texts whose different cells, stripped, in order of appearance, were counted already."""
    may_identify = not (is_target or is_time)
    return _infer_cells(name, partial(cells_counted, texts, counts), is_target=is_target, may_identify=may_identify)


def _infer_cells(name: str, cells_by: Callable[..., Cells], *, is_target: bool, may_identify: bool) -> Typed:
    cells = cells_by()
    found = _infer_texts(name, cells, may_identify=may_identify)
    n_weak = sum(count for text, count in cells.markers.items() if text.lower() in WEAK_MARKERS)
    is_measured = found.column.kind in (ColumnKind.NUMBER, ColumnKind.DATETIME)
    if n_weak and not is_measured and (is_target or n_weak > (cells.n_present + cells.n_missing) / 2):
        cells = cells_by(with_weak=False)
        found = _infer_texts(name, cells, may_identify=may_identify)
    column = replace(found.column, markers=tuple(sorted(cells.markers)))
    return Typed(column, found.findings, cells.markers)


def _infer_decimals(name: str, values: Array) -> Typed | None:
    """A number, where the texts are plain decimals that seldom repeat; found without sorting out the different ones."""
    if not any("." in cell for cell in values[:_N_PROBED].tolist() if isinstance(cell, str)):
        return None  # whole numbers may also be identifiers or codes
    numbers = plain_numbers(values)
    if numbers is None:
        return None
    present = numbers[np.isfinite(numbers)]
    markers = Counter(cell.strip() for cell in values[np.isnan(numbers)].tolist() if cell)
    if not len(present) or present.min() == present.max() or any(marker.lower() not in STRONG_MARKERS for marker in markers):
        return None
    return Typed(Column(name=name, kind=ColumnKind.NUMBER, markers=tuple(sorted(markers))), (), dict(markers))


def levels_of(texts: Sequence[str], counts: NDArray[np.int64]) -> tuple[str, ...]:
    """Canonical spellings, most frequent first, equal ones in the order of their texts."""
    totals: dict[str, int] = {}
    for text, count in zip(texts, counts.tolist(), strict=True):
        level = canonical(text)
        totals[level] = totals.get(level, 0) + count
    return tuple(sorted(totals, key=lambda level: (-totals[level], level)))


def _infer_typed(name: str, values: Array, *, may_identify: bool) -> Typed:
    """A column that came with a type: numbers, booleans or moments."""
    if values.dtype.kind == "m":
        values = values / np.timedelta64(1, "s")
    if values.dtype.kind == "M":
        values = values.astype("datetime64[us]")
    present = values[~np.isnat(values)] if values.dtype.kind == "M" else values[np.isfinite(values)]
    if not len(present):
        return Typed(Column(name=name, kind=ColumnKind.CONSTANT))
    low, high = present.min(), present.max()
    if low == high:
        kind = ColumnKind.CONSTANT if len(present) == len(values) else ColumnKind.CATEGORY
        return Typed(Column(name=name, kind=kind, levels=(canonical(spelled(low)),)))
    if values.dtype.kind == "b":
        return Typed(Column(name=name, kind=ColumnKind.BOOLEAN, levels=("false", "true")))
    if values.dtype.kind == "M":
        return Typed(Column(name=name, kind=ColumnKind.DATETIME))
    if values.dtype.kind in "iu" and may_identify and _identifies(name, values):
        return Typed(Column(name=name, kind=ColumnKind.IDENTIFIER))
    return Typed(Column(name=name, kind=ColumnKind.NUMBER))


def _infer_texts(name: str, cells: Cells, *, may_identify: bool) -> Typed:
    if not cells.texts:
        return Typed(Column(name=name, kind=ColumnKind.CONSTANT))
    first = canonical(cells.texts[0])
    if all(canonical(text) == first for text in cells.texts):
        kind = ColumnKind.CATEGORY if cells.n_missing else ColumnKind.CONSTANT
        return Typed(Column(name=name, kind=kind, levels=levels_of(cells.texts, cells.counts)))
    truth = _truth_levels(cells)
    if truth:
        return Typed(Column(name=name, kind=ColumnKind.BOOLEAN, levels=truth))
    number = None if _are_padded_codes(cells) else number_reading(cells, needed=_MIXED_SHARE)
    if number is not None and number.share >= READABLE_SHARE:
        return _typed_number(name, cells, number, may_identify=may_identify)
    dates = find_dates(cells.texts, cells.counts)
    if dates is not None:
        findings = [_ambiguous(name, dates.form, dates.other)] if dates.other else []
        return Typed(Column(name=name, kind=ColumnKind.DATETIME, datetime_format=dates.form), tuple(findings))
    return _typed_text(name, cells, number, may_identify=may_identify)


def _truth_levels(cells: Cells) -> tuple[str, ...]:
    """The false and the true spelling, if yes and no are all that there is; the commonest of several spellings."""
    if len(cells.texts) > _MOST_SPELLINGS:
        return ()
    words = {text.lower() for text in cells.texts}
    pair = next(((no, yes) for no, yes in zip(FALSE_WORDS, TRUE_WORDS, strict=True) if words == {no, yes}), None)
    if pair is None:
        return ()
    spellings = levels_of(cells.texts, cells.counts)
    return tuple(next(level for level in spellings if level.lower() == word) for word in pair)


@dataclass(frozen=True, eq=False)
class NumberReading:
    """Cells as numbers, NaN where they are none, with the decimal mark that suits and the share of rows it reads."""

    decimal: str
    numbers: NDArray[np.float64]
    share: float


def number_reading(cells: Cells, *, needed: float) -> NumberReading | None:
    """Numbers with a decimal point; with a decimal comma only where all cells with digits agree on it.

    None if fewer than the share `needed` of the cells are numbers.
    """
    if not any(map(_DIGIT.search, cells.texts)) or _holds_no_number(cells):
        return None
    numbers = parse_numbers(cells.texts)
    share = _share_of(cells, ~np.isnan(numbers))
    if share < needed or (share < 1 and any("," in text for text in cells.texts)):
        with_comma = parse_numbers(cells.texts, decimal=",")
        comma_share = _share_of(cells, ~np.isnan(with_comma))
        unread = [text for text, number in zip(cells.texts, with_comma, strict=True) if np.isnan(number)]
        if comma_share >= needed and comma_share > share and not any(c.isdigit() for text in unread for c in text):
            return NumberReading(",", with_comma, comma_share)
    return NumberReading(".", numbers, share) if share >= needed else None


def _holds_no_number(cells: Cells) -> bool:
    """Whether there is none among the commonest texts, nor among as many others: a sparing look at long columns of words."""
    if len(cells.texts) <= 4 * _N_PROBED:
        return False
    probed = {
        *np.argsort(-cells.counts, kind="stable")[:_N_PROBED].tolist(),
        *range(0, len(cells.texts), len(cells.texts) // _N_PROBED),
    }
    texts = [cells.texts[position] for position in probed]
    return all(bool(np.isnan(parse_numbers(texts, decimal=decimal)).all()) for decimal in ".,")


def _share_of(cells: Cells, is_counted: NDArray[np.bool_]) -> float:
    return float(cells.counts[is_counted].sum() / max(cells.n_present, 1))


def _are_padded_codes(cells: Cells) -> bool:
    """Whether they are digits of one length with leading zeros, as postcodes are: no number loses by its zeros."""
    width = len(cells.texts[0])
    return (
        width >= 4
        and any(text.startswith("0") for text in cells.texts)
        and all(len(text) == width and text.isdigit() for text in cells.texts)
    )


def _typed_number(name: str, cells: Cells, reading: NumberReading, *, may_identify: bool) -> Typed:
    is_whole = all(map(_INTEGER.fullmatch, cells.texts))
    if may_identify and is_whole and not cells.n_missing and int(cells.counts.max()) == 1:
        long_codes = len(cells.texts) >= _MIN_SEQUENCE and {len(text) for text in cells.texts} <= set(range(15, 40))
        if long_codes or _identifies(name, reading.numbers):
            return Typed(Column(name=name, kind=ColumnKind.IDENTIFIER))
    column = Column(name=name, kind=ColumnKind.NUMBER, decimal=reading.decimal)
    doubtful = [text for text in cells.texts if "," in text and _THOUSANDS.fullmatch(text)]
    if reading.decimal == "." and doubtful and not any("." in text or text.count(",") > 1 for text in cells.texts):
        return Typed(column, (_doubtful_comma(name, doubtful),))
    return Typed(column)


def _identifies(name: str, numbers: Array) -> bool:
    """Whether distinct whole numbers in file order merely number the rows: by their name, or as a running sequence."""
    low, high = int(numbers.min()), int(numbers.max())
    if not may_number_rows(name, low=low, high=high, n_rows=len(numbers)) or len(np.unique(numbers)) < len(numbers):
        return False
    return is_id_name(name) or low in (0, 1) or bool((np.diff(numbers.astype(np.float64)) == 1).all())


def may_number_rows(name: str, *, low: int, high: int, n_rows: int) -> bool:
    """Whether whole numbers between these ends, if they never repeat, may number the rows."""
    may_run = high - low + 1 == n_rows >= _MIN_SEQUENCE and not _TIME_NAME.search(name)
    return is_id_name(name) or may_run


def is_id_name(name: str) -> bool:
    """Whether a column's name says that it identifies: id, customerID, order_id, index…"""
    return bool(_ID_NAME.search(name) or _ID_NAME.search(name.lower())) and not _WORDS_IN_ID.search(name)


def _typed_text(name: str, cells: Cells, numbers: NumberReading | None, *, may_identify: bool) -> Typed:
    n_distinct, n_present = len(cells.texts), cells.n_present
    share = n_distinct / n_present
    codes = sum(bool(_CODE.fullmatch(text)) and any(c.isdigit() for c in text) for text in cells.texts) / n_distinct
    if may_identify and n_distinct >= _MIN_SEQUENCE and share >= 0.95 and (codes >= 0.9 or (share == 1 and is_id_name(name))):
        return Typed(Column(name=name, kind=ColumnKind.IDENTIFIER))
    length = sum(len(text) for text in cells.texts) / n_distinct
    is_free = share > 0.5 and (n_distinct > 100 or (length > 30 and n_distinct > 10) or (share > 0.9 and n_distinct > 20))
    if is_free:
        column = Column(name=name, kind=ColumnKind.TEXT)
    else:
        column = Column(name=name, kind=ColumnKind.CATEGORY, levels=levels_of(cells.texts, cells.counts))
    return Typed(column, (_mixed(column, cells, numbers),) if numbers is not None else ())


def _mixed(column: Column, cells: Cells, reading: NumberReading) -> Finding:
    others = [text for text, number in zip(cells.texts, reading.numbers, strict=True) if np.isnan(number)]
    n_others = cells.n_present - round(reading.share * cells.n_present)
    return Finding(
        code="mixed-column",
        severity=Severity.WARNING,
        where=column.name,
        what=f"{reading.share:.0%} of the cells are numbers, {n_others} are not, such as {examples(others)}.",
        action=f"It is read as {column.kind.value}; with --kind {column.name}=number the others become missing.",
    )


def _ambiguous(name: str, chosen: str, other: str) -> Finding:
    return Finding(
        code="ambiguous-dates",
        severity=Severity.WARNING,
        where=name,
        what=f"Every date can be read as {chosen} and as {other}: no day is beyond the 12th.",
        action=f"They are read as {chosen}; write them as 2024-12-31 if that is wrong.",
    )


def _doubtful_comma(name: str, doubtful: list[str]) -> Finding:
    return Finding(
        code="ambiguous-comma",
        severity=Severity.WARNING,
        where=name,
        what=f"Commas are always followed by three digits, as in {examples(doubtful)}.",
        action="They are read as thousands separators; write decimals with a point if that is wrong.",
    )


def examples(texts: Sequence[str], *, n_shown: int = 3) -> str:
    """A few texts, quoted and shortened, for a sentence."""
    shown = [repr(text if len(text) <= 30 else text[:29] + "…") for text in texts[:n_shown]]
    return ", ".join(shown)
