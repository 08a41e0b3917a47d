"""Something wrong or noteworthy in the data, and what Cupel does about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.fix import Fix

Array = NDArray[Any]


class Severity(StrEnum):
    """How bad a finding is."""

    NOTE = "note"
    WARNING = "warning"
    SERIOUS = "serious"


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What mending a finding does to the score, measured by a small model on the same rows.

    `as_is` and `mended` are scores in the metric's own sense; `low` to `high` is the 95 % interval of their difference, from
    paired resamples, where positive is better after mending. `n_rows` judged.
    """

    metric: str
    as_is: float
    mended: float
    low: float
    high: float
    n_rows: int

    @property
    def is_sure(self) -> bool:
        """Whether the interval of the difference is without zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Contrast:
    """What a finding is weighed by where no fix says it: two ways of treating `rows`, positions in the dataset.

    Those of one number in `units` may be divided, or are kept together; or a small model is told their `states`, or is not. One
    of the two is given, for each of the rows.
    """

    rows: Array
    units: Array | None = None
    states: Array | None = None

    def among(self, rows: Array) -> Contrast:
        """The same of a dataset of which the present one holds these rows."""
        return replace(self, rows=np.asarray(rows)[self.rows])


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One fault or peculiarity of the data.

    `code` is a stable short name such as "duplicate-rows"; `where` names columns or rows; `what` and `action`
    are full sentences for people: what was seen, with its numbers, and what Cupel will do about it.
    `probability` is how sure it is that this is no chance, by a test corrected for the number of things tried; None where
    nothing was tested. `fix` is the change that mends it, `effect` what that does to the score. `contrast` is how the effect is
    measured where it is not by the fix; once that is done there is none.
    """

    code: str
    severity: Severity
    where: str
    what: str
    action: str
    probability: float | None = None
    fix: Fix | None = None
    effect: Effect | None = None
    contrast: Contrast | None = field(default=None, compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """A plain structure for `json.dumps`."""
        plain = asdict(replace(self, contrast=None))
        del plain["contrast"]
        return plain
