"""The promise that every preparation keeps: fitted on training rows alone, and able to leave as ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.inputs import Inputs, InputShape

if TYPE_CHECKING:
    from cupel.core.graph import Graph

Rows = NDArray[np.int64]


class FittedPreparation(Protocol):
    """A preparation that has learned from training rows."""

    def transform(self, dataset: Dataset, rows: Rows) -> Inputs:
        """Prepare rows that were not used to fit it; uses no target."""
        ...

    def emit(self, graph: Graph) -> Mapping[str, str]:
        """Write the same computation into the graph, from its declared inputs; returns tensor names by block name."""
        ...


@dataclass(frozen=True, eq=False)
class Prepared:
    """What fitting gives: the fitted preparation, the training inputs, and which rows those are.

    Training inputs are made here, not by `transform`: target encoding must use out-of-fold statistics on the
    rows it was fitted on. `rows` differs from the rows asked for only where a step deletes rows.
    """

    fitted: FittedPreparation
    inputs: Inputs
    rows: Rows


class Preparation(Protocol):
    """A frozen dataclass of choices (hashable, printable), which can be fitted."""

    def fit(self, dataset: Dataset, rows: Rows, *, seed: int) -> Prepared:
        """Learn from the given training rows (and their targets) of a dataset whose task is set."""
        ...


@runtime_checkable
class ForeseeingPreparation(Protocol):
    """A preparation so dear that it says what it would give, instead of being tried on a few rows."""

    def shape_of(self, dataset: Dataset) -> InputShape:
        """What its inputs for this dataset will look like."""
        ...
