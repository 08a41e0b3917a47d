"""Candidates on the same resamples of the same rows: which cannot be told apart, and what choosing among them adds by luck."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped
from numpy.typing import NDArray

from cupel.evaluation.intervals import Interval, resampled_scores, width_of
from cupel.evaluation.metric import Metric
from cupel.evaluation.resampling import Resamples
from cupel.evaluation.scoring import resolved, score

Array = NDArray[Any]
SIGNIFICANCE = 0.05
N_RESAMPLES = 500
MOST_WIDENING = math.sqrt(2)
SURELY_FOUND = 6.0
"""The square of the distance from a constant, in standard errors, up to which all that was found may be chance: of models that
find nothing, whose scores stray by 1.41 of these, 92 in 100 stay within it."""
SHARE_IN_LUCK = 1 / 3
"""Of the widening counts in the luck of choosing: candidates stray together. On 204 tables of noise the best of 33 was 1.13
to 1.30 times as far above their mean as rows drawn anew say, where each of them strayed 1.30 times as far."""
STRETCH = 1.3
"""An interval of an out-of-fold score reaches so many times as far as that of rows drawn anew. How a score strays with the one
sample that taught all folds is not seen by drawing rows that judge: on 204 tables of noise scores strayed 1.30 times as far,
and on 137 samples of four real tables the winner's interval held the truth in 82% without this and in 93% with it.

Source: Bates, Hastie and Tibshirani 2023, doi:10.1080/01621459.2023.2197686, who find naive intervals of cross-validation too
narrow by such factors.
"""
N_STEPS = 4
FEWEST_DRAWN, MOST_DRAWN, MOST_PAIRS_DRAWN = 500, 4000, 10_000_000
FAR_WIDER = 2.5
"""A score that strays so many times as far as the leader's is of another kind."""
SURE = 1.96
FEWEST_ALIKE = 20
N_TRUE_SCORES, N_LAIRD_STEPS = 60, 100
LEAST_VARIANCE, LEAST_FIT, LEAST_SPREAD = 1e-3, 1e-300, 1e-12
Choose = Callable[[Array], int]
"""`choose(scores)`: the position of the candidate that is taken when these are the scores, larger being better."""


@dataclass(frozen=True)
class Luck:
    """What choosing adds to a score: positive, larger scores being better.

    From `low`, which is negative, to `high` the score of what is chosen strays beside it in 95 % of cases: less far than that of
    any one candidate where several are equal, as the best of them is never far below them.
    """

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Scores of candidates, and how each strays on shared resamples; larger is better, whatever the metric's own sense.

    `scores` are minus infinity where not defined. `deviations` are from a candidate's own mean over the resamples; 0 for
    candidates without a score. Resamples on which some score is not defined are left out.

    `widening` is by how much more scores stray than rows drawn anew show, beside the score of a constant (`widening_of`); the
    deviations hold it. `reach` is how far each strays by its interval, None where that is what the deviations say.
    """

    scores: Float[Array, " candidate"]
    deviations: Float[Array, "candidate resample"]
    widening: float = 1.0
    reach: Float[Array, "candidate resample"] | None = None

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

    def of_folds(self, constant: int | None) -> Comparison:
        """The same where rows of each fold taught the models that judge the others: scores stray further than these rows show.

        `constant` is the position of the candidate that says the same of every row, None where there is none.
        """
        mutual = replace(self, reach=STRETCH * self.deviations)
        if constant is None or not np.isfinite(self.scores[constant]):
            return mutual
        return mutual._widened(mutual._widening(constant), constant)

    def _widening(self, constant: int) -> float:
        """By what the best has over the constant, less the luck of choosing it."""
        best = int(np.argmax(self.scores))
        spread = float((self.deviations[best] - self.deviations[constant]).std()) if self.deviations.shape[1] else 0.0
        if spread == 0:
            return MOST_WIDENING
        widening = MOST_WIDENING
        for _ in range(N_STEPS):
            expected = self._widened(widening, constant).expected(lambda scores: int(np.argmax(scores)))
            widening = widening_of((expected - float(self.scores[constant])) / spread)
        return widening

    def _widened(self, widening: float, constant: int) -> Comparison:
        of_constant = self.deviations[constant]
        deviations = of_constant + widening * (self.deviations - of_constant)
        deviations = np.where(np.isinf(self.scores)[:, None], 0.0, deviations)
        return Comparison(self.scores, deviations, widening, self.reach)

    @property
    def _reach(self) -> Array:
        return self.deviations if self.reach is None else self.reach

    def tie_groups(self) -> list[int]:
        """A number per candidate, 1 for the best and all that are not significantly worse, 2 for the best of the rest, ….

        By how far candidates stray from one another on shared resamples, allowing for how many there are, at 5 %.
        """
        numbers = np.zeros(len(self.scores), np.int64)
        while (numbers == 0).any():
            left = np.flatnonzero(numbers == 0)
            best = int(left[np.argmax(self.scores[left])])
            is_tied = self._tied(self.scores[left], places=left, best=int(np.searchsorted(left, best)))
            numbers[left[is_tied]] = numbers.max() + 1
        return [int(group) for group in numbers]

    def p_values(self, best: int) -> Float[Array, " candidate"]:
        """Of no difference between a candidate and each, two-sided and not corrected for comparing many; 1 for itself."""
        spread = self._spread(best)
        pairs = zip(self.scores.tolist(), spread.tolist(), strict=True)
        return np.array([_p_value(float(self.scores[best]), other, strayed) for other, strayed in pairs])

    def interval(self, candidate: int) -> Interval:
        """A candidate's score with its 95 % interval, larger being better."""
        score = float(self.scores[candidate])
        if self.deviations.shape[1] == 0:
            return Interval(score, score, score)
        low, high = (score + np.quantile(self._reach[candidate], [0.025, 0.975])).tolist()
        return Interval(score, low, high)

    def luck(self, choose: Choose) -> Luck:
        """What having been chosen adds to the score of what `choose` takes, and how far that score strays beside it.

        Scores are drawn anew around what they are likely to be, and chosen from by the same rule: what the chosen one strays by
        is luck. Likely are the scores themselves, except in the first tie group (`likely_scores`): around the scores as they
        are, the luck among equals would be counted too low by a third, as each has had some of it already. How good the chosen
        one is among its like is not sure either, and that is in the interval. Where the rule took another than the best, draws in
        which it does so count alone, and else the others: what is best has more luck than what is not. A candidate
        that strays far less than those that were tried beside it, as a constant does, has hardly any luck.

        A candidate whose score strays far more than the leader's is tied with it however bad it looks, and would win many of
        the draws by luck that the leader never had: such take no part.

        Source: Efron 2011, doi:10.1198/jasa.2011.tm11181, for shrinking as the cure of selection.
        """
        if self.deviations.shape[1] == 0:
            return Luck(0.0, 0.0, 0.0)
        likely, unsure = self._likely()
        shown, chosen = likely[:, None] + self.deviations, choose(self.scores)
        places = np.array([choose(scores) for scores in shown.T])
        drawn = np.arange(len(places))
        spreads = np.maximum(self.deviations.std(axis=1), LEAST_SPREAD)
        own = np.minimum(1.0, FAR_WIDER * spreads[chosen] / spreads[places])
        strayed, reached = own * self.deviations[places, drawn], own * self._reach[places, drawn]
        is_like = (places == shown.argmax(axis=0)) == (chosen == int(np.argmax(self.scores)))
        mean = float(strayed[is_like].mean() if is_like.sum() >= FEWEST_ALIKE else strayed.mean())
        spread = float(reached.std())
        wider = math.hypot(spread, float(unsure[chosen])) / spread if spread > 0 else 1.0
        low, high = (wider * np.quantile(reached - reached.mean(), [0.025, 0.975])).tolist()
        share = (1 + SHARE_IN_LUCK * (self.widening - 1)) / self.widening
        return Luck(max(mean, 0.0) * share, low, high)

    def expected(self, choose: Choose) -> float:
        """The score to expect on other rows of what `choose` takes, free of the luck of having been chosen for it."""
        return float(self.scores[choose(self.scores)]) - self.luck(choose).estimate

    def _likely(self) -> tuple[Array, Array]:
        """What scores are likely to be, minus infinity for those that take no part, and how unsure that is."""
        likely, unsure = self.scores.copy(), np.zeros(len(self.scores))
        every, best = np.arange(len(self.scores)), int(np.argmax(self.scores))
        is_tied = self._tied(self.scores, places=every, best=best) & np.isfinite(self.scores)
        is_alike = self._strays_like(best)
        likely[is_tied & ~is_alike] = -np.inf
        tied = np.flatnonzero(is_tied & is_alike)
        if len(tied) > 1:
            beside = self.deviations[tied] - self.deviations[tied].mean(axis=0)
            variances = beside.var(axis=1) * len(tied) / (len(tied) - 1)
            likely[tied], unsure[tied] = likely_scores(self.scores[tied], variances)
        return likely, unsure

    def _strays_like(self, one: int) -> Bool[Array, " candidate"]:
        """Whether a candidate's score strays not several times as far as that of one of them."""
        spread = self.deviations.std(axis=1) if self.deviations.shape[1] else np.zeros(len(self.scores))
        is_alike: Array = spread <= FAR_WIDER * spread[one]
        return is_alike

    def near(self, constant: int | None = None) -> Callable[[Array, int], Bool[Array, " candidate"]]:
        """A function from scores, and the position of the best, to which candidates are as good for all that is known.

        They are within one standard error of the difference from the best, which is far less than not to be told from it: of a
        few rows nearly nothing can be told. Their scores stray about as far; and where the best is surely better than the
        candidate at `constant`, so are they.

        Source: Breiman et al. 1984, "Classification and Regression Trees", section 3.4.3, for the rule of one standard error.
        """
        spreads: dict[int, tuple[Array, Array]] = {}
        from_constant = None if constant is None else self._spread(constant)

        def is_near(scores: Array, best: int) -> Array:
            if best not in spreads:
                spreads[best] = self._spread(best), self._strays_like(best)
            spread, is_alike = spreads[best]
            near = np.isfinite(scores) & is_alike
            near[near] = scores[best] - scores[near] <= spread[near]
            if constant is not None and from_constant is not None:
                is_better = scores - scores[constant] > SURE * from_constant
                near &= is_better | ~is_better[best]
            return near

        return is_near

    def among(self, places: Sequence[int]) -> Comparison:
        """Some of the candidates alone."""
        some = list(places)
        reach = None if self.reach is None else self.reach[some]
        return Comparison(self.scores[some], self.deviations[some], self.widening, reach)

    def _spread(self, best: int) -> Array:
        """Standard errors of each candidate's difference from one of them."""
        if self.deviations.shape[1] == 0:
            return np.full(len(self.scores), np.inf)
        spread: Array = (self.deviations[best] - self.deviations).std(axis=1)
        return spread

    def _tied(self, scores: Array, *, places: Array, best: int) -> Array:
        """Which of the candidates at `places`, with these scores, one may be the best for all that is known.

        A gap counts where it is wider, in standard errors, than the widest between any two of so many equals would be 19 times
        in 20: the best is chosen by the same rows, so that each is farther from it than from one named before. What has been
        told apart is no longer counted among those that may be equal.

        Source: Romano and Wolf 2005, doi:10.1111/j.1468-0262.2005.00615.x, for stepping down by the largest statistic.
        """
        if not np.isfinite(scores[best]) or self.deviations.shape[1] == 0:
            return np.ones(len(scores), np.bool_)
        gaps, spread = scores[best] - scores, self._spread(int(places[best]))[places]
        is_tied: Array = np.isfinite(scores)
        while True:
            still: Array = is_tied & ((gaps <= self._widest_gap(places[is_tied]) * spread) | (gaps == 0))
            if (still == is_tied).all():
                return still
            is_tied = still

    def _widest_gap(self, places: Array) -> float:
        """Standard errors that the two of equals that are farthest apart are within in 95% of cases."""
        drawn, widest = self._drawn[places], np.zeros(self._drawn.shape[1])
        deviations = self.deviations[places]
        for number in range(len(places) - 1):
            spread = (deviations[number] - deviations[number + 1 :]).std(axis=1)
            is_apart = spread > 0
            apart = np.abs(drawn[number] - drawn[number + 1 :][is_apart]) / spread[is_apart, None]
            widest = np.maximum(widest, apart.max(axis=0, initial=0.0))
        return float(np.quantile(widest, 1 - SIGNIFICANCE))

    @cached_property
    def _drawn(self) -> Array:
        """Deviations drawn from the normal distribution that has their covariance: more of them than there are resamples."""
        n_candidates, n_resamples = self.deviations.shape
        n_draws = int(np.clip(MOST_PAIRS_DRAWN // max(n_candidates**2, 1), FEWEST_DRAWN, MOST_DRAWN))
        mixed = np.random.default_rng(0).normal(0, 1 / math.sqrt(max(n_resamples, 1)), (n_resamples, n_draws))
        drawn: Array = self.deviations @ mixed
        return drawn


def stretch_of(*, is_mutual: bool) -> float:
    """So many times as far an interval reaches, where rows of each fold taught the models that judge the others or not."""
    return STRETCH if is_mutual else 1.0


def likely_scores(
    scores: Float[Array, " candidate"], variances: Float[Array, " candidate"]
) -> tuple[Float[Array, " candidate"], Float[Array, " candidate"]]:
    """What scores are likely to be, given how far chance moves each, and the standard deviation of that.

    The distribution of true scores that makes the ones seen most likely, whatever its form, and each score's expectation in it:
    equals are drawn together, one that stands out is left where it is. A normal distribution, which shrinks all alike,
    takes more than its luck off the one candidate that is better than many equals.

    Source: Jiang and Zhang 2009, doi:10.1214/08-AOS638, with the steps of Laird 1978, doi:10.1080/01621459.1978.10480103.
    """
    variances = np.maximum(variances, LEAST_VARIANCE * variances.mean())
    if not variances.any():
        return scores, np.zeros(len(scores))
    grid = np.linspace(scores.min(), scores.max(), N_TRUE_SCORES)
    fits = np.exp(-0.5 * (scores[:, None] - grid) ** 2 / variances[:, None]) + LEAST_FIT
    shares = np.full(N_TRUE_SCORES, 1 / N_TRUE_SCORES)
    for _ in range(N_LAIRD_STEPS):
        shares = (fits * shares / (fits @ shares)[:, None]).mean(axis=0)
    known = fits * shares / (fits @ shares)[:, None]
    likely = known @ grid
    return likely, np.sqrt(np.maximum(known @ grid**2 - likely**2, 0.0))


def widening_of(distance: float) -> float:
    """How many times as far out-of-fold scores stray from a constant's as rows drawn anew show: 1 to the root of 2.

    Each row also helped to train the models that judge the others: what chance put into two rows is counted when the first
    judges the second and once more when the second judges the first. Drawn anew, predictions and targets stay in pairs, and
    this does not show. Where there is nothing to find a score is nothing but such pairs, and its variance twice what it seems;
    where models have found what is there the pairs matter little. So the variance counts twice where the score is not surely
    better than a constant's, `distance` standard errors away, and ever less beyond.
    """
    return math.sqrt(1 + min(1.0, SURELY_FOUND / max(distance, 1e-9) ** 2))


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
