"""What is known of files without a look at what they show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset

Array = NDArray[Any]


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
    """Format and number of bytes of files below a folder; a name of None or "" is of no file."""
    yield FileFact(words="format", values=np.array([PurePath(name or "").suffix.casefold() for name in names], dtype=np.str_))
    yield FileFact(words="number of bytes", values=_sizes(names, folder))


def _sizes(names: Sequence[str | None], folder: Path) -> NDArray[np.float64]:
    found = np.full(len(names), np.nan)
    for place, name in enumerate(names):
        try:
            found[place] = (folder / name).stat().st_size if name else np.nan
        except (OSError, ValueError):
            continue
    return found
