"""What a licence allows, as far as its name tells."""

from __future__ import annotations

import re
from enum import StrEnum

OPEN_LICENCES = frozenset(
    {
        "0bsd", "afl-3.0", "agpl-3.0", "apache-2.0", "artistic-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "bsl-1.0",
        "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "cdla-permissive-1.0",
        "cdla-permissive-2.0", "ecl-2.0", "epl-2.0", "eupl-1.2",
        "gpl", "gpl-2.0", "gpl-3.0", "isc", "lgpl", "lgpl-2.1", "lgpl-3.0", "mit", "mpl-2.0", "ms-pl",
        "ncsa", "ofl-1.1", "pddl", "postgresql", "unlicense", "wtfpl", "zlib",
    }
)  # fmt: skip
"""Identifiers of licences that forbid no purpose, as model hubs and SPDX write them."""
_FORBIDS_COMMERCE = re.compile(r"\bnc\b|non-?commercial|research-only|only-research|academic|\bamlr\b|intel-research|\bnon-?prod")


class LicenceKind(StrEnum):
    """What a licence's name says: OPEN to any purpose, NON_COMMERCIAL, or UNKNOWN: missing, or none that is known."""

    OPEN = "open"
    NON_COMMERCIAL = "non-commercial"
    UNKNOWN = "unknown"


def licence_identifier(text: str) -> str:
    """A licence's name as identifiers are written: in small letters, with hyphens for blanks; "apache-2.0" for "Apache 2.0"."""
    joined = re.sub(r"[\s_/,-]+", "-", text.strip().casefold())
    joined = re.sub(r"^the-|-licen[sc]e(?=$|-)|-version(?=-)", "", joined)
    joined = re.sub(r"-v(?=\d)", "-", joined)
    return re.sub(r"^(apache|gpl|lgpl|agpl|mpl)-(\d)$", r"\1-\2.0", joined)


def licence_kind(text: str) -> LicenceKind:
    """What the licence of that name allows; of none, or of one that is not known, that is unknown."""
    identifier = licence_identifier(text)
    if _FORBIDS_COMMERCE.search(identifier):
        return LicenceKind.NON_COMMERCIAL
    plain = re.sub(r"-(only|or-later)$", "", identifier)
    return LicenceKind.OPEN if plain in OPEN_LICENCES else LicenceKind.UNKNOWN
