"""Numbers and columns in few characters, for terminals and pages."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cupel.core.profile import ColumnProfile
from cupel.core.schema import Column, ColumnKind

BLOCKS = " ▁▂▃▄▅▆▇█"
EIGHTHS = " ▏▎▍▌▋▊▉█"
SECONDS_PER_DAY = 86_400


def printable(text: str) -> str:
    """The text on one line, without characters that move the cursor or cannot be seen."""
    return "".join(character if character.isprintable() else "·" for character in text)


def number_words(value: float | None) -> str:
    """A number in three or four figures: 0.0421, 17.5, 1,234, 56.7M."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    for factor, letter in ((1e12, ""), (1e9, "G"), (1e6, "M")):
        if size >= factor:
            return f"{value:.3g}" if not letter else f"{value / factor:.3g}{letter}"
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}" if size >= 1e-4 else f"{value:.1e}"


def date_words(seconds: float | None, *, with_time: bool = False) -> str:
    """A moment given in seconds since 1970 UTC, as 2011-07-01, with 14:30 if asked."""
    if seconds is None or not math.isfinite(seconds) or abs(seconds) > 1e14:
        return "–"
    return str(np.datetime64(math.floor(seconds), "s")).replace("T", " ")[: 16 if with_time else 10]


def share_words(part: float, whole: float) -> str:
    """A share in percent: 12 %, 0.4 %, <0.1 %."""
    percent = 100 * part / max(whole, 1)
    if part in (0, whole):
        return f"{percent:.0f} %"
    if 9.95 <= percent < 99.5:
        return f"{percent:.0f} %"
    if percent >= 99.5:
        return f"{percent:.1f} %" if percent < 99.95 else ">99.9 %"
    return f"{percent:.1f} %" if percent >= 0.1 else "<0.1 %"


def range_words(profile: ColumnProfile, kind: ColumnKind, *, is_narrow: bool = False) -> str:
    """The least and the greatest value of a numeric column; where it is narrow, months instead of days."""
    if profile.low is None or profile.high is None:
        return ""
    if kind is ColumnKind.DATETIME:
        if is_narrow:
            return f"{date_words(profile.low)[:7]}…{date_words(profile.high)[:7]}"
        short = profile.high - profile.low < 2 * SECONDS_PER_DAY
        return f"{date_words(profile.low, with_time=short)} … {date_words(profile.high, with_time=short)}"
    return f"{number_words(profile.low)} … {number_words(profile.high)}"


def blocks(counts: Sequence[int], *, width: int) -> str:
    """A histogram of block characters, at most `width` of them; a space is an empty bin."""
    if not counts or max(counts) == 0:
        return ""
    step = math.ceil(len(counts) / width)
    merged = [sum(counts[start : start + step]) for start in range(0, len(counts), step)]
    highest = max(merged)
    return "".join(BLOCKS[0 if count == 0 else max(1, round(8 * count / highest))] for count in merged)


def bar(share: float, *, width: int) -> str:
    """A horizontal bar of `width` characters at share 1, in eighths of a character."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (EIGHTHS[rest] if rest else "")


def levels_of(profile: ColumnProfile, column: Column) -> list[tuple[str, int]]:
    """Levels and their rows, most frequent first, the rest as "other"; of a boolean its two spellings."""
    if column.kind is ColumnKind.BOOLEAN and profile.mean is not None:
        n_present = sum(profile.histogram)
        n_true = round(profile.mean * n_present)
        names = column.levels if len(column.levels) == 2 else ("false", "true")
        return sorted(zip(names, (n_present - n_true, n_true), strict=True), key=lambda level: -level[1])
    return list(zip(profile.labels, profile.histogram, strict=False))


def values_words(profile: ColumnProfile, column: Column, *, n_samples: int, width: int) -> str:
    """What a column holds: a histogram with its range, the most frequent levels, or an example."""
    if column.kind in (ColumnKind.NUMBER, ColumnKind.DATETIME):
        if profile.low is None:
            return "no value"
        drawn = 10 if width >= 30 else 7
        return f"{blocks(profile.histogram, width=drawn).ljust(drawn)} {range_words(profile, column.kind, is_narrow=width < 34)}"
    levels = levels_of(profile, column)
    if levels:
        return ", ".join(f"{printable(name) or '(empty)'} {share_words(count, n_samples)}" for name, count in levels)
    if profile.examples:
        return f"“{printable(profile.examples[0])}”"
    return "no value"
