"""Which candidates are tried, and in which order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Protocol

from cupel.core.budget import Effort
from cupel.core.candidate import Candidate
from cupel.core.family import Family, Preset
from cupel.core.task import Task
from cupel.core.trial import Trial

N_CANDIDATES = {Effort.QUICK: 8, Effort.STANDARD: 24, Effort.THOROUGH: 72}


class Strategy(Protocol):
    """Decides what to try next from what has been tried: the seam where every search method fits."""

    def propose(self, trials: Sequence[Trial]) -> tuple[Candidate, Family] | None:
        """The next candidate, or None when the search is over. Depends on the seed and on `trials` alone."""
        ...


class PortfolioThenRandom:
    """First each family's presets in turn, best first; then presets drawn at random from the families' spaces.

    Baselines come first, then the first preset of every family, so that a short run has seen all kinds; drawing
    is round robin over the families that are not mere baselines.
    """

    def __init__(self, families: Sequence[Family], task: Task, *, modality: str, n_candidates: int, seed: int) -> None:
        self._task = task
        self._modality = modality
        self._seed = seed
        fitting = [family for family in families if task.kind in family.tasks]
        self.candidates = self._distinct(fitting, n_candidates)

    def propose(self, trials: Sequence[Trial]) -> tuple[Candidate, Family] | None:
        """The next of the fixed sequence."""
        return self.candidates[len(trials)] if len(trials) < len(self.candidates) else None

    def _distinct(self, families: Sequence[Family], n_candidates: int) -> list[tuple[Candidate, Family]]:
        chosen: list[tuple[Candidate, Family]] = []
        seen: set[str] = set()
        counts: dict[str, int] = {}
        n_firsts = len(families)
        for family, preset in self._sequence(families):
            if len(chosen) >= max(n_candidates, n_firsts):
                break
            candidate = self._candidate(family, preset, number=counts.get(family.name, 0) + 1)
            if candidate.key not in seen:
                seen.add(candidate.key)
                counts[family.name] = counts.get(family.name, 0) + 1
                chosen.append((candidate, family))
        return chosen

    def _sequence(self, families: Sequence[Family]) -> Iterator[tuple[Family, Preset]]:
        baselines_first = sorted(families, key=lambda family: (not family.is_baseline, family.is_deep))
        portfolios = {family.name: list(family.portfolio(self._task)) for family in families}
        for position in range(max((len(presets) for presets in portfolios.values()), default=0)):
            for family in baselines_first:
                if position < len(portfolios[family.name]):
                    yield family, portfolios[family.name][position]
        searched = [family for family in baselines_first if not family.is_baseline]
        for draw in range(10_000 if searched else 0):
            family = searched[draw % len(searched)]
            yield family, family.search(self._task, _seed(self._seed, family.name, draw))

    def _candidate(self, family: Family, preset: Preset, *, number: int) -> Candidate:
        return Candidate(
            name=f"{family.name}-{number}",
            modality=self._modality,
            family=family.name,
            config=preset.config,
            preparation=preset.preparation,
            recipe=preset.recipe,
        )


def _seed(seed: int, family: str, draw: int) -> int:
    digest = hashlib.sha256(f"{seed}/{family}/{draw}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
