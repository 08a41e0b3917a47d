"""What a spreadsheet would run when it opens a CSV file, and how it is kept from that."""

from __future__ import annotations

import re

FORMULA = r"^[\s\x00-\x1f]*[=+\-@＝＋－＠]|^[\t\r\n]"
"""Texts that spreadsheets take for formulas, also after white space and control characters that some of them cut away; what is
white space is not the same to every reader of this pattern.

Source: OWASP, "CSV Injection", https://owasp.org/www-community/attacks/CSV_Injection.
"""
_FORMULA = re.compile(FORMULA)


def harmless(text: str) -> str:
    """The text with an apostrophe before it where a spreadsheet would run it."""
    return f"'{text}" if _FORMULA.match(text) else text
