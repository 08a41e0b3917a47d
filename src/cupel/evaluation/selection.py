"""What the chosen one would score, had it not been chosen for its score."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy.typing import NDArray

from cupel.core.combination import Combination, WeightedMean
from cupel.evaluation.metric import Metric
from cupel.evaluation.resampling import Resamples
from cupel.evaluation.scoring import prepared, resolved, score

Array = NDArray[Any]
Select = Callable[[Array], Array | Combination]
"""`select(rows)`: weights over the candidates, summing to 1, or another combination of them all, chosen by looking at those
rows alone (some are repeated)."""


@dataclass(frozen=True)
class Corrected:
    """The score of what was chosen: as it looked (`naive`), and as it is to be expected (`estimate`).

    `optimism` is what choosing added: positive where `naive` flatters, whatever the metric.
    """

    naive: float
    estimate: float
    low: float
    high: float
    optimism: float


def corrected_for_selection(
    metric: Metric | str,
    target: Shaped[Array, "sample ..."],
    predictions: Sequence[Shaped[Array, "sample ..."]],
    select: Select,
    *,
    groups: Shaped[Array, " sample"] | None = None,
    seed: int = 0,
    n_resamples: int = 200,
    final: Shaped[Array, "sample ..."] | None = None,
    looks_at: int | None = None,
) -> Corrected:
    """An estimate that choosing could not inflate: choose on a resample, judge on the rows left out of it, many times.

    `final` are the predictions of the final choice where they are not simply the choice applied to all rows: those of a
    combination that learned from the target are cross-fitted. `looks_at` is set where `select` looks at no more than so many
    of the rows it is given: what it then loses by having seen few is scaled down to what all of them would lose.

    Source: Tsamardinos et al. 2018, doi:10.1007/s10994-018-5714-4 (BBC-CV), percentile interval included; it is wide, as only
    about a third of the rows judge at a time. We depart in one thing: from each resample's score that of the final choice on the
    same rows is subtracted, and `naive` added at the end. Both judge the same rows, so their chance cancels: a single
    candidate has an optimism of exactly 0.
    """
    metric = resolved(metric)
    resamples = Resamples.draw(len(target), groups=groups, seed=seed, n_resamples=n_resamples)
    if final is None:
        final = _blend(predictions, select(np.arange(len(target))))
    naive = score(metric, target, final)
    chosen_scores, final_scores = [], []
    for number in range(len(resamples)):
        counts = resamples.row_counts(number)
        left_out = np.flatnonzero(counts == 0)
        if len(left_out) == 0:
            continue
        choice = select(np.repeat(np.arange(len(target)), counts))
        chosen = _blend([candidate[left_out] for candidate in predictions], choice)
        on_these = metric.at(left_out)
        chosen_scores.append(score(on_these, target[left_out], chosen))
        final_scores.append(score(on_these, target[left_out], final[left_out]))
    chosen_array, final_array = np.array(chosen_scores), np.array(final_scores)
    defined = np.isfinite(chosen_array) & np.isfinite(final_array)
    if not defined.any():
        return Corrected(naive, naive, naive, naive, 0.0)
    shift = float((chosen_array - final_array)[defined].mean()) * _share_of_loss(len(target), looks_at)
    estimate = naive + shift
    spread = chosen_array[defined] - chosen_array[defined].mean()
    low, high = estimate + np.quantile(spread, [0.025, 0.975])
    return Corrected(naive, estimate, float(low), float(high), -metric.sign * shift)


def _share_of_loss(n_rows: int, looks_at: int | None) -> float:
    """The loss of choosing by a resample of all rows, as a share of the loss of choosing by a few of it.

    What is chosen by m rows is worse than the best possible by about c / m, and looks better than it is by as much; a
    resample holds 63% of the rows, and the final choice has seen those that judge. So shifts are as 1 / m + 1 / rows.
    """
    of_resample = (1 - math.exp(-1)) * n_rows
    if looks_at is None or looks_at >= of_resample:
        return 1.0
    return (1 / of_resample + 1 / n_rows) / (1 / looks_at + 1 / n_rows)


def select_best(
    metric: Metric | str, target: Shaped[Array, "sample ..."], predictions: Sequence[Shaped[Array, "sample ..."]]
) -> Select:
    """The procedure that takes the candidate with the best score, the first of equals."""
    metric = resolved(metric)
    scorers = [prepared(metric, target, candidate) for candidate in predictions]

    def select(rows: Int[Array, " row"]) -> Float[Array, " candidate"]:
        counts = np.bincount(rows, minlength=len(target)).astype(np.float64)[None, :]
        scores = metric.sign * np.array([scorer(counts)[0] for scorer in scorers])
        weights = np.zeros(len(scorers))
        weights[int(np.argmax(np.where(np.isfinite(scores), scores, -np.inf)))] = 1.0
        return weights

    return select


def _blend(predictions: Sequence[Array], choice: Array | Combination) -> Array:
    rule = WeightedMean(tuple(choice.tolist())) if isinstance(choice, np.ndarray) else choice
    return rule.apply(predictions)
