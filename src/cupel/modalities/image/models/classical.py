"""The classical bar for pictures: descriptors that need no training, and models of plain numbers on them."""

from __future__ import annotations

from collections.abc import Sequence

from cupel.core.family import Family
from cupel.core.presets import Preset, Space
from cupel.core.space import Range
from cupel.core.task import ROW_KINDS, Task, TaskKind
from cupel.learners import constant, lightgbm, linear
from cupel.modalities.image.preparation import AsDescriptors

SMALLEST = AsDescriptors(n_orientations=6, n_cells=4, thumbnail=0)
SMALL = AsDescriptors(n_orientations=8, n_cells=4, thumbnail=4)
"""The bar should not take the time of those that it is a bar for: with 456 numbers a picture, 60,000 pictures of clothes took
linear models and LightGBM six minutes of ten."""


def _constants(task: Task) -> Sequence[Preset]:
    del task
    return (Preset(config=constant.Config(), preparation=SMALLEST),)


def _linear(task: Task) -> Sequence[Preset]:
    del task
    return (Preset(config=linear.Config(), preparation=SMALL),)


def _boosted(task: Task) -> Sequence[Preset]:
    config = lightgbm.Config(learning_rate=0.15, feature_fraction=0.4, bagging_fraction=0.8, max_rounds=200)
    return (Preset(config=lightgbm.paced(config, task), preparation=SMALL),)


def _space_of_linear(task: Task) -> Space:
    return Space.around(_linear(task)[0], config={"max_iterations": None})


def _space_of_boosted(task: Task) -> Space:
    return Space.around(
        _boosted(task)[0], config={"max_rounds": None, "patience": None, "learning_rate": Range(0.03, 0.2, log=True)}
    )


CONSTANT = Family(
    name="constant",
    source="Class frequencies or the mean of the training targets; the usual trivial baseline.",
    tasks=frozenset(TaskKind),
    config=constant.Config,
    portfolio=_constants,
    space=lambda task: Space.around(_constants(task)[0]),
    cost=constant.cost,
    is_baseline=True,
    fit=constant.fit,
)
LINEAR = Family(
    name="linear",
    source="Dalal and Triggs 2005, doi:10.1109/CVPR.2005.177: histograms of oriented gradients and a linear model.",
    tasks=ROW_KINDS,
    config=linear.Config,
    portfolio=_linear,
    space=_space_of_linear,
    cost=linear.cost,
    is_baseline=True,
    fit=linear.fit,
)
BOOSTED = Family(
    name="LightGBM",
    source="Ke et al. 2017, LightGBM, NeurIPS 30, on histograms of oriented gradients.",
    tasks=ROW_KINDS,
    config=lightgbm.Config,
    portfolio=_boosted,
    space=_space_of_boosted,
    cost=lightgbm.cost,
    hurries=True,
    fit=lightgbm.fit,
)
