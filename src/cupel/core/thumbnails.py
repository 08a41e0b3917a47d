"""Rows as small pictures for pages: what a person recognises a row by, where it has a picture."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.overlays import overlaid
from cupel.core.schema import ColumnKind

Pixels = NDArray[np.uint8]

SIDE = 64
JPEG_QUALITY = 80


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """Small pictures of a dataset's rows, from its first column of pictures."""

    dataset: Dataset
    column: str
    side: int = SIDE

    @classmethod
    def of(cls, dataset: Dataset, *, side: int = SIDE) -> Thumbnails | None:
        """None where no column holds pictures; the target is no picture of its row."""
        names = (column.name for column in dataset.schema.features if column.kind is ColumnKind.IMAGE)
        name = next(names, None)
        return None if name is None else cls(dataset, name, side)

    def __call__(self, row: int) -> str | None:
        """A row's picture as a data URL of a few hundred bytes to 3 kB; None where it has none."""
        picture = self.dataset.columns[self.column][row]
        return None if picture is None else small_data_url(picture, side=self.side)

    def with_mask(self, row: int) -> str | None:
        """The same with the row's mask laid over it, where the target is masks; as it is else."""
        picture, task = self.dataset.columns[self.column][row], self.dataset.task
        if picture is None or task is None or not task.grid:
            return self(row)
        labels = self.dataset.columns[task.target][row][:, :, 0]
        return small_data_url(overlaid(picture, labels, n_classes=len(task.classes)), side=self.side)

    def name(self, row: int) -> str:
        """What people know the row by."""
        return self.dataset.name_of(row)


def small_data_url(pixels: Pixels, *, side: int = SIDE) -> str:
    """A picture (height, width, 1 or 3) of at most `side` on either side, as PNG or JPEG, whichever is shorter.

    One that is small already is not made larger.
    """
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))
    if max(image.size) > side:
        scale = side / max(image.size)
        width, height = (max(1, round(extent * scale)) for extent in image.size)
        image = image.resize((width, height), Image.Resampling.BOX if scale < 0.5 else Image.Resampling.BILINEAR)
    exact, lossy = io.BytesIO(), io.BytesIO()
    image.save(exact, "PNG", optimize=True)
    image.save(lossy, "JPEG", quality=JPEG_QUALITY)
    kind, content = ("png", exact) if exact.tell() <= lossy.tell() else ("jpeg", lossy)
    return f"data:image/{kind};base64," + base64.b64encode(content.getvalue()).decode()
