"""What a metric is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

from numpy.typing import NDArray

from cupel.core.task import TaskKind

Array = NDArray[Any]

Scorer = Callable[[Array], Array]
"""Scores under row weights: (resamples, rows) of float64 counts to (resamples,); NaN where a score is not defined."""

Prepare = Callable[[Array, Array], Scorer]
"""`prepare(target, predictions)` does once what all resamples share, such as sorting, and returns their scorer."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Metric:
    """A way to judge predictions.

    `label` is its name for people. `needs` says what it reads: "probabilities", "labels" (the most probable class, or the
    labels said) or "values". `per_class` marks those whose cost grows with the number of classes. `prepare_linear`, where there
    is one, gives the same to first order in the weights, much faster: for resamples of many rows. `ranks` marks those that
    compare predictions with one another, which means little where the predictions are of different models.

    `worst` is the score that none falls short of, infinite where there is none.

    `compared_within` belongs to those that compare rows with one another: it makes both for rows of the same part
    alone. `parts`, shape (rows, ways), are those it is bound to (`within`), else None.
    """

    name: str
    label: str
    higher_is_better: bool
    tasks: frozenset[TaskKind]
    needs: str
    prepare: Prepare
    worst: float
    per_class: bool = False
    prepare_linear: Prepare | None = None
    ranks: bool = False
    compared_within: Callable[[Array], tuple[Prepare, Prepare]] | None = None
    parts: Array | None = None

    @property
    def sign(self) -> float:
        """1 where larger is better, else -1: `sign * score` is always to be maximised."""
        return 1.0 if self.higher_is_better else -1.0

    @property
    def perfect(self) -> float:
        """The score that none exceeds: 1 where larger is better, else 0."""
        return 1.0 if self.higher_is_better else 0.0

    def within(self, parts: Array | None) -> Self:
        """The same for predictions by several models: rows that one model predicted are compared with one another alone.

        `parts`, shape (rows, ways), number the rows' parts, in every way in which they were divided. Metrics that take each row
        for itself stay as they are, and so do all where there are no parts.

        Rows of two folds are in each other's training sets, so comparing what two models say of them counts against both. On
        tables without anything to find, pooled out-of-fold ROC-AUC is below a half for that reason; within folds it is not.

        Source: Parker et al. 2007, doi:10.1186/1471-2105-8-326; Airola et al. 2011, doi:10.1016/j.csda.2010.11.018.
        """
        if self.compared_within is None or parts is None:
            return self
        prepare, prepare_linear = self.compared_within(parts)
        return replace(self, prepare=prepare, prepare_linear=prepare_linear, parts=parts)

    def at(self, rows: Array) -> Self:
        """The same for some of the rows alone."""
        return self if self.parts is None else self.within(self.parts[rows])
