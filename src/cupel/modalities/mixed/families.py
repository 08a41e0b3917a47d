"""All that is tried on a table of several parts: families of each part alone, and of all parts together, in turns."""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from cupel.core.family import Family
from cupel.core.presets import Preset, Space
from cupel.core.space import Choice, Range, space_of
from cupel.core.task import Task
from cupel.modalities.mixed.joint import joint_families
from cupel.modalities.mixed.parts import Part
from cupel.modalities.mixed.preparation import SideBySide


def families_of_all(parts: Sequence[Part]) -> tuple[Family, ...]:
    """Families that read every part: those that parts have in common, side by side, and networks joined before their answer."""
    offered = [[_of_part(family, part) for family in part.modality.families()] for part in parts]
    found = (*_in_common(offered), *joint_families(offered))
    kinds = frozenset(kind for family in found if not _is_constant(family) for kind in family.tasks)
    return tuple(replace(family, tasks=family.tasks & kinds) for family in found)


def families_of_each(parts: Sequence[Part]) -> tuple[Family, ...]:
    """`families_of_all`, and each part's own; what a part alone can do shows what the others add.

    A family whose name another has too carries its part's label; what would be a yardstick of one part is tried where it is
    asked for. Presets are tried in turns: one that reads all, then one of
    each part, each in the order of its kind.
    """
    together = families_of_all(parts)
    alone = [[_of_part(family, part) for family in part.modality.families() if not _is_constant(family)] for part in parts]
    known = Counter(family.name.casefold() for family in itertools.chain(together, *alone))
    labelled = [
        [_as_one_of_many(family, part, is_alone=known[family.name.casefold()] == 1) for family in families]
        for part, families in zip(parts, alone, strict=True)
    ]
    return in_turns([list(together), *labelled])


def in_turns(groups: Sequence[Sequence[Family]]) -> tuple[Family, ...]:
    """The families of all groups, their presets placed so that the best of each group comes before the second of any.

    What is tried in any case, or only where it is asked for, takes no turn.
    """

    @functools.cache
    def places(task: Task) -> dict[tuple[str, int], int]:
        queues = [_by_place([family for family in group if task.kind in family.tasks], task) for group in groups]
        turns = (entry for turn in itertools.zip_longest(*queues) for entry in turn if entry is not None)
        return {entry: place for place, entry in enumerate(turns)}

    def portfolio(family: Family, task: Task) -> Sequence[Preset]:
        found = enumerate(family.portfolio(task))
        return tuple(replace(preset, place=places(task).get((family.name, position))) for position, preset in found)

    return tuple(replace(family, portfolio=partial(portfolio, family)) for family in itertools.chain(*groups))


def _by_place(families: Iterable[Family], task: Task) -> list[tuple[str, int]]:
    """Name and position of every preset, in the order in which a group alone is tried."""
    entries = [
        (math.inf if preset.place is None else preset.place, position, number, family.name)
        for number, family in enumerate(families)
        if not (family.on_request or family.is_baseline)
        for position, preset in enumerate(family.portfolio(task))
    ]
    return [(name, position) for _, position, _, name in sorted(entries)]


def _in_common(offered: Sequence[Sequence[Family]]) -> list[Family]:
    """Families that train themselves on plain numbers and that every part offers: on the numbers of all parts.

    The constant, which all have, is the first part's.
    """
    found = []
    for family in offered[0]:
        rivals = [next((f for f in others if f.name == family.name and f.fit is family.fit), None) for others in offered[1:]]
        same = [family, *(rival for rival in rivals if rival is not None)]
        if family.fit is not None and len(same) == len(offered):
            found.append(family if _is_constant(family) else _side_by_side(same))
    return found


def _side_by_side(same: Sequence[Family]) -> Family:
    """With the config of each part's first preset; of what the first part does not search, theirs are the choices.

    Nothing of the preparations is searched.
    """

    def portfolio(task: Task) -> Sequence[Preset]:
        presets = [family.portfolio(task)[0] for family in same]
        preparation = SideBySide(tuple(preset.preparation for preset in presets))
        return tuple(dict.fromkeys(Preset(config=preset.config, preparation=preparation) for preset in presets))

    def space(task: Task) -> Space:
        own = same[0].space(task)
        searched = {name: own.dimensions[name].domain for name, part in own.parts.items() if part == "config"}
        presets, config = portfolio(task), dict[str, Range | Choice | None](searched)
        for name in (dimension.name for dimension in space_of(same[0].config) if dimension.name not in searched):
            values = dict.fromkeys(getattr(preset.config, name) for preset in presets)
            config[name] = Choice(*values) if len(values) > 1 else None
        return Space.around(presets[0], config=config)

    tasks = frozenset.intersection(*(family.tasks for family in same))
    return replace(same[0], tasks=tasks, portfolio=portfolio, space=space)


def _of_part(family: Family, part: Part) -> Family:
    """The family, told which column is its part's, where its modality reads one at a time."""
    if not part.column:
        return family

    def bound(preset: Preset) -> Preset:
        return replace(preset, preparation=replace(preset.preparation, column=part.column))

    def portfolio(task: Task) -> Sequence[Preset]:
        return tuple(bound(preset) for preset in family.portfolio(task))

    def space(task: Task) -> Space:
        own = family.space(task)
        return replace(own, default=bound(own.default))

    return replace(family, portfolio=portfolio, space=space)


def _as_one_of_many(family: Family, part: Part, *, is_alone: bool) -> Family:
    """The family under a name that no other has; a yardstick of one part is none for the whole."""
    name = family.name if is_alone else f"{family.name} ({part.label})"
    return replace(family, name=name, is_baseline=False, on_request=family.on_request or family.is_baseline)


def _is_constant(family: Family) -> bool:
    """Whether there is nothing to choose about it, so that it answers alike whatever it is given."""
    return family.is_baseline and not space_of(family.config)
