"""Which rows train a model and which judge it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Fold:
    """One division of the rows.

    `train` and `stop` together are what a candidate may learn from: `stop` is the slice held back to decide
    when training ends. `valid` is what it is judged on, and is never seen before that. All are sorted row indices.
    """

    index: int
    train: Rows
    stop: Rows
    valid: Rows


@dataclass(frozen=True, eq=False)
class Splits:
    """All folds of a run and how they were made.

    `scheme` is one of holdout, k-fold, stratified, repeated, group, time; `reason` says in a sentence why it was chosen.
    `groups` (int64 per row) is set for the group scheme. `key` is a hash of every row index: part of a unit's identity.
    """

    folds: tuple[Fold, ...]
    scheme: str
    reason: str
    key: str
    groups: NDArray[np.int64] | None = None

    @property
    def covered(self) -> Rows:
        """Rows that are in some validation part, sorted: those with an out-of-fold prediction."""
        return np.unique(np.concatenate([fold.valid for fold in self.folds]))

    def describe(self) -> dict[str, Any]:
        """Scheme, reason and sizes, for `run.yaml` and reports."""
        return {"scheme": self.scheme, "reason": self.reason, "n_folds": len(self.folds), "key": self.key}
