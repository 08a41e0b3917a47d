"""How long candidates will take: the families' own estimates, corrected by what this machine has shown."""

from __future__ import annotations

import threading
from collections.abc import Callable

from cupel.core.candidate import Candidate
from cupel.core.errors import CupelError
from cupel.core.family import Cost, Family
from cupel.core.trial import Status, Trial

Estimator = Callable[[Candidate, Family], Cost]


class TimeModel:
    """Predicted seconds for all units of a candidate.

    The correction is the ratio of observed to predicted time: of the same family where one of its trials has finished,
    else of all finished trials together, for networks of networks alone, else 1: that trees stop early says nothing of them.
    Baselines take no part in the latter: they are done before a clock ticks.
    What was cut short would have taken longer than it did: it counts, for its family, where that is more than was expected.
    """

    def __init__(self, estimate: Estimator) -> None:
        self._estimate = estimate
        self._predicted: dict[str, float] = {}
        self._observed: dict[str, float] = {}
        self._of_all = self._of_deep = (0.0, 0.0)
        self._faults: dict[str, str] = {}
        self._lock = threading.Lock()

    def cost(self, candidate: Candidate, family: Family) -> Cost:
        """Corrected cost of all units of the candidate."""
        cost = self._estimated(candidate, family)
        return Cost(seconds=cost.seconds * self._ratio(family), memory_bytes=cost.memory_bytes)

    def uncorrected(self, candidate: Candidate, family: Family) -> Cost:
        """The family's own estimate: the same on any machine, whatever its clock has shown."""
        return self._estimated(candidate, family)

    def fault(self, candidate: Candidate, family: Family) -> str:
        """Why the candidate cannot be estimated, as it then cannot be trained; "" where it can."""
        self._estimated(candidate, family)
        return self._faults.get(candidate.key, "")

    def _estimated(self, candidate: Candidate, family: Family) -> Cost:
        """The family's own estimate; nothing where it has none, so that the candidate's turn comes, and what is wrong is told."""
        try:
            return self._estimate(candidate, family)
        except Exception as error:  # noqa: BLE001 preparing a few rows or a size out of bounds: one candidate's fault, not the run's
            told = str(error) if isinstance(error, CupelError) else f"{type(error).__name__}: {error}"
            self._faults[candidate.key] = told
            return Cost(seconds=0.0, memory_bytes=0.0)

    def learn(self, trial: Trial, family: Family, *, seconds: float) -> None:
        """Take a finished trial, or one that was cut short, into account; `seconds` is what all of it took."""
        predicted, is_whole = self._estimated(trial.candidate, family).seconds, trial.status is Status.DONE
        tells_more = trial.status is Status.CUT_SHORT and seconds > predicted * self._ratio(family)
        if seconds <= 0 or not (is_whole or tells_more):
            return
        with self._lock:
            self._observed[family.name] = self._observed.get(family.name, 0.0) + seconds
            self._predicted[family.name] = self._predicted.get(family.name, 0.0) + predicted
            if is_whole and not family.is_baseline:
                self._of_all = (self._of_all[0] + predicted, self._of_all[1] + seconds)
            if is_whole and family.is_deep:
                self._of_deep = (self._of_deep[0] + predicted, self._of_deep[1] + seconds)

    def _ratio(self, family: Family) -> float:
        with self._lock:
            if self._predicted.get(family.name):
                return self._observed[family.name] / self._predicted[family.name]
            predicted, observed = self._of_deep if family.is_deep else self._of_all
        return observed / predicted if predicted > 0 else 1.0
