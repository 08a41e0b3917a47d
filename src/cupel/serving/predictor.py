"""A packed model, loaded: predicts with numpy and ONNX Runtime alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import ArtifactError, ParityError
from cupel.core.modality import GraphInput
from cupel.core.schema import Schema
from cupel.core.task import Task, TaskKind
from cupel.serving.artifact import Artifact, open_artifact
from cupel.serving.contract import Contract, columns_of

Array = NDArray[Any]
ROWS_AT_ONCE = 10_000
ONE_BY_ONE_TOLERANCE = 1e-5


class Predictor:
    """Predicts for raw rows as they would stand in a file.

    Rows may be a path, a pandas or polars frame, an Arrow table, a dict of columns, a list of dicts, one dict, or a
    NumPy matrix with the columns of `feature_names` in their order. `notes` tells what was odd in the last rows given.

    ```python
    predictor = cupel.load("model.cupel")
    predictor.predict({"age": 41, "income": "52,000"})
    ```
    """

    def __init__(self, artifact: Artifact, *, threads: int = 1) -> None:
        self.manifest: Mapping[str, Any] = artifact.manifest
        self.schema = Schema.from_json(artifact.json("schema.json"))
        try:
            self.task = Task.from_json(artifact.manifest["task"])
            inputs = [
                GraphInput(name=i["name"], kind=i["kind"], columns=tuple(i["columns"])) for i in artifact.manifest["inputs"]
            ]
            self._contract = Contract(self.schema, inputs)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{artifact.path}: the manifest cannot be read ({error}); the file is damaged.") from error
        self.facts: Mapping[str, Any] = artifact.json("facts.json")
        self.card = artifact.contents["card.md"].decode()
        self.notes: tuple[str, ...] = ()
        self._golden = artifact.contents["golden.json"]
        self._session = _session(artifact, threads)
        self._wanted = [declared.name for declared in self._session.get_inputs()]

    @classmethod
    def load(cls, path: str | Path, *, threads: int = 1) -> Predictor:
        """Open an artifact; `threads` is how many processors one prediction may use.

        Raises:
            ArtifactError: it is missing, damaged, hostile, or of a newer format.
        """
        return cls(open_artifact(Path(path)), threads=threads)

    @property
    def classes(self) -> tuple[str, ...]:
        """The class labels in the order of probabilities; empty for regression."""
        return self.task.classes

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns that rows must have."""
        return self._contract.names

    def predict(self, rows: Any) -> Array:
        """One prediction per row: class labels (numbers where all labels are numbers), or float values.

        Raises:
            DataError: a column is missing or a cell cannot be read.
        """
        return self._decided(self._predictions(rows))

    def predict_proba(self, rows: Any) -> NDArray[np.float64]:
        """Probabilities, shape (rows, classes), in the order of `classes`.

        Raises:
            ArtifactError: the model predicts numbers, not classes.
            DataError: a column is missing or a cell cannot be read.
        """
        if not self.task.is_classification:
            raise ArtifactError("this model predicts numbers and has no probabilities; call predict().")
        return self._predictions(rows)

    def predict_columns(self, rows: Any) -> dict[str, Array]:
        """`prediction`, and for classes `probability_<class>` for each, as columns."""
        predictions = self._predictions(rows)
        columns = {"prediction": self._decided(predictions)}
        for position, label in enumerate(self.classes):
            columns[f"probability_{label}"] = predictions[:, position]
        return columns

    def feeds(self, rows: Any) -> dict[str, Array]:
        """What the graph reads for these rows, by input name; to run `model.onnx` elsewhere."""
        notes: list[str] = []
        feeds = self._contract.feeds(columns_of(rows, self.feature_names), notes)
        self.notes = tuple(notes)
        return feeds

    def check(self) -> dict[str, float]:
        """Predict the golden rows again, here; returns the largest differences found.

        They are in units of the target's spread: to what was trained, and between rows one by one and together.

        Raises:
            ParityError: one is too large.
        """
        golden = json.loads(self._golden)
        feeds = self._contract.feeds(columns_of(golden["rows"], self.feature_names), [])
        expected, spread = np.asarray(golden["expected"], np.float64), float(golden["spread"])
        together = self._run(feeds)
        n_rows = len(together)
        singly = np.concatenate([self._run({name: v[i : i + 1] for name, v in feeds.items()}) for i in range(n_rows)])
        half = np.arange(0, n_rows, 2)
        found = {
            "trained": _difference(together, expected, spread),
            "one_by_one": _difference(together, singly, spread),
            "subset": _difference(together[half], self._run({name: v[half] for name, v in feeds.items()}), spread),
        }
        limits = {"trained": float(golden["tolerance"])}
        for name, difference in found.items():
            if not difference <= limits.get(name, ONE_BY_ONE_TOLERANCE):
                raise ParityError(
                    f"golden rows: {name.replace('_', ' ')} differs by {difference:.2g}; this model must not be used here."
                )
        return found

    def _predictions(self, rows: Any) -> NDArray[np.float64]:
        feeds = self.feeds(rows)
        n_rows = len(next(iter(feeds.values())))
        if n_rows <= ROWS_AT_ONCE:
            return self._run(feeds)
        starts = range(0, n_rows, ROWS_AT_ONCE)
        return np.concatenate([self._run({name: v[i : i + ROWS_AT_ONCE] for name, v in feeds.items()}) for i in starts])

    def _run(self, feeds: Mapping[str, Array]) -> NDArray[np.float64]:
        if len(next(iter(feeds.values()))) == 0:
            return np.zeros((0, self.task.n_outputs))
        return np.asarray(self._session.run(None, {name: feeds[name] for name in self._wanted})[0], np.float64)

    def _decided(self, predictions: Array) -> Array:
        if not self.task.is_classification:
            return predictions[:, 0]
        labels = _labels(self.classes)
        if self.task.kind is TaskKind.BINARY:
            return labels[(predictions[:, 1] > 0.5).astype(np.int64)]
        chosen: Array = labels[predictions.argmax(axis=1)]
        return chosen


def load(path: str | Path, *, threads: int = 1) -> Predictor:
    """Open a packed model: `cupel.load("model.cupel").predict(rows)`.

    Raises:
        ArtifactError: it is missing, damaged, hostile, or of a newer format.
    """
    return Predictor.load(path, threads=threads)


def _session(artifact: Artifact, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(artifact.contents["model.onnx"], options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises kinds of its own, derived from nothing narrower
        raise ArtifactError(f"{artifact.path}: ONNX Runtime cannot load the model ({str(error)[:200]}).") from error


def _labels(classes: Sequence[str]) -> Array:
    """Class labels as an array, as numbers where every one is written as a whole number."""
    if all(label.lstrip("-").isdigit() and str(int(label)) == label for label in classes):
        return np.array([int(label) for label in classes])
    return np.array(classes, dtype=object)


def _difference(first: Array, second: Array, spread: float) -> float:
    if first.shape != second.shape:
        return float("inf")
    return float(np.nan_to_num(np.abs(first - second), nan=np.inf).max(initial=0.0) / spread)
