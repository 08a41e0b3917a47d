"""A second opinion on who is better: a corrected t-test over folds, beside the paired bootstrap over rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import evaluation
from cupel.core.split import Splits
from cupel.core.trial import Ensemble, Trial, UnitResult
from cupel.verdict.court import Court, single
from cupel.verdict.words import p_words

Array = NDArray[Any]
SIGNIFICANCE = 0.05


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """How much better the first is than the second, with both p-values, neither corrected for comparing many.

    `low`, `estimate` and `high` are those of the test over folds. `p_bootstrap` is of the paired bootstrap over rows.
    """

    first: str
    second: str
    estimate: float
    low: float
    high: float
    p_folds: float
    p_bootstrap: float
    n_folds: int

    @property
    def agrees(self) -> bool:
        """Whether both call the difference real, or both do not."""
        return (self.p_folds < SIGNIFICANCE) == (self.p_bootstrap < SIGNIFICANCE)

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "agrees": self.agrees}

    @property
    def words(self) -> str:
        """Where the two opinions differ, in a sentence; nothing where they agree."""
        if self.agrees:
            return ""
        found = [("resampling rows", self.p_bootstrap), ("comparing folds", self.p_folds)]
        (sure, low), (unsure, high) = sorted(found, key=lambda each: each[1])
        better, worse = (self.first, self.second) if self.estimate >= 0 else (self.second, self.first)
        return (
            f"{sure.capitalize()} says that {better} is better than {worse} (p {_equals(low)}), {unsure} does not "
            f"(p {_equals(high)}; {self.n_folds} folds): take it for likely, not for proven."
        )


def opinions(court: Court, splits: Splits) -> dict[str, Opinion]:
    """What both tests say of the leader against each other trial, by the trial's name; nothing where there is but one fold."""
    p_values = court.p_values
    leading = _fold_scores(court, court.leader, splits)
    found = {}
    for trial in court.trials:
        name = trial.candidate.name
        if name == court.leader.name:
            continue
        opinion = _opinion(court, (court.leader.name, leading), (name, _fold_scores(court, single(trial), splits)), splits)
        if opinion is not None:
            found[name] = Opinion(p_bootstrap=p_values[name], **opinion)
    return found


def opinion_on(court: Court, splits: Splits, *, first: Ensemble, second: Trial) -> Opinion | None:
    """What both tests say of two that may not lead."""
    others = single(second)
    pair = [(each.name, _fold_scores(court, each, splits)) for each in (first, others)]
    opinion = _opinion(court, pair[0], pair[1], splits)
    if opinion is None or first.name == others.name:
        return None
    return Opinion(p_bootstrap=court.paired(first.out_of_fold, others.out_of_fold).p_value, **opinion)


def _equals(p_value: float) -> str:
    shown = p_words(p_value)
    return shown if shown.startswith("<") else f"= {shown}"


def _opinion(court: Court, first: tuple[str, Array], second: tuple[str, Array], splits: Splits) -> dict[str, Any] | None:
    shares = [len(fold.valid) / (len(fold.train) + len(fold.stop)) for fold in splits.folds]
    found = evaluation.corrected_resampled_t(court.sign * (first[1] - second[1]), test_share=float(np.mean(shares)))
    if found is None:
        return None
    interval = {"estimate": found.estimate, "low": found.low, "high": found.high}
    return {"first": first[0], "second": second[0], **interval, "p_folds": found.p_value, "n_folds": found.n_folds}


def _fold_scores(court: Court, contender: Ensemble, splits: Splits) -> Array:
    """The score on each fold's rows, by the models of that fold; NaN where there is none, or it is not defined."""
    scores = np.full(len(splits.folds), np.nan)
    units = [{unit.fold: unit for unit in member.units} for member in contender.members]
    for place, fold in enumerate(splits.folds):
        said = contender.out_of_fold[fold.valid]
        if not contender.is_cross_fitted and all(fold.index in own for own in units):
            found = [_in_order(own[fold.index], fold.valid) for own in units]
            by_member = [each for each in found if each is not None]
            said = contender.rule.apply(by_member) if len(by_member) == len(found) else said
        target = court.answers[fold.valid]
        if len(fold.valid) and np.isfinite(said).all():
            scores[place] = evaluation.score(court.metric.name, target, said)
    return scores


def _in_order(unit: UnitResult, rows: Array) -> Array | None:
    """A unit's predictions, where they are of these rows."""
    return unit.predictions if np.array_equal(unit.rows, rows) else None
