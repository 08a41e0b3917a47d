"""A column of pictures: any number, of any sizes, in memory or in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import DataError, UsageError

Array = NDArray[Any]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Images:
    """Pictures as they were decoded, laid end to end in one flat buffer that selections share.

    `buffer` is uint8, in memory or mapped from a file. `offsets` (N,) and `shapes` (N, 3: height, width, stored channels),
    both int64, say where each picture lies; a missing one has shape 0, 0, 0. `n_channels`, 1 or 3, is that of the column: a
    grey picture in a column of colour is stored once, and repeated when it is looked at. A selection keeps the column's
    `n_channels`.

    `images[i]` is a read-only view, shape (height, width, n_channels), of no pixels where the picture is missing;
    `images[rows]`, rows being a slice, integers or booleans, is `Images`.
    """

    buffer: Pixels
    offsets: NDArray[np.int64]
    shapes: NDArray[np.int64]
    n_channels: int

    @classmethod
    def of(cls, pictures: Iterable[Pixels | None], *, n_channels: int | None = None) -> Images:
        """A column in memory, of uint8 arrays (height, width, 1 or 3), None for a missing one; read once, one at a time.

        Without `n_channels` it is 3 if any picture has 3.

        Raises:
            DataError: one is of another type or shape, or coloured in a column of grey.
        """
        content = bytearray()
        shapes: list[tuple[int, ...]] = []
        for position, picture in enumerate(pictures):
            shapes.append(stored_shape(picture, f"picture {position}"))
            if picture is not None:
                content += picture.data if picture.flags.c_contiguous else picture.tobytes()
        return laid_out(np.frombuffer(content, np.uint8), np.array(shapes, np.int64).reshape(-1, 3), n_channels=n_channels)

    @classmethod
    def of_stack(cls, pictures: Pixels) -> Images:
        """A column over one uint8 array, shape (N, height, width, 1 or 3), which is not copied if it is contiguous.

        Raises:
            DataError: it is of another type or shape.
        """
        if pictures.ndim != 4:
            raise DataError(f"a stack of pictures has shape (N, height, width, channels); {pictures.shape} was given.")
        n_pictures = len(pictures)
        shape = stored_shape(pictures[0], "each picture") if n_pictures else (0, 0, pictures.shape[3])
        shapes = np.tile(np.array(shape, np.int64), (n_pictures, 1))
        return laid_out(np.ascontiguousarray(pictures).reshape(-1), shapes, n_channels=shape[2])

    def __len__(self) -> int:
        return len(self.offsets)

    @overload
    def __getitem__(self, rows: int | np.integer[Any]) -> Pixels: ...
    @overload
    def __getitem__(self, rows: slice | Sequence[int] | Array) -> Images: ...
    def __getitem__(self, rows: int | np.integer[Any] | slice | Sequence[int] | Array) -> Pixels | Images:
        if isinstance(rows, int | np.integer):
            return self._picture(int(rows))
        if not isinstance(rows, slice):
            rows = np.asarray(rows)
            rows = rows.astype(np.int64) if rows.size == 0 and rows.dtype != np.bool_ else rows
        return replace(self, offsets=self.offsets[rows], shapes=self.shapes[rows])

    def __iter__(self) -> Iterator[Pixels]:
        return (self._picture(position) for position in range(len(self)))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Height and width of each picture in pixels, shape (N, 2); 0 where it is missing."""
        return self.shapes[:, :2]

    @property
    def is_missing(self) -> NDArray[np.bool_]:
        """Which pictures are absent, shape (N,)."""
        return np.asarray(self.shapes[:, 0] == 0)

    @property
    def nbytes(self) -> int:
        """Bytes that the selected pictures take in the buffer."""
        return int(self.shapes.prod(axis=1).sum())

    @property
    def fingerprint(self) -> str:
        """sha256 over the selected pictures as they are seen, in their order; how they are stored plays no part."""
        digest = hashlib.sha256(np.array([len(self), self.n_channels], "<i8").tobytes())
        digest.update(np.ascontiguousarray(self.sizes, "<i8").tobytes())
        for picture in self:
            digest.update(np.ascontiguousarray(picture).data)
        return digest.hexdigest()

    def stacked(self) -> Pixels:
        """All pictures as one array, shape (N, height, width, n_channels); a read-only view where they lie side by side.

        Raises:
            DataError: they differ in size.
        """
        if len(self) == 0:
            return np.empty((0, 0, 0, self.n_channels), np.uint8)
        height, width, stored = map(int, self.shapes[0])
        if (self.sizes != self.sizes[0]).any():
            raise DataError(
                f"{len(self)} pictures of different sizes make no array; select those of one size, or resize them first."
            )
        step = height * width * stored
        if (self.shapes[:, 2] != stored).any():
            return np.stack(list(self))
        if (np.diff(self.offsets) == step).all():
            start = int(self.offsets[0])
            flat = self.buffer[start : start + step * len(self)]
            flat = flat.view(np.ndarray)
            flat.flags.writeable = False
        else:
            flat = np.concatenate([self.buffer[offset : offset + step] for offset in self.offsets.tolist()])
        pictures = flat.reshape(len(self), height, width, stored)
        return pictures if stored in (0, self.n_channels) else np.broadcast_to(pictures, (*pictures.shape[:3], self.n_channels))

    def _picture(self, position: int) -> Pixels:
        height, width, stored = map(int, self.shapes[position])
        offset = int(self.offsets[position])
        view = self.buffer[offset : offset + height * width * stored].view(np.ndarray)
        if stored == 0:
            return np.empty((0, 0, self.n_channels), np.uint8)
        view.flags.writeable = False
        return np.broadcast_to(view.reshape(height, width, stored), (height, width, self.n_channels))


def stored_shape(picture: Pixels | None, name: str) -> tuple[int, int, int]:
    """Height, width and channels of a picture that a column can hold; three zeros for a missing one.

    Raises:
        DataError: it is not of uint8, or not of shape (height, width, 1 or 3).
    """
    if picture is None:
        return (0, 0, 0)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] not in (1, 3) or 0 in picture.shape:
        raise DataError(
            f"{name} is an array of {picture.dtype}, shape {picture.shape}; expected uint8, (height, width, 1 or 3). "
            f"cupel.core.pixels.decoded makes such an array of it."
        )
    return picture.shape


def laid_out(buffer: Pixels, shapes: NDArray[np.int64], *, n_channels: int | None) -> Images:
    """A column over pictures that lie end to end.

    Raises:
        DataError: a picture is coloured, and `n_channels` is 1.
        UsageError: `n_channels` is neither 1 nor 3.
    """
    most = int(shapes[:, 2].max(initial=1))
    n_channels = most if n_channels is None else n_channels
    if n_channels not in (1, 3):
        raise UsageError(f"n_channels={n_channels!r} was given; a column of pictures has 1 channel (grey) or 3 (colour).")
    if most > n_channels:
        raise DataError(f"picture {int(shapes[:, 2].argmax())} has {most} channels; the column was to have {n_channels}.")
    ends = shapes.prod(axis=1).cumsum()
    return Images(buffer, np.concatenate([np.zeros(1, np.int64), ends[:-1]])[: len(shapes)], shapes, n_channels)
