"""Candidates on the same resamples of the same rows: which cannot be told apart, and what choosing among them adds by luck."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped
from numpy.typing import NDArray

from cupel.evaluation.intervals import resampled_scores, width_of
from cupel.evaluation.metric import Metric
from cupel.evaluation.resampling import Resamples
from cupel.evaluation.scoring import resolved, score

Array = NDArray[Any]
SIGNIFICANCE = 0.05
N_RESAMPLES = 500
Choose = Callable[[Array], int]
"""`choose(scores)`: the position of the candidate that is taken when these are the scores, larger being better."""


def holm(p_values: Sequence[float] | Float[Array, " test"]) -> Float[Array, " test"]:
    """p-values corrected for the number of tests: rejecting those below a level errs in no test with that probability.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * (len(values) - np.arange(len(values))))
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


@dataclass(frozen=True, eq=False)
class Comparison:
    """Scores of candidates, and how each strays on shared resamples; larger is better, whatever the metric's own sense.

    `scores` are minus infinity where not defined. `deviations` are from a candidate's own mean over the resamples; 0 for
    candidates without a score. Resamples on which some score is not defined are left out.
    """

    scores: Float[Array, " candidate"]
    deviations: Float[Array, "candidate resample"]

    @classmethod
    def of(
        cls,
        metric: Metric | str,
        target: Shaped[Array, "sample ..."],
        predictions: Sequence[Shaped[Array, "sample ..."]],
        *,
        groups: Shaped[Array, " sample"] | None = None,
        seed: int = 0,
        n_resamples: int = N_RESAMPLES,
    ) -> Comparison:
        """Compare on resamples of rows, or of whole groups; fewer on big data (`Resamples.draw`)."""
        metric = resolved(metric)
        width = width_of(metric, predictions[0]) * len(predictions)
        resamples = Resamples.draw(len(target), groups=groups, seed=seed, n_resamples=n_resamples, width=width)
        resampled = metric.sign * resampled_scores(metric, target, predictions, resamples)
        scores = metric.sign * np.array([score(metric, target, candidate) for candidate in predictions])
        is_scored = np.isfinite(scores)
        resampled = resampled[:, np.isfinite(resampled[is_scored]).all(axis=0)]
        deviations = np.zeros_like(resampled)
        if resampled.shape[1]:
            deviations[is_scored] = resampled[is_scored] - resampled[is_scored].mean(axis=1, keepdims=True)
        return cls(np.where(is_scored, scores, -np.inf), deviations)

    def tie_groups(self) -> list[int]:
        """A number per candidate, 1 for the best and all that are not significantly worse, 2 for the best of the rest, ….

        Paired bootstrap on shared resamples, Holm's correction over the candidates compared, at 5 %.
        """
        numbers = np.zeros(len(self.scores), np.int64)
        while (numbers == 0).any():
            left = np.flatnonzero(numbers == 0)
            best = int(left[np.argmax(self.scores[left])])
            is_tied = self._tied(self.scores[left], best=int(np.searchsorted(left, best)), spread=self._spread(best)[left])
            numbers[left[is_tied]] = numbers.max() + 1
        return [int(group) for group in numbers]

    def p_values(self, best: int) -> Float[Array, " candidate"]:
        """Of no difference between a candidate and each, two-sided and not corrected for comparing many; 1 for itself."""
        spread = self._spread(best)
        pairs = zip(self.scores.tolist(), spread.tolist(), strict=True)
        return np.array([_p_value(float(self.scores[best]), other, strayed) for other, strayed in pairs])

    def expected(self, choose: Choose) -> float:
        """The score to expect on other rows of whatever `choose` takes, free of the luck of having been chosen for it.

        Each resample's scores are shown to `choose`; what the one it takes strayed by there is luck. This is the optimism of
        BBC-CV without the rows left out: to first order, a candidate is as much worse on these as it is better on those drawn.
        On candidates of equal worth it is unbiased.

        Source: Tsamardinos et al. 2018, doi:10.1007/s10994-018-5714-4; Efron 1983, doi:10.1080/01621459.1983.10477973, for the
        estimate of optimism from resamples.
        """
        if self.deviations.shape[1] == 0:
            return float(self.scores[choose(self.scores)])
        found = np.empty(self.deviations.shape[1])
        for number, strayed in enumerate(self.deviations.T):
            chosen = choose(self.scores + strayed)
            found[number] = self.scores[chosen] - strayed[chosen]
        return float(found.mean())

    def first_group(self) -> Callable[[Array], Bool[Array, " candidate"]]:
        """A function from scores to whether each candidate is not significantly worse than the one that is best by them."""
        spreads: dict[int, Array] = {}

        def tied(scores: Array) -> Array:
            best = int(np.argmax(scores))
            if best not in spreads:
                spreads[best] = self._spread(best)
            return self._tied(scores, best=best, spread=spreads[best])

        return tied

    def _spread(self, best: int) -> Array:
        """Standard errors of each candidate's difference from one of them."""
        if self.deviations.shape[1] == 0:
            return np.full(len(self.scores), np.inf)
        spread: Array = (self.deviations[best] - self.deviations).std(axis=1)
        return spread

    @staticmethod
    def _tied(scores: Array, *, best: int, spread: Array) -> Array:
        others = np.flatnonzero(np.arange(len(scores)) != best)
        p_values = [_p_value(float(scores[best]), float(scores[other]), float(spread[other])) for other in others]
        is_tied = np.ones(len(scores), np.bool_)
        is_tied[others] = holm(p_values) >= SIGNIFICANCE
        return is_tied


def tie_groups(
    metric: Metric | str,
    target: Shaped[Array, "sample ..."],
    predictions: Sequence[Shaped[Array, "sample ..."]],
    *,
    groups: Shaped[Array, " sample"] | None = None,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> list[int]:
    """The tie group of each candidate (`Comparison.tie_groups`)."""
    if not predictions:
        return []
    return Comparison.of(metric, target, predictions, groups=groups, seed=seed, n_resamples=n_resamples).tie_groups()


def _p_value(best: float, other: float, spread: float) -> float:
    """Of no difference between the best and another, two-sided; one without a score is worse than any with one."""
    if math.isinf(other):
        return 1.0 if math.isinf(best) else 0.0
    gap = abs(best - other)
    if spread <= 1e-12 * gap or spread == 0:
        return 1.0 if gap == 0 else 0.0
    return math.erfc(gap / spread / math.sqrt(2))
