"""Identifiers that carry information: numbers given in the order of outcomes, prefixes that name the answer."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.core.schema import Column, ColumnKind
from cupel.data.kinds import is_id_name
from cupel.data.skill import Bench

Array = NDArray[Any]

MIN_ROWS = 60
MIN_SKILL = 0.1
MIN_DEVIATIONS = 4.5
MAX_COLUMNS = 20
N_PARTS = 7
CODE_SHARE = 0.9
MIN_DISTINCT = 0.5
_CODE = re.compile(r"(?=.*\d)\S{1,40}( \S{1,20})?")
_DIGITS = re.compile(r"\d+")
_FIRST = re.compile(r"^\D*")


def find_telling_identifiers(dataset: Dataset, bench: Bench) -> list[Finding]:
    """One finding for each identifier that tells the target on rows not learned from, and by which part of it.

    Looked at are columns taken for identifiers, texts that are codes, and columns whose name says that they identify. Their
    parts are the number in them, what stands before it, its last digit, whether it is odd, its first two digits, and the
    length. Models do not read identifiers, but what is wrong with one is often wrong with the table: rows were numbered by
    outcome, or come from sources of different outcomes.
    """
    if dataset.task is None or len(bench.rows) < MIN_ROWS:
        return []
    found = []
    for column in [column for column in dataset.schema.columns if _may_identify(dataset, column)][:MAX_COLUMNS]:
        parts = [
            (words, bench.skill_of(states, is_ordered=is_ordered)) for words, states, is_ordered in _parts(dataset, bench, column)
        ]
        if not parts:
            continue
        words, skill = max(parts, key=lambda part: part[1])
        if skill >= MIN_SKILL and bench.deviations(skill) >= MIN_DEVIATIONS:
            found.append(_finding(column, words, skill, bench=bench))
    return found


def _may_identify(dataset: Dataset, column: Column) -> bool:
    if column.name in (dataset.schema.target, dataset.schema.group, dataset.schema.time):
        return False
    if column.kind is ColumnKind.IDENTIFIER:
        return True
    if column.kind is ColumnKind.TEXT:
        texts = [text for text in dataset.columns[column.name][:1000].tolist() if text]
        return sum(bool(_CODE.fullmatch(text)) for text in texts) >= CODE_SHARE * max(1, len(texts))
    if not is_id_name(column.name) or column.kind not in (ColumnKind.NUMBER, ColumnKind.CATEGORY):
        return False
    values = dataset.columns[column.name]
    return len(np.unique(values)) >= MIN_DISTINCT * len(values)


def _parts(dataset: Dataset, bench: Bench, column: Column) -> Iterator[tuple[str, Array, bool]]:
    """What an identifier is made of, for the bench's rows."""
    cells = dataset.cells(column.name, bench.rows).tolist()
    return parts_of(
        ["" if cell is None or cell != cell else f"{cell:.15g}" if isinstance(cell, float) else str(cell) for cell in cells]
    )


def parts_of(texts: list[str]) -> Iterator[tuple[str, Array, bool]]:
    """What names are made of, as (words, states, whether they are ordered)."""
    digits = [_DIGITS.findall(text) for text in texts]
    numbers = np.array([float(found[-1][:15]) if found else -np.inf for found in digits])
    last = np.array([float(found[-1][-1]) if found else -1.0 for found in digits])
    leading = np.array([float((found[0] if len(found) > 1 else found[-1])[:2]) if found else -np.inf for found in digits])
    yield "the number in it", numbers, True
    yield "what stands before its number", coded([_FIRST.match(text).group() for text in texts]), False  # type: ignore[union-attr]
    yield "its last digit", last, False
    yield "whether it is odd", np.where(last >= 0, last % 2, -1.0), False
    yield "its first digits", leading, False
    yield "its length", np.array([float(len(text)) for text in texts]), False
    yield "its last letter", coded([text[-1:] if text[-1:].isalpha() else "" for text in texts]), False


def coded(texts: list[str]) -> Array:
    """A number for each different text."""
    return np.unique(np.array(texts), return_inverse=True)[1].reshape(-1).astype(np.float64)


def _finding(column: Column, words: str, skill: float, *, bench: Bench) -> Finding:
    verb = (
        "avoids {:.0%} of the mistakes of a constant guess"
        if bench.is_classification
        else "explains {:.0%} of the target's ranks"
    )
    is_read = column.is_feature
    kept = "It is kept, and scores rest on it" if is_read else "It is not used, so that no score rests on it"
    return Finding(
        code="telling-identifier",
        severity=Severity.SERIOUS if is_read else Severity.WARNING,
        where=column.name,
        what=f"{column.name!r} should only name the rows, but {words} {verb.format(skill)} on rows not learned from.",
        action=f"{kept}. Find out why: rows may have been numbered by outcome, or gathered from sources of different outcomes"
        + (f"; leave it out with --drop {shlex.quote(column.name)}." if is_read else "."),
        probability=bench.probability(skill, n_tried=N_PARTS),
        fix=Fix(kind=FixKind.DROP_COLUMN, columns=(column.name,)) if is_read else None,
    )
