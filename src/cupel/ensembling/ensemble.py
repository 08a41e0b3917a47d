"""An ensemble of trials, chosen on their out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.combination import Combination
from cupel.core.trial import Ensemble, Trial
from cupel.ensembling.evidence import Choice, Evidence, Rows, cross_fitted
from cupel.ensembling.methods import METHODS, Method

Array = NDArray[Any]


def single(trial: Trial) -> Ensemble:
    """An ensemble of one."""
    assert trial.out_of_fold is not None, "only a usable trial can be picked"
    return Ensemble(name=trial.candidate.name, members=(trial,), weights=(1.0,), out_of_fold=trial.out_of_fold)


def combine(
    trials: Sequence[Trial], evidence: Evidence, *, rows: Rows, method: Method, taught_by: Rows | None = None
) -> Ensemble | None:
    """The ensemble that a method makes of the trials, or None where it must beat the best single one on `rows` and does not.

    `evidence` holds the trials' out-of-fold predictions, in their order. A combination that learns from the target is judged,
    here and later, by cross-fitted predictions. It is chosen on the rows `taught_by`, where not on all.
    """
    if not trials:
        return None
    taught_by = rows if taught_by is None else taught_by
    choice = method.choose(evidence, taught_by)
    if len(choice.positions) < 2:
        return None
    out_of_fold = _out_of_fold(choice, evidence, rows, taught_by=taught_by)
    n_members, by = len(choice.positions), choice.method or method.name
    if not METHODS[by].may_trail and not evidence.score(out_of_fold[rows], rows) > evidence.scores(rows).max():
        return None
    return Ensemble(
        name=f"ensemble of {n_members}" if by == "greedy" else f"ensemble of {n_members} by {by}",
        members=tuple(trials[position] for position in choice.positions),
        weights=choice.shares,
        out_of_fold=out_of_fold,
        combination=choice.combination,
        is_cross_fitted=choice.learned_by is not None,
        details={"method": METHODS[by].words},
    )


def selector(evidence: Evidence, *, method: Method, max_rows: int) -> Callable[[Rows], Combination]:
    """The whole choice as a function of the rows it may look at, for bootstrapping it.

    With more than `max_rows` rows (fewer for a method that is much work) a seeded sample of them is used (`rows_looked_at`):
    choosing on fewer rows overfits more, which whoever judges it must take into account. Where a choice cross-fits, it does so
    over two parts here.
    """
    generator = np.random.default_rng(evidence.seed)
    evidence = replace(evidence, parts=np.where(evidence.parts < 0, -1, evidence.parts % 2))
    most = rows_looked_at(method, max_rows=max_rows)

    def select(rows: Rows) -> Combination:
        seen = rows if len(rows) <= most else generator.choice(rows, most, replace=False)
        return method.choose(evidence, seen).rule

    return select


def rows_looked_at(method: Method, *, max_rows: int) -> int:
    """How many rows `selector` looks at, of however many it is given."""
    return max(max_rows // method.work, 1)


def _out_of_fold(choice: Choice, evidence: Evidence, rows: Rows, *, taught_by: Rows) -> NDArray[np.float64]:
    """What the combination says of every sample, NaN beyond `rows`."""
    shape = np.shape(evidence.predictions[0])
    out_of_fold = np.full(shape, np.nan)
    if choice.learned_by is None:
        out_of_fold[rows] = choice.rule.apply(evidence.at(rows))
    else:
        out_of_fold[rows] = cross_fitted(choice.learned_by, evidence, rows=rows, taught_by=taught_by)
    return out_of_fold
