"""How sure a score is, and whether one model is really better than another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Shaped
from numpy.typing import NDArray

from cupel.evaluation.metric import Metric
from cupel.evaluation.resampling import Resamples
from cupel.evaluation.scoring import prepared_for_resamples, resolved, score

Array = NDArray[Any]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A score with the range in which it would fall on other rows of the same kind."""

    estimate: float
    low: float
    high: float

    def bounded(self, metric: Metric) -> Self:
        """The same, reaching no further than scores go."""
        lowest, highest = sorted((metric.worst, metric.perfect))
        estimate, low, high = np.clip([self.estimate, self.low, self.high], lowest, highest).tolist()
        return replace(self, estimate=estimate, low=low, high=high)


@dataclass(frozen=True)
class Difference:
    """How much better the first of two models is; positive is better, whatever the metric.

    `probability_worse` is the share of resamples in which the first is worse, draws counting one half. `p_value` is
    two-sided, from the spread of the resampled differences.
    """

    estimate: float
    low: float
    high: float
    probability_worse: float
    p_value: float

    def stretched(self, factor: float) -> Self:
        """The same difference, straying so many times as far: a wider interval and a larger p-value."""
        low, high = (self.estimate + factor * (end - self.estimate) for end in (self.low, self.high))
        distance = -NormalDist().inv_cdf(self.p_value / 2) if 0 < self.p_value < 1 else 0.0
        p_value = math.erfc(distance / factor / math.sqrt(2)) if distance else self.p_value
        return replace(self, low=low, high=high, p_value=p_value)


def interval(
    metric: Metric | str,
    target: Shaped[Array, "sample ..."],
    predictions: Shaped[Array, "sample ..."],
    *,
    groups: Shaped[Array, " sample"] | None = None,
    seed: int = 0,
    n_resamples: int = 1000,
    stretch: float = 1.0,
) -> Interval:
    """The score with its percentile bootstrap interval over rows, or over whole groups.

    On big data fewer resamples are drawn than asked for (`Resamples.draw`). With a `stretch` the interval reaches so many times
    as far, from the score itself: what resampling is wrong by on average is not to be multiplied.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3.
    """
    metric = resolved(metric)
    resamples = Resamples.draw(
        len(target), groups=groups, seed=seed, n_resamples=n_resamples, width=width_of(metric, predictions)
    )
    scores = resamples.scores([prepared_for_resamples(metric, target, predictions)])[0]
    return interval_of(*reaching(score(metric, target, predictions), scores, stretch=stretch))


def reaching(estimate: float, scores: Float[Array, " resample"], *, stretch: float) -> tuple[float, Float[Array, " resample"]]:
    """A score, and its values on resamples so many times as far from it; as they are for a `stretch` of 1."""
    defined = scores[np.isfinite(scores)]
    if stretch == 1 or len(defined) == 0:
        return estimate, scores
    return estimate, estimate + stretch * (defined - defined.mean())


def paired_difference(
    metric: Metric | str,
    target: Shaped[Array, "sample ..."],
    first: Shaped[Array, "sample ..."],
    second: Shaped[Array, "sample ..."],
    *,
    groups: Shaped[Array, " sample"] | None = None,
    seed: int = 0,
    n_resamples: int = 1000,
) -> Difference:
    """How much better the first is than the second on the same rows, from paired resamples, with a 95 % interval."""
    metric = resolved(metric)
    resamples = Resamples.draw(len(target), groups=groups, seed=seed, n_resamples=n_resamples, width=width_of(metric, first))
    scorers = [prepared_for_resamples(metric, target, predictions) for predictions in (first, second)]
    resampled = metric.sign * resamples.scores(scorers)
    plain = [metric.sign * score(metric, target, predictions) for predictions in (first, second)]
    return difference_of(plain[0] - plain[1], resampled[0] - resampled[1])


def resampled_scores(
    metric: Metric | str,
    target: Shaped[Array, "sample ..."],
    candidates: Sequence[Shaped[Array, "sample ..."]],
    resamples: Resamples,
) -> Float[Array, "candidate resample"]:
    """The scores of candidates on the same resamples."""
    return resamples.scores([prepared_for_resamples(metric, target, predictions) for predictions in candidates])


def difference_of(estimate: float, resampled: Float[Array, " resample"]) -> Difference:
    """A difference with its interval, from its values on resamples; larger is better."""
    found = interval_of(estimate, resampled)
    defined = resampled[np.isfinite(resampled)]
    if len(defined) == 0:
        return Difference(found.estimate, found.low, found.high, probability_worse=0.5, p_value=1.0)
    worse = float((defined < 0).mean() + (defined == 0).mean() / 2)
    return Difference(found.estimate, found.low, found.high, worse, _p_value(estimate, float(defined.std())))


def width_of(metric: Metric, predictions: Shaped[Array, "sample ..."]) -> int:
    """How many times the metric walks through the rows."""
    return int(predictions.shape[1]) if metric.per_class and predictions.ndim > 1 else 1


def _p_value(estimate: float, spread: float) -> float:
    """Of no difference, by the normal approximation: it reaches below 1 / n_resamples, which corrections for many need."""
    if spread <= 1e-12 * abs(estimate) or spread == 0 or not math.isfinite(estimate):
        return 1.0 if estimate == 0 or not math.isfinite(estimate) else 0.0
    return math.erfc(abs(estimate) / spread / math.sqrt(2))


def interval_of(estimate: float, scores: Float[Array, " resample"], *, confidence: float = CONFIDENCE) -> Interval:
    """A score with its percentile interval, from its values on resamples; those that are not defined are left out."""
    defined = scores[np.isfinite(scores)]
    if len(defined) == 0:
        return Interval(estimate, estimate, estimate)
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(estimate, float(low), float(high))
