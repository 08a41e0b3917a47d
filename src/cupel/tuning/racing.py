"""Racing over folds: who is clearly worse on the first fold does not get the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.trial import Trial

Array = NDArray[Any]
Worse = Callable[..., float]
"""`worse(first, second, rows=)`: the probability that the first predictions are worse than the second on rows like these."""

CLEARLY = 0.95
SHARE_IN_MIXTURE = 0.25
MIN_SECONDS = 1.0
"""Where all folds together are estimated at less than this, racing saves nothing."""


@dataclass(frozen=True)
class Racing:
    """Compares a candidate's first fold with the best trial so far, on the rows of that fold.

    It is dropped where it is worse with a probability of at least `clearly`, and where mixing a little of it into the
    best would more probably harm than help: what is weak alone may be worth having in an ensemble.

    Source: the rule is that of BBCD-CV (Tsamardinos et al. 2018, doi:10.1007/s10994-018-5714-4, section 3.3), which drops by a
    paired bootstrap over the predictions seen so far; the mixture is ours.
    """

    worse: Worse
    clearly: float = CLEARLY
    min_seconds: float = MIN_SECONDS

    def is_due(self, trials: Sequence[Trial], *, is_deep: bool, seconds: float, n_folds: int) -> bool:
        """Whether there is somebody to race against: two usable models that are no baselines, a deep one before deep ones."""
        rivals = [trial for trial in trials if trial.is_usable and not trial.is_baseline]
        has_alike = any(trial.is_deep for trial in rivals) or not is_deep
        return n_folds > 1 and seconds >= self.min_seconds and len(rivals) > 1 and has_alike

    def chance_of_being_worse(self, trial: Trial, best: Trial) -> tuple[float, bool]:
        """The probability that the trial is worse than the best on the rows that it predicted, and whether to drop it."""
        assert trial.out_of_fold is not None, "only what predicts can race"
        theirs = _of_the_same_folds(best, trial)
        seen = np.isfinite(trial.out_of_fold).all(axis=1) & np.isfinite(theirs).all(axis=1)
        rows = np.flatnonzero(seen)
        chance = self.worse(trial.out_of_fold[rows], theirs[rows], rows=rows)
        if chance < self.clearly:
            return chance, False
        mixed = SHARE_IN_MIXTURE * trial.out_of_fold[rows] + (1 - SHARE_IN_MIXTURE) * theirs[rows]
        return chance, self.worse(mixed, theirs[rows], rows=rows) >= 0.5


def _of_the_same_folds(best: Trial, trial: Trial) -> Array:
    """What the best says by its models of the trial's folds alone: where splits repeat, its out-of-fold mean is of several."""
    assert best.out_of_fold is not None, "the best has predictions"
    folds, said = {unit.fold for unit in trial.units}, best.out_of_fold.copy()
    for unit in best.units:
        if unit.fold in folds:
            said[unit.rows] = unit.predictions
    return said
