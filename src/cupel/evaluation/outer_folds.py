"""The score of several models, each on rows of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy.typing import NDArray

from cupel.evaluation.intervals import Interval, interval_of, reaching, width_of
from cupel.evaluation.metric import Metric
from cupel.evaluation.resampling import Resamples
from cupel.evaluation.scoring import prepared_for_resamples, resolved, score

Array = NDArray[Any]
N_RESAMPLES = 1000


def interval_over_folds(
    metric: Metric | str,
    target: Shaped[Array, "sample ..."],
    predictions: Shaped[Array, "sample ..."],
    *,
    folds: Int[Array, " sample"],
    groups: Shaped[Array, " sample"] | None = None,
    seed: int = 0,
    stretch: float = 1.0,
) -> Interval:
    """The score with its interval, where the model of a row's own fold has predicted it.

    What ranks predictions is the mean over folds, weighted by rows: probabilities of different models are not on one scale, and
    pooled their ROC-AUC is too low. Everything else is the score of all rows together, as is a rank metric that is defined in no
    fold. Rows, or whole groups, are resampled; that each model had other rows to learn from is in the interval only as far as
    its rows tell, or by `stretch` (as for `interval`).
    """
    metric = resolved(metric)
    width = width_of(metric, predictions)
    resamples = Resamples.draw(len(target), groups=groups, seed=seed, n_resamples=N_RESAMPLES, width=width)
    return interval_of(*reaching(*_scored(metric, target, predictions, folds=folds, resamples=resamples), stretch=stretch))


def _scored(
    metric: Metric,
    target: Shaped[Array, "sample ..."],
    predictions: Shaped[Array, "sample ..."],
    *,
    folds: Int[Array, " sample"],
    resamples: Resamples,
) -> tuple[float, Float[Array, " resample"]]:
    """The score, and that of every resample."""
    parts = [np.flatnonzero(folds == number) for number in np.unique(folds)] if metric.ranks else []
    own = np.array([score(metric, target[rows], predictions[rows]) for rows in parts])
    kept = [rows for rows, value in zip(parts, own, strict=True) if np.isfinite(value)]
    if not kept:
        return score(metric, target, predictions), resamples.scores([prepared_for_resamples(metric, target, predictions)])[0]
    sizes = np.array([len(rows) for rows in kept], np.float64)
    scorers = [prepared_for_resamples(metric, target[rows], predictions[rows]) for rows in kept]
    resampled = np.concatenate(
        [
            _means(np.stack([scorer(weights[:, rows]) for scorer, rows in zip(scorers, kept, strict=True)]), sizes)
            for weights in resamples.batches()
        ]
    )
    return float(_means(own[np.isfinite(own)][:, None], sizes)[0]), resampled


def _means(scores: Float[Array, "fold resample"], sizes: Float[Array, " fold"]) -> Float[Array, " resample"]:
    """Over the folds in which the score is defined; NaN where it is in none."""
    is_defined = np.isfinite(scores)
    total = (is_defined * sizes[:, None]).sum(axis=0)
    summed = (np.where(is_defined, scores, 0.0) * sizes[:, None]).sum(axis=0)
    means: Array = np.divide(summed, total, out=np.full(scores.shape[1], np.nan), where=total > 0)
    return means
