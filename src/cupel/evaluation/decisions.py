"""From which probability on to say yes: for stated costs of errors, or a stated precision or recall."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy.typing import NDArray

from cupel.core.uncertainty import Decision
from cupel.evaluation.sure_shares import (
    ERROR,
    N_STARTS,
    ends_of,
    least_shares,
    shares_of_first,
    sure_shares,
    units_from_zero,
    worth_in_rows,
)

Array = NDArray[Any]
USUAL = 0.5
N_TRIED = 200


def decision_for_costs(
    target: Int[Array, " sample"], positive: Float[Array, " sample"], *, false_positive: float, false_negative: float
) -> Decision:
    """The threshold at which a wrong yes and a wrong no are expected to cost the same; what is gained is told.

    `target` is 1 where a row is positive, `positive` its calibrated probability.

    Source: Elkan 2001, "The foundations of cost-sensitive learning", eq. 2.
    """
    threshold = false_positive / (false_positive + false_negative)

    def cost(at: float) -> float:
        said = positive > at
        return float((false_positive * (said & (target == 0)) + false_negative * (~said & (target == 1))).mean())

    return Decision(
        threshold,
        f"a wrong yes costs {false_positive:g} and a wrong no {false_negative:g}: yes above {threshold:.3g}. "
        f"On unseen rows that costs {cost(threshold):.3g} a row, {cost(USUAL):.3g} with yes above {USUAL:g}.",
    )


def decision_for_precision(
    target: Int[Array, " sample"],
    positive: Float[Array, " sample"],
    *,
    at_least: float,
    groups: Shaped[Array, " sample"] | None = None,
) -> Decision:
    """The lowest threshold, so the largest recall, at which the precision is surely that large (`sure_shares`).

    `groups` stray together.
    """
    fewest = math.ceil(math.log(ERROR / N_STARTS) / math.log(at_least))  # of fewer all may be right by chance
    ranked = _Ranked.of(target, positive, groups=groups, fewest=fewest)
    lows = sure_shares(ranked.is_hit, ranked.ends, units=ranked.units, fewest=fewest)
    reached = np.flatnonzero(lows >= at_least)
    if len(reached):
        return ranked.decision("precision", at_least, place=int(reached[-1]), low=float(lows[reached[-1]]))
    nearest = least_shares(*shares_of_first(ranked.is_hit, ranked.ends, units=ranked.units))
    return ranked.decision("precision", at_least, place=int(nearest.argmax()))


def decision_for_recall(
    target: Int[Array, " sample"],
    positive: Float[Array, " sample"],
    *,
    at_least: float,
    groups: Shaped[Array, " sample"] | None = None,
) -> Decision:
    """The highest threshold, so the largest precision, at which the recall is surely that large.

    A higher one never has more recall: from yes to all on, tests go up to the first that fails. `groups` stray together.
    """
    ranked = _Ranked.of(target, positive, groups=groups, fewest=1)
    hits = np.flatnonzero(ranked.is_hit)
    shares = np.searchsorted(hits, ranked.ends) / max(len(hits), 1)
    worth = np.full(len(shares), float(len(hits)))
    if ranked.units is not None:
        worth = np.array([worth_in_rows(hits < end, ranked.units[hits]) for end in ranked.ends.tolist()])
    lows = least_shares(shares, worth)
    failed = np.flatnonzero(lows < at_least)
    place = int(failed[-1]) + 1 if len(failed) else 0
    if place < len(lows):
        return ranked.decision("recall", at_least, place=place, low=float(lows[place]))
    return ranked.decision("recall", at_least, place=len(lows) - 1)


@dataclass(frozen=True, eq=False)
class _Ranked:
    """Rows from the most probable on: whether each is positive, its group, and the numbers of rows at which a border may be."""

    positive: Array
    is_hit: Array
    units: Array | None
    ends: Array

    @classmethod
    def of(cls, target: Array, positive: Array, *, groups: Array | None, fewest: int) -> _Ranked:
        order, units = np.argsort(-positive, kind="stable"), units_from_zero(groups)
        ends = ends_of(positive[order], fewest=fewest, most=N_TRIED)
        return cls(positive[order], target[order] == 1, None if units is None else units[order], ends)

    def decision(self, name: str, at_least: float, *, place: int, low: float | None = None) -> Decision:
        """Yes to the first rows up to that border, of which `low` is what is surely reached; None where it is too little."""
        end, n_hits = int(self.ends[place]), int(self.is_hit[: self.ends[place]].sum())
        below = float(self.positive[end]) if end < len(self.positive) else 0.0
        threshold = (float(self.positive[end - 1]) + below) / 2
        said = f"yes above {threshold:.3g}" if threshold > 0 else "yes to all"
        shares = {"precision": n_hits / end, "recall": n_hits / max(int(self.is_hit.sum()), 1)}
        opening = "" if low is not None else f"no threshold surely reaches a {name} of {at_least:g}; the nearest is taken: "
        sure = "" if low is None else f", surely (95%) {low:.3g} at least"
        return Decision(
            threshold,
            f"{opening}{said}. On the unseen rows that taught it the {name} is {shares[name]:.3g}{sure}; "
            f"precision {shares['precision']:.3g}, recall {shares['recall']:.3g}, yes to {end / len(self.positive):.1%}.",
        )
