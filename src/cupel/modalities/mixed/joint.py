"""Families of networks that read all parts: one network for each, joined before the answer and trained as one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from cupel.core.family import Cost, Family
from cupel.core.inputs import InputShape
from cupel.core.presets import Preset, Space
from cupel.core.recipe import Recipe
from cupel.core.space import Choice, Range
from cupel.core.task import Task
from cupel.modalities.mixed.preparation import SideBySide, shape_of_part

if TYPE_CHECKING:
    from cupel.core.layers import Network

Together = tuple[Family, ...]
MOST_PRESETS = 2


@dataclass(frozen=True, kw_only=True)
class Config:
    """What each part is, and what joins them: `n_features` of each part, a hidden layer of `width` on all of them.

    `parts` are the configs of the parts' families, `paces` their factors on the recipe's learning rate and weight decay.
    """

    parts: tuple[Any, ...] = ()
    paces: tuple[tuple[float, float], ...] = ()
    n_features: Annotated[int, Range(8, 128, log=True)] = 32
    width: Annotated[int, Range(16, 256, log=True)] = 64
    dropout: Annotated[float, Range(0.0, 0.5)] = 0.1


def joint_families(offered: Sequence[Sequence[Family]]) -> tuple[Family, ...]:
    """One for each way to take a joinable network of every part, in the parts' order; none where a part has none."""
    joinable = [[family for family in families if family.joins] for families in offered]
    return tuple(_joint(together) for together in itertools.product(*joinable))


def _joint(together: Together) -> Family:
    return Family(
        name=" + ".join(family.name for family in together),
        source="Networks joined before their answer: Cheng et al. 2016, arXiv:1606.07792, of "
        + "; ".join(dict.fromkeys(family.source for family in together)),
        tasks=frozenset.intersection(*(family.tasks for family in together)),
        config=Config,
        portfolio=partial(_portfolio, together),
        space=partial(_space, together),
        cost=partial(_cost, together),
        is_deep=True,
        hurries=any(family.hurries for family in together),
        folds_apart=any(family.folds_apart for family in together),
        build=partial(_build, together),
    )


def _portfolio(together: Together, task: Task) -> Sequence[Preset]:
    """The parts' first presets with one another, then their second ones, as far as one optimiser trains both."""
    offered = [family.portfolio(task) for family in together]
    turns = [tuple(presets[min(turn, len(presets) - 1)] for presets in offered) for turn in range(max(map(len, offered)))]
    joined = [_preset(together, presets) for presets in turns if len({_recipe(preset).optimizer for preset in presets}) == 1]
    return tuple(joined[:MOST_PRESETS])


def _preset(together: Together, presets: Sequence[Preset]) -> Preset:
    """Trained as the part is whose work is so large that its folds are trained apart; where none is, as the first."""
    lead = max(range(len(presets)), key=lambda place: together[place].folds_apart)
    recipes = [_recipe(preset) for preset in presets]
    paces = tuple(
        (recipe.learning_rate / recipes[lead].learning_rate, _ratio(recipe.weight_decay, recipes[lead].weight_decay))
        for recipe in recipes
    )
    return Preset(
        config=Config(parts=tuple(preset.config for preset in presets), paces=paces),
        preparation=SideBySide(tuple(preset.preparation for preset in presets)),
        recipe=recipes[lead],
    )


def _recipe(preset: Preset) -> Recipe:
    assert preset.recipe is not None, "networks are trained by recipes"
    return preset.recipe


def _ratio(value: float, whole: float) -> float:
    return value / whole if whole else 1.0


def _space(together: Together, task: Task) -> Space:
    """What joins the parts, and how they are trained; the parts stay as in the first preset."""
    default = _portfolio(together, task)[0]
    rate = _recipe(default).learning_rate
    smoothing = {"label_smoothing": Range(0.0, 0.2)} if task.form.has_probabilities else {}
    return Space.around(
        default,
        recipe={
            "learning_rate": Range(rate / 8, 3 * rate, log=True),
            "weight_decay": Range(1e-5, 0.1, log=True),
            "ema": Choice(0.0, 0.99, 0.999),
            **smoothing,
        },
    )


def _cost(together: Together, n_train: int, shape: InputShape, config: Config, recipe: Recipe | None, task: Task) -> Cost:
    """Of the parts together; what joins them is little beside them."""
    costs = [
        family.cost(n_train, shape_of_part(shape, place), own, recipe, task)
        for place, (family, own) in enumerate(zip(together, config.parts, strict=True))
    ]
    return Cost(seconds=sum(cost.seconds for cost in costs), memory_bytes=sum(cost.memory_bytes for cost in costs))


def _build(together: Together, shape: InputShape, *, n_outputs: int, task: Task, config: Config, seeds: Sequence[int]) -> Network:
    """One network holding a model per seed."""
    from cupel.modalities.mixed.network import JoinedNetworks

    networks = []
    for place, (family, own) in enumerate(zip(together, config.parts, strict=True)):
        assert family.build is not None, "what joins is a network"
        n_all = n_outputs + config.n_features
        networks.append(family.build(shape_of_part(shape, place), n_outputs=n_all, task=task, config=own, seeds=seeds))
    return JoinedNetworks(
        networks,
        n_outputs=n_outputs,
        widths=(config.n_features, config.width),
        dropout=config.dropout,
        paces=config.paces,
        seeds=seeds,
    )
