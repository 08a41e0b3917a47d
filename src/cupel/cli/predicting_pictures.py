"""Predictions for picture files: what can be read is predicted, and the rest is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import DataError, PictureError
from cupel.core.pixels import WORKING_PIXELS, decoded

if TYPE_CHECKING:
    from cupel.core.schema import Column
    from cupel.serving import Predictor

Array = NDArray[Any]
FILES_AT_ONCE = 128
N_NAMED = 10
PICTURE = "picture"


def predicted_files(
    predictor: Predictor,
    files: Sequence[Path],
    *,
    column: Column,
    progress: Callable[[float], None],
    coverage: float | None = None,
    abstain: float | None = None,
) -> tuple[dict[str, Array], list[str]]:
    """A row for each file that can be read, in their order, its path first; and what is wrong with each of the others.

    `column` is the one that the model reads; `coverage` and `abstain` are as in `Predictor.predict_columns`.

    Raises:
        DataError: none can be read.
        UsageError: what is asked for cannot be promised.
    """
    parts: list[dict[str, Array]] = []
    faults: list[str] = []
    for start in range(0, len(files), FILES_AT_ONCE):
        pictures: dict[str, Array] = {}
        for file in files[start : start + FILES_AT_ONCE]:
            try:
                pictures[str(file)] = decoded(file, n_channels=column.channels, most_pixels=WORKING_PIXELS)
            except PictureError as error:
                faults.append(str(error))
        if pictures:
            cells = {column.name: list(pictures.values())}
            predicted = predictor.predict_columns(cells, coverage=coverage, abstain=abstain)
            parts.append({PICTURE: np.array(list(pictures), dtype=object), **predicted})
        progress(min(start + FILES_AT_ONCE, len(files)) / len(files))
    if not parts:
        raise DataError(listed(faults, n_files=len(files)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, faults


def listed(faults: Sequence[str], *, n_files: int) -> str:
    """What is wrong with files that have no prediction."""
    if n_files == 1:
        return faults[0]
    more = f"\n  and {len(faults) - N_NAMED} more" if len(faults) > N_NAMED else ""
    named = "".join(f"\n  {fault}" for fault in faults[:N_NAMED])
    rest = n_files - len(faults)
    others = f"The other {rest:,} have one." if rest else "None is left."
    return f"{len(faults):,} of {n_files:,} pictures cannot be read and have no prediction. {others}{named}{more}"
