"""A refit is held against single models of the old run, not against their mean."""

from __future__ import annotations

import numpy as np

from cupel import evaluation
from cupel.verdict import compare

N, N_FOLDS = 800, 5


def told(seed: int, *, noise: float) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """A target, what five models of the old run say of it, and what one better model says; each has noise of its own."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=N)
    target = truth + generator.normal(0, 0.5, N)
    before = [(truth + generator.normal(0, 1.0, N))[:, None] for _ in range(N_FOLDS)]
    return target, before, (truth + generator.normal(0, noise, N))[:, None]


def test_models_that_are_really_better_are_called_so_and_equal_ones_seldom() -> None:
    metric = evaluation.METRICS["rmse"]
    better, equal, against_mean = 0, 0, 0
    for seed in range(20):
        target, before, after = told(seed, noise=0.85)
        better += compare(metric, target, before=before, after=after, rows="some").is_better
        against_mean += compare(metric, target, before=[np.mean(before, axis=0)], after=after, rows="some").is_better
        target, before, after = told(seed, noise=1.0)
        equal += compare(metric, target, before=before, after=after, rows="some").is_better
    assert better >= 18
    assert against_mean == 0
    assert equal <= 5


def test_scores_and_gain_belong_together() -> None:
    target, before, after = told(0, noise=0.7)
    found = compare(evaluation.METRICS["rmse"], target, before=before, after=after, rows="some")
    scores = [evaluation.score("rmse", target, said) for said in before]
    assert found.before.estimate == np.mean(scores)
    assert found.gain.estimate == np.mean(scores) - found.after.estimate
    assert found.before.low < found.before.estimate < found.before.high
    assert found.gain.low < found.gain.estimate < found.gain.high


def test_rows_of_different_models_are_not_ranked_together() -> None:
    generator = np.random.default_rng(1)
    target, parts = generator.integers(0, 2, N), np.arange(N)[:, None] % N_FOLDS
    score = target + generator.normal(0, 1.0, N)
    said, moved = (np.column_stack([1 - s, s]) for s in (score, score + 10.0 * parts[:, 0]))
    metric = evaluation.METRICS["roc_auc"].within(parts)
    found = compare(metric, target, before=[said], after=moved, rows="some")
    assert found.gain.estimate == 0
