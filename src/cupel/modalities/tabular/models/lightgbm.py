"""Gradient-boosted trees by LightGBM, for tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cupel.core.family import Family
from cupel.core.presets import Preset, Space
from cupel.core.space import Choice, Range
from cupel.core.task import ROW_KINDS, Task
from cupel.learners.lightgbm import MANY_CLASSES, Config, cost, fit, fit_stored, paced
from cupel.modalities.tabular.models.portfolio import presets
from cupel.modalities.tabular.preparation import FOR_TREES


def default(task: Task) -> Preset:
    """Fewer and larger steps where there are many classes."""
    return Preset(config=paced(Config(), task), preparation=FOR_TREES)


def portfolio(task: Task) -> Sequence[Preset]:
    """What was learned."""
    found = presets(spec.name, Preset(config=Config(), preparation=FOR_TREES), task=task)
    return [replace(preset, config=paced(preset.config, task)) for preset in found]


def space(task: Task) -> Space:
    """All but the number of rounds, which early stopping finds."""
    many = task.n_outputs > MANY_CLASSES
    return Space.around(
        default(task),
        config={"max_rounds": None, "patience": None, "learning_rate": Range(0.06 if many else 0.01, 0.2, log=True)},
        preparation={
            "categories": Choice("ordinal", "target"),
            "crossed_pairs": Choice(0, 4, 8),
            "missing": Choice("keep", "median"),
        },
    )


spec = Family(
    name="LightGBM",
    source="Ke et al. 2017, LightGBM: a highly efficient gradient boosting decision tree, NeurIPS 30.",
    tasks=ROW_KINDS,
    config=Config,
    portfolio=portfolio,
    space=space,
    cost=cost,
    hurries=True,
    fit=fit,
    fit_stored=fit_stored,
)
