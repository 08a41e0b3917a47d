"""Logistic and ridge regression, for tables."""

from __future__ import annotations

from cupel.core.family import Family
from cupel.core.presets import Preset, Space
from cupel.core.space import Choice, Range
from cupel.core.task import ROW_KINDS, Task
from cupel.learners.linear import Config, cost, fit
from cupel.modalities.tabular.preparation import FOR_LINEAR


def portfolio(task: Task) -> tuple[Preset, ...]:
    """The default alone: there is little to choose."""
    del task
    return (Preset(config=Config(), preparation=FOR_LINEAR),)


def space(task: Task) -> Space:
    """How strong penalties may be, and how the table is prepared."""
    return Space.around(
        portfolio(task)[0],
        config={"max_iterations": None},
        preparation={
            "crossed_pairs": Choice(0, 4, 8),
            "missing": Choice("median", "mean", "most-frequent"),
            "scaling": Choice("standard", "robust", "quantile"),
            "one_hot_limit": Range(10, 100, log=True),
            "min_level_count": Range(1, 20, log=True),
        },
    )


spec = Family(
    name="linear",
    source="Hastie, Tibshirani, Friedman 2009, The Elements of Statistical Learning, sections 3.4.1 and 4.4.",
    tasks=ROW_KINDS,
    config=Config,
    portfolio=portfolio,
    space=space,
    cost=cost,
    is_baseline=True,
    fit=fit,
)
