"""Finished units on disk: written whole, checked when read, so that a run can go on where it stopped."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.candidate import Candidate
from cupel.core.dataset import Dataset
from cupel.core.errors import DataError, PassingError
from cupel.core.foreign_graphs import fault_of
from cupel.core.half_precision import in_half
from cupel.core.split import Fold, Splits
from cupel.core.storage import finite, npy, storage_error, write_bytes, write_json
from cupel.core.trial import UnitResult
from cupel.core.untrusted import parsed_array, parsed_json, read_bytes
from cupel.execution.checkpoint_folder import CheckpointFolder

Array = NDArray[Any]
STOP = "stop_predictions"
ARRAYS = {"rows": (np.int64, 1), "predictions": (np.float64, 2), "golden": (np.float64, 2), STOP: (np.float64, 2)}
"""Element type and number of axes."""
WEIGHTS = "weights.safetensors"
OPTIONAL = frozenset({WEIGHTS, f"{STOP}.npy"})
NEEDED = frozenset({*(f"{name}.npy" for name in ARRAYS), "model.onnx", "curve.json"}) - OPTIONAL
MOST_FACTS_BYTES = 16 << 20
MOST_BYTES = 8 << 30
HEADER_BYTES = 4096
BYTES_OF_FACTS = 8_000
"""Of a unit: its learning curve and what else is said of it, and the headers of its files."""
_DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError)


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitFiles:
    """What a unit leaves behind. `golden` are the trained model's predictions for the run's golden rows."""

    rows: Array
    predictions: Array
    golden: Array
    model: bytes
    facts: Mapping[str, Any]
    weights: Mapping[str, Array]
    stop_predictions: Array | None = None

    @property
    def n_bytes(self) -> int:
        """About what they take of the disk."""
        arrays = (self.rows, self.predictions, self.golden, self.stop_predictions, *_stored(self.weights).values())
        return sum(array.nbytes for array in arrays if array is not None) + len(self.model) + BYTES_OF_FACTS


class UnitStore:
    """The `units/` folder: one subfolder per unit, named by its key, complete once `unit.json` exists.

    `left` says how many bytes may still be written.
    """

    def __init__(self, folder: Path, *, left: Callable[[], float] = lambda: math.inf) -> None:
        self.folder, self._left = folder, left

    def path(self, key: str) -> Path:
        """Where a unit's files are."""
        return self.folder / key

    def checkpoints(self, keys: Sequence[str]) -> CheckpointFolder:
        """Where training of these units together keeps what it has come to: a folder beside this one."""
        together = hashlib.sha256("/".join(keys).encode()).hexdigest()[:24]
        return CheckpointFolder(self.folder.with_name("checkpoints"), together, left=self._left)

    def save(self, key: str, files: UnitFiles) -> UnitResult:
        """Write a unit."""
        return self.save_together({key: files})[0]

    def save_together(self, units: Mapping[str, UnitFiles]) -> list[UnitResult]:
        """Write units by key: first their files, then each one's `unit.json`, which names them with their sha256.

        What is there and intact is left as it is: it can only be the same.

        Raises:
            StorageError: they cannot be written.
            PassingError: they would take more than may be written.
            DataError: a place that would be written to is a link.
        """
        new = {key: files for key, files in units.items() if self.load(key) is None}
        needed, left = sum(files.n_bytes for files in new.values()), self._left()
        if needed > left:
            raise PassingError(
                f"what was trained takes {needed / 1e6:,.1f} MB, and {max(left, 0.0) / 1e6:,.1f} MB are left of what the run "
                f"folder may hold; give more with --disk."
            )
        try:
            facts = {key: self._write(self.path(key), files) for key, files in new.items()}
            for key, own in facts.items():
                write_json(self.path(key) / "unit.json", {"key": key, **own})
        except OSError as error:
            raise storage_error(error, self.folder.parent) from error
        return [self.read(key) for key in units]

    def _write(self, folder: Path, files: UnitFiles) -> dict[str, Any]:
        """All but `unit.json`, of which what stands in it comes back."""
        if folder.is_symlink():
            raise DataError(f"{folder} is a link, so that writing to it would change something elsewhere; remove it.")
        contents = {
            "rows.npy": npy(files.rows.astype(np.int64)),
            "predictions.npy": npy(files.predictions.astype(np.float64)),
            "golden.npy": npy(files.golden.astype(np.float64)),
            "model.onnx": files.model,
        }
        if files.stop_predictions is not None:
            contents[f"{STOP}.npy"] = npy(files.stop_predictions.astype(np.float64))
        if files.weights:
            from safetensors.numpy import save

            contents[WEIGHTS] = save(_stored(files.weights))
        contents["curve.json"] = json.dumps(finite(dict(files.facts.get("curve", {})))).encode()
        self.folder.mkdir(exist_ok=True)  # not its parents: a run folder that was removed is not made again piece by piece
        folder.mkdir(exist_ok=True)
        for name, content in contents.items():
            write_bytes(folder / name, content)
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        return {"files": hashes, **{name: value for name, value in files.facts.items() if name != "curve"}}

    def load(self, key: str, *, most_numbers: float = math.inf, cut_short: bool = False) -> UnitResult | None:
        """A finished unit, or None where there is none, it is damaged, or the deadline had cut it short.

        With `cut_short` such a one will do. One that holds an array of more than `most_numbers` is not read: a stranger made it.
        """
        found = self._found(key, most_array_bytes=min(MOST_BYTES, HEADER_BYTES + 8 * most_numbers))
        return None if found is None or (found.cut_short and not cut_short) else found

    def clear_unfinished(self, keys: Sequence[str] | None = None) -> None:
        """Remove what a process that was ended had begun to write, of these units or of all; no link is followed."""
        paths = (self.folder.iterdir() if self.folder.is_dir() else ()) if keys is None else map(self.path, keys)
        for path in paths:
            if path.is_dir() and not path.is_symlink() and not (path / "unit.json").is_file():
                shutil.rmtree(path, ignore_errors=True)

    def discard(self, key: str) -> None:
        """Count a unit, which is there, as not finished, so that it is made anew."""
        (self.path(key) / "unit.json").unlink()

    def read(self, key: str) -> UnitResult:
        """A unit that was made just now, also one that the deadline had cut short.

        Raises:
            PassingError: it is not there, or damaged.
        """
        found = self._found(key)
        if found is None:
            raise PassingError(f"the files of unit {key} are not there, or damaged; run again, it will be made anew.")
        return found

    def _found(self, key: str, *, most_array_bytes: float = MOST_BYTES) -> UnitResult | None:
        if self.path(key).is_symlink():
            return None
        try:
            facts = self._facts(key)
            checked = partial(self._checked, key, facts["files"])
            arrays = {
                name: self._parsed(checked(f"{name}.npy", most_bytes=int(most_array_bytes)), name)
                for name in ARRAYS
                if f"{name}.npy" in facts["files"]
            }
            if len(arrays["predictions"]) != len(arrays["rows"]) or not len(arrays["golden"]) or fault_of(checked("model.onnx")):
                return None
            if WEIGHTS in facts["files"]:
                checked(WEIGHTS)
            curve = parsed_json(checked("curve.json", most_bytes=MOST_FACTS_BYTES))
            return self._result(key, facts, arrays, _curve(curve))
        except _DAMAGED:
            return None

    def array(self, key: str, name: str) -> Array:
        """One of a unit's arrays: rows, predictions or golden."""
        return self._parsed(read_bytes(self.path(key) / f"{name}.npy", most_bytes=MOST_BYTES), name)

    def model(self, key: str) -> bytes:
        """A unit's ONNX model."""
        return read_bytes(self.path(key) / "model.onnx", most_bytes=MOST_BYTES)

    def weights(self, key: str) -> dict[str, Array]:
        """A unit's weights by name, to start another training from; empty where its family has none, or they are damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            loaded: dict[str, Array] = load(read_bytes(self.path(key) / WEIGHTS, most_bytes=MOST_BYTES))
        except (*_DAMAGED, SafetensorError):
            return {}
        return {name: w.astype(np.float32) if w.dtype == np.float16 else w for name, w in loaded.items()}

    def _facts(self, key: str) -> dict[str, Any]:
        """What `unit.json` says."""
        facts = parsed_json(read_bytes(self.path(key) / "unit.json", most_bytes=MOST_FACTS_BYTES))
        if not NEEDED <= set(facts["files"]) <= NEEDED | OPTIONAL:
            raise ValueError("unit.json names other files than a unit has")
        return dict(facts)

    def _checked(self, key: str, hashes: Mapping[str, str], name: str, *, most_bytes: int = MOST_BYTES) -> bytes:
        """A file that has the sha256 that `unit.json` says; one at a time, since all of a stranger's may be large."""
        content = read_bytes(self.path(key) / name, most_bytes=most_bytes)
        if hashlib.sha256(content).hexdigest() != hashes[name]:
            raise ValueError(f"{name} does not have the sha256 of unit.json")
        return content

    def _parsed(self, content: bytes, name: str) -> Array:
        dtype, n_axes = ARRAYS[name]
        return parsed_array(content, dtype=dtype, n_axes=n_axes)

    def _result(self, key: str, facts: Mapping[str, Any], arrays: Mapping[str, Array], curve: Mapping[str, Any]) -> UnitResult:
        return UnitResult(
            key=key,
            fold=int(facts["fold"]),
            rows=arrays["rows"],
            predictions=arrays["predictions"],
            stop_predictions=arrays.get(STOP),
            seconds=float(facts["seconds"]),
            folder=self.path(key),
            curve=curve,
            best_epoch=facts.get("best_epoch"),
            cut_short=bool(facts.get("cut_short")),
            latency_ms={name: float(value) for name, value in (facts.get("latency_ms") or {}).items()},
        )


def _stored(weights: Mapping[str, Array]) -> dict[str, Array]:
    """Weights as they are written: in half precision where it holds them exactly."""
    halves = {name: in_half(array) for name, array in weights.items()}
    return {name: np.ascontiguousarray(array) if (half := halves[name]) is None else half for name, array in weights.items()}


def _curve(plain: Any) -> dict[str, list[float]]:
    """Numbers by epoch; what is not finite was written as null."""
    return {str(name): [float("nan") if value is None else float(value) for value in values] for name, values in plain.items()}


def unit_key(dataset: Dataset, splits: Splits, *, candidate: Candidate, fold: Fold, share: float, seed: int) -> str:
    """What decides a unit's result: data, candidate, splits, fold, share of the training rows, and seed."""
    parts = [dataset.fingerprint, candidate.key, splits.key, str(fold.index), str(seed)]
    if share < 1:
        parts.append(f"{share:.6f}")
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:24]
