"""What more rows would be worth: a law fitted to scores on fewer rows, with what the judging rows leave unsure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from numpy.typing import NDArray

from cupel.evaluation.comparison import Comparison
from cupel.evaluation.metric import Metric
from cupel.evaluation.scoring import resolved

Array = NDArray[Any]
FEWEST_SIZES = 3
EXPONENTS = np.linspace(0.1, 1.5, 29)
"""Of power laws; those that were measured on tables, pictures and texts lie between 0.1 and 1."""
N_RESAMPLES = 200


@dataclass(frozen=True)
class Doubling:
    """The gain to expect of twice as many rows, with a 95% interval; positive is better, whatever the metric.

    `points` are (rows learned from, score), in the metric's own sense. `exponent` is that of the fitted law.
    """

    gain: float
    low: float
    high: float
    exponent: float
    points: tuple[tuple[int, float], ...]


def doubling(
    metric: Metric | str,
    target: Shaped[Array, "sample ..."],
    predictions: Sequence[Shaped[Array, "sample ..."]],
    *,
    sizes: Sequence[int],
    groups: Shaped[Array, " sample"] | None = None,
    seed: int = 0,
    luck: float = 0.0,
) -> Doubling:
    """What the law score(n) = a − b·n^(−c) says of twice the last of `sizes`, by scores of models that learned from so many rows.

    All judge the same rows. Its b is never negative: more rows are not expected to harm. `luck` is what the last score is too
    good by, where its model was chosen for it: the others were not, and a law through it would promise too much. The interval is
    from refitting the law to resamples of these rows; the luck of which rows were learned from is not in it.

    Source: Hestness et al. 2017, arXiv:1712.00409, section 3, for the form of the law.
    """
    assert len(sizes) == len(predictions) >= FEWEST_SIZES, "a law of three numbers goes through no fewer points"
    metric = resolved(metric)
    compared = Comparison.of(metric, target, predictions, groups=groups, seed=seed, n_resamples=N_RESAMPLES)
    rows, scores = np.array(sizes, np.float64), compared.scores.copy()
    scores[-1] -= luck
    gain, exponent = _gain(rows, scores)
    spread = np.array([_gain(rows, scores + strayed)[0] for strayed in compared.deviations.T])
    low, high = np.quantile(spread, [0.025, 0.975]) if len(spread) else (gain, gain)
    points = tuple((int(size), float(metric.sign * score)) for size, score in zip(sizes, scores, strict=True))
    return Doubling(gain=gain, low=min(float(low), gain), high=max(float(high), gain), exponent=exponent, points=points)


def _gain(rows: Float[Array, " size"], scores: Float[Array, " size"]) -> tuple[float, float]:
    """What doubling the largest size adds by the law of least squares, and its exponent."""
    best = (np.inf, 0.0, float(EXPONENTS[0]))
    for exponent in EXPONENTS:
        lacking = (rows / rows[-1]) ** -exponent
        slope = min(float(np.polyfit(lacking, scores, 1)[0]), 0.0)
        left = scores - slope * lacking
        error = float(((left - left.mean()) ** 2).sum())
        if error < best[0] - 1e-15:
            best = (error, abs(slope) * (1 - 2.0**-exponent), float(exponent))
    return max(best[1], 0.0), best[2]
