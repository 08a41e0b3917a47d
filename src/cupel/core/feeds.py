"""The tensors that a packed graph reads: taken from a dataset, and given to a session in calls of one shape each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.modality import GraphInput
from cupel.core.pixels import missing_picture

Array = NDArray[Any]


def feeds_of(dataset: Dataset, rows: Array, inputs: Sequence[GraphInput]) -> dict[str, Array]:
    """One array per graph input, shape (rows, columns): float64 with NaN, canonical category texts with "", or pictures.

    Pictures are cells too: an object array (rows, 1) of uint8 arrays (height, width, channels), since they may differ in size.
    """
    feeds: dict[str, Array] = {}
    for graph_input in inputs:
        if graph_input.kind == "numbers":
            cells = [dataset.columns[name][rows] for name in graph_input.columns]
            feeds[graph_input.name] = np.column_stack(cells).astype(np.float64)
        elif graph_input.kind == "pixels":
            name = graph_input.columns[0]
            feeds[graph_input.name] = pictures_as_cells(dataset.columns[name][rows], channels=dataset.schema[name].channels)
        else:
            texts = [_canonical(dataset, name, rows) for name in graph_input.columns]
            feeds[graph_input.name] = np.column_stack(texts).astype(object)
    return feeds


def pictures_as_cells(pictures: Array, *, channels: int) -> Array:
    """Pictures as a graph input's cells, shape (rows, 1)."""
    cells = np.empty((len(pictures), 1), dtype=object)
    for row, picture in enumerate(pictures.tolist()):
        cells[row, 0] = missing_picture(channels) if picture is None else picture
    return cells


def run_in_calls(run: Callable[[dict[str, Array]], Array], feeds: Mapping[str, Array]) -> Array:
    """What `run` gives for all rows, in their order: called once, or once for each size that pictures among the feeds have."""
    pixels = [name for name, cells in feeds.items() if cells.dtype == object and _is_picture(cells)]
    if not pixels:
        return run(dict(feeds))
    found: Array | None = None
    n_rows = len(feeds[pixels[0]])
    for rows in _of_one_size([feeds[name][:, 0].tolist() for name in pixels]):
        call = {name: cells[rows] for name, cells in feeds.items()}
        for name in pixels:
            call[name] = np.stack(call[name][:, 0].tolist())
        said = run(call)
        if found is None:
            found = np.empty((n_rows, *said.shape[1:]), said.dtype)
        found[rows] = said
    assert found is not None, "feeds have rows"
    return found


def _is_picture(cells: Array) -> bool:
    return bool(len(cells)) and isinstance(cells[0, 0], np.ndarray)


def _of_one_size(columns: Sequence[Sequence[Array]]) -> Iterator[NDArray[np.int64]]:
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row, pictures in enumerate(zip(*columns, strict=True)):
        groups.setdefault(tuple(picture.shape for picture in pictures), []).append(row)
    return (np.array(rows, np.int64) for rows in groups.values())


def _canonical(dataset: Dataset, name: str, rows: Array) -> Array:
    spelled = np.array([*dataset.schema[name].levels, ""], dtype=object)  # code -1, missing, is the last one
    texts: Array = spelled[dataset.columns[name][rows]]
    return texts
