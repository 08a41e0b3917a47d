"""Pictures brought to one size: for networks as they are, for other models as descriptors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.inputs import Inputs
from cupel.core.preparation import Prepared
from cupel.core.space import Choice
from cupel.modalities.image.descriptors import Descriptor
from cupel.modalities.image.network import PIXELS
from cupel.modalities.image.resizing import Resize, declare_pictures, pixels_of
from cupel.modalities.image.sizing import working_size

if TYPE_CHECKING:
    from cupel.core.graph import Graph

Rows = NDArray[np.int64]
DESCRIPTORS = "descriptors"
LARGEST_DESCRIBED = 64
PIXELS_PER_CELL = 2
"""A side, at least."""


@dataclass(frozen=True, kw_only=True)
class AsPixels:
    """Pictures of one size, as bytes: the block "pixels", (rows, channels, height, width).

    `side` 0 is chosen from the sizes in the training rows (see `working_size`); `policy` as in `Resize`. `column` names the
    column of pictures; without a name it is the first.
    """

    side: Annotated[int, Choice(0, 28, 32, 48, 64, 96, 128, 160, 224)] = 0
    policy: Annotated[str, Choice("stretch", "fit", "crop")] = "stretch"
    column: str = ""

    def fit(self, dataset: Dataset, rows: Rows, *, seed: int) -> Prepared:
        """Choose the size."""
        del seed
        name = name_of_pictures(dataset, self.column)
        fitted = FittedPixels(name, resize_for(dataset, rows, name=name, side=self.side, policy=self.policy))
        return Prepared(fitted, fitted.transform(dataset, rows), rows)


@dataclass(frozen=True, kw_only=True)
class OnGrid:
    """Pictures as bytes, in the size at which masks are learned: the block "pixels", (rows, channels, height, width)."""

    def fit(self, dataset: Dataset, rows: Rows, *, seed: int) -> Prepared:
        """Nothing is learned: the task says the size."""
        del seed
        assert dataset.task is not None, "a preparation is fitted for a task"
        name, (height, width) = name_of_pictures(dataset), dataset.task.grid
        resize = Resize(height=height, width=width, n_channels=dataset.schema[name].channels)
        fitted = FittedPixels(name, resize)
        return Prepared(fitted, fitted.transform(dataset, rows), rows)


@dataclass(frozen=True)
class FittedPixels:
    """A column of pictures, and the size that they are brought to."""

    column: str
    resize: Resize

    def transform(self, dataset: Dataset, rows: Rows) -> Inputs:
        """Bytes, by the graph that is packed."""
        return Inputs({PIXELS: np.ascontiguousarray(pixels_of(dataset, rows, name=self.column, resize=self.resize))}, {})

    def emit(self, graph: Graph) -> Mapping[str, str]:
        """The same numbers, 0 to 255, as float32."""
        return {PIXELS: self.resize.emit_bytes(graph, declare_pictures(graph, self.column))}


@dataclass(frozen=True, kw_only=True)
class AsDescriptors:
    """Histograms of oriented gradients and a small copy of the picture: the block "descriptors", for models of plain numbers.

    Source: Dalal and Triggs 2005, doi:10.1109/CVPR.2005.177.
    """

    n_orientations: Annotated[int, Choice(6, 8, 9, 12)] = 8
    n_cells: Annotated[int, Choice(4, 6, 7, 8)] = 7
    thumbnail: Annotated[int, Choice(0, 4, 8, 12)] = 8
    column: str = ""

    def fit(self, dataset: Dataset, rows: Rows, *, seed: int) -> Prepared:
        """Choose the size; where a column never varies nothing is left out, so that all folds are alike."""
        del seed
        name = name_of_pictures(dataset, self.column)
        resize = resize_for(dataset, rows, name=name, side=0, policy="stretch", largest=LARGEST_DESCRIBED)
        n_cells = max(1, min(self.n_cells, min(resize.height, resize.width) // PIXELS_PER_CELL))
        descriptor = Descriptor(self.n_orientations, n_cells, self.thumbnail, resize.height, resize.width, resize.n_channels)
        fitted = FittedDescriptors(name, resize, descriptor)
        return Prepared(fitted, fitted.transform(dataset, rows), rows)


@dataclass(frozen=True)
class FittedDescriptors:
    """A column of pictures, the size that they are brought to, and how that is described."""

    column: str
    resize: Resize
    descriptor: Descriptor

    def transform(self, dataset: Dataset, rows: Rows) -> Inputs:
        """Descriptors, by the graph that is packed."""
        pixels = pixels_of(dataset, rows, name=self.column, resize=self.resize)
        return Inputs({DESCRIPTORS: self.descriptor.of(pixels)}, {})

    def emit(self, graph: Graph) -> Mapping[str, str]:
        """Size, then description."""
        pixels = self.resize.emit(graph, declare_pictures(graph, self.column))
        return {DESCRIPTORS: self.descriptor.emit(graph, pixels)}


def name_of_pictures(dataset: Dataset, column: str = "") -> str:
    """The column of pictures, where none is named the first."""
    return column or dataset.schema.image_features[0].name


def resize_for(dataset: Dataset, rows: Rows, *, name: str, side: int, policy: str, largest: int = 0) -> Resize:
    """To `side`, or to what the pictures of these rows in this column suggest, `largest` at most."""
    n_channels = dataset.schema[name].channels
    if side:
        return Resize(height=side, width=side, n_channels=n_channels, policy=policy)
    shapes = [(0, 0) if picture is None else picture.shape[:2] for picture in dataset.columns[name][rows].tolist()]
    height, width = working_size(np.array(shapes, np.int64).reshape(-1, 2))
    if largest and max(height, width) > largest:
        height, width = (max(8, round(each * largest / max(height, width))) for each in (height, width))
    return Resize(height=height, width=width, n_channels=n_channels, policy=policy)
