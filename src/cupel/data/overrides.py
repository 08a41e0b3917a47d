"""Kinds that the user sets: taken as said, or refused with the cells that make them impossible."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cupel.core.decoding import FALSE_WORDS, TRUE_WORDS
from cupel.core.errors import DataError, UsageError
from cupel.core.moments import SECONDS, parse_moments
from cupel.core.numerals import parse_numbers
from cupel.core.schema import Column, ColumnKind
from cupel.data.dates import find_dates
from cupel.data.kinds import Cells, Typed, cells_of, examples, levels_of, number_reading
from cupel.data.table import Array

_NEEDED = 0.5  # less of a column than this, and the kind that was asked for is a mistake


def kind_named(column: str, name: str) -> ColumnKind:
    """The kind of that name.

    Raises:
        UsageError: there is none.
    """
    try:
        return ColumnKind(str(name).lower())
    except ValueError as error:
        known = ", ".join(kind.value for kind in ColumnKind)
        raise UsageError(f"kind {name!r} of column {column!r} is unknown; choose {known}.") from error


def impose(name: str, values: Array, *, kind: ColumnKind) -> Typed:
    """A column of the kind asked for.

    Raises:
        DataError: its cells cannot be of this kind.
    """
    return imposed(name, cells_of(values), kind=kind, like=values)


def imposed(name: str, cells: Cells, *, kind: ColumnKind, like: Array) -> Typed:
    """The same of cells that were counted already; `like` is an array of their type.

    Raises:
        DataError: the cells cannot be of this kind.
    """
    column = replace(_column(name, like, cells, kind), markers=tuple(sorted(cells.markers)), overridden=True)
    return Typed(column, (), cells.markers)


def _column(name: str, values: Array, cells: Cells, kind: ColumnKind) -> Column:
    column = Column(name=name, kind=kind)
    match kind:
        case ColumnKind.CATEGORY:
            return replace(column, levels=levels_of(cells.texts, cells.counts))
        case ColumnKind.NUMBER:
            return replace(column, decimal=_decimal(name, values, cells))
        case ColumnKind.DATETIME:
            return replace(column, datetime_format=_format(name, values, cells))
        case ColumnKind.BOOLEAN:
            return replace(column, levels=_truth(name, cells))
        case ColumnKind.CONSTANT:
            levels = levels_of(cells.texts, cells.counts)
            if len(levels) > 1:
                raise DataError(
                    f"column {name!r} was said to be constant, but holds {examples(levels)}; leave it out with drop=."
                )
            return replace(column, levels=levels)
        case _:
            return column


def _decimal(name: str, values: Array, cells: Cells) -> str:
    if values.dtype.kind in "fiub" or not cells.texts:
        return "."
    reading = None if values.dtype.kind == "M" else number_reading(cells, needed=_NEEDED)
    if reading is None:
        numbers = parse_numbers(cells.texts)
        odd = [text for text, number in zip(cells.texts, numbers, strict=True) if np.isnan(number)]
        raise DataError(
            f"column {name!r} was said to hold numbers, but {len(odd)} of its {len(cells.texts)} different values are none, "
            f"such as {examples(odd)}. Leave its kind to be found, or make it a category."
        )
    return reading.decimal


def _format(name: str, values: Array, cells: Cells) -> str:
    if values.dtype.kind in "Mfiu" or not cells.texts:
        return ""
    candidates = ["", "%Y"] if all(len(text) in (4, 8) for text in cells.texts) else [""]
    for form in candidates:
        if _share(cells, form) >= _NEEDED:
            return form
    found = find_dates(cells.texts, cells.counts, needed=_NEEDED)
    if found is not None:
        return found.form
    if _share(cells, SECONDS) >= _NEEDED:
        return SECONDS
    raise DataError(
        f"column {name!r} was said to hold dates, but values such as {examples(cells.texts)} are in no format that is known. "
        f"Write them as 2024-12-31 or 2024-12-31 23:59:00."
    )


def _share(cells: Cells, form: str) -> float:
    is_read = ~np.isnan(parse_moments(cells.texts, form=form))
    return float(cells.counts[is_read].sum() / max(cells.n_present, 1))


def _truth(name: str, cells: Cells) -> tuple[str, ...]:
    levels = sorted(levels_of(cells.texts, cells.counts))
    is_number = bool(~np.isnan(parse_numbers(levels)).any()) if levels else False
    if len(levels) != 2 or (is_number and levels != ["0", "1"]):
        raise DataError(
            f"column {name!r} was said to be boolean, but holds {len(levels)} different values, such as {examples(levels)}. "
            f"Expected two words, or 0 and 1; make it a category."
        )
    lowered = [level.lower() for level in levels]
    if lowered[0] in TRUE_WORDS or lowered[1] in FALSE_WORDS:
        levels.reverse()
    return tuple(levels)
