"""Dates and times as people write them, read as seconds since 1970 in UTC."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import UsageError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAN = float("nan")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WORD_MONTH = rf"(?P<b>{'|'.join(_MONTHS)})[a-z]{{0,6}}\.?"
_DIRECTIVES = {
    "d": r"(?P<d>\d{1,2})",
    "m": r"(?P<m>\d{1,2})",
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<y>\d{2})",
    "H": r"(?P<H>\d{1,2})",
    "I": r"(?P<H>\d{1,2})",
    "M": r"(?P<M>\d{2})",
    "S": r"(?P<S>\d{2})",
    "f": r"(?P<f>\d{1,9})",
    "b": _WORD_MONTH,
    "B": _WORD_MONTH,
    "p": r"(?P<p>[ap])\.?m\.?",
    "a": r"[a-z]{3,9}\.?",
    "A": r"[a-z]{3,9}\.?",
    "z": r"(?P<z>z|utc|gmt|[+-]\d{2}:?\d{2})",
    "%": "%",
}
SECONDS = "%s"
"""The format of moments written as seconds since 1970."""


def parse_moments(texts: Sequence[str], *, form: str = "") -> NDArray[np.float64]:
    """Seconds since 1970 UTC, one float64 per text; NaN where a text is no moment of that form.

    `form` is a strptime format (English month names, long or short, for both %b and %B), "%s" for seconds, or "" for
    ISO 8601. ISO 8601 is understood with every form but "%s". A moment without an offset is taken as UTC.

    Raises:
        UsageError: the format holds a directive that is not supported.
    """
    if form == SECONDS:
        return np.fromiter(map(_seconds, texts), np.float64, len(texts))
    if not form:
        return np.fromiter(map(_iso, texts), np.float64, len(texts))
    pattern = compiled(form)
    return np.fromiter((_formed(text, pattern) for text in texts), np.float64, len(texts))


@lru_cache(maxsize=256)
def compiled(form: str) -> re.Pattern[str]:
    """The regular expression that a strptime format means."""
    parts = re.split(r"%(.)", form)
    unknown = [letter for letter in parts[1::2] if letter not in _DIRECTIVES]
    if unknown:
        raise UsageError(f"date format {form!r} holds %{unknown[0]}, which is not one of %{', %'.join(_DIRECTIVES)}.")
    pieces = [_DIRECTIVES[part] if i % 2 else re.sub(r"(?:\\ )+", r"\\s+", re.escape(part)) for i, part in enumerate(parts)]
    return re.compile("".join(pieces), re.IGNORECASE)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return _NAN
    return seconds if abs(seconds) < 1e15 else _NAN


def _iso(text: str) -> float:
    try:
        return _since_epoch(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return _NAN


def _formed(text: str, pattern: re.Pattern[str]) -> float:
    match = pattern.fullmatch(text)
    if match is None:
        return _iso(text)
    found = match.groupdict()
    try:
        moment = datetime(
            _year(found),
            1 + _MONTHS.index(found["b"].lower()) if "b" in found else int(found.get("m", 1)),
            int(found.get("d", 1)),
            _hour(found),
            int(found.get("M", 0)),
            int(found.get("S", 0)),
            int(found.get("f", "0").ljust(6, "0")[:6]),
            tzinfo=_zone(found.get("z")),
        )
        return _since_epoch(moment)
    except (ValueError, OverflowError):  # the 31st of February, hour 25
        return _NAN


def _since_epoch(moment: datetime) -> float:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH).total_seconds()


def _year(found: dict[str, str]) -> int:
    if "y" in found:
        short = int(found["y"])
        return short + (2000 if short < 69 else 1900)  # as POSIX
    return int(found["Y"])


def _hour(found: dict[str, str]) -> int:
    hour = int(found.get("H", 0))
    if "p" not in found:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError(hour)
    return hour % 12 + (12 if found["p"].lower() == "p" else 0)


def _zone(text: str | None) -> timezone | None:
    if text is None or text[0] not in "+-":
        return UTC
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(offset if text[0] == "+" else -offset)
