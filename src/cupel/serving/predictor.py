"""A packed model, loaded: predicts with numpy and ONNX Runtime alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.decoding import spelled
from cupel.core.errors import DataError, ParityError, UsageError
from cupel.core.form import Form
from cupel.core.limits import bytes_in
from cupel.core.modality import GraphInput
from cupel.core.schema import Column, Schema
from cupel.core.task import Task
from cupel.core.uncertainty import Coverage, Silence, Uncertainty, chosen
from cupel.serving.artifact import Artifact, open_artifact
from cupel.serving.certificate import MEANING, Certifier, Claim
from cupel.serving.contract import Contract, Feeds
from cupel.serving.declaration import Declaration, Golden
from cupel.serving.masks import column_of, labels_of, own_size, painted, shares
from cupel.serving.notes import Notes
from cupel.serving.pictures import is_missing
from cupel.serving.rows import Rows, is_record, rows_of
from cupel.serving.session import Allowance, Session

Array = NDArray[Any]
ROWS_DECODED_AT_ONCE = 16_384
PICTURES_DECODED_AT_ONCE = 128
ROWS_RUN_AT_ONCE = 1024  # 32 hidden layers of width 512 side by side, as in TabM, are 64 MiB for so many
SEPARATOR = "|"
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")


class Predictor:
    """Predicts for raw rows as they would stand in a file.

    Rows may be a path, a pandas or polars frame, an Arrow table, a dict of columns, a list of dicts, one dict, or a
    NumPy matrix with the columns of `feature_names` in their order. A model of pictures alone also takes a picture file, a folder
    of them, an array (rows, height, width[, channels]), or an .npz archive or idx file of such. `notes` tells what was odd in
    the last rows given.

    ```python
    predictor = cupel.load("model.cupel")
    predictor.predict({"age": 41, "income": "52,000"})
    ```
    """

    def __init__(
        self, artifact: Artifact, *, threads: int = 1, memory: str | float | None = None, is_alone: bool = False
    ) -> None:
        if threads < 1:
            raise UsageError(f"threads is {threads}; expected 1 or more.")
        declaration = Declaration.of(artifact)
        self.manifest: Mapping[str, Any] = artifact.manifest
        self.schema: Schema = declaration.schema
        self.task: Task = declaration.task
        self.uncertainty: Uncertainty = declaration.uncertainty
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
            has_maps=bool(self.task.grid),
            allowance=Allowance(threads=threads, memory_bytes=bytes_in(memory), is_alone=is_alone),
        )

    @classmethod
    def load(
        cls, source: str | Path | bytes, *, threads: int = 1, memory: str | float | None = None, is_alone: bool = False
    ) -> Predictor:
        """Open an artifact, a file or its bytes; `threads` is how many processors one prediction may use.

        `memory` ("4GB") is what the tensors of its graph may take, by default half of what is available now. In a process that
        `is_alone` with it, and does nothing else while it predicts, the system holds all that the graph does to that (Linux).

        Raises:
            ArtifactError: it is missing, damaged, hostile, or of a newer format.
        """
        artifact = open_artifact(source if isinstance(source, bytes) else Path(source))
        return cls(artifact, threads=threads, memory=memory, is_alone=is_alone)

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
        Of a model of masks, an object array of masks in each picture's own size, as training masks were: uint8 (height, width) of
        grey levels or indices, or (height, width, 3) of colours; None where there is no picture.

        Raises:
            DataError: a column is missing or a cell cannot be read.
        """
        if self.task.grid:
            return column_of([painted(labels_of(*found), self.classes) for found in self._maps(rows)])
        return self._decided(self._predictions(rows))

    def predict_proba(self, rows: Any) -> NDArray[np.float64]:
        """Probabilities, shape (rows, classes), in the order of `classes`; of several labels they need not sum to 1.

        Of a model of masks, an object array of float32 arrays (classes, height, width) in the size of the picture, or of what
        it was reduced to (512 x 512 pixels at most); None where there is no picture.

        Raises:
            UsageError: the model predicts numbers, not classes.
            DataError: a column is missing or a cell cannot be read.
        """
        if not self.task.form.has_probabilities:
            raise UsageError("this model predicts numbers and has no probabilities; call predict().")
        if self.task.grid:
            return column_of([maps for maps, _ in self._maps(rows)])
        return self._predictions(rows)

    def predict_interval(self, rows: Any, *, coverage: float = 0.9) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Low and high ends of a range for each row that holds the truth with that probability, for rows like those learned from.

        Raises:
            UsageError: the model predicts classes, or cannot promise that coverage.
            DataError: a column is missing or a cell cannot be read.
        """
        ranges = self._coverage(is_classification=False)
        ranges.interval(np.zeros(1), coverage)  # refused before any work
        return ranges.interval(self._predictions(rows)[:, 0], coverage)

    def predict_set(self, rows: Any, *, coverage: float = 0.9) -> NDArray[np.bool_]:
        """Which classes belong to a set that holds the true one with that probability, shape (rows, classes), never none.

        Raises:
            UsageError: the model predicts numbers, or cannot promise that coverage.
            DataError: a column is missing or a cell cannot be read.
        """
        sets = self._coverage(is_classification=True)
        sets.members(np.ones((1, len(self.classes))), coverage)  # refused before any work
        return sets.members(self._predictions(rows), coverage)

    def predict_columns(
        self,
        rows: Any,
        *,
        progress: Callable[[float], None] | None = None,
        folder: Path | None = None,
        coverage: float | None = None,
        abstain: float | None = None,
    ) -> dict[str, Array]:
        """`prediction`, and `probability_<class>` for each class or label, as columns; `progress` hears the fraction done.

        With a `coverage` also `low` and `high`, or for classes `set`, a JSON list of labels. With `abstain` the prediction is
        missing for rows whose answers would not surely be right at least so often. Paths of pictures among columns in memory
        are relative to `folder`, by default the working directory. Of a model of masks `prediction` holds these, and
        `share_<class>` how much of the picture each class covers.

        Raises:
            UsageError: what is asked for cannot be promised.
            DataError: a column is missing or a cell cannot be read.
        """
        if self.task.grid:
            return self._mask_columns(rows, progress, folder, promised=coverage is not None or abstain is not None)
        ranges = None if coverage is None else self._coverage(is_classification=self.task.is_classification)
        confidence = None if abstain is None else self._silence().confidence_for(abstain)
        predictions = self._predictions(rows, progress=progress, folder=folder)
        columns = {"prediction": self._decided(predictions)}
        if confidence is not None:
            sure = predictions[np.arange(len(predictions)), chosen(predictions, self.uncertainty.decision)]
            columns["prediction"] = _kept_where(sure >= confidence, columns["prediction"])
        for position, label in enumerate(self.classes):
            columns[f"probability_{label}"] = predictions[:, position]
        if ranges is not None and coverage is not None:
            columns |= self._covering(ranges, predictions, coverage)
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

        `trained`: to what the trained model predicted; `one_by_one` and `subset`: of a row among others and without them;
        `contract`: of rows given in other forms. `refusals` counts needed columns that could be missing unnoticed, `missing` is 1
        where a row without any cell has no finite prediction.

        Raises:
            ParityError: one is too large.
            ArtifactError: the golden rows cannot be read.
        """
        claims = self.claims()
        for claim in claims:
            if not claim.holds:
                where = "" if claim.row is None else f"golden row {claim.row}: "
                raise ParityError(
                    f"{where}{MEANING[claim.name]}: {claim.measured:.2g}, where {claim.limit:g} is allowed. "
                    f"This model must not be used here; pack it anew, or use the ONNX Runtime that it was packed with."
                )
        return {claim.name: claim.measured for claim in claims}

    def claims(self) -> list[Claim]:
        """All that `check` measures, whether it holds or not.

        Raises:
            ArtifactError: the golden rows cannot be read.
        """
        golden = Golden.of(self._artifact, n_outputs=self.task.n_outputs)
        return Certifier(contract=self._contract, run=self._session.run, golden=golden).claims()

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

    def _maps(
        self, rows: Any, *, progress: Callable[[float], None] | None = None, folder: Path | None = None
    ) -> Iterator[tuple[NDArray[np.float32] | None, tuple[int, int]]]:
        """Of each row probabilities at every pixel and the size in which the picture came; None where there is none."""
        notes = Notes()
        read = rows_of(rows, self.feature_names, pictures=self._contract.pictures)
        read = read if folder is None else replace(read, folder=folder)
        self._contract.check_columns(read, notes)
        for row in range(read.n_rows):
            feeds = self._contract.feeds(read, notes, start=row, stop=row + 1)
            (picture,), cell = next(iter(feeds.values()))[0], read.columns[self.feature_names[0]][row]
            if is_missing(cell):
                yield None, (0, 0)
            else:
                yield self._session.maps(feeds), own_size(picture, cell, folder=read.folder)
            if progress is not None:
                progress((row + 1) / read.n_rows)
        self.notes = notes.sentences()

    def _mask_columns(
        self, rows: Any, progress: Callable[[float], None] | None, folder: Path | None, *, promised: bool
    ) -> dict[str, Array]:
        if promised:
            raise UsageError("masks come without sets, ranges or abstaining; ask for none.")
        masks, n_classes = [labels_of(*found) for found in self._maps(rows, progress=progress, folder=folder)], len(self.classes)
        covered = np.array([np.full(n_classes, np.nan) if each is None else shares(each, n_classes) for each in masks])
        columns = {"prediction": column_of([painted(each, self.classes) for each in masks])}
        for position, label in enumerate(self.classes):
            columns[f"share_{label}"] = covered.reshape(-1, n_classes)[:, position]
        return columns

    def _coverage(self, *, is_classification: bool) -> Coverage:
        if is_classification != self.task.is_classification:
            asked, call = ("a set of classes", "predict_interval") if is_classification else ("a range", "predict_set")
            raise UsageError(f"{asked} was asked of a model of a {self.task.kind.value} task; call {call}().")
        if self.uncertainty.coverage is None:
            raise UsageError("this model was packed without what ranges and sets need; pack it anew with this Cupel.")
        return self.uncertainty.coverage

    def _silence(self) -> Silence:
        if self.uncertainty.silence is None:
            raise UsageError(
                "this model cannot tell when to keep silent: it predicts no classes, learned from few rows, or is of an older "
                "Cupel. Ask for a coverage instead."
            )
        if self.uncertainty.decision is not None and self.uncertainty.silence.threshold is None:
            raise UsageError(
                "this model cannot tell when to keep silent: it says yes by a threshold, and an older Cupel learned from answers "
                "without it how often they are right. Pack it anew with this Cupel, or ask without abstaining."
            )
        return self.uncertainty.silence

    def _covering(self, ranges: Coverage, predictions: Array, coverage: float) -> dict[str, Array]:
        if not self.task.is_classification:
            low, high = ranges.interval(predictions[:, 0], coverage)
            return {"low": low, "high": high}
        sets = np.empty(len(predictions), dtype=object)
        for row, members in enumerate(ranges.members(predictions, coverage)):
            sets[row] = json.dumps(
                [label for label, is_in in zip(self.classes, members, strict=True) if is_in], ensure_ascii=False
            )
        return {"set": sets}

    def _decided(self, predictions: Array) -> Array:
        if self.task.form is Form.VALUES:
            return predictions[:, 0]
        if self.task.form is Form.LABELS:
            return _joined(predictions >= np.array(self.task.thresholds), self.task.classes)
        return np.asarray(self._labels[chosen(predictions, self.uncertainty.decision)])


def load(path: str | Path | bytes, *, threads: int = 1, memory: str | float | None = None, is_alone: bool = False) -> Predictor:
    """Open a packed model: `cupel.load("model.cupel").predict(rows)`; the options are those of `Predictor.load`.

    Raises:
        ArtifactError: it is missing, damaged, hostile, or of a newer format.
    """
    return Predictor.load(path, threads=threads, memory=memory, is_alone=is_alone)


def _joined(said: Array, labels: Sequence[str]) -> Array:
    """The labels said of each row, as one text."""
    texts = np.empty(len(said), dtype=object)
    texts[:] = [SEPARATOR.join(label for label, is_said in zip(labels, row, strict=True) if is_said) for row in said.tolist()]
    return texts


def _some(feeds: Mapping[str, Array], rows: slice | Array) -> Feeds:
    return {name: values[rows] for name, values in feeds.items()}


def _kept_where(is_kept: Array, labels: Array) -> Array:
    """Labels as texts, missing where they are not kept."""
    kept = np.empty(len(labels), dtype=object)
    kept[is_kept] = [spelled(label) for label in labels[is_kept].tolist()]
    return kept


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
