"""Pictures as a pretrained network wants them: its features, or pixels of the size that it was made for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.errors import DataError
from cupel.core.inputs import Inputs, InputShape
from cupel.core.preparation import Prepared
from cupel.core.space import Choice
from cupel.modalities.image.backbones.backbone import OUTPUT, Backbone
from cupel.modalities.image.backbones.features import features_of
from cupel.modalities.image.preparation import FittedPixels, name_of_pictures, resize_for
from cupel.modalities.image.resizing import Resize, declare_pictures

if TYPE_CHECKING:
    from cupel.core.graph import Graph

Rows = NDArray[np.int64]
NARROWEST = 1e-6
"""Deviation below which a feature counts as constant."""


def demand_same(reference: str, opened: Backbone) -> None:
    """Raise unless a backbone is the one that is meant.

    Raises:
        DataError: its weights have changed since.
    """
    if reference != opened.reference:
        raise DataError(
            f"a candidate starts from the weights {reference}, and those that were given are {opened.reference}; give it "
            f"the file that it was made with."
        )


def resize_to(backbone: Backbone, dataset: Dataset, *, rows: Rows, policy: str) -> Resize:
    """To the size that the backbone was made for; where any will do, to what the pictures of these rows suggest."""
    size = backbone.size
    if size is None:
        found = resize_for(dataset, rows, name=name_of_pictures(dataset), side=0, policy=policy)
        size = found.height, found.width
    return Resize(height=size[0], width=size[1], n_channels=backbone.n_channels, policy=policy)


@dataclass(frozen=True, kw_only=True)
class AsFeatures:
    """What a frozen backbone makes of pictures, each feature to mean 0 and deviation 1 over the training rows: block "features".

    `backbone` is its reference, which means these weights and no others; `opened` is what it refers to.
    """

    backbone: str
    policy: Annotated[str, Choice("stretch", "fit", "crop")] = "stretch"
    opened: Backbone = field(compare=False, repr=False)

    def __post_init__(self) -> None:
        demand_same(self.backbone, self.opened)

    def fit(self, dataset: Dataset, rows: Rows, *, seed: int) -> Prepared:
        """Take mean and deviation."""
        del seed
        column = name_of_pictures(dataset)
        resize = resize_to(self.opened, dataset, rows=rows, policy=self.policy)
        features = features_of(dataset, rows, column=column, resize=resize, backbone=self.opened)
        deviation = features.std(axis=0, dtype=np.float64)
        fitted = FittedFeatures(
            column=column,
            resize=resize,
            backbone=self.opened,
            mean=features.mean(axis=0, dtype=np.float64).astype(np.float32),
            deviation=np.where(deviation > NARROWEST, deviation, 1.0).astype(np.float32),
        )
        return Prepared(fitted, Inputs({OUTPUT: fitted.standardised(features)}, {}), rows)

    def shape_of(self, dataset: Dataset) -> InputShape:
        """As many numbers as the backbone gives."""
        del dataset
        return InputShape({OUTPUT: self.opened.width}, {})


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedFeatures:
    """A column of pictures, the size that they are brought to, a backbone, and mean and deviation (width,) of its features."""

    column: str
    resize: Resize
    backbone: Backbone
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    def transform(self, dataset: Dataset, rows: Rows) -> Inputs:
        """Features, by the graph that is packed."""
        features = features_of(dataset, rows, column=self.column, resize=self.resize, backbone=self.backbone)
        return Inputs({OUTPUT: self.standardised(features)}, {})

    def standardised(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean 0, deviation 1."""
        return np.asarray((features - self.mean) / self.deviation, np.float32)

    def emit(self, graph: Graph) -> Mapping[str, str]:
        """Size, backbone, mean and deviation."""
        pixels = self.resize.emit_bytes(graph, declare_pictures(graph, self.column))
        centred = graph.op("Sub", self.backbone.emit(graph, pixels), graph.constant(self.mean))
        return {OUTPUT: graph.op("Div", centred, graph.constant(self.deviation))}


@dataclass(frozen=True, kw_only=True)
class AsItsPixels:
    """Pictures in the size and with the channels that a backbone was made for, as bytes: the block "pixels".

    `backbone` and `opened` as in `AsFeatures`.
    """

    backbone: str
    policy: Annotated[str, Choice("stretch", "fit", "crop")] = "stretch"
    opened: Backbone = field(compare=False, repr=False)

    def __post_init__(self) -> None:
        demand_same(self.backbone, self.opened)

    def fit(self, dataset: Dataset, rows: Rows, *, seed: int) -> Prepared:
        """Choose the size, where the backbone leaves it open."""
        del seed
        fitted = FittedPixels(name_of_pictures(dataset), resize_to(self.opened, dataset, rows=rows, policy=self.policy))
        return Prepared(fitted, fitted.transform(dataset, rows), rows)
