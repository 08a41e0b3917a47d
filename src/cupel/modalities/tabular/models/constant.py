"""The same answer for every row, for tables."""

from __future__ import annotations

from cupel.core.family import Family
from cupel.core.presets import Preset, Space
from cupel.core.task import ROW_KINDS, Task
from cupel.learners.constant import Config, cost, fit
from cupel.modalities.tabular.preparation import FOR_LINEAR


def portfolio(task: Task) -> tuple[Preset, ...]:
    """The one there is."""
    del task
    return (Preset(config=Config(), preparation=FOR_LINEAR),)


def space(task: Task) -> Space:
    """Nothing to choose."""
    return Space.around(portfolio(task)[0])


spec = Family(
    name="constant",
    source="Class frequencies or the mean of the training targets; the usual trivial baseline.",
    tasks=ROW_KINDS,
    config=Config,
    portfolio=portfolio,
    space=space,
    cost=cost,
    is_baseline=True,
    fit=fit,
)
