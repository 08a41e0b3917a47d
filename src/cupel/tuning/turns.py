"""Whose turn it is where time is short: what is planned as long as it may teach something new, then who did best."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cupel.core.trial import Status
from cupel.tuning.long_run import LongRun
from cupel.tuning.proposal import Proposal, Prospects, Strategy, Tried
from cupel.tuning.strategies import WORTH_SHARE

LARGEST_SHARE = 1 / 3
"""A planned candidate that needs more than this share of the whole time waits until cheaper ones are done."""
HURRIED_SHARE = 0.4
"""One that can hurry waits only where this share of the whole time would be too little even so; it gets no more."""
DEAR_SHARE = 0.05
"""What needs more of the whole time than this has to deserve it."""
AS_CHEAP = 2.0
"""What needs no more than so many times the cheapest is about as cheap: of those what is planned first is likelier to be good."""
CHEAP_SECONDS = 4.0
"""What needs no more than this never has to, however short the time."""


@dataclass(frozen=True, kw_only=True)
class Turns:
    """Decides what is next.

    `whole` is all the time for candidates and infinite where there is no cap. With `fills_time` all of it is to be used, and
    who gets it depends on what came of earlier ones: a dear second of a family is not run because it is planned, it competes
    with what the strategy would draw; dear first ones of families take turns with those by merit, each half of the time.
    Without, what is planned is run in its order, but for what is too dear for the time there is. A `long_run` comes before all
    but baselines.
    """

    strategy: Strategy
    cost: Callable[[Proposal], float]
    whole: float
    fills_time: bool
    long_run: LongRun | None = None

    def next(
        self, waiting: list[Proposal], tried: Sequence[Tried], *, left: float, running: Sequence[Tried] = ()
    ) -> tuple[Proposal | None, float]:
        """What is next and the seconds that it may take; None where all is done. What stood in `waiting` is taken out.

        `running` are at work beside it, with the seconds that they are expected to take.
        """
        if waiting and (math.isinf(self.whole) or waiting[0].family.is_baseline):
            return waiting.pop(0), math.inf
        if self.long_run is not None and (longest := self.long_run.next(waiting, tried, left=left)) is not None:
            return longest
        found = self._planned(waiting, [*tried, *running], left=left) if self.fills_time else self._in_order(waiting, left=left)
        if found is not None:
            return waiting.pop(found[0]), found[1]
        proposal = self._by_merit(waiting, tried, left=left) if self.fills_time or not waiting else None
        if proposal is None and waiting:
            fitting = (position for position, each in enumerate(waiting) if self.cost(each) <= left)
            return waiting.pop(next(fitting, 0)), math.inf
        return proposal, math.inf

    def _by_merit(self, waiting: list[Proposal], tried: Sequence[Tried], *, left: float) -> Proposal | None:
        """What the strategy makes of what was tried, and of the time there is for more."""
        prospects = Prospects(waiting=tuple(waiting), left=left, cost=self.cost, fills_time=self.fills_time)
        proposal = self.strategy.propose(tried, prospects)
        if proposal is not None and proposal in waiting:
            waiting.remove(proposal)
        return proposal

    def _in_order(self, waiting: Sequence[Proposal], *, left: float) -> tuple[int, float] | None:
        """The first that is within its share of the whole, or that can hurry to be, with the seconds that it may take."""
        for position, proposal in enumerate(waiting):
            cost = self.cost(proposal)
            if cost <= min(LARGEST_SHARE * self.whole, left):
                return position, math.inf
            if proposal.family.hurries and proposal.family.least_share * cost <= min(HURRIED_SHARE * self.whole, left):
                return position, HURRIED_SHARE * self.whole
        return None

    def _planned(self, waiting: Sequence[Proposal], tried: Sequence[Tried], *, left: float) -> tuple[int, float] | None:
        """The first that is cheap, or the first of its family as long as merit had its half of the time.

        Where no deep one was tried yet and none fits, the first of them that is about as cheap as any is next, with what is left.
        """
        seen = {each.proposal.family.name for each in tried if each.trial.status is not Status.SKIPPED}
        has_deep = any(each.proposal.family.is_deep and each.proposal.family.name in seen for each in tried)
        owes_merit = has_deep and self._owes_merit(tried)
        open_to = [
            position
            for position, each in enumerate(waiting)
            if self._is_cheap(each) or (each.family.name not in seen and not owes_merit)
        ]
        fitting = self._in_order([waiting[position] for position in open_to], left=left)
        if fitting is not None:
            return open_to[fitting[0]], fitting[1]
        dear = [position for position in open_to if not self._is_cheap(waiting[position])]
        if not has_deep and (deep := [position for position in dear if waiting[position].family.is_deep]):
            least = min(self.cost(waiting[position]) for position in deep)
            return next(position for position in deep if self.cost(waiting[position]) <= AS_CHEAP * least), math.inf
        most = min(HURRIED_SHARE * self.whole, left)
        return next(((each, most) for each in dear if WORTH_SHARE * self.cost(waiting[each]) <= most), None)

    def _is_cheap(self, proposal: Proposal) -> bool:
        return self.cost(proposal) <= max(DEAR_SHARE * self.whole, CHEAP_SECONDS)

    def _owes_merit(self, tried: Sequence[Tried]) -> bool:
        """Whether first ones of families, after the first deep one, have had more time than what was chosen by merit."""
        first_ones, by_merit, seen, has_deep = 0.0, 0.0, set[str](), False
        for each in tried:
            family = each.proposal.family
            is_dear = each.seconds > DEAR_SHARE * self.whole
            if family.name in seen:
                by_merit += each.seconds if has_deep else 0.0
            elif is_dear and has_deep:
                first_ones += each.seconds
            seen.add(family.name)
            has_deep = has_deep or (family.is_deep and each.seconds > 0)
        return first_ones > by_merit
