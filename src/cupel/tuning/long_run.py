"""One long run instead of a search, where time is short: a look or two say of what, and the rest of the time is its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cupel.core.family import Family
from cupel.tuning.proposal import Proposal, Strategy, Tried
from cupel.tuning.racing import Racing
from cupel.tuning.strategies import LONGER

N_LOOKS = 2
SHARE_OF_A_LOOK = 0.08
"""Of the whole time, for each of the first presets."""
SHORT_SHARE = 1 / 3
"""Time is short where the largest that a long run may train needs more of it than this."""
LEAST_SHARE = 0.45
"""The largest is trained for which the time left is this share of what it needs, else the last. It is longer than there is time
for, so that its schedule follows the clock, and no time is left over."""


@dataclass(frozen=True, kw_only=True)
class LongRun:
    """Decides which presets of a family are looked at, and what then gets the rest of the time.

    `whole` is all the time for candidates. What `is_begun`, by an earlier process of the run, is gone on with, however little
    time there is now. For one division of the rows: of several, each would get a part of the time.
    """

    family: Family
    strategy: Strategy
    cost: Callable[[Proposal], float]
    whole: float
    racing: Racing | None = None
    is_begun: Callable[[Proposal], bool] = lambda _: False

    @classmethod
    def of(
        cls,
        strategy: Strategy,
        *,
        cost: Callable[[Proposal], float],
        whole: float,
        racing: Racing | None = None,
        is_begun: Callable[[Proposal], bool] = lambda _: False,
    ) -> LongRun | None:
        """Of the first that is planned and has `longer` models; None where there is none, or there is time for a search."""
        first = next((each for each in strategy.planned if each.family.longer is not None), None)
        larger = [] if first is None or math.isinf(whole) else strategy.longer(first)
        if first is None or not larger or cost(larger[0]) <= SHORT_SHARE * whole:
            return None
        return cls(family=first.family, strategy=strategy, cost=cost, whole=whole, racing=racing, is_begun=is_begun)

    def next(self, waiting: list[Proposal], tried: Sequence[Tried], *, left: float) -> tuple[Proposal, float] | None:
        """What is next and the seconds that it may take; None once the run is over. What stood in `waiting` is taken out."""
        own = [each for each in tried if each.proposal.family.name == self.family.name]
        look = next((each for each in waiting if each.family.name == self.family.name), None)
        if look is not None and len(own) < N_LOOKS:
            waiting.remove(look)
            return look, SHARE_OF_A_LOOK * self.whole
        looks = [each for each in own[:N_LOOKS] if each.trial.is_usable]
        if not looks or any(each.proposal.candidate.name.endswith(LONGER) for each in own):
            return None
        larger = self.strategy.longer(self._better(looks).proposal)
        return self._largest(larger, left=left), left

    @property
    def looked_at(self) -> list[Proposal]:
        """The first that are planned of the family."""
        return [each for each in self.strategy.planned if each.family.name == self.family.name][:N_LOOKS]

    def foreseen(self) -> tuple[Proposal, float]:
        """What would then be trained if the first look won, and the seconds that would be left for it, baselines aside."""
        left = (1 - N_LOOKS * SHARE_OF_A_LOOK) * self.whole
        return self._largest(self.strategy.longer(self.looked_at[0]), left=left), left

    def _largest(self, larger: Sequence[Proposal], *, left: float) -> Proposal:
        affordable = next((each for each in larger if LEAST_SHARE * self.cost(each) <= left), larger[-1])
        return next((each for each in larger if self.is_begun(each)), affordable)

    def _better(self, looks: Sequence[Tried]) -> Tried:
        """The second, unless it is clearly worse: what regularises more is slower at first, and gains in the end."""
        first, last = looks[0], looks[-1]
        if self.racing is None:
            return last if (last.score or 0.0) >= (first.score or 0.0) else first
        return first if self.racing.chance_of_being_worse(last.trial, first.trial)[0] >= self.racing.clearly else last
