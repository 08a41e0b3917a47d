"""How much a model's score falls when a column tells it nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.errors import DataError
from cupel.core.feeds import feeds_of
from cupel.core.modality import GraphInput
from cupel.evaluation.metric import Metric
from cupel.evaluation.resampling import Resamples
from cupel.evaluation.scoring import prepared_for_resamples, resolved, score

Array = NDArray[Any]
Predict = Callable[[Mapping[str, Array]], Array]
"""Predictions (rows, outputs) for the tensors of a packed graph, by input name."""

N_RESAMPLES, N_SHUFFLES = 200, 3


@dataclass(frozen=True)
class Importance:
    """A feature and how much the score falls without it, in the metric's unit; positive where the model needs it.

    `low` and `high` bound the drop with 95 % confidence over rows.
    """

    name: str
    drop: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class _Part:
    """A fold's model with the validation rows that are looked at."""

    rows: Int[Array, " row"]
    predict: Predict
    feeds: Mapping[str, Array]


def permutation_importance(
    parts: Sequence[tuple[Array, Predict]],
    dataset: Dataset,
    metric: Metric | str,
    *,
    inputs: Sequence[GraphInput],
    units: Shaped[Array, " sample"] | None = None,
    seed: int = 0,
    max_rows: int = 2000,
) -> list[Importance]:
    """Every feature, the most needed first, from its values shuffled among the validation rows of each fold.

    `parts` holds, per fold, the rows that its model never saw and how it predicts. At most `max_rows` rows are used.
    Of two columns that say the same, neither seems needed. Rows of one number in `units`, over all of the dataset, count once.

    Raises:
        DataError: the dataset has no target, or there are no rows.

    Source: Breiman 2001, doi:10.1023/A:1010933404324, section 10; on held-out rows, as Fisher et al. 2019, arXiv:1801.01489.
    """
    generator = np.random.default_rng(seed)
    chosen = [_Part(rows, predict, feeds_of(dataset, rows, inputs)) for rows, predict in _sampled(parts, max_rows, generator)]
    if dataset.target is None or not chosen:
        raise DataError("importance was asked for without a target or without rows; expected a dataset with both.")
    metric = resolved(metric).within(np.repeat(np.arange(len(chosen)), [len(part.rows) for part in chosen])[:, None])
    rows = np.concatenate([part.rows for part in chosen])
    target, groups = dataset.target[rows], None if units is None else units[rows]
    plain = np.concatenate([np.asarray(part.predict(part.feeds)) for part in chosen])
    resamples = Resamples.draw(len(target), groups=groups, seed=seed, n_resamples=N_RESAMPLES)
    measured = score(metric, target, plain), resamples.scores([prepared_for_resamples(metric, target, plain)])[0]
    found = []
    for graph_input in inputs:
        for position, name in enumerate(graph_input.columns):
            orders = [[generator.permutation(len(part.rows)) for _ in range(N_SHUFFLES)] for part in chosen]
            shuffled = _predictions_without(chosen, graph_input.name, position, orders)
            found.append(_importance(name, metric, target, measured=measured, shuffled=shuffled, resamples=resamples))
    return sorted(found, key=lambda importance: -importance.drop)


def _sampled(
    parts: Sequence[tuple[Array, Predict]], max_rows: int, generator: np.random.Generator
) -> list[tuple[Array, Predict]]:
    """The same share of each part's rows, at most `max_rows` in all; parts without rows are left out."""
    share = min(1.0, max_rows / max(sum(len(rows) for rows, _ in parts), 1))
    sampled = []
    for rows, predict in parts:
        n_rows = len(rows) if share == 1.0 else max(int(len(rows) * share), min(len(rows), 2))
        if n_rows > 0:
            sampled.append((np.sort(generator.choice(rows, n_rows, replace=False)), predict))
    return sampled


def _predictions_without(
    parts: Sequence[_Part], name: str, position: int, orders: Sequence[Sequence[Array]]
) -> Float[Array, "repeat row output"]:
    """Predictions with one column shuffled; the repeats of a part go through its model in one call."""
    predictions = []
    for part, shuffles in zip(parts, orders, strict=True):
        n_repeats = len(shuffles)
        feeds = {key: np.concatenate([values] * n_repeats) for key, values in part.feeds.items()}
        column = part.feeds[name][:, position]
        feeds[name][:, position] = np.concatenate([column[order] for order in shuffles])
        given = np.asarray(part.predict(feeds), dtype=np.float64)
        predictions.append(given.reshape(n_repeats, len(part.rows), -1))
    return np.concatenate(predictions, axis=1)


def _importance(
    name: str,
    metric: Metric,
    target: Shaped[Array, "row ..."],
    *,
    measured: tuple[float, Array],
    shuffled: Float[Array, "repeat row output"],
    resamples: Resamples,
) -> Importance:
    plain_score, plain_resampled = measured
    drop = float(np.mean([metric.sign * (plain_score - score(metric, target, predictions)) for predictions in shuffled]))
    scores = resamples.scores([prepared_for_resamples(metric, target, predictions) for predictions in shuffled])
    resampled = metric.sign * (plain_resampled - scores).mean(axis=0)
    defined = resampled[np.isfinite(resampled)]
    low, high = np.quantile(defined, [0.025, 0.975]) if len(defined) else (drop, drop)
    return Importance(name, drop, float(low), float(high))
