"""Every way to search, by name."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cupel.core.budget import Effort
from cupel.core.errors import UsageError
from cupel.core.family import Family
from cupel.core.presets import Preset, Space
from cupel.core.task import Task
from cupel.core.trial import Status
from cupel.tuning.proposal import Namer, Proposal, Prospects, Strategy, Tried
from cupel.tuning.samplers import Sampler, derived_seed, sampler_named

N_CANDIDATES = {Effort.QUICK: 10, Effort.STANDARD: 24, Effort.THOROUGH: 72, Effort.OPEN: 10_000}
EVERY_FAMILY = "*"
MERIT = 0.5  # a family whose best is next in rank is drawn half as often, and so is one after each that was raced out or failed
WORTH_SHARE = 0.6  # of what it needs: with less, what can hurry is not drawn, nor the first of a family tried in its turn
LONGER = "-long"  # after the name of a family, in place of a number
LEAST_SECONDS = 1.0  # what takes less than this is as cheap as this
MOST_REPEATS = 60  # so many draws in a row that were had before, all but the first by chance: the space has no more to give
WITHOUT_END = Prospects()
ETA = 3
N_RUNGS = 3
MOST_SURVIVORS = 9  # of one bracket: who asks for more gets more brackets, and a model that was fully trained early


@dataclass(frozen=True, kw_only=True, eq=False)
class Ground:
    """What every strategy starts from. `wishes` narrow spaces: by family name, `*` for all that have such a field.

    With `every_family_first` each family's first preset comes before any second, whatever their places. What is `unfelt` makes no
    difference to the data, and stays as it is.
    """

    families: Sequence[Family]
    task: Task
    modality: str
    n_candidates: int
    seed: int
    wishes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    every_family_first: bool = False
    unfelt: frozenset[str] = frozenset()

    @property
    def fitting(self) -> list[Family]:
        """Families for this task; baselines first, else in their order."""
        return sorted([f for f in self.families if self.task.kind in f.tasks], key=lambda family: not family.is_baseline)

    def space(self, family: Family) -> Space:
        """The family's space as the user wants it, without what makes no difference.

        Raises:
            UsageError: a wish does not fit.
        """
        return self._whole_space(family).without(self.unfelt)

    def _whole_space(self, family: Family) -> Space:
        space = family.space(self.task)
        for name, wish in self.wishes.get(EVERY_FAMILY, {}).items():
            space = _as_far_as_it_fits(space, name, wish=wish) or space
        try:
            return space.narrowed(self.own_wishes(family))
        except UsageError as error:
            raise UsageError(f"the space of {family.name}: {error}") from error

    def own_wishes(self, family: Family) -> Mapping[str, Any]:
        """What is wished for this family by its name."""
        return next((wish for name, wish in self.wishes.items() if name.casefold() == family.name.casefold()), {})

    def presets(self, family: Family) -> list[Preset]:
        """The family's portfolio, moved into its space."""
        return self.wished(family, family.portfolio(self.task))

    def wished(self, family: Family, presets: Sequence[Preset]) -> list[Preset]:
        """Presets of a family, moved into its space."""
        space = self._whole_space(family)
        unfelt = self.unfelt - space.wished
        return [space.as_default(space.held(preset), unfelt) for preset in presets]


class Sequential:
    """Baselines, then perhaps the portfolio, then what a sampler draws, until there are `n_candidates`.

    With a portfolio further draws go to the families that did best so far; without one, round robin over all.
    """

    def __init__(self, ground: Ground, *, sampler: str | None, with_portfolio: bool) -> None:
        self._ground, self._sampler, self._by_merit = ground, sampler, with_portfolio
        self._namer = Namer(ground.modality)
        self._searched = [family for family in ground.fitting if not family.is_baseline]
        self._samplers: dict[str, Sampler] = {}
        self._firsts: dict[str, Proposal] = {}
        self._n_draws = 0
        self._exhausted: set[str] = set()
        self._repeats: Counter[str] = Counter()
        self.planned: list[Proposal] = list(itertools.islice(self._fixed(with_portfolio), max(ground.n_candidates, 1)))

    def propose(self, tried: Sequence[Tried], prospects: Prospects = WITHOUT_END) -> Proposal | None:
        """The next draw; of what waits, the first of the family whose turn it is. No clock decides but where time is filled."""
        if len(tried) >= self._ground.n_candidates or self._sampler is None:
            return None
        return self._drawn(tried, prospects if prospects.fills_time else WITHOUT_END)

    def longer(self, proposal: Proposal) -> Sequence[Proposal]:
        """The family's, as far as the user's wishes go; none where no more than the portfolio is asked for."""
        family, base = proposal.family, proposal.candidate
        if family.longer is None or self._sampler is None or not self._by_merit:
            return ()
        preset = Preset(config=base.config, preparation=base.preparation, recipe=base.recipe)
        presets = dict.fromkeys(self._ground.wished(family, family.longer(preset)))
        name = f"{family.name}{LONGER}"
        return [
            Proposal(
                candidate=replace(base, name=name, config=each.config, preparation=each.preparation, recipe=each.recipe),
                family=family,
            )
            for each in presets
        ]

    def _fixed(self, with_portfolio: bool) -> Iterator[Proposal]:
        """Baselines, then presets by their places, then those without one, a first of every family before any second."""
        families = self._ground.fitting if with_portfolio else [f for f in self._ground.fitting if f.is_baseline]
        firsts = self._ground.every_family_first
        presets = [
            (
                (not family.is_baseline, firsts and position > 0, math.inf if preset.place is None else preset.place, position),
                number,
                preset,
            )
            for number, family in enumerate(families)
            for position, preset in enumerate(self._ground.presets(family))
        ]
        for _, number, preset in sorted(presets, key=lambda entry: entry[:2]):
            candidate = self._namer.candidate(families[number], preset)
            if candidate is not None:
                yield Proposal(candidate=candidate, family=families[number])

    def _drawn(self, tried: Sequence[Tried], prospects: Prospects) -> Proposal | None:
        while True:
            costs = self._costs(tried, prospects)
            still_open = [each for each in self._searched if each.name in costs]
            enough = {each.name: prospects.left / (WORTH_SHARE if each.hurries else 1.0) for each in still_open}
            open_families = [each for each in still_open if costs[each.name] <= enough[each.name]]
            if not open_families and not prospects.waiting and not _has_more_than_baselines(tried):
                open_families = [each for each in still_open if each.least_share * costs[each.name] <= prospects.left]
            if not open_families:
                return None
            family = self._family(open_families, tried, costs=costs)
            self._n_draws += 1
            planned = next((each for each in prospects.waiting if each.family.name == family.name), None)
            if planned is not None and prospects.cost(planned) <= enough[family.name]:
                return planned
            preset = self._another(family, tried)
            if preset is None or self._repeats[family.name] >= MOST_REPEATS:
                self._exhausted.add(family.name)
                continue
            candidate = self._namer.candidate(family, preset)
            self._repeats[family.name] = 0 if candidate is not None else self._repeats[family.name] + 1
            if candidate is not None:
                return Proposal(candidate=candidate, family=family)

    def _another(self, family: Family, tried: Sequence[Tried]) -> Preset | None:
        """What the sampler draws; after one that was had before, lest it goes on naming the best of a small space, any."""
        if not self._repeats[family.name] or self._sampler == "grid":
            return self._sampler_of(family).draw(history_of(tried, family))
        generator = np.random.default_rng(derived_seed(self._ground.seed, "any", family.name, self._n_draws))
        return self._ground.space(family).sample(generator)

    def _costs(self, tried: Sequence[Tried], prospects: Prospects) -> dict[str, float]:
        """The seconds that another of each family that still has any would take: as its others took, else as its first would.

        What was cut short would have taken what was expected, or longer than it did. Without a cap they are not asked for, so
        that no clock decides.
        """
        still_open = [family for family in self._searched if family.name not in self._exhausted]
        if math.isinf(prospects.left):
            return {family.name: 1.0 for family in still_open}
        costs = {}
        for family in still_open:
            own = [
                each.seconds if each.trial.status is Status.DONE else max(each.seconds, each.estimated)
                for each in tried
                if each.proposal.family.name == family.name and each.trial.status in (Status.DONE, Status.CUT_SHORT)
            ]
            costs[family.name] = float(np.mean(own)) if own else prospects.cost(self._first(family))
        return costs

    def _first(self, family: Family) -> Proposal:
        """The family's first preset, whether it is among what is planned or not."""
        if family.name not in self._firsts:
            candidate = Namer(self._ground.modality).candidate(family, self._ground.presets(family)[0])
            assert candidate is not None, "a namer that has named nothing names everything"
            self._firsts[family.name] = Proposal(candidate=candidate, family=family)
        return self._firsts[family.name]

    def _family(self, families: Sequence[Family], tried: Sequence[Tried], *, costs: Mapping[str, float]) -> Family:
        """By turns; with a portfolio by chance: likelier the better, the seldomer raced out, where time is capped the cheaper."""
        if not self._by_merit:
            return families[self._n_draws % len(families)]
        best = {
            family.name: max((s for _, s in history_of(tried, family) if s is not None), default=-np.inf) for family in families
        }
        ranked = sorted(families, key=lambda family: -best[family.name])  # those without a score last, in their order
        halvings = [rank + _disappointments(tried, family) for rank, family in enumerate(ranked)]
        seconds = np.array([max(costs[family.name], LEAST_SECONDS) for family in ranked])
        odds = MERIT ** (np.array(halvings, dtype=float) - min(halvings)) / np.sqrt(seconds)
        generator = np.random.default_rng(derived_seed(self._ground.seed, "family", self._n_draws))
        return ranked[int(generator.choice(len(ranked), p=odds / odds.sum()))]

    def _sampler_of(self, family: Family) -> Sampler:
        if family.name not in self._samplers:
            assert self._sampler is not None, "asked only while there is something to draw"
            seed = derived_seed(self._ground.seed, "sampler", family.name)
            self._samplers[family.name] = sampler_named(self._sampler, self._ground.space(family), seed=seed)
        return self._samplers[family.name]


class Halving:
    """Many candidates with little, the best third of them with three times as much, and so on; survivors get everything.

    With `by` "epochs" a screening trains for a share of the epochs (families without epochs: on a share of the rows),
    with "rows" on a share of the training rows, with "one-epoch" for a single epoch; on the first fold in every case. With
    `brackets` above 1 later brackets start with fewer candidates and more resource each, in case little says little. Where time
    is short for that, no more are looked at than leave time to train those whole that would survive.

    Source: Jamieson, Talwalkar 2016, arXiv:1502.07943; Li et al. 2018, "Hyperband", arXiv:1603.06560; one epoch:
    Egele et al. 2023, "Is one epoch all you need for multi-fidelity hyperparameter optimization?", arXiv:2307.15422.
    """

    def __init__(self, ground: Ground, *, by: str, brackets: int, eta: int = ETA, n_rungs: int = N_RUNGS) -> None:
        self._ground, self._by, self._eta, self._n_rungs = ground, by, eta, n_rungs
        self._namer = Namer(ground.modality)
        self._searched = [family for family in ground.fitting if not family.is_baseline]
        self._samplers = {
            family.name: sampler_named("random", ground.space(family), seed=derived_seed(ground.seed, "sampler", family.name))
            for family in self._searched
        }
        self.planned: list[Proposal] = list(self._baselines())
        self._steps = self._walk(max(ground.n_candidates - len(self.planned), 1), brackets)
        self._tried: Sequence[Tried] = ()
        self._prospects = WITHOUT_END

    def propose(self, tried: Sequence[Tried], prospects: Prospects = WITHOUT_END) -> Proposal | None:
        """The next step of the current bracket."""
        self._tried, self._prospects = tried, prospects
        return next(self._steps, None) if self._searched else None

    def longer(self, proposal: Proposal) -> Sequence[Proposal]:
        """Nothing: what survives has been given everything."""
        del proposal
        return ()

    def _baselines(self) -> Iterator[Proposal]:
        for family in self._ground.fitting:
            candidate = self._namer.candidate(family, self._ground.presets(family)[0]) if family.is_baseline else None
            if candidate is not None:
                yield Proposal(candidate=candidate, family=family)

    def _walk(self, n_full: int, brackets: int) -> Iterator[Proposal]:
        size = min(max(n_full // brackets, 1), MOST_SURVIVORS)
        for number in range(math.ceil(n_full / size)):
            lowest = self._n_rungs - 1 - number % brackets
            n_entrants = min(size, n_full - number * size) * self._eta**lowest
            entrants = self._entrants(n_entrants)
            first = next(entrants, None)
            if first is None and not _has_more_than_baselines(self._tried):
                entrants = self._entrants(n_entrants, in_a_hurry=True)
                first = next(entrants, None)
            if first is None:
                return
            yield from self._bracket(itertools.chain([first], entrants), lowest=lowest)

    def _bracket(self, entrants: Iterable[Proposal], *, lowest: int) -> Iterator[Proposal]:
        """Looks at the entrants, who are drawn one by one as long as there is time for looks, and the best of them whole."""
        for level in range(lowest, 0, -1):
            started, share, rung = len(self._tried), self._eta**-level, list[Proposal]()
            for proposal in entrants:
                look = self._reduced(proposal, share=share)
                if rung and not self._leaves_time(self._best(rung, started, share=share), look):
                    break
                rung.append(proposal)
                yield look
            entrants = self._best(rung, started, share=1 / self._eta)
        yield from entrants

    def _best(self, rung: Sequence[Proposal], started: int, *, share: float) -> list[Proposal]:
        """Of those of the rung that were looked at, in their order, that share which did best, the best first.

        Who failed is none of them, nor, but where there is nobody else, who has no score.
        """
        looked = self._tried[started:]
        scores = {place: tried.score for place, tried in enumerate(looked) if tried.score is not None}
        scored = [place for place, score in scores.items() if math.isfinite(score)]
        order = sorted(scored, key=lambda place: -scores[place]) or list(scores)
        return [rung[place] for place in order[: max(1, round(len(looked) * share))]]

    def _leaves_time(self, survivors: Sequence[Proposal], look: Proposal) -> bool:
        """Whether after another look there is time to train these whole, if it goes as with the looks so far."""
        looks = [each for each in self._tried if each.proposal.is_screening and each.estimated > 0]
        stretch = max(sum(each.seconds for each in looks) / sum(each.estimated for each in looks), 1.0) if looks else 1.0
        cost = self._prospects.cost
        return stretch * (cost(look) + sum(map(cost, survivors))) <= self._prospects.left

    def _entrants(self, n: int, *, in_a_hurry: bool = False) -> Iterator[Proposal]:
        """So many that were not had before and that there is time to train whole; fewer where no more such are found."""
        found, missed = 0, 0
        for family in itertools.cycle(self._searched):
            if found >= n or missed >= MOST_REPEATS * len(self._searched):
                return
            preset = self._samplers[family.name].draw(())
            candidate = None if preset is None else self._namer.candidate(family, preset)
            proposal = None if candidate is None else Proposal(candidate=candidate, family=family)
            share = family.least_share if in_a_hurry else 1.0
            if proposal is None or share * self._prospects.cost(proposal) > self._prospects.left:
                missed += 1
                continue
            found, missed = found + 1, 0
            yield proposal

    def _reduced(self, proposal: Proposal, *, share: float) -> Proposal:
        candidate, recipe = proposal.candidate, proposal.candidate.recipe
        name = f"{candidate.name} at {share:.0%}"
        if self._by == "one-epoch" and recipe is not None:
            shortest = replace(candidate, name=f"{candidate.name} after one epoch", recipe=replace(recipe, epochs_share=0.0))
            return Proposal(candidate=shortest, family=proposal.family, n_folds=1)
        if self._by == "epochs" and recipe is not None:
            shorter = replace(candidate, name=name, recipe=replace(recipe, epochs_share=share))
            return Proposal(candidate=shorter, family=proposal.family, n_folds=1)
        return Proposal(candidate=replace(candidate, name=name), family=proposal.family, n_folds=1, share=share)


def history_of(tried: Sequence[Tried], family: Family) -> list[tuple[Preset, float | None]]:
    """What was fully tried of a family; minus infinity for what was raced out."""
    return [
        (each.preset, -math.inf if each.trial.status is Status.DROPPED else each.score)
        for each in tried
        if each.proposal.family.name == family.name and not each.proposal.is_screening
    ]


def _disappointments(tried: Sequence[Tried], family: Family) -> int:
    """How many of the family were raced out, or failed, since one did neither; what was never begun says nothing."""
    own = [each.trial.status for each in tried if each.proposal.family.name == family.name]
    begun = [status in (Status.DROPPED, Status.FAILED) for status in reversed(own) if status is not Status.SKIPPED]
    return next((number for number, is_disappointing in enumerate(begun) if not is_disappointing), len(begun))


def _has_more_than_baselines(tried: Sequence[Tried]) -> bool:
    """Whether any but a baseline was begun, and meant to be trained whole."""
    begun = (each.proposal for each in tried if each.trial.status is not Status.SKIPPED)
    return any(not (proposal.family.is_baseline or proposal.is_screening) for proposal in begun)


SEARCHES: Mapping[str, Callable[[Ground], Strategy]] = {
    "auto": lambda ground: Sequential(ground, sampler="tpe", with_portfolio=True),
    "portfolio": lambda ground: Sequential(ground, sampler=None, with_portfolio=True),
    "grid": lambda ground: Sequential(ground, sampler="grid", with_portfolio=False),
    "random": lambda ground: Sequential(ground, sampler="random", with_portfolio=False),
    "quasi-random": lambda ground: Sequential(ground, sampler="quasi-random", with_portfolio=False),
    "tpe": lambda ground: Sequential(ground, sampler="tpe", with_portfolio=False),
    "gp": lambda ground: Sequential(ground, sampler="gp", with_portfolio=False),
    "halving-epochs": lambda ground: Halving(ground, by="epochs", brackets=1),
    "halving-rows": lambda ground: Halving(ground, by="rows", brackets=1),
    "one-epoch": lambda ground: Halving(ground, by="one-epoch", brackets=1, eta=9, n_rungs=2),
    "hyperband": lambda ground: Halving(ground, by="epochs", brackets=N_RUNGS),
}


BY_RUNGS = frozenset({"halving-epochs", "halving-rows", "one-epoch", "hyperband"})
"""Searches that compare all of a rung before they go on, by the order in which they were proposed: one after the other."""


def strategy_named(name: str, ground: Ground) -> Strategy:
    """The strategy of that name.

    Raises:
        UsageError: there is none, or a wish does not fit the spaces.
    """
    if name not in SEARCHES:
        raise UsageError(f"search {name!r} is unknown; choose {', '.join(SEARCHES)}.")
    _check_wishes(ground)
    return SEARCHES[name](ground)


def _as_far_as_it_fits(space: Space, name: str, *, wish: Any) -> Space | None:
    """The space narrowed by a wish for all families; of options those that it knows. None where nothing of it fits."""
    try:
        return space.narrowed({name: wish}) if space.has(name) else None
    except UsageError:
        options = wish.get("options") if isinstance(wish, Mapping) else wish
        known = [option for option in options if _fits(space, name, wish=option)] if isinstance(options, list | tuple) else []
        return space.narrowed({name: {"options": known}}) if known else None


def _fits(space: Space, name: str, *, wish: Any) -> bool:
    try:
        space.narrowed({name: {"options": [wish]}})
    except UsageError:
        return False
    return True


def _check_wishes(ground: Ground) -> None:
    """Every wish is for a family that is tried and a field that there is."""
    wishes = ground.wishes
    if not isinstance(wishes, Mapping) or not all(isinstance(fields, Mapping) for fields in wishes.values()):
        raise UsageError(
            f"the space {wishes!r} does not name families with fields; "
            f"expected for example {{'RealMLP': {{'width': [128, 512], 'dropout': 0.1}}}}."
        )
    known = {family.name.casefold(): family for family in ground.fitting}
    for name in ground.wishes:
        if name != EVERY_FAMILY and name.casefold() not in known:
            raise UsageError(
                f"the space names {name!r}, which is not tried; there are {', '.join(f.name for f in ground.fitting)}."
            )
    spaces = [family.space(ground.task) for family in ground.fitting]
    for name, wish in ground.wishes.get(EVERY_FAMILY, {}).items():
        if not any(_as_far_as_it_fits(space, name, wish=wish) for space in spaces):
            raise UsageError(
                f"{name}: {wish!r} under * fits no family; see the names and values that each knows under its own name."
            )
    wished_spaces = {family.name: ground.space(family) for family in ground.fitting}
    for name in ground.wishes.get(EVERY_FAMILY, {}):
        reasons = [
            wished_spaces[family.name].why_idle(name, ground.presets(family))
            for family in ground.fitting
            if name in wished_spaces[family.name].wished
        ]
        if reasons and all(reasons):
            raise UsageError(f"under *: {reasons[0]}")
    for family in ground.fitting:
        _demand_that_wishes_matter(family, wished_spaces[family.name], ground=ground)


def _demand_that_wishes_matter(family: Family, space: Space, *, ground: Ground) -> None:
    """Refuse what was wished for a family by its name and would change nothing, and what it would not do as wished."""
    reasons = [space.why_idle(name, ground.presets(family)) for name in ground.own_wishes(family)]
    if family.refuses is not None and space.wished:
        reasons.append(family.refuses(space, ground.task))
    for reason in filter(None, reasons):
        raise UsageError(f"the space of {family.name}: {reason}")
