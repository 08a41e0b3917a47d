"""Tables larger than memory: the best candidate that can is fitted on all rows, and packed where it is not worse."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import evaluation, execution, packing, trust, tuning
from cupel.core.budget import Deadline
from cupel.core.dataset import Dataset
from cupel.core.errors import InterruptedRunError, ShortOfDiskError, TrainingError
from cupel.core.feeds import feeds_of
from cupel.core.foreign_graphs import fault_of
from cupel.core.storage import move, storage_error, write_json
from cupel.core.trial import Status
from cupel.core.uncertainty import Uncertainty
from cupel.core.untrusted import parsed_array, parsed_json, read_bytes
from cupel.finishing import FACTS, judged_piece, key_of
from cupel.problem import Problem
from cupel.row_files import MOST_BYTES, MOST_JUDGED, PARTS, ROWS, SHARE_JUDGED, digests_of, is_renewed

Array = NDArray[Any]
FOLDER, NEXT = "whole", "whole-next"
"""Of the final fit, and of one that is at work; once that is whole it takes the other's place."""
REFUSED = "refused.json"
SHARE_OF_TIME, LEAST_SECONDS, MOST_OF_TIME = 0.3, 20.0, 0.4
PASSES = 1.6
"""So often what counting all rows took is needed to prepare them."""
ROWS_AT_ONCE, FEWEST_JUDGED, SECONDS_A_JUDGED_ROW = 20_000, 100, 6e-5
"""Of a piece; all pieces have far fewer."""
DTYPES = {"numbers": (np.float64, 2), "codes": (np.int32, 2), "answers": (np.float64, 1), "marks": (np.float64, 1)}
_DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError)


@dataclass(frozen=True, kw_only=True, eq=False)
class Final:
    """What is packed in the end, and what is to be said about it.

    `expected` and `uncertainty` are None where it is the search's own model that is packed; else `promises` say what that
    uncertainty promises, instead of what the search's does.
    """

    model: bytes
    expected: Array | None = None
    uncertainty: Uncertainty | None = None
    promises: Mapping[str, Any] = field(default_factory=dict)


def seconds_kept(problem: Problem, seconds: float | None) -> float:
    """What is kept of a run of so many seconds for the final fit."""
    if problem.whole is None or seconds is None or not any(family.learns_in_pieces for family in problem.families):
        return 0.0
    wanted = PASSES * problem.whole.seconds + max(LEAST_SECONDS, SHARE_OF_TIME * seconds)
    return min(wanted, MOST_OF_TIME * max(seconds - problem.whole.seconds, 0.0))


def seconds_to_judge(problem: Problem) -> float:
    """What it takes to ask two models for all rows that judge."""
    return 0.0 if problem.whole is None else SECONDS_A_JUDGED_ROW * min(MOST_JUDGED, SHARE_JUDGED * problem.whole.n_rows)


def fit_final(
    problem: Problem,
    tried: Sequence[tuning.Tried],
    *,
    runner: execution.Runner,
    deadline: Deadline,
    progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Fit the best candidate that can on all rows; model and rows to judge by, or why not, are then in the run folder.

    What goes wrong refuses this fit alone: the search has found a model, and an earlier fit stays. Where this process is ended,
    or asked to end, what was prepared stays in the run folder, to be gone on from.
    """
    if problem.whole is None:
        return
    folder, prepared = runner.folder.path / FOLDER, runner.folder.path / NEXT
    chosen, reason = _chosen(tried), ""
    if chosen is None:
        reason = "no candidate that learned from the sample can learn from rows that are not in memory at once"
    elif problem.dataset.schema.time is not None:
        reason = "rows are in an order of time, and the latest were searched on"
    elif problem.settings.shuffle_target:
        reason = "targets were exchanged at random"
    if chosen is None or reason:
        _refuse(runner, reason)
        return
    candidate = chosen.trial.candidate  # the proposed one, or that with smaller batches
    _take_up(folder)
    known, either = _facts(folder), (candidate, runner.smaller_of(candidate))
    keys = [key_of(problem.dataset, each.key, seed=problem.settings.seed) for each in either if each is not None]
    if known.get("key") in keys and not _is_renewed(known, deadline):
        shutil.rmtree(prepared, ignore_errors=True)  # of a fit that is not asked for any more
        return
    assignment = execution.Assignment(candidate=candidate, family=chosen.proposal.family, folds=())
    try:
        runner.finish(assignment, prepared, deadline=deadline, progress=progress)
        _take_up(folder)
    except InterruptedRunError as error:
        _refuse(runner, str(error), goes_on=not isinstance(error, ShortOfDiskError))
    except TrainingError as error:
        _refuse(runner, str(error))


def _take_up(folder: Path) -> None:
    """Put a newer fit that is whole in the place of the one before it. A process that is ended at it leaves it to the next."""
    newer = folder.with_name(NEXT)
    if not _facts(newer):
        return
    try:
        if folder.exists():
            shutil.rmtree(folder)
        shutil.rmtree(newer / ROWS, ignore_errors=True)  # of a process that was ended just before it did
        move(newer, folder)
    except OSError as error:
        raise storage_error(error, folder.parent) from error


def _is_renewed(known: Mapping[str, Any], deadline: Deadline) -> bool:
    given = math.inf if known["given"] is None else known["given"]
    return is_renewed(0.0 if known["cut_short"] else known["share"], given, now=deadline.remaining)


def _refuse(runner: execution.Runner, reason: str, *, goes_on: bool = False) -> None:
    """Say why there is no final fit, or no newer one; what was prepared for it is kept where it `goes_on`."""
    folder = runner.folder.path / FOLDER
    try:
        folder.mkdir(exist_ok=True)
        if not goes_on:
            shutil.rmtree(runner.folder.path / NEXT, ignore_errors=True)
        write_json(folder / REFUSED, {"reason": reason})
    except OSError as error:
        raise storage_error(error, runner.folder.path) from error
    runner.folder.journal.append("final fit refused", reason=reason)


def _chosen(tried: Sequence[tuning.Tried]) -> tuning.Tried | None:
    """The best candidate of those that can."""
    able = [
        each
        for each in tried
        if each.score is not None
        and each.trial.status in (Status.DONE, Status.CUT_SHORT)
        and each.proposal.family.learns_in_pieces
    ]
    return max(able, key=lambda each: each.score or -math.inf, default=None)


def settled(problem: Problem, folder: Path, *, model: bytes, seconds: float = math.inf) -> Final:
    """The search's model, or the one that was fitted on all rows where it is not worse on rows that neither had seen.

    Where there are few `seconds` fewer rows judge.
    """
    if problem.whole is None:
        return Final(model=model)
    _take_up(folder / FOLDER)
    kept, facts = folder / FOLDER, _facts(folder / FOLDER)
    n_searched = problem.dataset.n_samples
    rows: dict[str, Any] = {"profile": problem.whole.n_rows, "search": n_searched}
    words = f"Which rows saw what: profile {problem.whole.n_rows:,}; search {n_searched:,}, drawn from all"
    if not facts:
        reason = _reason(kept)
        told = {**rows, "reason": reason, "columns": dict(problem.whole.counts)}
        return Final(model=model, promises={"rows": told, "words": [f"{words}; there is no fit on all rows: {reason}."]})
    final = read_bytes(kept / "model.onnx", most_bytes=MOST_BYTES)
    judged = _judged(problem, kept, facts, models=(model, final), seconds=seconds)
    metric = evaluation.metric_named(problem.task.metric, problem.task)
    scores = [
        evaluation.interval(metric, judged.target, said, groups=judged.groups, seed=problem.settings.seed) for said in judged.said
    ]
    is_kept = metric.sign * (scores[1].estimate - scores[0].estimate) >= 0
    rows |= {"final": facts["rows"]["trained"], "stop": facts["rows"]["stopped"], "judged": len(judged.target)}
    told = {
        **rows,
        "candidate": facts["candidate"],
        "is_packed": is_kept,
        "cut_short": facts["cut_short"],
        "scores": {
            name: {"estimate": score.estimate, "low": score.low, "high": score.high}
            for name, score in zip(("search", "final"), scores, strict=True)
        },
        "columns": dict(problem.whole.counts),
    }
    sentences = [f"{words}; {_words(told, metric.label, share=facts['share'])}"]
    if (kept / REFUSED).exists():
        sentences.append(f"A fit that was begun later, for more time, did not come to its end: {_reason(kept)}.")
    promises = {"rows": told, "words": sentences}
    if not is_kept:
        return Final(model=model, promises=promises)
    expected = parsed_array(read_bytes(kept / "golden.npy", most_bytes=MOST_BYTES), dtype=np.float64, n_axes=2)
    given: dict[str, Any] = {"target": judged.target, "said": judged.said[1], "groups": judged.groups}
    uncertainty = trust.uncertainty_of_rows(problem, **given)
    promises = trust.joined(promises, trust.promises_of_rows(problem, uncertainty, **given))
    return Final(model=final, expected=expected, uncertainty=uncertainty, promises=promises)


def _words(told: Mapping[str, Any], metric: str, *, share: float) -> str:
    shown = {
        name: f"{score['estimate']:.4g} (95% interval {score['low']:.4g} to {score['high']:.4g})"
        for name, score in told["scores"].items()
    }
    hurried = ", for which time was short" if told["cut_short"] else ""
    few = ", as many as there was time for," if share < 1 else ""
    what, taught = ("is", "These rows also taught what is promised of answers. ") if told["is_packed"] else ("is not", "")
    return (
        f"final fit {told['final']:,}{few} and {told['stop']:,} that stopped it; judged on {told['judged']:,} that neither had "
        f"seen. {told['candidate']} fitted on so many rows{hurried} scores {metric} {shown['final']} there, what the search "
        f"found {shown['search']}: the final fit {what} packed. The better of the two was chosen on these rows, which flatters "
        f"it a little. {taught}All else here is of the search."
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Judged:
    """Truth, what each model says, and groups, of the rows that judge."""

    target: Array
    said: tuple[Array, ...]
    groups: Array | None


def _judged(problem: Problem, folder: Path, facts: Mapping[str, Any], *, models: Sequence[bytes], seconds: float) -> _Judged:
    sessions = [packing.session(model) for model in models]
    answers, marks = [], []
    said: list[list[Array]] = [[] for _ in models]
    started, n_pieces = time.monotonic(), int(facts["n_pieces"])
    most = ROWS_AT_ONCE
    for number, (piece, own) in enumerate(_pieces(problem.dataset, folder, n_pieces)):
        rows = np.arange(min(most, piece.n_samples))
        feeds = feeds_of(piece, rows, problem.inputs)
        for place, session in enumerate(sessions):
            said[place].append(packing.run(session, feeds))
        answers.append(piece.judged[rows])
        marks.append(own[rows])
        if number == 0 and math.isfinite(seconds):
            affordable = seconds / n_pieces / max(time.monotonic() - started, 1e-6) * len(rows)
            most = max(FEWEST_JUDGED, min(most, int(affordable)))
    target = np.concatenate(answers)
    target = target.astype(np.int64) if problem.task.is_classification else target
    is_grouped = problem.splits.groups is not None
    groups = np.unique(np.concatenate(marks), return_inverse=True)[1] if is_grouped else None
    return _Judged(target=target, said=tuple(np.concatenate(each) for each in said), groups=groups)


def _pieces(like: Dataset, folder: Path, n_pieces: int) -> Iterator[tuple[Dataset, Array]]:
    for number in range(n_pieces):
        parts = [
            parsed_array(read_bytes(folder / f"judged-{number}-{name}.npy", most_bytes=MOST_BYTES), dtype=dtype, n_axes=n_axes)
            for name, (dtype, n_axes) in ((name, DTYPES[name]) for name in PARTS)
        ]
        numbers, codes, answers, marks = parts
        if len(answers):
            yield judged_piece(like, numbers=numbers, codes=codes, answers=answers), marks


def _facts(folder: Path) -> dict[str, Any]:
    """What is said of a final fit that is there and whole, else nothing."""
    try:
        facts = parsed_json(read_bytes(folder / FACTS, most_bytes=1 << 20))
        is_sound = _is_complete(facts, folder) and not fault_of(read_bytes(folder / "model.onnx", most_bytes=MOST_BYTES))
        return dict(facts) if is_sound else {}
    except _DAMAGED:
        return {}


def _is_complete(facts: Any, folder: Path) -> bool:
    """Whether everything is said that is read later, some rows judge, and all files are as they were written."""
    counts = (facts["n_pieces"], *(facts["rows"][name] for name in ("trained", "stopped", "judged")))
    kinds = {"candidate": str, "cut_short": bool, "share": int | float, "given": int | float | None}
    are_plain = all(isinstance(facts[name], kind) for name, kind in kinds.items())
    are_plain = are_plain and all(math.isfinite(facts[name] or 0.0) for name in ("share", "given"))
    if not are_plain or any(type(count) is not int or count < 1 for count in counts):
        return False
    return bool(digests_of(folder, n_pieces=facts["n_pieces"]) == facts["sha256"])


def _reason(folder: Path) -> str:
    try:
        return str(parsed_json(read_bytes(folder / REFUSED, most_bytes=1 << 20))["reason"]).rstrip(".")
    except _DAMAGED:
        return "the search ended before it"
