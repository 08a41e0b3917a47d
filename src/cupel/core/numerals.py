"""Numbers as people write them: thousands separators, currencies, percent signs, parentheses for negatives."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SPACES = " \u00a0\u2009\u202f'\u2019"  # what separates thousands beside comma and point
_CURRENCY = "$€£¥₹"


def _pattern(decimal: str) -> re.Pattern[str]:
    separators = re.escape(_SPACES + ("," if decimal == "." else "."))
    point = re.escape(decimal)
    grouped = rf"[1-9]\d{{0,2}}(?:(?P<gap>[{separators}])\d{{3}}(?:(?P=gap)\d{{3}})*)"
    lakhs = r"[1-9]\d?(?:,\d{2})+,\d{3}" if decimal == "." else r"(?!)"  # 12,34,567 as written in India
    return re.compile(
        rf"(?P<open>\()?\s*[{_CURRENCY}]?\s*(?P<sign>[+-]?)\s*[{_CURRENCY}]?\s*"
        rf"(?P<whole>{grouped}|{lakhs}|\d*)(?P<fraction>{point}\d*)?(?P<exponent>[eE][+-]?\d+)?"
        rf"\s*(?:%|[{_CURRENCY}])?\s*(?P<close>\))?"
    )


_PATTERNS = {decimal: _pattern(decimal) for decimal in ".,"}
# What most numbers that float() refuses look like; the full pattern takes four times as long.
_COMMON = {".": re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?"), ",": re.compile(r"[+-]?\d+(?:,\d+)?")}
_LETTER = re.compile(r"[^\W\dEe]|_")  # but for an exponent's; underscores are letters too
_LONGEST = 64  # characters; what is longer is no number, and may be a whole document
_NO_DIGITS = re.compile(r"\D+")


def parse_numbers(texts: Sequence[str], *, decimal: str = ".") -> NDArray[np.float64]:
    """One float64 per text; NaN where a text is no number, infinite where it says so.

    `decimal` is the decimal mark, "." or ","; the other one separates thousands, as spaces and apostrophes do.
    "12 %" is 12, "$1,234.50" is 1234.5, "(3)" is -3. Underscores are not read, although Python would.
    """
    if decimal == "." and "_" not in "".join(texts):
        try:
            return np.array(texts, dtype=np.float64)
        except ValueError:
            pass  # at least one is not plain
    return np.fromiter((_parse(text, decimal) for text in texts), np.float64, len(texts))


def _parse(text: str, decimal: str) -> float:
    if _LETTER.search(text):
        return float(text) if text.lower().lstrip("+-") in ("inf", "infinity") else float("nan")
    if decimal == ".":
        try:
            return float(text)
        except ValueError:
            pass
    if _COMMON[decimal].fullmatch(text):
        return float(text.replace(",", "" if decimal == "." else "."))
    if len(text) > _LONGEST:
        return float("nan")
    match = _PATTERNS[decimal].fullmatch(text.replace("\u2212", "-").strip())
    if match is None or bool(match["open"]) != bool(match["close"]) or (match["open"] and match["sign"]):
        return float("nan")
    whole = _NO_DIGITS.sub("", match["whole"])
    fraction = (match["fraction"] or "")[1:]
    if not whole and not fraction:
        return float("nan")
    number = float(f"{whole or 0}.{fraction or 0}{match['exponent'] or ''}")
    return -number if match["sign"] == "-" or match["open"] else number
