"""Masks for picture files: a PNG for each that can be read, and a table of how much of it each class covers."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cupel.cli.predicting_pictures import PICTURE, listed
from cupel.core.errors import DataError, PictureError, UsageError
from cupel.core.pillow import silent_and_strict
from cupel.core.pixels import decoded
from cupel.core.storage import write_bytes

if TYPE_CHECKING:
    from cupel.core.schema import Column
    from cupel.serving import Predictor

Array = NDArray[Any]
TABLE = "masks.csv"


def predicted_masks(
    predictor: Predictor, files: Sequence[Path], *, column: Column, source: Path, out: Path, progress: Callable[[float], None]
) -> tuple[dict[str, Array], list[str]]:
    """A row for each file that can be read: its path, its mask's path, and shares of classes; and what is wrong with the others.

    Masks are written into the folder `out`, under the names and subfolders that pictures have in `source`, as PNG, in the
    picture's own size. `column` is the one that the model reads.

    Raises:
        DataError: none can be read.
        UsageError: two pictures would have one mask, or a mask would replace a picture.
    """
    root = source if source.is_dir() else source.parent
    places = [out / file.relative_to(root).with_suffix(".png") for file in files]
    _check(places, files)
    rows: list[dict[str, Any]] = []
    faults: list[str] = []
    for number, (file, place) in enumerate(zip(files, places, strict=True), 1):
        try:
            picture = decoded(file, n_channels=column.channels)
        except PictureError as error:
            faults.append(str(error))
        else:
            columns = predictor.predict_columns({column.name: [picture]})
            place.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(place, _png(columns["prediction"][0]))
            shares = {name: float(cells[0]) for name, cells in columns.items() if name != "prediction"}
            rows.append({PICTURE: str(file), "prediction": str(place), **shares})
        progress(number / len(files))
    if not rows:
        raise DataError(listed(faults, n_files=len(files)))
    return {name: _column([row[name] for row in rows]) for name in rows[0]}, faults


def _check(places: Sequence[Path], files: Sequence[Path]) -> None:
    seen: dict[Path, Path] = {}
    for place, file in zip(places, files, strict=True):
        if place in seen:
            raise UsageError(f"{seen[place]} and {file} would have one mask, {place}; rename one of them.")
        seen[place] = file
    taken = {file.resolve() for file in files}
    replaced = next((place for place in places if place.resolve() in taken), None)
    if replaced is not None:
        raise UsageError(f"-o would replace the picture {replaced} by its mask; name another folder.")


def _png(mask: Array) -> bytes:
    stream = io.BytesIO()
    with silent_and_strict():
        from PIL import Image

        Image.fromarray(mask).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _column(cells: list[Any]) -> Array:
    return np.array(cells, dtype=np.float64 if isinstance(cells[0], float) else object)
