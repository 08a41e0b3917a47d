"""What contenders cost where they run, and which of those that are as good is the cheapest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.trial import Ensemble, Trial
from cupel.verdict.words import NOTABLE

Array = NDArray[Any]
CONSTANT = "constant"
"""The family that always gives the same answer: the one yardstick that every task has."""


@dataclass(frozen=True, eq=False)
class Costs:
    """Bytes, milliseconds for one row (infinite where not measured) and seconds of training, one of each per contender."""

    n_bytes: NDArray[np.float64]
    latency: NDArray[np.float64]
    seconds: NDArray[np.float64]
    is_eligible: NDArray[np.bool_]

    def cheapest(self, is_near: Array, *, best: int) -> int:
        """The smallest of those near the best that is notably smaller or faster, and in nothing notably worse; else the best.

        Size comes first since it is the same on every machine; speed, measured in fractions of a millisecond, is not.
        """
        smaller, larger = NOTABLE * self.n_bytes <= self.n_bytes[best], self.n_bytes >= NOTABLE * self.n_bytes[best]
        faster, slower = NOTABLE * self.latency <= self.latency[best], self.latency >= NOTABLE * self.latency[best]
        is_better = is_near & self.is_eligible & (smaller | faster) & ~larger & ~slower
        better = np.flatnonzero(is_better)
        if len(better) == 0:
            return best
        order = np.lexsort((self.seconds[better], self.latency[better], self.n_bytes[better]))
        return int(better[order[0]])


def costs_of(trials: Sequence[Trial], mixture: Ensemble | None) -> Costs:
    """The costs of trials, and of a mixture of some of them behind these."""
    parts = [[trial] for trial in trials] + ([list(mixture.members)] if mixture is not None else [])
    return Costs(
        n_bytes=np.array([float(sum(trial.n_bytes for trial in part)) for part in parts]),
        latency=np.array([sum(trial.latency_ms.get("one", np.inf) for trial in part) for part in parts]),
        seconds=np.array([sum(trial.fit_seconds for trial in part) for part in parts]),
        is_eligible=np.array([len(part) == 1 and part[0].candidate.family.casefold() != CONSTANT for part in parts]),
    )
