"""The final fit on all rows of a table that is larger than memory, as a worker makes it: read, prepare, store, train, export."""

from __future__ import annotations

import hashlib
import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import execution, packing
from cupel.core import machine, registry
from cupel.core.budget import Deadline
from cupel.core.dataset import Dataset
from cupel.core.errors import PassingError, StorageError, TrainingError
from cupel.core.family import Family, FittedUnit
from cupel.core.feeds import feeds_of
from cupel.core.inputs import Inputs, InputShape
from cupel.core.many_rows import recipe_for_many, samples_within, seconds_a_sample
from cupel.core.preparation import FittedPreparation
from cupel.core.storage import npy, write_bytes, write_json
from cupel.data.streamed import Whole
from cupel.row_files import ROWS, SHARE_TO_STOP, RowFiles, digests_of

Array = NDArray[Any]
WORTH, EVEN_WORK, PASSES = 1.5, 0.7, 1.3
"""So many times the rows that were searched on are worth a fit of their own; how work on several cores adds up; so often what
counting took is needed to read and prepare all rows."""
FACTS = "facts.json"


@contextmanager
def _full_disk_told() -> Iterator[None]:
    try:
        yield
    except (OSError, StorageError) as error:
        raise TrainingError(
            f"what is prepared of all rows could not be written ({error}); free some space on the disk of the run folder, then "
            f"`cupel resume` prepares them anew."
        ) from error


@_full_disk_told()
def fitted(
    given: execution.Handover,
    assignment: execution.Assignment,
    *,
    folder: Path,
    deadline: Deadline,
    progress: Callable[[float], None],
) -> dict[str, Any]:
    """What was done, as plain values, once model and rows to judge by are in the folder.

    Where an earlier process was ended at it, it is gone on from what that one wrote down. What is fitted before training, as
    levels and scales, is so on the rows that were searched on.

    Raises:
        TrainingError: there is no time or disk for it, or the model cannot be packed.
    """
    started, dataset = time.monotonic(), given.dataset
    whole = Whole.from_json(given.facts["whole"])
    assert dataset.task is not None, "a run's dataset has a task"
    seed, candidate = int(given.facts["seed"]), assignment.candidate
    prepared = candidate.preparation.fit(replace(dataset, units=given.splits.units), np.arange(dataset.n_samples), seed=seed)
    key, seconds = key_of(dataset, candidate.key, seed=seed), deadline.remaining
    checkpoints = execution.CheckpointFolder(folder / ROWS, key, run=folder.parent)
    left = partial(execution.bytes_left, folder.parent, given.facts["disk_bytes"])
    files = RowFiles(dataset, prepared.fitted, folder=folder, whole=whole, checkpoints=checkpoints, left=left)
    if not files.resumes(seconds=seconds):
        share = _affordable_share(assignment, prepared.inputs, whole, dataset=dataset, seconds=seconds)
        files.begin(share, seconds=seconds)
    for piece in whole.pieces(dataset, skip=files.n_pieces):
        files.add(piece)
        progress(0.5 * files.n_rows / whole.n_rows)
        if deadline.passed:
            raise PassingError("time was up while all rows were prepared; give the run more time with --time.")
    model = _learner(assignment.family)(
        files.unit(seed=seed),
        config=candidate.config,
        recipe=candidate.recipe,
        task=dataset.task,
        deadline=deadline,
        progress=lambda done: progress(0.5 + 0.5 * done),
    )
    _export(given, prepared.fitted, model.model, folder=folder)
    facts = {
        "key": key,
        "candidate": candidate.name,
        "rows": {"trained": files.n_train, "stopped": files.n_stop, "judged": files.n_judged},
        "n_pieces": files.n_pieces,
        "share": files.share,
        "given": None if math.isinf(files.seconds) else files.seconds,
        "rounds": model.best_epoch,
        "cut_short": model.cut_short,
        "seconds": time.monotonic() - started,
        "seconds_to_train": model.seconds,
        "sha256": digests_of(folder, n_pieces=files.n_pieces),
    }
    write_json(folder / FACTS, facts)
    shutil.rmtree(folder / ROWS)
    return facts


def _learner(family: Family) -> Callable[..., FittedUnit]:
    """What learns from stored rows: the family itself, or the loop that trains every network."""
    assert family.learns_in_pieces, "asked only of families that can"
    if family.fit_stored is not None:
        return family.fit_stored
    from cupel import training  # PyTorch with it, which families that train themselves do without

    return partial(training.fit_stored, family)


def _affordable_share(
    assignment: execution.Assignment, inputs: Inputs, whole: Whole, *, dataset: Dataset, seconds: float
) -> float:
    """The share of all rows that there is time to learn from: fewer rows well are better than all of them hardly begun.

    Networks' estimates are of all cores, those of others of one.

    Raises:
        TrainingError: it is hardly more than was searched on.
    """
    shape, family, candidate = InputShape.covering([inputs]), assignment.family, assignment.candidate
    task, n_searched = dataset.task, dataset.n_samples
    assert task is not None, "a run's dataset has a task"
    left = seconds - PASSES * whole.seconds
    if family.fit_stored is None:
        recipe = recipe_for_many(candidate.recipe)
        of_one = seconds_a_sample(family, config=candidate.config, recipe=recipe, task=task, shape=shape, n_rows=whole.n_rows)
        share = samples_within(left, of_one=of_one, n_stop=int(SHARE_TO_STOP * whole.n_rows)) / whole.n_rows
    else:
        cost = family.cost(whole.n_rows, shape, candidate.config, candidate.recipe, task)
        share = left * machine.usable_cores() ** EVEN_WORK / max(cost.seconds, 1e-9)
    if share < min(WORTH * n_searched / whole.n_rows, 1.0):
        raise TrainingError(
            f"there is time to learn from about {max(0, int(share * whole.n_rows)):,} rows, and {n_searched:,} were searched on; "
            f"give the run more time with --time."
        )
    return float(min(share, 1.0))


def key_of(dataset: Dataset, candidate_key: str, *, seed: int) -> str:
    """What decides the result."""
    return hashlib.sha256(f"{dataset.fingerprint}/{candidate_key}/{seed}".encode()).hexdigest()[:24]


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


def judged_piece(like: Dataset, *, numbers: Array, codes: Array, answers: Array) -> Dataset:
    """Rows that judge, as they were kept, as a dataset."""
    schema = like.schema
    columns = {column.name: numbers[:, place] for place, column in enumerate(schema.numeric_features)}
    columns |= {column.name: codes[:, place] for place, column in enumerate(schema.category_features)}
    kept = replace(schema, columns=tuple(column for column in schema.columns if column.name in columns))
    return replace(like, schema=kept, columns=columns, target=answers, findings=(), names={}, cache=None)
