"""How much better the mean of several models is than each of them, from rows that two of them had not seen."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from numpy.typing import NDArray

from cupel.evaluation.intervals import Difference, difference_of, resampled_scores
from cupel.evaluation.metric import Metric
from cupel.evaluation.resampling import Resamples
from cupel.evaluation.scoring import score

Array = NDArray[Any]
N_RESAMPLES = 400
ROOTS = ("rmse",)
"""Of squared errors, for which it holds."""


def gain_of_mean(
    metric: Metric,
    target: Shaped[Array, "sample ..."],
    *,
    said: tuple[Float[Array, "sample output"], Float[Array, "sample output"]],
    together: Float[Array, "sample output"],
    n_models: int,
    groups: Shaped[Array, " sample"] | None = None,
    seed: int = 0,
) -> Difference:
    """What the mean of `n_models` models gains over one of them; positive is better.

    `said` is what two of them say of rows that neither had seen, and `together` what their mean says. For squared errors the
    mean of m models is better than they are by (1 - 1/m) times what two of them differ by, so that two show half of what many
    gain; it is taken so for other metrics too.

    Source: Krogh and Vedelsby 1995, "Neural network ensembles, cross validation, and active learning".
    """
    candidates = [together, *said]
    resamples = Resamples.draw(len(target), groups=groups, seed=seed, n_resamples=N_RESAMPLES, width=len(candidates))
    resampled = metric.sign * resampled_scores(metric, target, candidates, resamples)
    scores = metric.sign * np.array([score(metric, target, each) for each in candidates])
    gain = partial(_gain, scale=2 * (1 - 1 / n_models), is_root=metric.name in ROOTS)
    return difference_of(float(gain(scores)), gain(resampled))


def _gain(scores: Array, *, scale: float, is_root: bool) -> Array:
    """Of many, from the score of two together and of each."""
    together, first, second = -(scores**2) if is_root else scores
    alone = (first + second) / 2
    many = alone + scale * (together - alone)
    gain: Array = np.sqrt(-alone) - np.sqrt(np.maximum(-many, 0.0)) if is_root else many - alone
    return gain
