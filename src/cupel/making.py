"""How units are made, the same in this process and in a worker's: training and packing bound to a run's data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import execution, finishing, packing
from cupel.core import registry
from cupel.core.budget import Deadline
from cupel.core.cache import Cache
from cupel.core.candidate import Candidate
from cupel.core.checkpoints import Checkpoints
from cupel.core.family import Family, FittedModel, FittedUnit, UnitData
from cupel.core.modality import GraphInput, Modality
from cupel.core.preparation import FittedPreparation
from cupel.core.stopwatch import Stopwatch
from cupel.core.task import Task
from cupel.core.weights import Weights
from cupel.problem import Problem

Array = NDArray[Any]
SECONDS_TO_MEASURE = 0.04


def handover(
    problem: Problem, *, units: Path, kept_bytes: float, disk_bytes: int | None = None, run: Path | None = None
) -> execution.Handover:
    """All that making units of this problem needs; they are kept in the folder `units`.

    The folder `run`, by default the one above, may hold `disk_bytes`.
    """
    cache = problem.dataset.cache
    seconds = None if cache is None or math.isinf(cache.deadline.remaining) else cache.deadline.remaining
    facts = {
        "modality": problem.modality.name,
        "device": problem.settings.device,
        "seed": problem.settings.seed,
        "spread": problem.spread,
        "units": str(units.absolute()),
        "kept_bytes": kept_bytes,
        "disk_bytes": disk_bytes,
        "run": str((run or units.parent).absolute()),
        "weights": execution.described(problem.weights),
        "whole": None if problem.whole is None else problem.whole.to_json(),
        "cache": None if cache is None else {"folder": str(cache.folder.absolute()), "seconds": seconds},
    }
    return execution.Handover(dataset=problem.dataset, splits=problem.splits, golden=problem.golden_rows, facts=facts)


def maker(given: execution.Handover, *, stopwatch: Stopwatch, is_to_end: Callable[[], bool] | None = None) -> execution.UnitMaker:
    """What makes the units of a run, ending early once `is_to_end`.

    Raises:
        UsageError: a GPU was asked for and there is none.
    """
    from cupel import training  # PyTorch with it: a run whose worker trains never waits for that

    dataset, facts = replace(given.dataset, units=given.splits.units), given.facts
    if facts["cache"] is not None:
        cache = Cache(Path(facts["cache"]["folder"]), Deadline(facts["cache"]["seconds"]))
        dataset = replace(dataset, cache=cache)
    assert dataset.task is not None, "a run's dataset has a task"
    inputs = tuple(_modality(given).graph_inputs(dataset.schema))
    return execution.UnitMaker(
        dataset=dataset,
        splits=given.splits,
        inputs=inputs,
        golden=np.asarray(given.golden),
        units=execution.UnitStore(
            Path(facts["units"]), left=partial(execution.bytes_left, Path(facts["run"]), facts["disk_bytes"])
        ),
        train=_Train(dataset.task, training.choose_device(facts["device"])),
        export=_Export(inputs, n_outputs=dataset.task.n_outputs, spread=facts["spread"]),
        measure=partial(packing.measure_latency, seconds=SECONDS_TO_MEASURE),
        seed=facts["seed"],
        stopwatch=stopwatch,
        kept_bytes=facts["kept_bytes"],
        finisher=partial(finishing.fitted, given),
        is_to_end=is_to_end,
        get_ready=training.get_ready,
    )


def families(given: execution.Handover) -> tuple[Family, ...]:
    """All that a candidate of this run may be of: those of its columns, and those made of weights trained before."""
    modality = _modality(given)
    weights: tuple[Weights, ...] = execution.built(given.facts["weights"])
    others = modality.pretrained(weights).families if weights and modality.pretrained is not None else ()
    return (*others, *modality.families())


def _modality(given: execution.Handover) -> Modality:
    modality, schema = registry.modality_named(given.facts["modality"]), given.dataset.schema
    return modality if modality.for_schema is None else modality.for_schema(schema)


@dataclass(frozen=True)
class _Train:
    """Trains units of any family for one task, on one device."""

    task: Task
    device: str

    def __call__(
        self,
        family: Family,
        units: Sequence[UnitData],
        *,
        candidate: Candidate,
        deadline: Deadline,
        progress: Callable[[float], None],
        checkpoints: Checkpoints,
    ) -> list[FittedUnit]:
        from cupel import training

        return training.fit(
            family,
            units,
            config=candidate.config,
            recipe=candidate.recipe,
            task=self.task,
            deadline=deadline,
            device=self.device,
            progress=progress,
            checkpoints=checkpoints,
        )


@dataclass(frozen=True)
class _Export:
    """Writes a unit as one ONNX model, and compares the two; `spread` is the size of a difference that matters."""

    inputs: Sequence[GraphInput]
    n_outputs: int
    spread: float

    def __call__(
        self, preparation: FittedPreparation, model: FittedModel, *, feeds: Mapping[str, Array], expected: Array
    ) -> bytes:
        exported = packing.export_unit(preparation, model, self.inputs, n_outputs=self.n_outputs)
        content: bytes = exported.SerializeToString()
        packing.parity(content, feeds, expected, scale=self.spread)
        return content
