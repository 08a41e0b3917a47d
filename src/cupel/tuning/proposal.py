"""What a strategy says and sees: proposals, and what became of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cupel.core.candidate import Candidate
from cupel.core.family import Family
from cupel.core.presets import Preset
from cupel.core.trial import Trial


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposal:
    """A candidate to run: on all folds, or as a screening on the first `n_folds` with `share` of their training rows.

    What is screened is never used; its score says who deserves more.
    """

    candidate: Candidate
    family: Family
    n_folds: int | None = None
    share: float = 1.0

    @property
    def is_screening(self) -> bool:
        """Whether it is less than a full trial."""
        return self.n_folds is not None or self.share < 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Tried:
    """A proposal, its trial, and its score (larger is better; None where it failed, was skipped or raced out).

    `estimated` and `seconds` are what it was expected to take and took; both 0 where nothing was trained.
    """

    proposal: Proposal
    trial: Trial
    score: float | None
    estimated: float = 0.0
    seconds: float = 0.0

    @property
    def preset(self) -> Preset:
        """The preset that was tried."""
        candidate = self.proposal.candidate
        return Preset(config=candidate.config, preparation=candidate.preparation, recipe=candidate.recipe)


@dataclass(frozen=True, kw_only=True, eq=False)
class Prospects:
    """What is known about what may come: planned proposals that still wait, the seconds left, and what a proposal costs.

    Where time is not to be filled (`fills_time`), it is a cap: what fits is proposed whatever it costs.
    """

    waiting: Sequence[Proposal] = ()
    left: float = math.inf
    cost: Callable[[Proposal], float] = lambda _: 0.0
    fills_time: bool = False


class Strategy(Protocol):
    """Decides what to try next from what has been tried: the seam where every search method fits."""

    @property
    def planned(self) -> Sequence[Proposal]:
        """What is tried first whatever comes of it, in order."""
        ...

    def propose(self, tried: Sequence[Tried], prospects: Prospects) -> Proposal | None:
        """The next after what was planned, or None when the search is over.

        Depends on the seed, on `tried`, and where time is capped on the prospects: one that waits may be the next.
        """
        ...

    def longer(self, proposal: Proposal) -> Sequence[Proposal]:
        """What one long run may train instead of what was proposed, the largest first; none where only what is named is tried."""
        ...


@dataclass(eq=False)
class Namer:
    """Makes presets into candidates: numbered by family, none twice."""

    modality: str
    _counts: dict[str, int] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def candidate(self, family: Family, preset: Preset) -> Candidate | None:
        """The preset as a candidate with a name of its own; None where it was named before."""
        number = self._counts.get(family.name, 0) + 1
        candidate = Candidate(
            name=f"{family.name}-{number}",
            modality=self.modality,
            family=family.name,
            config=preset.config,
            preparation=preset.preparation,
            recipe=preset.recipe,
        )
        if candidate.key in self._seen:
            return None
        self._seen.add(candidate.key)
        self._counts[family.name] = number
        return candidate
