"""What a metric is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from cupel.core.task import TaskKind

Array = NDArray[Any]

Scorer = Callable[[Array], Array]
"""Scores under row weights: (resamples, rows) of float64 counts to (resamples,); NaN where a score is not defined."""

Prepare = Callable[[Array, Array], Scorer]
"""`prepare(target, predictions)` does once what all resamples share, such as sorting, and returns their scorer."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A way to judge predictions.

    `label` is its name for people. `needs` says what it reads: "probabilities", "labels" (the most probable class, or the
    labels said) or "values". `per_class` marks those whose cost grows with the number of classes. `prepare_linear`, where there
    is one, gives the same to first order in the weights, much faster: for resamples of many rows. `ranks` marks those that
    compare predictions with one another, which means little where the predictions are of different models.
    """

    name: str
    label: str
    higher_is_better: bool
    tasks: frozenset[TaskKind]
    needs: str
    prepare: Prepare
    per_class: bool = False
    prepare_linear: Prepare | None = None
    ranks: bool = False

    @property
    def sign(self) -> float:
        """1 where larger is better, else -1: `sign * score` is always to be maximised."""
        return 1.0 if self.higher_is_better else -1.0
