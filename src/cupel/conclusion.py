"""The end of every run: combine, judge, pack, report."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import all_rows, data, ensembling, evaluation, execution, explaining, packing, strangers, trust, unsealing, verdict
from cupel.core.budget import Deadline
from cupel.core.dataset import Dataset
from cupel.core.errors import NoModelError
from cupel.core.feeds import feeds_of
from cupel.core.finding import Finding
from cupel.core.form import Form
from cupel.core.observer import Observer
from cupel.core.pixels import data_url
from cupel.core.schema import ColumnKind
from cupel.core.stopwatch import Stopwatch
from cupel.core.storage import finite, write_json, write_text
from cupel.core.task import Task
from cupel.core.thumbnails import Thumbnails
from cupel.core.trial import Ensemble, Trial
from cupel.core.uncertainty import Uncertainty
from cupel.core.weights import Weights
from cupel.problem import Problem
from cupel.run import MODEL, Run
from cupel.yardstick import blender, scorer

Array = NDArray[Any]
MAX_SELECTION_ROWS = 4000
N_LATENCY_ROWS = 200
LATENCY_SECONDS = 0.3
SHARE_TO_CHOOSE, FEWEST_TO_CHOOSE = 0.2, 500
"""Of the time that is left; an ensemble is chosen on so many rows at least."""
SHARE_FOR_CORRECTIONS, SHARE_FOR_MEAN = 0.25, 0.1
MIN_CORRECTIONS = 10
BYTES_OF_WORDS = 20_000
"""For what is said last, of the time that all took and of what had no room, and for the files of a pick beside its arrays."""
MAX_DOUBT = {"cheapest": 0.1, "best": 0.9}
"""The ensemble is packed only where the probability that it is worse than its best member is below this: by what is preferred.
That member looks better than it is, since it was chosen; where cost does not count, only sure proof speaks for it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Beside:
    """What was learned beside the search: what is already known to be promised, and how whole runs did on outer folds."""

    promises: Mapping[str, Any] = field(default_factory=dict)
    nested: verdict.Nested | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Proven:
    """What is to be packed, what was found about it, and what it may promise; `promises` says that, the verdict not yet."""

    pick: Ensemble
    verdict: verdict.Verdict
    uncertainty: Uncertainty
    promises: Mapping[str, Any]


def conclude(
    problem: Problem,
    folder: execution.RunFolder,
    trials: Sequence[Trial],
    *,
    deadline: Deadline,
    observer: Observer,
    stopwatch: Stopwatch,
    beside: Beside | None = None,
) -> Run:
    """Combine what was found, judge it, pack the best and write the report.

    Raises:
        NoModelError: nothing usable was found; the reasons are in the leaderboard.
        ParityError: the packed model does not predict what the trained one predicts.
    """
    observer.stage("proving and packing the best")
    beside = beside or Beside()
    found = proven(problem, folder, trials, deadline=deadline, stopwatch=stopwatch)
    judged = replace(
        found.verdict,
        promises=trust.joined(found.verdict.promises, beside.promises),
        nested=beside.nested,
        findings=_with_doubts(problem, found.verdict, found.pick),
        weights=tuple(_told(weights, trials, pick=found.pick) for weights in problem.weights),
    )
    return _publish(problem, folder, trials, proven=replace(found, verdict=judged), deadline=deadline, stopwatch=stopwatch)


def proven(
    problem: Problem, folder: execution.RunFolder, trials: Sequence[Trial], *, deadline: Deadline, stopwatch: Stopwatch
) -> Proven:
    """What is to be packed of all that was tried, what is to be expected of it, and what it may promise.

    Raises:
        NoModelError: nothing usable was found; the reasons are in the leaderboard.
    """
    usable = usable_of(trials, folder)
    with stopwatch.stage("choosing"):
        leader, ensemble, select = _chosen(problem, usable, deadline)
        most_corrections = _affordable_corrections(select, problem.splits.covered, deadline)
    with stopwatch.stage("proving"):
        judged = verdict.judge(
            trials,
            ensemble,
            dataset=problem.dataset,
            splits=problem.splits,
            findings=problem.findings,
            select=select,
            leader=leader,
            prefer=problem.settings.prefer,
            most_corrections=most_corrections,
            looks_at=ensembling.rows_looked_at(ensembling.method_named(problem.settings.ensemble), max_rows=MAX_SELECTION_ROWS),
        )
    with stopwatch.stage("calibrating"):
        chosen = packed(judged, leader, usable=usable)
        pick, calibration = trust.calibrated(problem, chosen, score=scorer(problem))
        uncertainty = trust.uncertainty_of(problem, pick)
        made = trust.promises(problem, pick, uncertainty=uncertainty, calibration=calibration)
    with stopwatch.stage("proving"):
        packed_score = (
            {}
            if problem.whole is not None
            else strangers.score_of_packed(
                problem,
                pick,
                score=judged.pick.score,
                corrected=_gained(problem, chosen, pick),
                decision=uncertainty.decision,
                model=folder.units.model,
                seconds=SHARE_FOR_MEAN * deadline.remaining,
            )
        )
        yes_from = None if uncertainty.decision is None else uncertainty.decision.threshold
        found = verdict.measures(pick.out_of_fold, dataset=problem.dataset, splits=problem.splits, yes_from=yes_from)
    shown = {} if yes_from is None else {"shown_threshold": yes_from}
    judged = replace(judged, **found, promises=trust.joined(packed_score, shown))
    return Proven(pick=pick, verdict=judged, uncertainty=uncertainty, promises=made)


def _gained(problem: Problem, chosen: Ensemble, pick: Ensemble) -> float:
    """What correcting its probabilities gains the score of what was chosen, larger being better."""
    if pick is chosen:
        return 0.0
    score, covered = scorer(problem), problem.splits.covered
    rows = covered[np.isfinite(chosen.out_of_fold[covered]).all(axis=1)]
    return score(pick.out_of_fold[rows], rows) - score(chosen.out_of_fold[rows], rows)


def _with_doubts(problem: Problem, judged: verdict.Verdict, pick: Ensemble) -> tuple[Finding, ...]:
    """The findings, those on doubtful targets by what is packed and of all rows, instead of a small forest's of some."""
    if problem.task.form is Form.MASKS:
        return judged.findings
    others = (finding for finding in judged.findings if finding.code != evaluation.DOUBTS)
    rows = problem.splits.covered
    doubts = evaluation.doubtful_targets(problem.dataset, pick.out_of_fold[rows], rows=rows, by="what is packed")
    return (*others, *doubts)


def packed(judged: verdict.Verdict, leader: Ensemble, *, usable: Sequence[Trial]) -> Ensemble:
    """What the verdict picked: the leader, or the cheaper trial that was preferred to it."""
    if judged.pick.name == leader.name:
        return leader
    return ensembling.single(next(trial for trial in usable if trial.candidate.name == judged.pick.name))


def usable_of(trials: Sequence[Trial], folder: execution.RunFolder) -> list[Trial]:
    """The trials with predictions.

    Raises:
        NoModelError: there is none; the reasons are in the leaderboard.
    """
    usable = [trial for trial in trials if trial.out_of_fold is not None]
    if not usable:
        raise _nothing_found(folder, trials)
    return usable


def _told(weights: Weights, trials: Sequence[Trial], *, pick: Ensemble) -> dict[str, Any]:
    """What is said of weights that were trained before: files, licence, and who starts from them."""
    users = [trial.candidate.name for trial in trials if weights.is_used_by(trial.candidate.to_plain())]
    in_pick = any(member.candidate.name in users for member in pick.members)
    return {**weights.to_json(), "candidates": users, "in_pick": in_pick}


def _chosen(problem: Problem, usable: Sequence[Trial], deadline: Deadline) -> tuple[Ensemble, Ensemble | None, verdict.Select]:
    """What leads, the ensemble, and the choice as a function of rows, to be repeated."""
    score, rows = scorer(problem), problem.splits.covered
    predictions = [trial.out_of_fold for trial in usable if trial.out_of_fold is not None]
    best = usable[int(np.argmax([score(prediction[rows], rows) for prediction in predictions]))]
    method, evidence = ensembling.method_named(problem.settings.ensemble), _evidence(problem, predictions, usable)
    taught_by = _affordable_rows(evidence, rows, method=method, seconds=SHARE_TO_CHOOSE * deadline.remaining)
    ensemble = ensembling.combine(usable, evidence, rows=rows, method=method, taught_by=taught_by)
    select = ensembling.selector(evidence, method=method, max_rows=MAX_SELECTION_ROWS)
    return _leader(problem, ensembling.single(best), ensemble), ensemble, select


def _affordable_rows(evidence: ensembling.Evidence, rows: Array, *, method: ensembling.Method, seconds: float) -> Array:
    """The rows that an ensemble is chosen on: all, or as many of them as there is time for, by what a few take."""
    if math.isinf(seconds) or len(rows) <= FEWEST_TO_CHOOSE:
        return rows
    order, started = np.random.default_rng(evidence.seed).permutation(rows), time.monotonic()
    method.choose(evidence, order[:FEWEST_TO_CHOOSE])
    share = max(seconds, 0.0) / max(time.monotonic() - started, 1e-6)
    most = int(FEWEST_TO_CHOOSE * max(share, 1.0))
    return rows if len(rows) <= most else np.sort(order[:most])


def predictions_of_leader(problem: Problem, trials: Sequence[Trial]) -> Array:
    """What would be packed says of every row, shape (samples, outputs), by models and a choice that had not seen it.

    NaN where no fold judges a row. At least one trial must be usable.
    """
    rows = problem.splits.covered
    usable = [trial for trial in trials if trial.out_of_fold is not None]
    predictions = [trial.out_of_fold for trial in usable if trial.out_of_fold is not None]
    judged = predictions[0].copy()
    if len(predictions) > 1:
        method = ensembling.method_named(problem.settings.ensemble)
        judged[rows] = ensembling.cross_fitted(method.choose, _evidence(problem, predictions, usable), rows=rows)
    leader = replace(ensembling.single(usable[0]), out_of_fold=judged)
    return trust.calibrated(problem, leader, score=scorer(problem))[0].out_of_fold


def _affordable_corrections(select: verdict.Select, rows: Array, deadline: Deadline) -> int:
    """How often the choice may be repeated in a part of the time that is left; as often as is useful without a cap."""
    if math.isinf(deadline.remaining):
        return verdict.N_CORRECTIONS
    started = time.monotonic()
    select(rows)
    seconds = max(time.monotonic() - started, 1e-3)
    affordable = SHARE_FOR_CORRECTIONS * max(deadline.remaining, 0.0) / seconds
    return int(np.clip(affordable, MIN_CORRECTIONS, verdict.N_CORRECTIONS))


def _evidence(problem: Problem, predictions: Sequence[Array], trials: Sequence[Trial]) -> ensembling.Evidence:
    seed = problem.settings.seed
    return ensembling.Evidence(
        predictions=predictions,
        score=blender(problem),
        target=problem.target,
        parts=ensembling.parts_of(problem.splits, problem.dataset.n_samples, seed=seed),
        form=problem.task.form,
        seed=seed,
        families=tuple(trial.candidate.family for trial in trials),
    )


def _publish(
    problem: Problem,
    folder: execution.RunFolder,
    trials: Sequence[Trial],
    *,
    proven: Proven,
    deadline: Deadline,
    stopwatch: Stopwatch,
) -> Run:
    """Write the artifact, then what tells about it: a verdict never names a model that is not there."""
    proven, final = _with_final(problem, folder, proven, is_capped=math.isfinite(deadline.remaining))
    pick, judged, model = proven.pick, proven.verdict, final.model
    with stopwatch.stage("measuring speed"):
        latency = packing.measure_latency(model, _latency_feeds(problem), seconds=LATENCY_SECONDS)
    with stopwatch.stage("opening sealed rows"):
        told = unsealing.opened(problem, folder, model=model, decision=proven.uncertainty.decision)
        judged = replace(judged, promises=trust.joined(judged.promises, told))
    with stopwatch.stage("explaining"):
        importance = explaining.importance(problem, folder, pick=pick, seconds_left=deadline.remaining)
        occlusions = explaining.occlusions(problem, folder, pick=pick, seconds_left=deadline.remaining)
        masks = explaining.masks(problem, folder, pick=pick, seconds_left=deadline.remaining)
    judged = judged.completed(
        spent=stopwatch.spent,
        seed=problem.settings.seed,
        latency_ms=latency,
        n_bytes=len(model),
        importance=importance,
        class_overlaps=() if masks is None else masks.classes,
    )
    board = verdict.leaderboard_csv(judged.leaderboard)
    kept = BYTES_OF_WORDS + len(board) + len(json.dumps(finite(judged.to_json()), indent=1))  # what is written last
    with stopwatch.stage("packing"):
        package = _package(problem, folder, replace(proven, verdict=judged), final=final)
        n_bytes = packing.pack(folder.place("model.cupel"), package, left=folder.left - kept)
        judged = _with_pick(problem, folder, judged, pick=pick, kept=kept)
    judged = judged.completed(spent=stopwatch.spent, n_bytes=n_bytes)
    with stopwatch.stage("reporting"):
        write_text(folder.path / "leaderboard.csv", board)
        page = verdict.report_page(
            judged,
            trials=trials,
            pick=pick,
            dataset=problem.dataset,
            profile=problem.profile,
            exhibits=_exhibits(problem, trials, occlusions=occlusions, masks=masks),
        )
        judged = _with_page(folder, judged, page=page, kept=kept)
    spent, run = stopwatch.spent, Run(folder.path)
    write_json(folder.path / "verdict.json", {**judged.completed(spent=spent).to_json(), MODEL: run.digest})
    folder.journal.append("concluded", pick=pick.name, **execution.noted(spent))
    return run


def _with_pick(
    problem: Problem, folder: execution.RunFolder, judged: verdict.Verdict, *, pick: Ensemble, kept: int
) -> verdict.Verdict:
    """The verdict, once that is written which a refit needs, or with words on why it is not."""
    hashes = data.row_hashes(problem.dataset)
    needed = hashes.nbytes + pick.out_of_fold.nbytes + BYTES_OF_WORDS + kept
    if folder.has_room(needed, instead_of=execution.PICK_FILES):
        execution.keep_pick(folder.path, pick, hashes=hashes)
        return judged
    return _without(judged, "the predictions that `cupel refit` compares with")


def _with_page(folder: execution.RunFolder, judged: verdict.Verdict, *, page: str, kept: int) -> verdict.Verdict:
    """The verdict, once the report is written, or with words on why it is not."""
    if not folder.has_room(len(page.encode()) + kept, instead_of=("report.html",)):
        return _without(judged, "report.html, the page that shows this")
    write_text(folder.path / "report.html", page)
    return judged


def _without(judged: verdict.Verdict, what: str) -> verdict.Verdict:
    words = f"The run folder had no room for {what}; `cupel resume` with more --disk writes it."
    return replace(judged, promises=trust.joined(judged.promises, {"words": [words]}))


def _exhibits(
    problem: Problem, trials: Sequence[Trial], *, occlusions: list[evaluation.Occlusion], masks: evaluation.WholeMasks | None
) -> verdict.Exhibits:
    return verdict.Exhibits(
        timeline=_timeline(problem, trials),
        thumbnails=Thumbnails.of(problem.dataset),
        occlusions=occlusions,
        masks=masks,
        units=problem.splits.units,
        stretch=evaluation.stretch_of(is_mutual=problem.splits.teach_one_another),
    )


def _with_final(
    problem: Problem, folder: execution.RunFolder, proven: Proven, *, is_capped: bool
) -> tuple[Proven, all_rows.Final]:
    """What is packed in the end, and the same with what that promises, as the rows taught it that judged it, or the search's."""
    seconds = all_rows.seconds_to_judge(problem) if is_capped else math.inf
    final = all_rows.settled(problem, folder.path, model=packed_model(problem, folder, pick=proven.pick), seconds=seconds)
    made = proven.promises if final.uncertainty is None else {}
    judged = replace(proven.verdict, promises=trust.joined(made, proven.verdict.promises, final.promises))
    return replace(proven, verdict=judged, uncertainty=final.uncertainty or proven.uncertainty), final


def _package(problem: Problem, folder: execution.RunFolder, proven: Proven, *, final: all_rows.Final) -> packing.Package:
    pick, judged = proven.pick, proven.verdict
    return packing.Package(
        model=final.model,
        schema=problem.dataset.schema,
        task=_decided(problem, pick),
        inputs=packing.inputs_of(final.model, problem.inputs),
        golden=golden_cells(problem.dataset, problem.golden_rows),
        expected=_expected(folder, pick) if final.expected is None else final.expected,
        spread=problem.spread,
        uncertainty=proven.uncertainty.to_json(),
        card=verdict.model_card(judged, problem.dataset),
        facts={"words": str(judged), "metric": judged.metric, "fingerprint": problem.dataset.fingerprint},
    )


def _decided(problem: Problem, pick: Ensemble) -> Task:
    """The task with the thresholds that labels are said by, chosen on predictions for rows that no model had seen."""
    if problem.task.form is not Form.LABELS:
        return problem.task
    rows = problem.splits.covered
    thresholds = evaluation.thresholds_for(problem.task.metric, problem.target[rows], pick.out_of_fold[rows])
    return replace(problem.task, thresholds=tuple(thresholds.tolist()))


def _timeline(problem: Problem, trials: Sequence[Trial]) -> list[tuple[float, str, float]]:
    """Seconds of training so far, name and score of every usable trial, in the order in which they were trained."""
    metric = evaluation.metric_named(problem.task.metric, problem.task)
    score, rows, seconds, timeline = scorer(problem), problem.splits.covered, 0.0, []
    for trial in trials:
        seconds += trial.fit_seconds
        if trial.out_of_fold is not None:
            value = score(trial.out_of_fold[rows], rows)
            timeline.append((seconds, trial.candidate.name, value if metric.higher_is_better else -value))
    return timeline


def _nothing_found(folder: execution.RunFolder, trials: Sequence[Trial]) -> NoModelError:
    rows = verdict.leaderboard(trials, {}, tie_groups={}, higher_is_better=True)
    write_text(folder.path / "leaderboard.csv", verdict.leaderboard_csv(rows))
    reasons = "; ".join(f"{trial.candidate.name}: {trial.reason}" for trial in trials[:3]) or "no family fits this task"
    return NoModelError(f"no candidate gave a usable model ({reasons}). Mend the first reason and run again.")


def _latency_feeds(problem: Problem) -> dict[str, Array]:
    return feeds_of(problem.dataset, np.arange(min(N_LATENCY_ROWS, problem.dataset.n_samples)), problem.inputs)


def _leader(problem: Problem, best: Ensemble, ensemble: Ensemble | None) -> Ensemble:
    """The ensemble where it is better than its best member, surely enough for its price; else that member, smaller and faster.

    Where what is best is asked for, whatever it costs, not surely worse is enough.
    """
    if ensemble is None:
        return best
    rows = problem.splits.covered
    metric = evaluation.metric_named(problem.task.metric, problem.task)
    difference = evaluation.paired_difference(
        metric.within(problem.splits.parts[rows]),
        problem.target[rows],
        ensemble.out_of_fold[rows],
        best.out_of_fold[rows],
        groups=_groups(problem),
        seed=problem.settings.seed,
    )
    return ensemble if difference.probability_worse < MAX_DOUBT[problem.settings.prefer] else best


def _groups(problem: Problem) -> Array | None:
    groups = problem.splits.units
    return None if groups is None else groups[problem.splits.covered]


def packed_model(problem: Problem, folder: execution.RunFolder, *, pick: Ensemble) -> bytes:
    """What is packed as one graph, of the units that the folder holds."""
    members = [[folder.units.model(unit.key) for unit in member.units] for member in pick.members]
    model = packing.combine(members, pick.rule)
    return packing.with_maps(model, problem.task, inputs=problem.inputs) if problem.task.grid else model


def _expected(folder: execution.RunFolder, pick: Ensemble) -> Array:
    """What the trained models themselves predicted for the golden rows, combined as the ensemble is."""
    golden = [[folder.units.array(unit.key, "golden") for unit in member.units] for member in pick.members]
    return pick.rule.apply([np.mean(folds, axis=0) for folds in golden])


def golden_cells(dataset: Dataset, rows: Array) -> dict[str, list[Any]]:
    """Rows as somebody would send them: plain numbers and texts by column, None is missing, the target left out."""
    cells: dict[str, list[Any]] = {}
    for column in dataset.schema.features:
        values = dataset.cells(column.name, rows).tolist()
        if column.kind is ColumnKind.DATETIME:
            values = [None if value != value else _iso(value) for value in values]
        elif column.kind is ColumnKind.BOOLEAN:
            values = [None if value != value else column.levels[int(value)] for value in values]
        elif column.kind is ColumnKind.NUMBER:
            values = [None if value != value else value for value in values]
        elif column.kind is ColumnKind.IMAGE:
            values = [None if picture is None else data_url(picture) for picture in values]
        cells[column.name] = values
    return cells


def _iso(seconds: float) -> str:
    moment = np.datetime64(round(seconds * 1e6), "us")
    return str(np.datetime_as_string(moment, unit="us"))
