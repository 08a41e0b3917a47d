"""Which candidates cannot be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from numpy.typing import NDArray

from cupel.evaluation.intervals import difference_of, resampled_scores, width_of
from cupel.evaluation.metric import Metric
from cupel.evaluation.resampling import Resamples
from cupel.evaluation.scoring import resolved, score

Array = NDArray[Any]
SIGNIFICANCE = 0.05


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


def tie_groups(
    metric: Metric | str,
    target: Shaped[Array, "sample ..."],
    predictions: Sequence[Shaped[Array, "sample ..."]],
    *,
    groups: Shaped[Array, " sample"] | None = None,
    seed: int = 0,
    n_resamples: int = 500,
) -> list[int]:
    """A number per candidate, 1 for the best and all that are not significantly worse, 2 for the best of the rest, ….

    Paired bootstrap on shared resamples, Holm's correction over the candidates compared, at 5 %.
    """
    metric = resolved(metric)
    if not predictions:
        return []
    width = width_of(metric, predictions[0]) * len(predictions)
    resamples = Resamples.draw(len(target), groups=groups, seed=seed, n_resamples=n_resamples, width=width)
    resampled = metric.sign * resampled_scores(metric, target, predictions, resamples)
    scores = metric.sign * np.array([score(metric, target, candidate) for candidate in predictions])
    scores = np.where(np.isfinite(scores), scores, -np.inf)
    numbers = np.zeros(len(predictions), np.int64)
    number = 0
    while (numbers == 0).any():
        number += 1
        left = np.flatnonzero(numbers == 0)
        best = int(left[np.argmax(scores[left])])
        others = left[left != best]
        p_values = [_p_value(scores[[best, other]], resampled[best] - resampled[other]) for other in others]
        numbers[best] = number
        numbers[others[holm(p_values) >= SIGNIFICANCE]] = number
    return [int(group) for group in numbers]


def _p_value(scores: Array, resampled: Array) -> float:
    """Of no difference between the best and another; one without a score is worse than any with one."""
    best, other = (float(value) for value in scores)
    if np.isinf(other):
        return 1.0 if np.isinf(best) else 0.0
    return difference_of(best - other, resampled).p_value
