"""The final fit on all rows of a table that is larger than memory, as a worker makes it: read, prepare, store, train, export."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import execution, packing
from cupel.core import machine, registry
from cupel.core.budget import Deadline
from cupel.core.dataset import Dataset
from cupel.core.errors import TrainingError
from cupel.core.family import Family, FittedUnit
from cupel.core.feeds import feeds_of
from cupel.core.inputs import Inputs, InputShape
from cupel.core.preparation import FittedPreparation
from cupel.core.storage import npy, write_bytes, write_json
from cupel.core.stored import StoredRows, StoredUnit
from cupel.core.task import Task
from cupel.core.untrusted import read_bytes
from cupel.data.streamed import Piece, Whole

Array = NDArray[Any]
LEAST_SHARE, EVEN_WORK, PASSES = 0.01, 0.7, 1.3
"""Of all rows; how work on several cores adds up; so often what counting took is needed to read and prepare all rows."""
MOST_JUDGED, SHARE_JUDGED = 200_000, 0.1
MOST_TO_STOP, SHARE_TO_STOP = 100_000, 0.05
LEAST_FREE_BYTES = 200_000_000
MOST_BYTES = 8 << 30
FACTS, ROWS = "facts.json", "rows"
PARTS = ("numbers", "codes", "answers", "marks")
"""Of the rows that judge, a file each for every piece: what a graph reads, the truth, and the mark that a row or group has."""


def fitted(
    given: execution.Handover,
    assignment: execution.Assignment,
    *,
    folder: Path,
    deadline: Deadline,
    progress: Callable[[float], None],
) -> dict[str, Any]:
    """What was done, as plain values, once model and rows to judge by are in the folder.

    No row that stops training trains, and none that judges does either, nor was it searched on; all of a group's rows have one
    use. What is fitted before training, as levels and scales, is so on the rows that were searched on.

    Raises:
        TrainingError: there is no time or disk for it, or the model cannot be packed.
    """
    started, dataset = time.monotonic(), given.dataset
    whole, family = Whole.from_json(given.facts["whole"]), assignment.family
    assert family.learns_in_pieces, "asked only of families that can"
    assert dataset.task is not None, "a run's dataset has a task"
    seed = int(given.facts["seed"])
    prepared = assignment.candidate.preparation.fit(dataset, np.arange(dataset.n_samples), seed=seed)
    share = _affordable_share(assignment, prepared.inputs, whole, task=dataset.task, seconds=deadline.remaining)
    writing = _Writing(dataset=dataset, preparation=prepared.fitted, folder=folder, whole=whole, share=share)
    for piece in whole.pieces(dataset):
        writing.add(piece, number=len(writing.targets))
        progress(0.5 * writing.n_rows / whole.n_rows)
        if deadline.passed:
            raise TrainingError("time was up while all rows were prepared; give the run more time with --time.")
    model = _learner(family)(
        writing.unit(seed=seed),
        config=assignment.candidate.config,
        recipe=assignment.candidate.recipe,
        task=dataset.task,
        deadline=deadline,
        progress=lambda share: progress(0.5 + 0.5 * share),
    )
    shutil.rmtree(folder / ROWS)
    _export(given, prepared.fitted, model.model, folder=folder)
    facts = {
        "key": key_of(given.dataset, assignment.candidate.key, seed=seed),
        "candidate": assignment.candidate.name,
        "rows": {"trained": writing.rows.n_samples, "stopped": writing.n_stop, "judged": writing.n_judged},
        "n_pieces": len(writing.targets),
        "share": share,
        "rounds": model.best_epoch,
        "cut_short": model.cut_short,
        "seconds": time.monotonic() - started,
        "seconds_to_train": model.seconds,
        "files": {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.is_file()},
    }
    write_json(folder / FACTS, facts)
    return facts


def _learner(family: Family) -> Callable[..., FittedUnit]:
    """What learns from stored rows: the family itself, or the loop that trains every network."""
    if family.fit_stored is not None:
        return family.fit_stored
    from cupel import training  # PyTorch with it, which families that train themselves do without

    return partial(training.fit_stored, family)


def _affordable_share(assignment: execution.Assignment, inputs: Inputs, whole: Whole, *, task: Task, seconds: float) -> float:
    """The share of all rows that there is time to learn from: fewer rows well are better than all of them hardly begun."""
    shape, family, candidate = InputShape.covering([inputs]), assignment.family, assignment.candidate
    config, recipe = candidate.config, candidate.recipe
    left = (seconds - PASSES * whole.seconds) * machine.usable_cores() ** EVEN_WORK
    if family.fit_stored is None:
        n_rows = family.samples_within(left, n_rows=whole.n_rows, shape=shape, config=config, recipe=recipe, task=task)
        share = n_rows / whole.n_rows
    else:
        share = left / max(family.cost(whole.n_rows, shape, config, recipe, task).seconds, 1e-9)
    return float(np.clip(share, LEAST_SHARE, 1.0))


def key_of(dataset: Dataset, candidate_key: str, *, seed: int) -> str:
    """What decides the result."""
    return hashlib.sha256(f"{dataset.fingerprint}/{candidate_key}/{seed}".encode()).hexdigest()[:24]


@dataclass(kw_only=True, eq=False)
class _Writing:
    """All rows, each put where it belongs."""

    dataset: Dataset
    preparation: FittedPreparation
    folder: Path
    whole: Whole
    share: float = 1.0
    targets: list[Array] = field(default_factory=list)
    stops: list[tuple[Inputs, Array]] = field(default_factory=list)
    n_rows: int = 0
    n_judged: int = 0

    def __post_init__(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.rows = StoredRows(self.folder / ROWS)
        n_rows = self.whole.n_rows
        self._judged_from = 1 - min(SHARE_JUDGED, MOST_JUDGED / n_rows)
        self._stop_from = self._judged_from - min(SHARE_TO_STOP, MOST_TO_STOP / n_rows)
        drawn = self.dataset.row_numbers
        self._drawn = np.zeros(n_rows, np.bool_)
        self._drawn[drawn] = True

    @property
    def n_stop(self) -> int:
        """Rows that stop training."""
        return sum(len(target) for _, target in self.stops)

    def add(self, piece: Piece, *, number: int) -> None:
        """The next rows."""
        is_new = ~self._drawn[piece.rows]
        is_judged = is_new & (piece.marks >= self._judged_from)
        is_stop = is_new & (piece.marks >= self._stop_from) & ~is_judged
        is_train = ~(is_judged | is_stop) & (piece.marks < self.share * self._stop_from)
        is_train |= ~is_new & (piece.marks >= self._stop_from)  # of rare classes
        train, stop, judged = (np.flatnonzero(chosen) for chosen in (is_train, is_stop, is_judged))
        target = piece.dataset.target
        assert target is not None, "a piece has its answers"
        self.rows.append(self.preparation.transform(piece.dataset, train))
        self.targets.append(target[train])
        if len(stop):
            self.stops.append((self.preparation.transform(piece.dataset, stop), target[stop]))
        self._keep(piece, judged, number=number)
        self.n_rows = int(piece.rows[-1]) + 1 if len(piece.rows) else self.n_rows
        if number == 0:
            self._demand_disk()

    def unit(self, *, seed: int) -> StoredUnit:
        """What there is to learn from.

        Raises:
            TrainingError: no rows are left to stop training by, or to judge it.
        """
        if not self.stops:
            raise TrainingError("no rows beside those that were searched on are left to stop training by; give more rows.")
        if not self.n_judged:
            raise TrainingError(
                "no rows beside those that were searched on are left to judge by (are there few groups?); give more rows."
            )
        inputs = [stop for stop, _ in self.stops]
        blocks = {name: np.concatenate([each.blocks[name] for each in inputs]) for name in inputs[0].blocks}
        return StoredUnit(
            seed=seed,
            train=self.rows,
            train_target=np.concatenate(self.targets),
            stop=Inputs(blocks, inputs[0].cardinalities),
            stop_target=np.concatenate([target for _, target in self.stops]),
        )

    def _keep(self, piece: Piece, rows: Array, *, number: int) -> None:
        """Rows that will judge, as files."""
        target = piece.dataset.target
        assert target is not None, "a piece has its answers"
        parts: tuple[Array, ...] = (
            piece.dataset.numeric(rows),
            piece.dataset.codes(rows),
            target[rows].astype(np.float64),
            piece.marks[rows],
        )
        for name, array in zip(PARTS, parts, strict=True):
            write_bytes(self.folder / f"judged-{number}-{name}.npy", npy(array))
        self.n_judged += len(rows)

    def _demand_disk(self) -> None:
        needed = self.share * self.rows.bytes_of_row * self.whole.n_rows
        free = shutil.disk_usage(self.folder).free - LEAST_FREE_BYTES
        if needed > free:
            raise TrainingError(
                f"all rows, prepared, take {needed / 1e9:.1f} GB on the disk of the run folder, where {free / 1e9:.1f} GB are "
                f"free; free some, or choose another with --out."
            )


def _export(given: execution.Handover, preparation: FittedPreparation, model: Any, *, folder: Path) -> None:
    """The model as a graph that was compared with it on the golden rows, and what it says of them."""
    dataset = given.dataset
    modality = registry.modality_named(given.facts["modality"])
    modality = modality if modality.for_schema is None else modality.for_schema(dataset.schema)
    inputs = tuple(modality.graph_inputs(dataset.schema))
    golden = np.asarray(given.golden)
    expected = model.predict(preparation.transform(dataset, golden))
    assert dataset.task is not None, "a run's dataset has a task"
    content: bytes = packing.export_unit(preparation, model, inputs, n_outputs=dataset.task.n_outputs).SerializeToString()
    packing.parity(content, feeds_of(dataset, golden, inputs), expected, scale=float(given.facts["spread"]))
    write_bytes(folder / "golden.npy", npy(expected.astype(np.float64)))
    write_bytes(folder / "model.onnx", content)


def sha256_of(path: Path) -> str:
    """Of what a file of a final fit holds."""
    return hashlib.sha256(read_bytes(path, most_bytes=MOST_BYTES)).hexdigest()


def judged_piece(like: Dataset, *, numbers: Array, codes: Array, answers: Array) -> Dataset:
    """Rows that judge, as they were kept, as a dataset."""
    schema = like.schema
    columns = {column.name: numbers[:, place] for place, column in enumerate(schema.numeric_features)}
    columns |= {column.name: codes[:, place] for place, column in enumerate(schema.category_features)}
    kept = replace(schema, columns=tuple(column for column in schema.columns if column.name in columns))
    return replace(like, schema=kept, columns=columns, target=answers, findings=(), names={}, cache=None)
