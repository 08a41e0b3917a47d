"""What is known of files without a look at what they show."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.picture_files import Origin, origin_of

Array = NDArray[Any]
N_PROBED, LEAST_TOLD = 100, 0.3
N_BYTES, TAKEN = "number of bytes", "date"
"""The facts that are how large a file is, and a moment, in seconds since 1970."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FileFact:
    """One fact for each file: numbers, NaN where it is not known, or texts, "" where it is not."""

    words: str
    values: Array

    @property
    def is_ordered(self) -> bool:
        """Whether the values are numbers."""
        return self.values.dtype.kind == "f"

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Of which files."""
        return np.asarray(np.isfinite(self.values) if self.is_ordered else self.values != "")


def folder_of(dataset: Dataset) -> Path:
    """Where the files of a dataset lie."""
    source = Path(dataset.source)
    return source if source.is_dir() else source.parent


def file_facts(names: Sequence[str | None], folder: Path) -> Iterator[FileFact]:
    """What is known of pictures below a folder: format, number of bytes, and what their EXIF says, the camera and the date.

    A name of None or "" is of no file. Where few of a sample of files say who took them, the others are not opened.
    """
    yield FileFact(words="format", values=np.array([PurePath(name or "").suffix.casefold() for name in names], dtype=np.str_))
    yield FileFact(words=N_BYTES, values=_sizes(names, folder))
    probed = np.unique(np.linspace(0, len(names) - 1, min(len(names), N_PROBED)).astype(np.int64)).tolist()
    first = [_origin(names[place], folder) for place in probed]
    told = sum(bool(origin.camera) or math.isfinite(origin.taken) for origin in first)
    origins = [Origin() for _ in names] if told < LEAST_TOLD * len(probed) else [_origin(name, folder) for name in names]
    yield FileFact(words="camera", values=np.array([origin.camera for origin in origins], dtype=np.str_))
    yield FileFact(words=TAKEN, values=np.array([origin.taken for origin in origins], dtype=np.float64))


def _origin(name: str | None, folder: Path) -> Origin:
    return origin_of(folder / name) if name else Origin()


def _sizes(names: Sequence[str | None], folder: Path) -> NDArray[np.float64]:
    found = np.full(len(names), np.nan)
    for place, name in enumerate(names):
        try:
            found[place] = (folder / name).stat().st_size if name else np.nan
        except (OSError, ValueError):
            continue
    return found
