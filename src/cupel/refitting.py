"""Trains what a run chose on other data, without a new search, and says whether that made it better."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import data, evaluation, execution, packing, tuning, verdict
from cupel.conclusion import conclude, predictions_of_leader, usable_of
from cupel.core import machine, masks, registry
from cupel.core.budget import Budget, Deadline, Effort
from cupel.core.candidate import Candidate
from cupel.core.errors import DataError, InterruptedRunError, UsageError
from cupel.core.feeds import feeds_of
from cupel.core.finding import Finding, Severity
from cupel.core.fix import FixKind
from cupel.core.limits import Limits
from cupel.core.observer import Observer
from cupel.core.plain_lines import observer_of
from cupel.core.schema import ColumnKind, Schema
from cupel.core.settings import Settings
from cupel.core.split import Fold, Splits
from cupel.core.stopwatch import Stopwatch
from cupel.core.storage import write_json
from cupel.core.task import TaskKind
from cupel.core.trial import Status, Trial
from cupel.earlier import proposal_of
from cupel.pipeline import begin_worker, demand_disk, question, search
from cupel.problem import Problem, demand_memory_for, read, understand
from cupel.run import Run
from cupel.serving import Predictor

Array = NDArray[Any]
PACK = ("better", "always", "never")
FEWEST_ROWS = 30
"""With fewer rows that are new to the old model, a comparison on them alone says nothing."""
N_NAMED = 8
AGAIN = "the same `cupel refit`"
STOPPED = "stopping, unless all is trained; what was finished is kept"


@dataclass(frozen=True, kw_only=True, eq=False)
class Refit:
    """What became of a refit.

    `starts` says of each candidate whether it began "warm" or "cold". `run` is the new run, None where nothing was packed.
    """

    comparison: verdict.Comparison
    starts: Mapping[str, str]
    folder: Path
    run: Run | None

    @property
    def words(self) -> str:
        """Scores before and after on the same rows, and what each candidate began from."""
        begun = ", ".join(f"{name} {start}" for name, start in self.starts.items())
        return f"{self.comparison.words}\ntrained  {begun}"


@dataclass(frozen=True, kw_only=True, eq=False)
class _Judged:
    """The rows on which both are judged, and which these are, in words.

    `before` is what models of the old run say of them, one set of models for each array. Rows that differ in `parts` (rows, ways)
    were judged by different models on one side or the other.
    """

    rows: Array
    before: tuple[Array, ...]
    parts: Array
    words: str


@dataclass(frozen=True, kw_only=True, eq=False)
class _Plan:
    """What is trained and how it is judged; `weights` are, by candidate and unit, what training starts from."""

    problem: Problem
    judged: _Judged
    proposals: tuple[tuning.Proposal, ...]
    weights: Mapping[str, Sequence[Mapping[str, Array]]]
    origin: Mapping[str, Any]

    def start(self, candidate: Candidate, fold: Fold) -> Mapping[str, Array]:
        """The weights that a unit starts from; the units of the run take turns where the folds differ in number."""
        units = self.weights.get(candidate.key)
        return units[fold.index % len(units)] if units else {}


def refit(
    run: str | Path,
    source: Any,
    *,
    warm: bool = False,
    out: str | Path | None = None,
    pack: str = "better",
    limits: Limits | None = None,
    progress: Observer | str = "auto",
) -> Refit:
    """Train what the run in the folder `run` packed on the data of `source`: the same candidates, no search.

    The new models are judged by cross-validation, and compared with the old ones on the same rows: those that these had not
    learned from, or, where they are fewer than 30, all, by the old out-of-fold predictions. On either side the models of one fold
    speak of a row, not their mean, and ranks are compared among rows of the same models. `warm`
    starts networks from the weights of the run; they are then judged by rows alone that those had not seen. `out` is the folder
    of the new run, by default the old one's name with "-refit". `pack` says when it gets a `model.cupel`: "better" (the
    default), "always" or "never". `refit.json` in it has the comparison. `limits` are on time, memory, disk and cores,
    and say whether backbones of the run may be downloaded.
    `progress` is as in `cupel.fit`.

    Raises:
        DataError: there is no finished run, or the data have other columns or classes; names them.
        UsageError: an argument is none of those named, a warm start leaves no rows to judge it by, or the packed model was
            fitted on all rows of a table larger than memory.
        NoModelError: no candidate could be trained; the leaderboard says why.
        InterruptedRunError: Ctrl-C, SIGTERM or a limit ended it before all were trained: some of them compared would say nothing.
        StorageError: the folder of the new run cannot be written any more; likewise.
    """
    if pack not in PACK:
        raise UsageError(f"pack is {pack!r}; expected one of {', '.join(PACK)}.")
    stopwatch, folder, limits = Stopwatch(), Path(run), (limits or Limits()).for_time(None)
    observer = observer_of(progress, memory_bytes=limits.memory_bytes)
    target_folder = Path(out) if out is not None else folder.with_name(f"{folder.name}-refit")
    if target_folder.resolve() == folder.resolve():
        raise UsageError(f"out is {str(out)!r}, the folder of the run itself; name another.")
    budget, deadline = Budget(Effort.STANDARD, limits.seconds), Deadline(limits.seconds, began=limits.began)
    begin_worker(observer, limits)
    with machine.held_to(limits.cores), closing(observer):
        plan = _planned(folder, source, warm=warm, limits=limits, observer=observer, stopwatch=stopwatch)
        asked = question(plan.problem, source, budget=budget, limits=limits)
        demand_disk(plan.problem, target_folder, limits=limits)
        with (
            execution.RunFolder(target_folder, most_bytes=limits.disk_bytes) as opened,
            execution.Interruption(observer.message, then=STOPPED) as interruption,
            closing(execution.Chronicle(observer, opened.journal, stopwatch=stopwatch)) as told,
        ):
            opened.settle_question({**asked, "refit": plan.origin})
            guard = execution.Guard(target_folder, limits, is_interrupted=lambda: interruption.is_asked, again=AGAIN)
            trials = _trained(plan, opened, guard, budget=budget, deadline=deadline, observer=told, stopwatch=stopwatch)
            usable = usable_of(trials, opened)
            comparison = _compared(plan, usable)
            write_json(opened.path / "refit.json", {**plan.origin, **comparison.to_json()})
            finished = None
            if pack == "always" or (pack == "better" and comparison.is_better):
                finished = conclude(plan.problem, opened, trials, deadline=deadline, observer=told, stopwatch=stopwatch)
        starts = {trial.candidate.name: "warm" if trial.candidate.key in plan.weights else "cold" for trial in usable}
        return Refit(comparison=comparison, starts=starts, folder=target_folder, run=finished)


def _trained(
    plan: _Plan,
    folder: execution.RunFolder,
    guard: execution.Guard,
    *,
    budget: Budget,
    deadline: Deadline,
    observer: Observer,
    stopwatch: Stopwatch,
) -> list[Trial]:
    """All candidates.

    Raises:
        InterruptedRunError: it was ended before.
    """
    tried = search(
        plan.problem,
        folder,
        tuning.Given(plan.proposals),
        budget=budget,
        deadline=deadline,
        observer=observer,
        stopwatch=stopwatch,
        start=plan.start,
        guard=guard,
    )
    trials = [each.trial for each in tried]
    reason = guard.reason_to_end()
    if reason and any(trial.status is Status.SKIPPED for trial in trials):
        raise InterruptedRunError(
            f"it ended before all of {len(plan.proposals)} candidates were trained, and nothing was compared or packed: "
            f"{reason}. What was finished is kept in {folder.path}."
        )
    return trials


def _planned(folder: Path, source: Any, *, warm: bool, limits: Limits, observer: Observer, stopwatch: Stopwatch) -> _Plan:
    """Everything that can be refused, before anything is trained or written."""
    asked, kept = execution.read_run(folder), execution.read_pick(folder)
    _demand_known_rows(folder)
    old = Predictor.load(folder / "model.cupel")
    demand_memory_for(source, limits, why="is read whole by a refit (cupel fit draws some, and fits the best on all)")
    settings = _settings(Settings.from_plain(asked["settings"], allow_network=limits.allow_network), old, source)
    settings, told = _without_strange_rows(settings, old.task.target, source)
    problem = understand(source, old.task.target, settings=settings, observer=observer, stopwatch=stopwatch, limits=limits)
    problem = replace(problem, findings=(*told, *problem.findings))
    _demand_same_question(problem, old)
    hashes = data.row_hashes(problem.dataset)
    seen = data.seen_before(hashes, kept.hashes)
    if warm:
        problem = replace(problem, splits=_judged_by_new_rows(problem, seen))
    members = [proposal_of(problem, member.candidate) for member in kept.members]
    return _Plan(
        problem=problem,
        judged=_judged(problem, _OldModels(folder, old, kept), hashes=hashes, seen=seen),
        proposals=_with_constant(problem, members),
        weights=_weights(folder, kept, members) if warm else {},
        origin={
            "run": str(folder),
            "pick": kept.name,
            "warm": warm,
            "keys": [member.candidate.key for member in members],
            "models": hashlib.sha256("/".join(key for member in kept.members for key in member.units).encode()).hexdigest()[:16],
        },
    )


def _demand_known_rows(folder: Path) -> None:
    """Raises:
    UsageError: what was packed learned from more rows than are kept, so that none is certainly new to it.
    """  # fmt: skip
    promises = Run.open(folder).facts.get("promises")
    rows = promises.get("rows") if isinstance(promises, dict) else None
    if isinstance(rows, dict) and rows.get("is_packed"):
        raise UsageError(
            f"what {folder} packed was fitted on all rows of a table larger than memory, and which rows those were is not kept: "
            f"none could judge it honestly. Ask anew with `cupel fit`."
        )


def _settings(asked: Settings, old: Predictor, source: Any) -> Settings:
    """The run's own settings, with everything fixed that it inferred, so that the new data are read as the old were.

    Raises:
        DataError: the columns differ; names them.
    """
    schema, task = old.schema, old.task
    drop = tuple(dict.fromkeys((*asked.drop, *data.FixPlan.of(asked.fixes).drop)))  # what of it is there
    asked = replace(asked, drop=drop, fixes=data.part_of_plan(asked.fixes, without=[FixKind.DROP_COLUMN]))
    table = data.read_table(source, query=asked.query, sheet=asked.sheet, readers=registry.readers())
    names = list(table.columns)
    _demand_same_columns(schema, names, target=task.target, dropped=asked.drop)
    constants = [column.name for column in schema.columns if column.kind is ColumnKind.CONSTANT and column.name in names]
    dropped = (*(name for name in asked.drop if name in names), *constants)
    kinds = {
        column.name: column.kind.value
        for column in schema.columns
        if column.name in names and column.name not in (task.target, *dropped)
    }
    return replace(
        asked,
        task=task.kind.value,
        metric=task.metric,
        positive=task.classes[-1] if task.kind is TaskKind.BINARY else None,
        kinds=kinds,
        drop=dropped,
        racing=False,
        nested=0,
        sample=None,
    )


def _without_strange_rows(settings: Settings, target: str, source: Any) -> tuple[Settings, tuple[Finding, ...]]:
    """The settings without what their fix plan says of single rows, and that told, unless it was written for these data."""
    plan = data.FixPlan.of(settings.fixes)
    if not plan.n_rows:
        return settings, ()
    kinds = [FixKind.LEAVE_OUT_ROWS, FixKind.RELABEL_ROWS]
    others = replace(settings, fixes=data.part_of_plan(settings.fixes, without=kinds))
    if data.data_key(read(source, target, settings=others)) == plan.data_key:
        return settings, ()
    told = Finding(
        code="fixes-of-other-rows",
        severity=Severity.WARNING,
        where="rows",
        what=f"The run's fix plan left out or relabelled {plan.n_rows:,} row{'s' if plan.n_rows != 1 else ''} by number, and was "
        "written for other data than these.",
        action="Here all rows train as they come; what the plan says of columns and cells is done. If such rows are among these, "
        "mend the file.",
    )
    return others, (told,)


def _demand_same_columns(schema: Schema, names: Sequence[str], *, target: str, dropped: Sequence[str]) -> None:
    roles = [name for name in (target, schema.group, schema.time) if name is not None]
    needed = [*(column.name for column in schema.features), *roles]
    missing = [name for name in dict.fromkeys(needed) if name not in names]
    added = [name for name in names if name not in schema and name not in (*dropped, target)]
    if missing or added:
        faults = [f"without {_listed(missing)}" if missing else "", f"with {_listed(added)} more" if added else ""]
        raise DataError(
            f"the data have other columns than the run: {' and '.join(filter(None, faults))}. A refit answers the same question; "
            f"give the same columns, or ask anew with `cupel fit`."
        )


def _demand_same_question(problem: Problem, old: Predictor) -> None:
    """Raises:
    DataError: classes, or the kinds of columns that models read, are not those of the run; names what differs.
    """  # fmt: skip
    new, known = problem.task.classes, old.task.classes
    if new != known:
        faults = [
            ("new", [name for name in new if name not in known]),
            ("not there", [name for name in known if name not in new]),
        ]
        shown = "; ".join(f"{what}: {_listed(which)}" for what, which in faults if which) or "in another order"
        raise DataError(
            f"the data have other classes than the run ({shown}). A refit answers the same question; ask anew with `cupel fit`."
        )
    if problem.task.grid != old.task.grid:
        sides = [" x ".join(map(str, reversed(task.grid))) for task in (problem.task, old.task)]
        raise DataError(f"masks would be learned at {sides[0]} pixels, in the run at {sides[1]}; ask anew with `cupel fit`.")
    read, reads = ({(graph.kind, name) for graph in inputs for name in graph.columns} for inputs in (problem.inputs, old.inputs))
    if read != reads:
        shown = _listed(sorted({name for _, name in read ^ reads}))
        raise DataError(f"the columns {shown} are of another kind than they were in the run; ask anew with `cupel fit`.")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else ""
    return ", ".join(map(repr, names[:N_NAMED])) + more


def _judged_by_new_rows(problem: Problem, seen: Array) -> Splits:
    """The folds, judged by rows alone that the run had not seen: weights that it left behind know the others.

    Raises:
        UsageError: too few rows are left.
    """
    splits = problem.splits
    n_new = int((~seen[splits.covered]).sum())
    if not _is_enough(problem, splits.covered[~seen[splits.covered]]):
        raise UsageError(
            f"only {n_new:,} of {problem.dataset.n_samples:,} rows are new to the run, too few to judge a warm start by: its "
            f"weights have seen the others. Start cold, or give more new rows."
        )
    new = [replace(fold, valid=fold.valid[~seen[fold.valid]]) for fold in splits.folds]
    folds = tuple(replace(fold, index=index) for index, fold in enumerate(fold for fold in new if len(fold.valid)))
    key = hashlib.sha256(splits.key.encode() + np.packbits(seen).tobytes()).hexdigest()[:16]
    return replace(splits, folds=folds, key=key)


def _judged(problem: Problem, old: _OldModels, *, hashes: Array, seen: Array) -> _Judged:
    """The rows for the comparison.

    Raises:
        DataError: too few rows could judge both.
    """
    covered, parts, kept = problem.splits.covered, problem.splits.parts, old.kept
    fresh = covered[~seen[covered]]
    apart = old.said_apart(problem, fresh)
    said = apart or (old.said_together(problem, fresh),)
    if _is_enough(problem, fresh):
        how = ", each by the models of one fold" if apart else "; the old by the mean of its models, which favours it"
        return _Judged(rows=fresh, before=said, parts=parts[fresh], words=f"those that the old model had not learned from{how}")
    places = data.places_in(hashes, kept.hashes)
    before = np.full((problem.dataset.n_samples, problem.task.n_judged), np.nan)
    known = np.flatnonzero(places >= 0)
    before[known] = kept.out_of_fold[places[known]]
    taken = np.arange(len(fresh)) % len(said)
    before[fresh] = np.stack(said)[taken, np.arange(len(fresh))]
    rows = covered[np.isfinite(before[covered]).all(axis=1)]
    if not _is_enough(problem, rows):
        raise DataError(f"only {len(rows):,} rows could judge both the old and the new model, too few; give more rows.")
    of_old = old.judges
    judges = np.full((problem.dataset.n_samples, of_old.shape[1]), -1)
    judges[known] = of_old[places[known]]
    judges[fresh] = -2 - taken[:, None]
    both = _numbered_together(parts[rows], judges[rows])
    return _Judged(rows=rows, before=(before[rows],), parts=both, words="each by models of folds that had not seen it")


def _numbered_together(parts: Array, judges: Array) -> Array:
    """Parts (rows, ways) divided further where other models judged rows before; -1 stays."""
    ways = []
    for number, way in enumerate(parts.T):
        pairs = np.stack([way, judges[:, min(number, judges.shape[1] - 1)]])
        ways.append(np.where(way < 0, -1, np.unique(pairs, axis=1, return_inverse=True)[1].ravel()))
    return np.stack(ways, axis=1)


@dataclass(frozen=True, eq=False)
class _OldModels:
    """What the run packed, and the models of its folds."""

    folder: Path
    packed: Predictor
    kept: execution.KeptPick

    def said_together(self, problem: Problem, rows: Array) -> Array:
        """What is packed, the mean of the models of all folds, says of these rows."""
        return masks.judged_predictions(problem.task, self.packed.run(feeds_of(problem.dataset, rows, self.packed.inputs)))

    def said_apart(self, problem: Problem, rows: Array) -> tuple[Array, ...]:
        """What models of each fold alone say of rows that none has seen, combined as they are packed.

        As many models speak together as judge each row of the new run: one, or one for each way of dividing. Nothing where models
        or rule are gone, or are of masks, or where there are no rows.
        """
        rule, store = execution.read_rule(self.folder), execution.UnitStore(self.folder / "units")
        n_units = min(len(member.units) for member in self.kept.members)
        if (
            not len(rows)
            or rule is None
            or problem.task.grid
            or any(store.load(key) is None for m in self.kept.members for key in m.units)
        ):
            return ()
        declared = {given.name: given for given in (*problem.inputs, *self.packed.inputs)}  # of one name, as the run read it
        feeds = feeds_of(problem.dataset, rows, tuple(declared.values()))
        own = [[packing.run(packing.session(store.model(key)), feeds) for key in m.units[:n_units]] for m in self.kept.members]
        n_ways, session = min(problem.splits.parts.shape[1], n_units), packing.session(rule)
        n_sets = n_units // n_ways
        sets = [[np.mean(each[number::n_sets][:n_ways], axis=0) for each in own] for number in range(n_sets)]
        return tuple(packing.run(session, {f"member-{n}": said for n, said in enumerate(one)}) for one in sets)

    @property
    def judges(self) -> Array:
        """The fold whose models judged each row of the old run, shape (rows, ways); -1 where that is not known."""
        store, found = execution.UnitStore(self.folder / "units"), np.full((len(self.kept.hashes), 1), -1)
        for number, key in enumerate(self.kept.members[0].units):
            unit = store.load(key)
            if unit is None or unit.rows.max(initial=-1) >= len(found):
                return np.full((len(found), 1), -1)
            if (found[unit.rows, -1] >= 0).any():
                found = np.column_stack([found, np.full(len(found), -1)])
            found[unit.rows, -1] = number
        return found


def _is_enough(problem: Problem, rows: Array) -> bool:
    """Whether the rows can judge a model: there are some, of two classes at least; an unknown label is none."""
    target = problem.target[rows]
    return len(rows) >= FEWEST_ROWS and len(np.unique(target[np.isfinite(target)])) > 1


def _with_constant(problem: Problem, members: Sequence[tuning.Proposal]) -> tuple[tuning.Proposal, ...]:
    """The members of what was packed, after the constant, against which everything is measured."""
    constant = next(family for family in problem.families if family.is_baseline)
    if any(member.family.name == constant.name for member in members):
        return tuple(members)
    candidate = tuning.Namer(problem.modality.name).candidate(constant, constant.portfolio(problem.task)[0])
    assert candidate is not None, "the first of a family is new"
    return (tuning.Proposal(candidate=candidate, family=constant), *members)


def _weights(folder: Path, kept: execution.KeptPick, members: Sequence[tuning.Proposal]) -> dict[str, list[Mapping[str, Array]]]:
    """The weights of each unit of those members that have any, by the key of the candidate."""
    store = execution.UnitStore(folder / "units")
    found: dict[str, list[Mapping[str, Array]]] = {}
    for member, proposal in zip(kept.members, members, strict=True):
        weights: list[Mapping[str, Array]] = [store.weights(key) for key in member.units]
        if weights and all(weights):
            found[proposal.candidate.key] = weights
    return found


def _compared(plan: _Plan, usable: Sequence[Trial]) -> verdict.Comparison:
    problem, judged = plan.problem, plan.judged
    units = problem.splits.units
    return verdict.compare(
        evaluation.metric_named(problem.task.metric, problem.task).within(judged.parts),
        problem.target[judged.rows],
        before=judged.before,
        after=predictions_of_leader(problem, usable)[judged.rows],
        rows=judged.words,
        groups=None if units is None else units[judged.rows],
        seed=problem.settings.seed,
    )
