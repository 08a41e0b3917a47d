"""From which probability on to say yes: for stated costs of errors, or a stated precision or recall."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from cupel.core.uncertainty import Decision
from cupel.evaluation.class_scores import share_interval

Array = NDArray[Any]
USUAL = 0.5


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
        f"Out of fold that costs {cost(threshold):.3g} a row, {cost(USUAL):.3g} with yes above {USUAL:g}.",
    )


def decision_for_precision(target: Int[Array, " sample"], positive: Float[Array, " sample"], *, at_least: float) -> Decision:
    """The lowest threshold, so the largest recall, at which the precision is surely that large: its interval's lower end is."""
    return _decision(target, positive, "precision", at_least, lowest=True, interval=share_interval)


def decision_for_recall(target: Int[Array, " sample"], positive: Float[Array, " sample"], *, at_least: float) -> Decision:
    """The highest threshold, so the largest precision, at which the recall is surely that large."""
    n_positive = int((target == 1).sum())
    return _decision(
        target, positive, "recall", at_least, lowest=False, interval=lambda hits, _: share_interval(hits, n_positive)
    )


def _decision(
    target: Array, positive: Array, name: str, at_least: float, *, lowest: bool, interval: Callable[[int, int], Any]
) -> Decision:
    order = np.argsort(-positive, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(positive[order]) != 0), len(order) - 1)  # equal probabilities get equal answers
    hits, flagged = np.cumsum(target[order] == 1)[ends], ends + 1
    found = [interval(int(hit), int(flag)) for hit, flag in zip(hits, flagged, strict=True)]
    lows = np.array([each.low for each in found])
    reached = np.flatnonzero(lows >= at_least)
    if len(reached):
        place, opening = int(reached[-1] if lowest else reached[0]), ""
    else:
        place, opening = int(lows.argmax()), f"no threshold surely reaches a {name} of {at_least:g}; the nearest is taken: "
    values = positive[order][ends]
    threshold = float((values[place] + (values[place + 1] if place + 1 < len(values) else 0.0)) / 2)
    precision, recall = hits[place] / flagged[place], hits[place] / max((target == 1).sum(), 1)
    words = (
        f"{opening}yes above {threshold:.3g}. Out of fold the {name} is {found[place].estimate:.3g}, its 95% interval from "
        f"{found[place].low:.3g}; precision {precision:.3g}, recall {recall:.3g}, yes to {flagged[place] / len(target):.1%}."
    )
    return Decision(threshold, words)
