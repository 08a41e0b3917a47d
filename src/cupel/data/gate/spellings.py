"""One category under several spellings."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.core.mending import Mending
from cupel.core.schema import Column

Array = NDArray[Any]

N_SHOWN = 6
MAX_LEVELS = 5_000
MIN_LETTERS = 2
MIN_TYPO_LENGTH = 6
TYPO_RATIO, MAX_TYPO_ROWS = 20, 5
_GAPS = re.compile(r"[\s_\-./,;:'\"()]+")


def find_spellings(column: Column, codes: Array) -> list[Finding]:
    """Levels that differ in case, accents, blanks and punctuation alone (safe to merge), and those that may be short or mistyped.

    A short form is made of the first letters of the words of another level; a mistyped one is one letter away from a level
    twenty times as frequent, has six letters or more, no digits, and stands in five rows at most. Such are told apart by people:
    the plan has them with `apply: false`.
    """
    counts = dict(zip(column.levels, np.bincount(codes[codes >= 0], minlength=len(column.levels)).tolist(), strict=True))
    levels = [level for level in column.levels[:MAX_LEVELS] if counts[level]]
    alike = _alike(levels, counts)
    found = [_finding(column.name, alike, counts, code="spellings", is_safe=True)] if alike else []
    left = [level for level in levels if level not in dict(alike)]
    doubtful = [*_initials(left), *_typos(left, counts)]
    doubtful = [(before, after) for before, after in dict(doubtful).items() if after not in dict(doubtful)]
    if doubtful:
        found.append(_finding(column.name, doubtful, counts, code="possible-spellings", is_safe=False))
    return found


def folded(text: str) -> str:
    """A spelling without case, accents, blanks and punctuation; signs that carry a meaning of their own, such as + and <,
    stay."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return _GAPS.sub("", plain.casefold())


def _alike(levels: list[str], counts: dict[str, int]) -> list[tuple[str, str]]:
    """Pairs (rarer, commonest) of levels that fold to the same; those that differ in where digits are divided are left alone."""
    keys: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for level in levels:
        key = folded(level)
        if sum(letter.isalpha() for letter in key) >= MIN_LETTERS:
            keys[(key, *re.findall(r"\d+(?:[.,]\d+)?", level))].append(level)
    pairs = []
    for same in keys.values():
        best = max(same, key=lambda level: (counts[level], level))
        pairs += [(level, best) for level in same if level != best]
    return pairs


def _initials(levels: list[str]) -> Iterable[tuple[str, str]]:
    long: dict[str, list[str]] = defaultdict(list)
    for level in levels:
        words = [word for word in re.split(r"[\s\-]+", level) if word]
        if len(words) >= 2 and all(word[0].isupper() for word in words):
            long["".join(word[0] for word in words).casefold()].append(level)
    for level in levels:
        key = level.replace(".", "").casefold()
        if len(key) >= 2 and level.upper() == level and len(long.get(key, ())) == 1 and long[key][0] != level:
            yield (level, long[key][0])


def _typos(levels: list[str], counts: dict[str, int]) -> Iterable[tuple[str, str]]:
    """Rare levels that become a frequent one when a letter of either is left out, or two neighbours change places."""
    shortened: dict[str, list[str]] = defaultdict(list)
    frequent = [level for level in levels if len(level) >= MIN_TYPO_LENGTH and counts[level] >= TYPO_RATIO]
    for level in frequent:
        for key in _shortened(level):
            shortened[key].append(level)
    for level in levels:
        if counts[level] > MAX_TYPO_ROWS or len(level) < MIN_TYPO_LENGTH or any(letter.isdigit() for letter in level):
            continue
        near = {other for key in _shortened(level) for other in shortened.get(key, ()) if other != level}
        near = {other for other in near if counts[other] >= TYPO_RATIO * counts[level] and not any(c.isdigit() for c in other)}
        if len(near) == 1:
            yield (level, near.pop())


def _shortened(level: str) -> set[str]:
    lowered = level.casefold()
    return {lowered, *(lowered[:place] + lowered[place + 1 :] for place in range(len(lowered)))}


def _finding(name: str, pairs: list[tuple[str, str]], counts: dict[str, int], *, code: str, is_safe: bool) -> Finding:
    n_rows = sum(counts[before] for before, _ in pairs)
    shown = ", ".join(f"{before!r} ({counts[before]}) for {after!r} ({counts[after]:,})" for before, after in pairs[:N_SHOWN])
    more = f" and {len(pairs) - N_SHOWN} more" if len(pairs) > N_SHOWN else ""
    how = "differ in case, accents, blanks or punctuation alone" if is_safe else "may be short or mistyped forms of others"
    return Finding(
        code=code,
        severity=Severity.WARNING if is_safe else Severity.NOTE,
        where=name,
        what=f"{len(pairs)} level{'s' if len(pairs) > 1 else ''} of {name!r} in {n_rows:,} rows {how}: {shown}{more}.",
        action="They are different categories to every model. `cupel look --fixes FILE` writes the merge, `cupel fit --fixes "
        "FILE` makes it, in "
        "the packed model too.",
        fix=Fix(kind=FixKind.MEND_CELLS, columns=(name,), mending=Mending(spellings=tuple(pairs)), is_safe=is_safe),
    )
