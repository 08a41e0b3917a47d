"""Data for worker processes: plain arrays in files that every process maps into its memory, so that none holds a copy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.schema import Schema
from cupel.core.split import Fold, Splits
from cupel.core.task import Task

Array = NDArray[Any]
FACTS = "facts.json"
LAYOUT_BYTES = 16
"""What it takes to say where a text or picture begins."""
LEFT_OUT = ("findings", "cache", "units")
"""Fields of a dataset that no unit depends on, that are another process's own, or that the splits bring."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Handover:
    """What a worker needs before it can make any unit; `facts` are plain values, whatever the run has to say."""

    dataset: Dataset
    splits: Splits
    golden: Array
    facts: Mapping[str, Any]

    @property
    def n_bytes(self) -> int:
        """About what `write` takes of the disk."""
        return sum(map(_size_of, self._arrays().values()))

    def _arrays(self) -> dict[str, Array]:
        dataset, splits = self.dataset, self.splits
        arrays = {f"column-{number}": values for number, values in enumerate(dataset.columns.values())}
        arrays |= {f"names-{number}": values for number, values in enumerate(dataset.names.values())}
        arrays |= {"row_numbers": dataset.row_numbers, "golden": self.golden}
        arrays |= {"target": dataset.target} if dataset.target is not None else {}
        numbers = {"groups": splits.groups, "units": splits.units}
        arrays |= {name: values for name, values in numbers.items() if values is not None}
        for fold in splits.folds:
            arrays |= {f"fold-{fold.index}-{part}": getattr(fold, part) for part in ("train", "stop", "valid")}
        return arrays

    def write(self, folder: Path) -> None:
        """Into a new folder. Nothing is synced: after a crash it is made again."""
        folder.mkdir()
        dataset, splits, arrays = self.dataset, self.splits, self._arrays()
        for name, values in arrays.items():
            _write(folder / name, values)
        described = {
            "schema": dataset.schema.to_json(),
            "task": None if dataset.task is None else dataset.task.to_json(),
            "fingerprint": dataset.fingerprint,
            "source": dataset.source,
            "columns": list(dataset.columns),
            "names": list(dataset.names),
            "arrays": list(arrays),
            "splits": {"scheme": splits.scheme, "reason": splits.reason, "key": splits.key},
            "folds": [fold.index for fold in splits.folds],
            "facts": dict(self.facts),
        }
        (folder / FACTS).write_text(json.dumps(described))

    @classmethod
    def read(cls, folder: Path) -> Handover:
        """What `write` left; numbers stay in the files until they are looked at."""
        described = json.loads((folder / FACTS).read_text())
        arrays = {name: _read(folder / name) for name in described["arrays"]}
        dataset = Dataset(
            schema=Schema.from_json(described["schema"]),
            columns={name: arrays[f"column-{number}"] for number, name in enumerate(described["columns"])},
            fingerprint=described["fingerprint"],
            task=None if described["task"] is None else Task.from_json(described["task"]),
            target=arrays.get("target"),
            row_numbers=arrays["row_numbers"],
            source=described["source"],
            names={name: arrays[f"names-{number}"] for number, name in enumerate(described["names"])},
        )
        folds = tuple(
            Fold(index, *(arrays[f"fold-{index}-{part}"] for part in ("train", "stop", "valid"))) for index in described["folds"]
        )
        splits = Splits(folds=folds, groups=arrays.get("groups"), units=arrays.get("units"), **described["splits"])
        return cls(dataset=dataset, splits=splits, golden=arrays["golden"], facts=described["facts"])


def _size_of(values: Array) -> int:
    if values.dtype != object:
        return int(values.nbytes)
    cells = [cell for cell in values.tolist() if cell is not None]
    content = sum(_bytes_of(cell).nbytes if isinstance(cell, str) else np.asarray(cell).nbytes for cell in cells)
    return content + LAYOUT_BYTES * len(values)


def _write(path: Path, values: Array) -> None:
    """Numbers as they are; texts and arrays of any shape, and None among them, end to end with where each begins."""
    if values.dtype != object:
        np.save(path.with_suffix(".npy"), values, allow_pickle=False)
        return
    is_text = all(cell is None or isinstance(cell, str) for cell in values.tolist())
    cells = [None if cell is None else (_bytes_of(cell) if is_text else np.asarray(cell)) for cell in values.tolist()]
    present = [cell for cell in cells if cell is not None]
    dtypes = {cell.dtype for cell in present}
    assert len(dtypes) <= 1, f"cells of one column are of one type; these are of {sorted(map(str, dtypes))}"
    dtype = next(iter(dtypes), np.dtype(np.uint8))
    assert dtype.kind != "O", "cells of a dataset are texts, or arrays of numbers"
    with path.with_suffix(".bin").open("wb") as stream:
        for cell in present:
            stream.write(np.ascontiguousarray(cell).data)
    shapes = [None if cell is None else list(cell.shape) for cell in cells]
    path.with_suffix(".json").write_text(json.dumps({"is_text": is_text, "dtype": dtype.str, "shapes": shapes}))


def _bytes_of(text: str) -> Array:
    return np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)


def _read(path: Path) -> Array:
    """Mapped copy on write: whoever changes a cell changes a page of its own."""
    if path.with_suffix(".npy").exists():
        loaded = np.load(path.with_suffix(".npy"), mmap_mode="c", allow_pickle=False)
        return np.asarray(loaded)
    layout = json.loads(path.with_suffix(".json").read_text())
    dtype = np.dtype(layout["dtype"])
    content = path.with_suffix(".bin")
    flat = np.asarray(np.memmap(content, dtype, mode="c")) if content.stat().st_size else np.empty(0, dtype)
    cells = np.empty(len(layout["shapes"]), dtype=object)
    start = 0
    for row, shape in enumerate(layout["shapes"]):
        if shape is None:
            continue
        size = int(np.prod(shape))
        cell = flat[start : start + size]
        cells[row] = cell.tobytes().decode("utf-8", "surrogatepass") if layout["is_text"] else cell.reshape(shape)
        start += size
    return cells
