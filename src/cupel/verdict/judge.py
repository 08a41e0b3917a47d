"""Weighs what a run found: the score to expect, against what it stands, and whether the difference is real."""

from __future__ import annotations

import importlib.metadata
import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from numpy.typing import NDArray

from cupel.core import machine
from cupel.core.dataset import Dataset
from cupel.core.finding import Finding
from cupel.core.split import Splits
from cupel.core.trial import GAVE_UP, Ensemble, Status, Trial
from cupel.verdict.costs import CONSTANT
from cupel.verdict.court import N_CORRECTIONS, Court, Select, open_court, predictions_by, single
from cupel.verdict.leaderboard import leaderboard
from cupel.verdict.second_opinion import Opinion, opinion_on, opinions
from cupel.verdict.verdict import Contender, Failure, Margin, Score, Verdict
from cupel.verdict.words import gains, losses, worth_it_words
from cupel.version import __version__

Correct = Callable[..., Score]
"""`correct(plain, final=)`, as `Court.corrected` once it is told what is repeated."""
DEEP_SHARE = 0.5
"""A mixture speaks for deep learning where networks have so much of it: not one that is 4% network and beats the best trees."""
LIBRARIES = ("numpy", "torch", "lightgbm", "scikit-learn", "scipy", "polars", "onnx", "onnxruntime")


def judge(
    trials: Sequence[Trial],
    ensemble: Ensemble | None,
    *,
    dataset: Dataset,
    splits: Splits,
    findings: Sequence[Finding],
    select: Select,
    leader: Ensemble | None = None,
    prefer: str = "best",
    most_corrections: int = N_CORRECTIONS,
    looks_at: int | None = None,
) -> Verdict:
    """What the run proved, but for the measures of what is packed (`measures`). At least one trial must be usable.

    `select` is bootstrapped, at most `most_corrections` times, to learn how much of the best score is luck of choosing; it looks
    at no more than `looks_at` of the rows that it is shown. `leader` is what seems best; by default the better of `ensemble` and
    the best single trial. What is picked is the leader where `prefer` is "best"; where it is "cheapest", the cheapest trial that
    is as good for all that is known (`Comparison.near`). Rows without out-of-fold predictions count nowhere.
    The best deep and the best classical candidate each stand without the luck of being the best of their kind, else the kind of
    which more were tried would look better.

    Raises:
        DataError: no trial is usable, or the dataset has no task.
    """
    court = open_court(trials, dataset=dataset, splits=splits, most_corrections=most_corrections)
    chosen = leader or _default_leader(court, ensemble)
    court = replace(court, leader=chosen)
    packed = court.cheapest() if prefer == "cheapest" else chosen
    scores = {trial.candidate.name: court.standing(trial.candidate.name) for trial in court.trials}
    groups = court.tie_groups()
    correct = partial(court.corrected, select, looks_at=looks_at)
    alone, picked, leading, mixed = _contenders(court, correct, scores, packed=packed, ensemble=ensemble)
    rest = _shown(champions := _champions(court, scores), alone=alone, picked=picked)
    tied = _tied(court, groups, picked, scores)
    return Verdict(
        task=court.task,
        metric=court.metric.name,
        metric_label=court.metric.label,
        higher_is_better=court.metric.higher_is_better,
        pick=picked,
        leader=leading,
        best_single=alone,
        ensemble=mixed,
        margin_over_single=None if mixed is None or ensemble is None else _margin(court, mixed, ensemble.out_of_fold, alone),
        **rest,
        **_margins(court, picked, packed, rest, champions=champions, groups=groups),
        simplest=_simplest(picked, [_named(name, court, scores) for name in tied]),
        naive_score=leading.measured,
        optimism=court.sign * (leading.measured - leading.score.estimate),
        tied=tied,
        findings=tuple(findings),
        failures=_failures(trials, court),
        **_counts(court, trials, dataset),
        splits=splits.describe(),
        fingerprint=dataset.fingerprint,
        **_compared(court, trials, scores, groups=groups, others=rest, splits=splits),
        versions=_versions(),
        machine=machine.describe(),
    )


def _counts(court: Court, trials: Sequence[Trial], dataset: Dataset) -> dict[str, Any]:
    return {
        "n_candidates": sum(trial.status not in (Status.SKIPPED, Status.SCREENED) for trial in trials),
        "n_dropped": sum(trial.status is Status.DROPPED for trial in trials),
        "n_usable": len(court.trials),
        "n_skipped": sum(trial.status is Status.SKIPPED for trial in trials),
        "n_samples": dataset.n_samples,
        "n_judged": len(court.rows),
        "n_features": len(dataset.schema.features),
    }


def _default_leader(court: Court, ensemble: Ensemble | None) -> Ensemble:
    if ensemble is None:
        return court.leader
    gain = court.sign * (court.measured(ensemble.out_of_fold) - court.measured(court.leader.out_of_fold))
    return ensemble if gain > 0 else court.leader


def _contenders(
    court: Court, correct: Correct, scores: dict[str, Score], *, packed: Ensemble, ensemble: Ensemble | None
) -> tuple[Contender, Contender, Contender, Contender | None]:
    """The best single candidate, what is packed, what leads, and the ensemble, with scores that choosing could not inflate."""
    alone = _single(court.best.members[0], scores)
    alone = replace(alone, score=court.unflattered(alone.score, "best"))
    picked = _picked(court, correct, scores, alone=alone, packed=packed)
    leading = picked if packed is court.leader else _uncorrected_mixture(court, court.leader, scores, alone=alone)
    if ensemble is None:
        return alone, picked, leading, None
    mixed = leading if ensemble is court.leader else _uncorrected_mixture(court, ensemble, scores, alone=alone)
    return alone, picked, leading, mixed


def _picked(court: Court, correct: Correct, scores: dict[str, Score], *, alone: Contender, packed: Ensemble) -> Contender:
    """What is packed, with a score that choosing could not inflate, in whichever way it was chosen."""
    if len(packed.members) > 1:
        measured = _contender(court, packed, scores)
        return replace(measured, score=correct(measured.score, final=packed.out_of_fold))
    if packed.name == alone.name:
        return alone
    found = _single(packed.members[0], scores)
    return replace(found, score=court.unflattered(found.score, "best" if packed is court.leader else "cheapest"))


def _uncorrected_mixture(court: Court, mixture: Ensemble, scores: dict[str, Score], *, alone: Contender) -> Contender:
    """What was not packed, with what choosing took off the best single one, else it would look better."""
    found = _contender(court, mixture, scores)
    return alone if found.name == alone.name else replace(found, score=found.score.moved(alone.score.estimate - alone.measured))


def _single(trial: Trial, scores: dict[str, Score]) -> Contender:
    score = scores[trial.candidate.name]
    return Contender(
        name=trial.candidate.name,
        family=trial.candidate.family,
        score=score,
        measured=score.estimate,
        is_deep=trial.is_deep,
        fit_seconds=float(trial.fit_seconds),
        latency_ms={key: float(value) for key, value in trial.latency_ms.items()},
        n_bytes=int(trial.n_bytes),
    )


def _named(name: str, court: Court, scores: dict[str, Score]) -> Contender:
    return _single(next(trial for trial in court.trials if trial.candidate.name == name), scores)


def _contender(court: Court, ensemble: Ensemble, scores: dict[str, Score]) -> Contender:
    if len(ensemble.members) == 1 and ensemble.members[0].candidate.name in scores:
        return _single(ensemble.members[0], scores)
    members = sorted(zip(ensemble.members, ensemble.weights, strict=True), key=lambda pair: -pair[1])
    score = court.interval(ensemble.out_of_fold)
    latencies = [trial.latency_ms for trial, _ in members]
    known = set.intersection(*[set(latency) for latency in latencies])
    return Contender(
        name=ensemble.name,
        family="ensemble",
        score=score,
        measured=score.estimate,
        is_deep=bool(sum(weight for trial, weight in members if trial.is_deep) >= DEEP_SHARE),
        members=tuple((trial.candidate.name, float(weight)) for trial, weight in members),
        fit_seconds=float(sum(trial.fit_seconds for trial, _ in members)),
        latency_ms={key: float(sum(latency[key] for latency in latencies)) for key in sorted(known)},
        n_bytes=sum(int(trial.n_bytes) for trial, _ in members),
    )


def _champions(court: Court, scores: dict[str, Score]) -> dict[str, Contender | None]:
    """The best deep and classical candidates and the constant, each without the luck of being the best of its kind."""
    constants = [trial for trial in court.trials if trial.candidate.family.casefold() == CONSTANT]
    kinds = {
        "best_deep": [trial for trial in court.trials if trial.is_deep],
        "best_classical": [trial for trial in court.trials if not trial.is_deep and trial not in constants],
        "constant": constants,
    }
    return {key: _champion(court, among, scores) for key, among in kinds.items()}


def _champion(court: Court, among: Sequence[Trial], scores: dict[str, Score]) -> Contender | None:
    best = court.best_of(among)
    if best is None:
        return None
    found = _single(best, scores)
    return replace(found, score=court.unflattered(found.score, among=among))


def _shown(champions: dict[str, Contender | None], *, alone: Contender, picked: Contender) -> dict[str, Any]:
    """The same, with the contenders that are spoken of anyway as they are spoken of."""
    known = {alone.name: alone, picked.name: picked}
    return {kind: None if each is None else known.get(each.name, each) for kind, each in champions.items()}


def _margins(
    court: Court,
    picked: Contender,
    chosen: Ensemble,
    others: dict[str, Contender | None],
    *,
    champions: dict[str, Contender | None],
    groups: dict[str, int],
) -> dict[str, Any]:
    """Margins of the pick over classical and constant, and the sentence on whether deep learning pays."""
    classical, deep = champions["best_classical"], champions["best_deep"]
    is_own = picked.is_deep and (deep is None or deep.name != picked.name)
    champion = picked if is_own else deep
    deep_margin = None
    if champion is not None:
        said = chosen.out_of_fold if is_own else predictions_by(champion.name, court)
        deep_margin = _margin(court, champion, said, classical)
    group = None if champion is None else groups.get(champion.name)
    is_tied = group is not None and classical is not None and groups.get(classical.name) == group
    return {
        "margin_over_classical": _margin(court, picked, chosen.out_of_fold, others["best_classical"]),
        "margin_over_constant": _margin(court, picked, chosen.out_of_fold, others["constant"]),
        "worth_it": worth_it_words(champion, deep_margin, classical=classical, metric=court.metric.label, is_tied=is_tied),
    }


def _margin(court: Court, ours: Contender, predictions: NDArray[Any], other: Contender | None) -> Margin | None:
    """A paired margin, moved by what the corrections took off, so that it agrees with the scores shown."""
    if other is None or other.name == ours.name:
        return None
    found = court.paired(predictions, predictions_by(other.name, court))
    shift = court.sign * ((ours.score.estimate - ours.measured) - (other.score.estimate - other.measured))
    estimate, low, high = (float(end) + shift for end in (found.estimate, found.low, found.high))
    return Margin(against=other.name, estimate=estimate, low=low, high=high)


def _compared(
    court: Court,
    trials: Sequence[Trial],
    scores: dict[str, Score],
    *,
    groups: dict[str, int],
    others: dict[str, Contender | None],
    splits: Splits,
) -> dict[str, Any]:
    """The leaderboard, with both tests of the leader against each, and the comparisons of which the second opinion is told."""
    found, is_higher = opinions(court, splits), court.metric.higher_is_better
    return {
        "leaderboard": tuple(leaderboard(trials, scores, tie_groups=groups, higher_is_better=is_higher, opinions=found)),
        "second_opinions": _second_opinions(court, splits, others, seconds=found),
    }


def _second_opinions(
    court: Court, splits: Splits, others: dict[str, Contender | None], *, seconds: dict[str, Opinion]
) -> tuple[Opinion, ...]:
    """On the leader against its runner-up, and on the best deep against the best classical candidate."""
    runner_up = court.best_of([trial for trial in court.trials if trial.candidate.name in seconds])
    found = [] if runner_up is None else [seconds[runner_up.candidate.name]]
    deep, classical = (None if (each := others[key]) is None else each.name for key in ("best_deep", "best_classical"))
    known = {trial.candidate.name: trial for trial in court.trials}
    if deep in known and classical in known:
        on_deep = opinion_on(court, splits, first=single(known[deep]), second=known[classical])
        found += [] if on_deep is None or {deep, classical} in [{each.first, each.second} for each in found] else [on_deep]
    return tuple(found)


def _tied(court: Court, groups: dict[str, int], picked: Contender, scores: dict[str, Score]) -> tuple[str, ...]:
    names = [name for name, group in groups.items() if group == groups.get(picked.name, 1) and name in scores]
    names.sort(key=lambda name: -court.sign * scores[name].estimate)
    return tuple(name for name in names if name != picked.name)


def _simplest(picked: Contender, tied: Sequence[Contender]) -> Contender:
    """Of the tied, the smallest that is notably smaller or faster than the pick and not notably slower; the pick where none is.

    Size comes first since it is the same on every machine; speed, measured in fractions of a millisecond, is not.
    """
    better = [other for other in tied if gains(picked, other) and not losses(picked, other)]
    return min(better, key=lambda other: (other.n_bytes or math.inf, other.latency_one, other.fit_seconds), default=picked)


def _failures(trials: Sequence[Trial], court: Court) -> tuple[Failure, ...]:
    kept = {trial.candidate.name for trial in court.trials}
    return tuple(
        Failure(
            name=trial.candidate.name,
            family=trial.candidate.family,
            status=trial.status.value,
            reason=trial.reason or court.incomplete.get(trial.candidate.name, "no reason was recorded."),
        )
        for trial in trials
        if trial.candidate.name not in kept and trial.status not in GAVE_UP
    )


def _versions() -> dict[str, str]:
    found = {"cupel": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
