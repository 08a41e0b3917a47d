"""Something wrong or noteworthy in the data, and what Cupel does about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How bad a finding is."""

    NOTE = "note"
    WARNING = "warning"
    SERIOUS = "serious"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One fault or peculiarity of the data.

    `code` is a stable short name such as "duplicate-rows"; `where` names columns or rows; `what` and `action`
    are full sentences for people: what was seen, with its numbers, and what Cupel will do about it.
    """

    code: str
    severity: Severity
    where: str
    what: str
    action: str

    def to_json(self) -> dict[str, Any]:
        """A plain structure for `json.dumps`."""
        return asdict(self)
