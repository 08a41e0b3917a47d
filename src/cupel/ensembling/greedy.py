"""Greedy selection of an ensemble from out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Score = Callable[[Array, Array], float]
"""`score(predictions, rows)`: how good predictions (rows, outputs) are for those rows; larger is better."""


def greedy_weights(predictions: Sequence[Array], score: Score, rows: Array, *, n_rounds: int = 25, patience: int = 5) -> Array:
    """Weights of a mean of candidates, one per candidate, summing to 1.

    Starting from the best candidate, the one whose addition (with replacement) scores best is added, for at most `n_rounds`
    rounds; the weights of the best round are returned. It stops after `patience` rounds without a gain.
    `predictions` are finite on `rows`.

    Source: Caruana et al. 2004, "Ensemble selection from libraries of models", section 2. We depart by keeping the best round.
    """
    taken = [np.asarray(candidate)[rows] for candidate in predictions]
    counts = np.zeros(len(taken))
    total = np.zeros_like(taken[0])
    best_score, best_counts, since_gain = -np.inf, counts, 0
    for n_added in range(1, n_rounds + 1):
        scores = [score((total + candidate) / n_added, rows) for candidate in taken]
        chosen = int(np.argmax(scores))
        counts = counts.copy()
        counts[chosen] += 1
        total = total + taken[chosen]
        since_gain += 1
        if scores[chosen] > best_score:
            best_score, best_counts, since_gain = scores[chosen], counts, 0
        if since_gain >= patience:
            break
    weights: Array = best_counts / best_counts.sum()
    return weights
