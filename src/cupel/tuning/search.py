"""The loop that spends the budget: propose, race, run, learn, until the strategy or the time is at its end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from cupel.core.budget import Deadline
from cupel.core.observer import Observer
from cupel.core.trial import Status, Trial
from cupel.tuning.estimate import TimeModel
from cupel.tuning.lanes import Lanes
from cupel.tuning.long_run import LongRun
from cupel.tuning.proposal import Proposal, Strategy, Tried
from cupel.tuning.racing import Racing
from cupel.tuning.turns import Turns

HOPELESS_SHARE = 0.02
"""Of what the first deep candidate needs: with less nothing of it is begun. A thousand photographs of 64 × 64 pixels were learned
better with 4% of it than by anything else, and another 4 points better together with a linear model (docs/log.md)."""
FIRST_FOLD_SHARE = 1.5
"""Of its equal share of the time that is left: a first fold that takes longer than expected leaves most to the others."""
MOST_WITHOUT_TIME = 3
"""So many that came to nothing are tried however late it is, since there should be a model; where all fail, so would the rest."""
MAX_SKIPPED_IN_A_ROW = 40
"""So many proposals in a row that do not fit into the time or memory left end the search."""


class RunTrial(Protocol):
    """Trains a candidate on the first `n_folds` folds (None: all) with a share of their training rows."""

    def __call__(
        self, proposal: Proposal, *, n_folds: int | None, deadline: Deadline, progress: Callable[[float], None]
    ) -> Trial:
        """The trial; of fewer folds than all it has predictions for their rows alone."""
        ...


@dataclass(frozen=True, kw_only=True)
class Search:
    """What the loop needs beside the strategy.

    `score` judges predictions, of all rows or some (larger is better), `show` writes such a score out for people, and `sure`
    the interval of the best so far; `log` keeps what was decided. Without `racing` every candidate gets all folds. What is
    estimated to need more than `memory_bytes` is skipped. `to_conclude` is how many seconds of the time must be left after
    these trials. `fills_time` says that the time, not a number of candidates, ends the search. `reason_to_end` says why it
    should end at once, and what to do about it, "" where it should not. `is_kept` says whether so many folds of a proposal need
    no training, since an earlier process of the run has trained them: no want of time or memory keeps such a one from its turn.
    `is_left` says so of all folds and of training that had been cut short: better than nothing where there is no time for it.
    `is_begun` says whether an earlier process has begun to train it. `kept_before` are all that are left, those among them that
    the strategy drew when it knew other things. Of `n_lanes` candidates that are trained at once each has its share of the
    machine; who is next then depends on who ends first. `call_off` ends all of them, where something else than a candidate fails.
    `clock` tells what a candidate took.
    """

    run: RunTrial
    score: Callable[[Trial], float]
    show: Callable[[float], str]
    sure: Callable[[Trial], str]
    n_folds: int
    time_model: TimeModel
    observer: Observer
    racing: Racing | None = None
    log: Callable[..., None] = lambda *_, **__: None
    memory_bytes: float = math.inf
    to_conclude: Callable[[Sequence[Trial]], float] = lambda _: 0.0
    fills_time: bool = False
    reason_to_end: Callable[[], str] = lambda: ""
    is_kept: Callable[[Proposal, int | None], bool] = lambda *_: False
    is_left: Callable[[Proposal], bool] = lambda _: False
    is_begun: Callable[[Proposal], bool] = lambda _: False
    kept_before: Callable[[], Sequence[Proposal]] = lambda: ()
    n_lanes: int = 1
    call_off: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.monotonic


@dataclass(eq=False)
class _State:
    """What has been tried so far."""

    tried: list[Tried] = field(default_factory=list)
    best: Tried | None = None
    best_shown: str = ""
    n_begun: int = 0
    n_skipped: int = 0

    @property
    def trials(self) -> list[Trial]:
        return [each.trial for each in self.tried]

    def add(self, tried: Tried) -> None:
        self.tried.append(tried)
        self.n_skipped = self.n_skipped + 1 if tried.trial.status is Status.SKIPPED else 0
        if tried.trial.is_usable and _score(tried) > _score(self.best):
            self.best = tried


def _score(tried: Tried | None) -> float:
    return -math.inf if tried is None or tried.score is None else tried.score


def search(strategy: Strategy, *, setup: Search, deadline: Deadline) -> list[Tried]:
    """Everything that was tried, in the order in which it was tried, failed and skipped trials among it.

    `deadline` is that of the whole run. First what the strategy plans, in its order but for what is too dear for the time there
    is, then what it proposes. The first baseline is run even when time is up already: there is always a model. What is kept of an
    earlier process is taken up however little time there is.
    """
    state, waiting, end = _State(), list(strategy.planned), deadline
    whole = max(end.remaining - setup.to_conclude([]), 0.0)
    cost, is_undivided = partial(_cost, setup), setup.fills_time and setup.n_folds == 1
    estimate = partial(_estimate, setup)
    long_run = (
        LongRun.of(strategy, cost=estimate, whole=whole, racing=setup.racing, is_begun=setup.is_begun) if is_undivided else None
    )
    turns = Turns(strategy=strategy, cost=cost, whole=whole, fills_time=setup.fills_time, long_run=long_run)
    with Lanes(setup.n_lanes, call_off=setup.call_off) as lanes:
        while True:
            deadline = end.minus(setup.to_conclude(state.trials))
            proposal, seconds, why = _next(setup, turns, waiting, state, deadline, at_work=lanes.at_work)
            if proposal is not None:
                turn = _Turn(deadline=deadline.within(seconds), is_limited=math.isfinite(seconds))
                _tell_turn(setup, proposal, state, [*lanes.at_work, proposal, *waiting], left=deadline.remaining)
                lanes.begin(proposal, partial(_timed, setup, proposal, state, turn))
            elif not lanes.at_work:
                break
            if proposal is None or lanes.are_full:  # what comes of it may be what is waited for
                tried = lanes.first_ended()
                state.add(tried)
                _show_end(setup, tried, state)
    if why:
        n_done = len(state.tried)
        state.tried += [_not_reached(planned, why, seconds=_estimate(setup, planned)) for planned in waiting]
        setup.observer.message(f"the search ended after {n_done} candidates: {why}")
    return state.tried


def _tell_turn(setup: Search, proposal: Proposal, state: _State, known: Sequence[Proposal], *, left: float) -> None:
    """Say whose turn it is, and what is left: of all that is known, side by side, and never more than the time."""
    state.n_begun += 1
    number, total = state.n_begun, len(state.tried) + len(known)
    seconds = min(sum(_cost(setup, each) for each in known) / setup.n_lanes, max(left, 0.0))
    name = proposal.candidate.name
    setup.observer.trial_started(name, number=number, total=total, seconds_left=seconds, time_left=max(left, 0.0))
    setup.log("turn", of=name, number=number, total=total, seconds_left=seconds)


def _next(
    setup: Search, turns: Turns, waiting: list[Proposal], state: _State, deadline: Deadline, *, at_work: Sequence[Proposal]
) -> tuple[Proposal | None, float, str]:
    """What is next and the seconds that it may take; else why the search is over before all is tried, "" where all is."""
    if why := setup.reason_to_end():
        return None, 0.0, why
    why = _reason_to_end(state, deadline)
    if not why:
        running = [_at_work(setup, each) for each in at_work]
        return *turns.next(waiting, state.tried, left=deadline.remaining, running=running), ""
    kept = next((place for place, each in enumerate(waiting) if _is_kept(setup, each) or _is_left(setup, each)), None)
    if kept is not None:
        return waiting.pop(kept), math.inf, ""
    drawn = _drawn_before(setup, state, at_work)
    return (None, 0.0, why) if drawn is None else (drawn, math.inf, "")


def _at_work(setup: Search, proposal: Proposal) -> Tried:
    """What is known of a candidate that has begun: what it is expected to take."""
    seconds = _estimate(setup, proposal)
    trial = _ended(proposal, Status.CUT_SHORT, "at work")
    return Tried(proposal=proposal, trial=trial, score=None, estimated=seconds, seconds=seconds)


def _drawn_before(setup: Search, state: _State, at_work: Sequence[Proposal]) -> Proposal | None:
    """The next of what an earlier process drew and trained, and this one did not come to; by a name that is its own."""
    tried = [one for each in state.tried for one in (each.proposal.candidate, each.trial.candidate)]  # some in smaller batches
    tried += [each.candidate for each in at_work]
    keys, names = {one.key for one in tried}, {one.name for one in tried}
    kept = next((each for each in setup.kept_before() if each.candidate.key not in keys), None)
    if kept is None or kept.candidate.name not in names:
        return kept
    return replace(kept, candidate=replace(kept.candidate, name=f"{kept.candidate.name} of {kept.candidate.key[:6]}"))


def _reason_to_end(state: _State, deadline: Deadline) -> str:
    """Why a search that nothing outside of it ends is over before all is tried, and what to do about it; "" where it is not."""
    n_begun = sum(trial.status is not Status.SKIPPED for trial in state.trials)
    if deadline.passed and (state.best is not None or n_begun >= MOST_WITHOUT_TIME):
        return "time is up; give the run more time with --time"
    if state.n_skipped >= MAX_SKIPPED_IN_A_ROW:
        return f"{state.n_skipped} in a row were skipped, the last since {state.trials[-1].reason.rstrip('.')}"
    return ""


def _show_end(setup: Search, tried: Tried, state: _State) -> None:
    """What is told of a candidate that ended, and of the best so far; `cupel status` reads it in the journal."""
    trial, best = tried.trial, state.best
    shown = "" if tried.score is None else setup.show(tried.score)
    if trial.status is Status.SKIPPED:
        setup.log("skipped", candidate=trial.candidate.name, reason=trial.reason, estimated=trial.estimated_seconds)
    elif best is tried:
        interval = setup.sure(trial)
        state.best_shown = f"{shown} ({interval})"
        setup.log("best", of=trial.candidate.name, score=shown, interval=interval)
    name = best.trial.candidate.name if best else ""
    setup.observer.trial_finished(trial, score=shown, best=name, best_score=state.best_shown)


def estimates_in_words(tried: Sequence[Tried]) -> str:
    """How the estimates compare with what candidates took; "" where fewer than two of a second or more were trained."""
    timed = [each for each in tried if each.seconds >= 1 and each.estimated > 0]
    if len(timed) < 2:
        return ""
    estimated, took = sum(each.estimated for each in timed), sum(each.seconds for each in timed)
    off = sorted(max(each.seconds / each.estimated, each.estimated / each.seconds) for each in timed)
    return (
        f"{len(timed)} candidates were estimated at {estimated:.0f} s in all and took {took:.0f} s; "
        f"half of the estimates were right within a factor of {off[len(off) // 2]:.1f}"
    )


@dataclass(frozen=True, kw_only=True)
class _Turn:
    """The time that a candidate may take; a limit of its own was found to be worth its while, however much it needs."""

    deadline: Deadline
    is_limited: bool


def _timed(setup: Search, proposal: Proposal, state: _State, turn: _Turn) -> Tried:
    estimated, has_a_fold, started = _estimate(setup, proposal), setup.is_kept(proposal, 1), setup.clock()
    tried = _try(setup, proposal, state, turn)
    if tried.trial.status in (Status.SKIPPED, Status.FAILED):
        lost = max(tried.trial.lost_seconds, setup.clock() - started) if tried.trial.status is Status.FAILED else 0.0
        return replace(tried, trial=replace(tried.trial, lost_seconds=lost, estimated_seconds=estimated))
    elapsed = setup.clock() - started
    # Folds that train at the same time count their own seconds each, which is more than the clock's; but what was kept took none.
    seconds = max(tried.trial.fit_seconds, elapsed) if has_a_fold else elapsed
    if tried.trial.status is Status.DROPPED:
        estimated /= setup.n_folds
    elif tried.trial.status in (Status.DONE, Status.CUT_SHORT) and not proposal.is_screening:
        setup.time_model.learn(tried.trial, proposal.family, seconds=seconds)
    setup.log("timed", candidate=proposal.candidate.name, estimated=estimated, seconds=seconds)
    return replace(tried, trial=replace(tried.trial, estimated_seconds=estimated), estimated=estimated, seconds=seconds)


def _try(setup: Search, proposal: Proposal, state: _State, turn: _Turn) -> Tried:
    if fault := setup.time_model.fault(proposal.candidate, proposal.family):
        return Tried(proposal=proposal, trial=_ended(proposal, Status.FAILED, fault), score=None)
    family, is_kept = proposal.family, _is_kept(setup, proposal)
    until = turn.deadline if any(trial.is_usable for trial in state.trials) or not family.is_baseline else Deadline()
    reason = None if is_kept else _reason_to_skip(setup, proposal, trials=state.trials, turn=turn)
    if proposal.is_screening and not reason:
        return _screened(setup, proposal, until)
    # Whoever has its first fold races at no cost: what an earlier process has dropped stays so, however short the time.
    is_to_race = setup.is_kept(proposal, 1) or (not reason and _estimate(setup, proposal) <= until.remaining)
    racing = _racing(setup, proposal, state) if is_to_race and not is_kept and not proposal.is_screening else None
    dropped = None if racing is None else _raced_out(setup, proposal, racing, until)
    if dropped is not None:
        return dropped
    if not is_kept and (reason or _estimate(setup, proposal) > until.remaining) and _is_left(setup, proposal):
        reason, until = None, Deadline(0.0)  # training it again in less time would leave less of it
    if reason:
        return Tried(proposal=proposal, trial=_ended(proposal, Status.SKIPPED, reason), score=None)
    begun = 0.0 if racing is None else 1 / setup.n_folds
    trial = setup.run(proposal, n_folds=None, deadline=until, progress=_between(setup, proposal, begun, 1.0))
    return Tried(proposal=proposal, trial=trial, score=setup.score(trial) if trial.is_usable else None)


def _screened(setup: Search, proposal: Proposal, deadline: Deadline) -> Tried:
    n_folds = proposal.n_folds
    trial = setup.run(proposal, n_folds=n_folds, deadline=deadline, progress=_between(setup, proposal, 0.0, 1.0))
    if trial.out_of_fold is None:
        return Tried(proposal=proposal, trial=trial, score=None)
    score = setup.score(trial)
    reason = f"a look at what it promises, on {n_folds} of {setup.n_folds} folds: {setup.show(score)}"
    looked = replace(trial, status=Status.SCREENED, out_of_fold=None, reason=reason)
    return Tried(proposal=proposal, trial=looked, score=score)


@dataclass(frozen=True)
class _Race:
    """A candidate's rival."""

    racing: Racing
    best: Trial


def _racing(setup: Search, proposal: Proposal, state: _State) -> _Race | None:
    """Whom the candidate races against; None where it does not. No clock decides it: a second run drops the same.

    (But for what the time left is too short: that hurries through all folds at once, else the first would take all of it.)
    """
    racing, family, best = setup.racing, proposal.family, state.best
    if racing is None or best is None or family.is_baseline:
        return None
    seconds = setup.time_model.uncorrected(proposal.candidate, family).seconds
    if not racing.is_due(state.trials, is_deep=family.is_deep, seconds=seconds, n_folds=setup.n_folds):
        return None
    return _Race(racing, best.trial)


def _raced_out(setup: Search, proposal: Proposal, race: _Race, until: Deadline) -> Tried | None:
    """The candidate dropped after its first fold, or failed there; None where it goes on."""
    until = until.within(until.remaining * min(1.0, FIRST_FOLD_SHARE / setup.n_folds))
    first = setup.run(proposal, n_folds=1, deadline=until, progress=_between(setup, proposal, 0.0, 1 / setup.n_folds))
    if first.out_of_fold is None:
        return Tried(proposal=proposal, trial=first, score=None)
    if first.status is Status.CUT_SHORT:
        return None
    chance, is_dropped = race.racing.chance_of_being_worse(first, race.best)
    name, rival = proposal.candidate.name, race.best.candidate.name
    setup.log("raced", candidate=name, against=rival, worse=chance, dropped=is_dropped)
    if not is_dropped:
        return None
    reason = (
        f"worse than {rival} with probability {chance:.3f} after the first of {setup.n_folds} folds; --no-racing trains it on all"
    )
    return Tried(proposal=proposal, trial=replace(first, status=Status.DROPPED, out_of_fold=None, reason=reason), score=None)


def _between(setup: Search, proposal: Proposal, low: float, high: float) -> Callable[[float], None]:
    return lambda fraction: setup.observer.trial_progress(proposal.candidate.name, low + (high - low) * fraction)


def _is_kept(setup: Search, proposal: Proposal) -> bool:
    return setup.is_kept(proposal, proposal.n_folds)


def _is_left(setup: Search, proposal: Proposal) -> bool:
    return not proposal.is_screening and setup.is_left(proposal)


def _cost(setup: Search, proposal: Proposal) -> float:
    """What it takes from now on."""
    return 0.0 if _is_kept(setup, proposal) else _estimate(setup, proposal)


def _estimate(setup: Search, proposal: Proposal) -> float:
    """What it takes, whoever has done it."""
    share = proposal.share * (proposal.n_folds or setup.n_folds) / setup.n_folds
    return setup.time_model.cost(proposal.candidate, proposal.family).seconds * share


def _reason_to_skip(setup: Search, proposal: Proposal, *, trials: Sequence[Trial], turn: _Turn) -> str | None:
    """Why a candidate is not started: memory or time is too short.

    Something is always tried: the first baseline, whatever its memory and time; the first usable model, whatever its time; and
    one deep one, as long as there is some time for it.
    """
    has_model = any(trial.is_usable for trial in trials)
    has_deep = any(trial.is_usable and trial.is_deep for trial in trials)
    memory_bytes = setup.time_model.cost(proposal.candidate, proposal.family).memory_bytes
    if memory_bytes > setup.memory_bytes and (has_model or not proposal.family.is_baseline):
        fits_alone = memory_bytes <= setup.n_lanes * setup.memory_bytes
        each = f" by each of {setup.n_lanes} trained at once" if setup.n_lanes > 1 else ""
        remedy = "leave columns out with --drop, use fewer --folds, or a machine with more memory"
        return (
            f"it needs about {memory_bytes / 1e9:.1f} GB of memory and {setup.memory_bytes / 1e9:.1f} GB may be taken{each}; "
            f"{'train one at a time with --at-once 1' if fits_alone else remedy}."
        )
    needed = _estimate(setup, proposal)
    is_first_deep = proposal.family.is_deep and not has_deep
    least = HOPELESS_SHARE if is_first_deep else proposal.family.least_share
    left = turn.deadline.remaining
    if has_model and not turn.is_limited and left < least * needed:
        return f"it needs about {needed:.0f} s and {max(left, 0):.0f} s were left; give the run more time with --time."
    return None


def _not_reached(proposal: Proposal, why: str, *, seconds: float) -> Tried:
    trial = _ended(proposal, Status.SKIPPED, f"its turn did not come: {why.rstrip('.')}.")
    return Tried(proposal=proposal, trial=replace(trial, estimated_seconds=seconds), score=None)


def _ended(proposal: Proposal, status: Status, reason: str) -> Trial:
    family = proposal.family
    return Trial(
        candidate=proposal.candidate, is_deep=family.is_deep, is_baseline=family.is_baseline, status=status, reason=reason
    )
