"""An ensemble of trials, chosen on their out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.trial import Ensemble, Trial
from cupel.ensembling.greedy import Score, greedy_weights

Array = NDArray[Any]
MAX_MEMBERS = 8
MAX_MEMBERS_FEW_ROWS = 5
FEW_ROWS = 500


def single(trial: Trial) -> Ensemble:
    """An ensemble of one."""
    assert trial.out_of_fold is not None, "only a usable trial can be picked"
    return Ensemble(name=trial.candidate.name, members=(trial,), weights=(1.0,), out_of_fold=trial.out_of_fold)


def combine(trials: Sequence[Trial], score: Score, rows: Array) -> Ensemble | None:
    """The greedy ensemble of usable trials, or None where no mixture beats the best single one on `rows`."""
    usable = [trial for trial in trials if trial.out_of_fold is not None]
    if not usable:
        return None
    weights = choose_weights([trial.out_of_fold for trial in usable if trial.out_of_fold is not None], score, rows)
    chosen = [(trial, float(weight)) for trial, weight in zip(usable, weights, strict=True) if weight > 0]
    if len(chosen) < 2:
        return None
    blended = sum(weight * trial.out_of_fold for trial, weight in chosen if trial.out_of_fold is not None)
    return Ensemble(
        name=f"ensemble of {len(chosen)}",
        members=tuple(trial for trial, _ in chosen),
        weights=tuple(weight for _, weight in chosen),
        out_of_fold=np.asarray(blended),
        details={"method": "greedy selection"},
    )


def choose_weights(predictions: Sequence[Array], score: Score, rows: Array) -> Array:
    """Greedy weights over all candidates, from the few that are best on their own.

    On few rows every further member is fitted to noise, so fewer are admitted.
    """
    scores = np.array([score(np.asarray(candidate)[rows], rows) for candidate in predictions])
    limit = MAX_MEMBERS_FEW_ROWS if len(rows) < FEW_ROWS else MAX_MEMBERS
    admitted = np.argsort(-scores, kind="stable")[:limit]
    weights = np.zeros(len(predictions))
    weights[admitted] = greedy_weights([predictions[position] for position in admitted], score, rows)
    return weights


def selector(predictions: Sequence[Array], score: Score, *, max_rows: int, seed: int) -> Callable[[Array], Array]:
    """The whole choice as a function of the rows it may look at, for bootstrapping it.

    With more than `max_rows` rows a seeded sample of them is used: choosing on fewer rows overfits more, so the
    optimism found this way is not too small.
    """
    generator = np.random.default_rng(seed)

    def select(rows: Array) -> Array:
        seen = rows if len(rows) <= max_rows else generator.choice(rows, max_rows, replace=False)
        return choose_weights(predictions, score, seen)

    return select
