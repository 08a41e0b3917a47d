"""Candidates that are given: nothing is searched for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cupel.tuning.proposal import Proposal, Prospects, Tried


@dataclass(frozen=True)
class Given:
    """A strategy that tries what it was given, in order, and no more."""

    planned: tuple[Proposal, ...]

    def propose(self, tried: Sequence[Tried], prospects: Prospects) -> Proposal | None:
        """Nothing."""
        del tried, prospects
        return None

    def longer(self, proposal: Proposal) -> Sequence[Proposal]:
        """Nothing."""
        del proposal
        return ()
