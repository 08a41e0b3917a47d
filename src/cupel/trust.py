"""What a packed model may promise beside its predictions: meant probabilities, ranges and sets that cover, decisions, silence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import ensembling, evaluation
from cupel.core.settings import ERRORS, Settings
from cupel.core.task import Task
from cupel.core.trial import Ensemble
from cupel.core.uncertainty import Coverage, Decision, Uncertainty
from cupel.problem import Problem
from cupel.verdict.words import written

Array = NDArray[Any]
COVERAGES = (0.8, 0.9, 0.95)
SHOWN_COVERAGE, SHOWN_ACCURACY = 0.9, 0.95
MAX_HELD_ROWS = 100_000
PARTS_TO_HOLD = 5  # as `evaluation.held` divides rows


def is_judged_row_by_row(problem: Problem, pick: Ensemble) -> bool:
    """Whether each row has one true class or value, and a prediction of it."""
    return problem.target.ndim == 1 and pick.out_of_fold.ndim == 2 and pick.out_of_fold.shape[1] == problem.task.n_outputs


def calibrated(
    problem: Problem, pick: Ensemble, *, score: Callable[[Array, Array], float]
) -> tuple[Ensemble, ensembling.Calibration | None]:
    """What is packed, probabilities corrected where that surely helps, and what was found; None where there are no classes."""
    if not problem.task.is_classification or not is_judged_row_by_row(problem, pick):
        return pick, None
    evidence = ensembling.Evidence(
        predictions=(pick.out_of_fold,),
        score=score,
        target=problem.target,
        parts=ensembling.parts_of(problem.splits, problem.dataset.n_samples, seed=problem.settings.seed),
        form=problem.task.form,
        seed=problem.settings.seed,
    )
    return ensembling.calibrate(pick, evidence, rows=_rows(problem, pick), groups=problem.splits.units)


def uncertainty_of(problem: Problem, pick: Ensemble) -> Uncertainty:
    """What the pick's out-of-fold predictions teach about its errors; nothing where a row has more than one true answer."""
    if not is_judged_row_by_row(problem, pick):
        return Uncertainty()
    rows = _rows(problem, pick)
    return uncertainty_of_rows(problem, target=problem.target[rows], said=pick.out_of_fold[rows], groups=_groups(problem, rows))


def uncertainty_of_rows(problem: Problem, *, target: Array, said: Array, groups: Array | None) -> Uncertainty:
    """The same from any rows that what is packed had not seen."""
    coverage = evaluation.coverage_of(target, said, groups=groups)
    if not problem.task.is_classification:
        return Uncertainty(coverage=coverage)
    decision = _decision(problem.settings, target, said, groups=groups)
    silence = evaluation.silence_of(target, said, groups=groups, decision=decision)
    return Uncertainty(coverage=coverage, silence=silence, decision=decision)


def promises(problem: Problem, pick: Ensemble, *, uncertainty: Uncertainty, calibration: Any) -> dict[str, Any]:
    """The same for people and machines: what is promised of the pick, and how it held out of fold."""
    facts: dict[str, Any] = {}
    words: list[str] = []
    if calibration is not None:
        facts["calibration"] = {
            name: getattr(calibration, name) for name in ("method", "log_loss", "calibrated_log_loss", "temperature")
        }
        words.append(_calibration_words(calibration))
    made = {**facts, "words": words}
    if uncertainty.coverage is None:
        return made
    rows = _rows(problem, pick)
    time = problem.dataset.schema.time
    given: dict[str, Any] = {"target": problem.target[rows], "said": pick.out_of_fold[rows], "groups": _groups(problem, rows)}
    moments = None if time is None else problem.dataset.columns[time][rows]
    return joined(made, promises_of_rows(problem, uncertainty, **given, moments=moments))


def promises_of_rows(
    problem: Problem,
    uncertainty: Uncertainty,
    *,
    target: Array,
    said: Array,
    groups: Array | None,
    moments: Array | None = None,
) -> dict[str, Any]:
    """What is promised, learned from rows that what is packed had not seen, and how it held there."""
    facts: dict[str, Any] = {}
    words: list[str] = []
    if uncertainty.coverage is not None:
        some = slice(MAX_HELD_ROWS)
        among, when = (None if each is None else each[some] for each in (groups, moments))
        held = [
            evaluation.held(target[some], said[some], coverage=coverage, groups=among, moments=when, seed=problem.settings.seed)
            for coverage in COVERAGES
            if coverage < _most_to_hold(uncertainty.coverage)
        ]
        facts["coverage"] = [{"coverage": each.coverage, "observed": each.observed, "size": each.size} for each in held]
        words += [_coverage_words(each, problem.task) for each in held if each.coverage == SHOWN_COVERAGE]
    if uncertainty.silence is not None:
        facts["abstaining"] = uncertainty.silence.to_json()
        words.append(_silence_words(uncertainty))
    if uncertainty.decision is not None:
        facts["decision"] = {**uncertainty.decision.to_json(), "is_learned": bool(problem.settings.at_least)}
        words.append(f"Decisions: {uncertainty.decision.reason}")
    return {**facts, "words": words}


def _most_to_hold(coverage: Coverage) -> float:
    """The coverage below which a promise can be learned from four fifths of the rows and held against the rest."""
    n_units = coverage.above.n_units
    n_taught = n_units - math.ceil(n_units / PARTS_TO_HOLD)
    return 1 - (1 - coverage.most) * (n_units + 1) / (n_taught + 1)


def joined(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """Promises as one, their words in order."""
    merged: dict[str, Any] = {}
    words: list[str] = []
    for part in parts:
        merged |= part
        words += part.get("words", [])
    return {**merged, "words": words}


def _decision(settings: Settings, target: Array, said: Array, *, groups: Array | None) -> Decision | None:
    costs, at_least = settings.costs, settings.at_least
    if costs:
        wrong_yes, wrong_no = (float(costs[name]) for name in ERRORS)
        return evaluation.decision_for_costs(target, said[:, -1], false_positive=wrong_yes, false_negative=wrong_no)
    if at_least:
        (name, least), *_ = at_least.items()
        decide = evaluation.decision_for_precision if name == "precision" else evaluation.decision_for_recall
        return decide(target, said[:, -1], at_least=float(least), groups=groups)
    return None


def _calibration_words(calibration: ensembling.Calibration) -> str:
    if calibration.method == "none":
        return "Probabilities are left as they are: no correction surely improves them."
    how = f"a temperature of {calibration.temperature:.2f}" if calibration.temperature else "a rising line (isotonic)"
    return (
        f"Probabilities are corrected by {how}: log loss {calibration.log_loss:.4f} without, "
        f"{calibration.calibrated_log_loss:.4f} with, out of fold."
    )


def _coverage_words(held: evaluation.Held, task: Task) -> str:
    what, size = ("Sets", f"{held.size:.2f} classes") if task.is_classification else ("Ranges", f"{written(held.size)} wide")
    where = "on the latest fifth of the rows, learned from earlier ones," if held.is_of_later else "on unseen rows"
    return (
        f"{what} that promise to hold {held.coverage:.0%} of the truths held {held.observed:.1%} {where}; they are {size} "
        f"on average (cupel predict --coverage {held.coverage:g})."
    )


def _silence_words(uncertainty: Uncertainty) -> str:
    silence = uncertainty.silence
    assert silence is not None, "asked only where there is one"
    sure = silence.confidence_for(SHOWN_ACCURACY)
    if not np.isfinite(sure):
        return f"No share of the rows is surely answered rightly {SHOWN_ACCURACY:.0%} of the time."
    answered = silence.answered[silence.confidences.index(sure)]
    return (
        f"Answering only where surely {SHOWN_ACCURACY:.0%} are right leaves {answered:.0%} of the rows "
        f"(cupel predict --abstain {SHOWN_ACCURACY:g})."
    )


def _rows(problem: Problem, pick: Ensemble) -> Array:
    covered = problem.splits.covered
    rows: Array = covered[np.isfinite(pick.out_of_fold[covered]).all(axis=1)]
    return rows


def _groups(problem: Problem, rows: Array) -> Array | None:
    groups = problem.splits.units
    return None if groups is None else groups[rows]
