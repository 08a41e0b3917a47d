"""A packed model, loaded: predicts with numpy and ONNX Runtime alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import DataError, ParityError, UsageError
from cupel.core.form import Form
from cupel.core.modality import GraphInput
from cupel.core.schema import Column, Schema
from cupel.core.task import Task, TaskKind
from cupel.serving.artifact import Artifact, open_artifact
from cupel.serving.contract import Contract, Feeds
from cupel.serving.declaration import Declaration, Golden
from cupel.serving.notes import Notes
from cupel.serving.rows import Rows, is_record, rows_of
from cupel.serving.session import Session

Array = NDArray[Any]
ROWS_DECODED_AT_ONCE = 16_384
PICTURES_DECODED_AT_ONCE = 128
ROWS_RUN_AT_ONCE = 1024  # 32 hidden layers of width 512 side by side, as in TabM, are 64 MiB for so many
INDEPENDENCE = 1e-5  # in float32 one row takes another path than many: up to 5e-7 with RealMLP
SEPARATOR = "|"
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
_MEANING = {
    "trained": "the trained model's predictions and the packed model's differ",
    "one_by_one": "rows predicted one by one and together differ",
    "subset": "rows predicted among fewer others differ",
}


class Predictor:
    """Predicts for raw rows as they would stand in a file.

    Rows may be a path, a pandas or polars frame, an Arrow table, a dict of columns, a list of dicts, one dict, or a
    NumPy matrix with the columns of `feature_names` in their order. A model of pictures alone also takes a picture file, a folder
    of them, or an array (rows, height, width[, channels]). `notes` tells what was odd in the last rows given.

    ```python
    predictor = cupel.load("model.cupel")
    predictor.predict({"age": 41, "income": "52,000"})
    ```
    """

    def __init__(self, artifact: Artifact, *, threads: int = 1) -> None:
        if threads < 1:
            raise UsageError(f"threads is {threads}; expected 1 or more.")
        declaration = Declaration.of(artifact)
        self.manifest: Mapping[str, Any] = artifact.manifest
        self.schema: Schema = declaration.schema
        self.task: Task = declaration.task
        self.facts: Mapping[str, Any] = artifact.json("facts.json")
        self.card: str = artifact.text("card.md")
        self.notes: tuple[str, ...] = ()
        self.inputs: tuple[GraphInput, ...] = declaration.inputs
        self._artifact = artifact
        self._contract = Contract(self.schema, declaration.inputs)
        self._needed = frozenset(self._contract.names)
        self._labels = _labels(self.task.classes)
        self._session = Session(
            artifact.contents["model.onnx"],
            declaration.inputs,
            n_outputs=self.task.n_outputs,
            path=artifact.path,
            threads=threads,
        )

    @classmethod
    def load(cls, source: str | Path | bytes, *, threads: int = 1) -> Predictor:
        """Open an artifact, a file or its bytes; `threads` is how many processors one prediction may use.

        Raises:
            ArtifactError: it is missing, damaged, hostile, or of a newer format.
        """
        return cls(open_artifact(source if isinstance(source, bytes) else Path(source)), threads=threads)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, or the labels that may hold together, in the order of probabilities; empty for regression."""
        return self.task.classes

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns that rows must have."""
        return self._contract.names

    @property
    def pictures(self) -> Column | None:
        """The column of pictures, where the model reads nothing else."""
        return None if self._contract.pictures is None else self.schema[self._contract.pictures]

    def predict(self, rows: Any) -> Array:
        """One prediction per row: class labels (numbers where all labels are numbers), or float values.

        Of several labels a text of those whose probability reaches their threshold (`task.thresholds`), as in "red|round"; an
        empty one where none does.

        Raises:
            DataError: a column is missing or a cell cannot be read.
        """
        return self._decided(self._predictions(rows))

    def predict_proba(self, rows: Any) -> NDArray[np.float64]:
        """Probabilities, shape (rows, classes), in the order of `classes`; of several labels they need not sum to 1.

        Raises:
            UsageError: the model predicts numbers, not classes.
            DataError: a column is missing or a cell cannot be read.
        """
        if not self.task.form.has_probabilities:
            raise UsageError("this model predicts numbers and has no probabilities; call predict().")
        return self._predictions(rows)

    def predict_columns(
        self, rows: Any, *, progress: Callable[[float], None] | None = None, folder: Path | None = None
    ) -> dict[str, Array]:
        """`prediction`, and `probability_<class>` for each class or label, as columns; `progress` hears the fraction done.

        Paths of pictures among columns in memory are relative to `folder`, by default the working directory.
        """
        predictions = self._predictions(rows, progress=progress, folder=folder)
        columns = {"prediction": self._decided(predictions)}
        for position, label in enumerate(self.classes):
            columns[f"probability_{label}"] = predictions[:, position]
        return columns

    def feeds(self, rows: Any) -> Feeds:
        """What the graph reads for these rows, by input name; to run `model.onnx` elsewhere.

        Raises:
            DataError: a column is missing or a cell cannot be read.
        """
        notes = Notes()
        read = rows_of(rows, self.feature_names, pictures=self._contract.pictures)
        self._contract.check_columns(read, notes)
        feeds = self._contract.feeds(read, notes)
        self.notes = notes.sentences()
        return feeds

    def run(self, feeds: Feeds) -> NDArray[np.float64]:
        """What the graph gives for what `feeds` made, or for arrays of the same form: shape (rows, outputs)."""
        n_rows = len(next(iter(feeds.values())))
        parts = [slice(start, start + ROWS_RUN_AT_ONCE) for start in range(0, n_rows, ROWS_RUN_AT_ONCE)]
        return np.concatenate([self._session.run(_some(feeds, part)) for part in parts or [slice(0)]])

    def check(self) -> dict[str, float]:
        """Predict the golden rows again, here; returns the largest differences found, in units of the target's spread.

        `trained`: to what the trained model predicted; `one_by_one` and `subset`: of a row among others and without them.

        Raises:
            ParityError: one is too large.
            ArtifactError: the golden rows cannot be read.
        """
        golden = Golden.of(self._artifact, n_outputs=self.task.n_outputs)
        read = replace(rows_of(golden.rows, self.feature_names), folder=None)  # golden rows come with the file, and open none
        self._contract.check_columns(read, Notes())
        feeds = self._contract.feeds(read, Notes())
        together = self._session.run(feeds)
        singly = np.concatenate([self._session.run(_some(feeds, slice(row, row + 1))) for row in range(read.n_rows)])
        half = np.arange(0, read.n_rows, 2)[::-1]
        compared = {
            "trained": (together, np.asarray(golden.expected, np.float64), golden.tolerance),
            "one_by_one": (singly, together, INDEPENDENCE),
            "subset": (self._session.run(_some(feeds, half)), together[half], INDEPENDENCE),
        }
        found = {}
        for name, (first, second, limit) in compared.items():
            differences = _differences(first, second) / golden.spread
            found[name] = float(differences.max(initial=0.0))
            if not found[name] <= limit:
                raise ParityError(
                    f"golden row {int(differences.argmax()) + 1}: {_MEANING[name]} by {found[name]:.2g}, where {limit:g} is "
                    f"allowed. This model must not be used here; pack it anew, or use the ONNX Runtime that it was packed with."
                )
        return found

    def __repr__(self) -> str:
        asked = f"{self.task.kind.value} {self.task.target!r} from {len(self.feature_names)} columns"
        return f"Predictor({str(self._artifact.path)!r}, {asked})"

    def _predictions(
        self, rows: Any, *, progress: Callable[[float], None] | None = None, folder: Path | None = None
    ) -> NDArray[np.float64]:
        notes = Notes()
        if is_record(rows) and self._needed <= rows.keys():
            predictions = self._session.run(self._contract.feeds_of_record(rows, notes))
            notes.ignored(str(name) for name in rows if name not in self._needed and name not in self.schema)
        else:
            read = rows_of(rows, self.feature_names, pictures=self._contract.pictures)
            read = read if folder is None else replace(read, folder=folder)
            predictions = self._predictions_of_table(read, notes, progress=progress)
        is_finite = np.isfinite(predictions).all(axis=1)
        if not is_finite.all():
            row = int(np.flatnonzero(~is_finite)[0]) + 1
            raise DataError(f"row {row} has no finite prediction: its numbers are too large. Mend or leave out the row.")
        self.notes = notes.sentences()
        return predictions

    def _predictions_of_table(
        self, rows: Rows, notes: Notes, *, progress: Callable[[float], None] | None = None
    ) -> NDArray[np.float64]:
        self._contract.check_columns(rows, notes)
        predictions = np.empty((rows.n_rows, self.task.n_outputs))
        n_decoded = PICTURES_DECODED_AT_ONCE if self._contract.has_pictures else ROWS_DECODED_AT_ONCE
        for start in range(0, rows.n_rows, n_decoded):
            stop = min(start + n_decoded, rows.n_rows)
            feeds = self._contract.feeds(rows, notes, start=start, stop=stop)
            for first in range(0, stop - start, ROWS_RUN_AT_ONCE):
                part = slice(first, first + ROWS_RUN_AT_ONCE)
                predictions[start:stop][part] = self._session.run(_some(feeds, part))
            if progress is not None:
                progress(stop / rows.n_rows)
        return predictions

    def _decided(self, predictions: Array) -> Array:
        if self.task.form is Form.VALUES:
            return predictions[:, 0]
        if self.task.form is Form.LABELS:
            return _joined(predictions >= np.array(self.task.thresholds), self.task.classes)
        if self.task.kind is TaskKind.BINARY:
            return np.asarray(self._labels[(predictions[:, 1] > 0.5).astype(np.int64)])
        return np.asarray(self._labels[predictions.argmax(axis=1)])


def load(path: str | Path | bytes, *, threads: int = 1) -> Predictor:
    """Open a packed model: `cupel.load("model.cupel").predict(rows)`.

    Raises:
        ArtifactError: it is missing, damaged, hostile, or of a newer format.
    """
    return Predictor.load(path, threads=threads)


def _joined(said: Array, labels: Sequence[str]) -> Array:
    """The labels said of each row, as one text."""
    texts = np.empty(len(said), dtype=object)
    texts[:] = [SEPARATOR.join(label for label, is_said in zip(labels, row, strict=True) if is_said) for row in said.tolist()]
    return texts


def _some(feeds: Mapping[str, Array], rows: slice | Array) -> Feeds:
    return {name: values[rows] for name, values in feeds.items()}


def _labels(classes: Sequence[str]) -> Array:
    """Class labels as an array, as numbers where every one is written as Cupel writes numbers."""
    if classes and all(_WHOLE.fullmatch(label) for label in classes):
        return np.array([int(label) for label in classes], np.int64)
    if classes and all(_is_number(label) for label in classes):
        return np.array([float(label) for label in classes], np.float64)
    labels = np.empty(len(classes), dtype=object)
    labels[:] = classes
    return labels


def _is_number(label: str) -> bool:
    """Whether a text is a finite number in the one spelling that Cupel gives it; "007" and "1_0" are labels."""
    try:
        number = float(label)
    except ValueError:
        return False
    return abs(number) < float("inf") and label == (
        str(int(number)) if number.is_integer() and abs(number) < 1e16 else repr(number)
    )


def _differences(first: Array, second: Array) -> Array:
    """The largest difference in each row; infinite where a value is not finite or shapes differ."""
    if first.shape != second.shape:
        return np.array([np.inf])
    return np.asarray(np.nan_to_num(np.abs(first - second), nan=np.inf, posinf=np.inf).max(axis=1))
