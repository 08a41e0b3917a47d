"""What became of a candidate on the folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.candidate import Candidate
from cupel.core.combination import Combination, WeightedMean


class Status(StrEnum):
    """How a candidate ended: DROPPED after the first fold, SCREENED with less than all folds, rows or epochs as planned."""

    DONE = "done"
    CUT_SHORT = "cut short"
    FAILED = "failed"
    SKIPPED = "skipped"
    DROPPED = "dropped"
    SCREENED = "screened"


GAVE_UP = frozenset({Status.SKIPPED, Status.DROPPED, Status.SCREENED})
"""Not failures: time was short, the first fold was bad enough, or only a look was meant."""


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitResult:
    """A finished unit as the run folder keeps it: predictions for the fold's validation rows, and files.

    `latency_ms` ("one" row, a "thousand") is measured for the first fold's unit alone. `folder` holds `predictions.npy`,
    `curve.json`, `model.onnx` and, for networks, `weights.safetensors`. `stop_predictions` as in `FittedUnit`.
    """

    key: str
    fold: int
    rows: NDArray[np.int64]
    predictions: NDArray[np.float64]
    seconds: float
    folder: Path
    curve: Mapping[str, Sequence[float]] = field(default_factory=dict)
    best_epoch: int | None = None
    cut_short: bool = False
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    stop_predictions: NDArray[np.float64] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """A candidate with all its units, or the reason why it has none.

    `out_of_fold` has shape (samples, outputs); rows that no fold covered are NaN. Rows covered by several folds
    (repeated splits) hold the mean. It is None for failed and skipped candidates. `reason` is a sentence that also says what to
    do. `lost_seconds` went into what failed; `estimated_seconds` it was expected to take.
    """

    candidate: Candidate
    is_deep: bool
    is_baseline: bool
    status: Status
    units: tuple[UnitResult, ...] = ()
    out_of_fold: NDArray[np.float64] | None = None
    reason: str = ""
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    n_bytes: int = 0
    lost_seconds: float = 0.0
    estimated_seconds: float = 0.0

    @property
    def is_usable(self) -> bool:
        """Whether it has predictions for every covered row."""
        return self.out_of_fold is not None

    @property
    def fit_seconds(self) -> float:
        """Training time of all units, and of what failed."""
        return sum(unit.seconds for unit in self.units) + self.lost_seconds


@dataclass(frozen=True, kw_only=True, eq=False)
class Ensemble:
    """Trials that predict together; a single trial is an ensemble of one.

    What a member predicts for a new row is the mean over the models of its folds. `weights` sum to 1, one per member: of
    the mean that the ensemble is, or, where another `combination` is given, each member's share in what it says.
    `out_of_fold` as in `Trial`; where `is_cross_fitted`, a combination that learned from the target never saw the rows that
    it predicts there.
    """

    name: str
    members: tuple[Trial, ...]
    weights: tuple[float, ...]
    out_of_fold: NDArray[np.float64]
    combination: Combination | None = None
    is_cross_fitted: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rule(self) -> Combination:
        """How the members' predictions become one."""
        return self.combination or WeightedMean(self.weights)
