"""Finished units on disk: written whole, checked when read, so that a run can go on where it stopped."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.storage import finite, write_bytes, write_json
from cupel.core.trial import UnitResult

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitFiles:
    """What a unit leaves behind. `golden` are the trained model's predictions for the run's golden rows."""

    rows: Array
    predictions: Array
    golden: Array
    model: bytes
    facts: Mapping[str, Any]
    weights: Mapping[str, Array]


class UnitStore:
    """The `units/` folder: one subfolder per unit, named by its key, complete once `unit.json` exists."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, key: str) -> Path:
        """Where a unit's files are."""
        return self._folder / key

    def save(self, key: str, files: UnitFiles) -> UnitResult:
        """Write a unit; `unit.json`, which names every other file with its sha256, is written last."""
        folder = self.path(key)
        contents = {
            "rows.npy": _npy(files.rows.astype(np.int64)),
            "predictions.npy": _npy(files.predictions.astype(np.float64)),
            "golden.npy": _npy(files.golden.astype(np.float64)),
            "model.onnx": files.model,
        }
        if files.weights:
            from safetensors.numpy import save

            contents["weights.safetensors"] = save({name: np.ascontiguousarray(w) for name, w in files.weights.items()})
        contents["curve.json"] = json.dumps(finite(dict(files.facts.get("curve", {})))).encode()
        for name, content in contents.items():
            write_bytes(folder / name, content)
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        facts = {name: value for name, value in files.facts.items() if name != "curve"}
        write_json(folder / "unit.json", {"key": key, "files": hashes, **facts})
        return self._result(key, facts, files.rows, files.predictions, files.facts.get("curve", {}))

    def load(self, key: str) -> UnitResult | None:
        """A finished unit, or None where there is none, it is damaged, or the deadline had cut it short."""
        facts = self._facts(key)
        if facts is None or facts.get("cut_short"):
            return None
        folder = self.path(key)
        curve = json.loads((folder / "curve.json").read_bytes())
        return self._result(key, facts, self.array(key, "rows"), self.array(key, "predictions"), curve)

    def array(self, key: str, name: str) -> Array:
        """One of a unit's arrays: rows, predictions or golden."""
        loaded: Array = np.load(self.path(key) / f"{name}.npy", allow_pickle=False)
        return loaded

    def model(self, key: str) -> bytes:
        """A unit's ONNX model."""
        return (self.path(key) / "model.onnx").read_bytes()

    def _facts(self, key: str) -> dict[str, Any] | None:
        folder = self.path(key)
        try:
            facts = json.loads((folder / "unit.json").read_bytes())
            intact = all(_sha256(folder / name) == digest for name, digest in facts["files"].items())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return dict(facts) if intact else None

    def _result(
        self, key: str, facts: Mapping[str, Any], rows: Array, predictions: Array, curve: Mapping[str, Any]
    ) -> UnitResult:
        return UnitResult(
            key=key,
            fold=int(facts["fold"]),
            rows=rows,
            predictions=predictions,
            seconds=float(facts["seconds"]),
            folder=self.path(key),
            curve=curve,
            best_epoch=facts.get("best_epoch"),
            cut_short=bool(facts.get("cut_short")),
            latency_ms=facts.get("latency_ms") or {},
        )


def _npy(array: Array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
