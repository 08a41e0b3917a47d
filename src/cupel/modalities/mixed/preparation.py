"""The preparations of several parts side by side, for models that read all of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cupel.core.dataset import Dataset
from cupel.core.errors import TrainingError
from cupel.core.inputs import Inputs, InputShape
from cupel.core.preparation import FittedPreparation, Prepared, Rows

if TYPE_CHECKING:
    from cupel.core.graph import Graph

Value = TypeVar("Value")


@dataclass(frozen=True)
class SideBySide:
    """Each part prepared in its own way; its blocks carry the number of the part before their names ("0/pixels")."""

    parts: tuple[Any, ...]

    def fit(self, dataset: Dataset, rows: Rows, *, seed: int) -> Prepared:
        """Fit every part on the same rows; what one of them leaves out, all do.

        Raises:
            TrainingError: no row is left.
        """
        prepared = [part.fit(dataset, rows, seed=seed) for part in self.parts]
        kept = functools.reduce(np.intersect1d, (each.rows for each in prepared))
        if not len(kept):
            raise TrainingError(f"of {len(rows)} training rows none is usable in all parts; fill what is missing instead.")
        fitted = FittedSideBySide(tuple(each.fitted for each in prepared))
        return Prepared(fitted, _joined([_rows_of(each, kept) for each in prepared]), kept)


@dataclass(frozen=True)
class FittedSideBySide:
    """Fitted preparations of all parts."""

    parts: tuple[FittedPreparation, ...]

    def transform(self, dataset: Dataset, rows: Rows) -> Inputs:
        """The blocks of all parts."""
        return _joined([part.transform(dataset, rows) for part in self.parts])

    def emit(self, graph: Graph) -> Mapping[str, str]:
        """The same computation, part after part."""
        return _numbered([part.emit(graph) for part in self.parts])


def blocks_of_part(blocks: Mapping[str, Value], place: int) -> dict[str, Value]:
    """What belongs to the part of that number, by the names that it gave."""
    prefix = f"{place}/"
    return {name.removeprefix(prefix): value for name, value in blocks.items() if name.startswith(prefix)}


def shape_of_part(shape: InputShape, place: int) -> InputShape:
    """What the part's models must know of its blocks."""
    return InputShape(
        blocks_of_part(shape.widths, place), blocks_of_part(shape.cardinalities, place), blocks_of_part(shape.extents, place)
    )


def _numbered(parts: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    return {f"{place}/{name}": value for place, part in enumerate(parts) for name, value in part.items()}


def _joined(parts: Sequence[Inputs]) -> Inputs:
    return Inputs(_numbered([part.blocks for part in parts]), _numbered([part.cardinalities for part in parts]))


def _rows_of(prepared: Prepared, kept: Rows) -> Inputs:
    """The training inputs of some of the rows, which are in order."""
    if len(kept) == len(prepared.rows):
        return prepared.inputs
    places = np.searchsorted(prepared.rows, kept)
    blocks = {name: block[places] for name, block in prepared.inputs.blocks.items()}
    return Inputs(blocks, prepared.inputs.cardinalities)
