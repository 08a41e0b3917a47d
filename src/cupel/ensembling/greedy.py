"""Greedy selection of an ensemble from out-of-fold predictions, plain and bagged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cupel.ensembling.evidence import Array, Blocks, Choice, Evidence, Rows, Score, are_gains_beyond_noise

N_BAGS = 20
MAX_BAG_ROWS = 4000
MIN_WEIGHT = 0.02
"""Members that bagging gives less are left out: each costs time at prediction."""


def greedy_weights(
    predictions: Sequence[Array], score: Score, rows: Rows, *, n_rounds: int = 25, patience: int = 5
) -> NDArray[np.float64]:
    """Weights of a mean of candidates, one per candidate, summing to 1.

    Starting from the best candidate, the one whose addition (with replacement) scores best is added, for at most `n_rounds`
    rounds. Weights of a round are taken where its gain over those last taken is beyond noise; it stops after `patience`
    rounds without. `predictions` are finite on `rows`.

    Source: Caruana et al. 2004, "Ensemble selection from libraries of models", section 2. We depart by keeping the best round and
    by asking that gains show on blocks of rows.
    """
    taken = [np.asarray(candidate)[rows] for candidate in predictions]
    counts = np.zeros(len(taken))
    total = np.zeros_like(taken[0])
    blocks = Blocks.of(rows)
    best_blocks: Array | None = None
    best_score, best_counts, since_gain = -np.inf, counts, 0
    for n_added in range(1, n_rounds + 1):
        scores = np.array([score((total + candidate) / n_added, rows) for candidate in taken])
        chosen = int(np.argmax(np.where(np.isfinite(scores), scores, -np.inf)))
        counts = counts.copy()
        counts[chosen] += 1
        total = total + taken[chosen]
        since_gain += 1
        if best_blocks is None or scores[chosen] > best_score:
            new_blocks = blocks.scores(total / n_added, score)
            if best_blocks is None or are_gains_beyond_noise(new_blocks, best_blocks):
                best_blocks, best_score, best_counts, since_gain = new_blocks, scores[chosen], counts, 0
        if since_gain >= patience:
            break
    weights: Array = best_counts / best_counts.sum()
    return weights


def choose_greedy(evidence: Evidence, rows: Rows) -> Choice:
    """Greedy selection among the few that are best on their own."""
    admitted = evidence.admitted(rows)
    return Choice.mean(admitted, greedy_weights(_some(evidence, admitted), evidence.score, rows).tolist())


def choose_bagged(evidence: Evidence, rows: Rows) -> Choice:
    """The mean weights of greedy selections on `N_BAGS` bootstrap samples of the rows.

    Source: Breiman 1996, "Bagging predictors", applied to the selection; Caruana et al. 2004, section 2.3, bag models.
    """
    generator = np.random.default_rng(evidence.seed)
    admitted = evidence.admitted(rows)
    candidates = _some(evidence, admitted)
    weights = np.zeros(len(admitted))
    for _ in range(N_BAGS):
        bag = generator.choice(rows, min(len(rows), MAX_BAG_ROWS))
        weights += greedy_weights(candidates, evidence.score, bag) / N_BAGS
    return Choice.mean(admitted, np.where(weights < MIN_WEIGHT, 0.0, weights).tolist())


def _some(evidence: Evidence, positions: Sequence[int]) -> list[Array]:
    return [evidence.predictions[position] for position in positions]
