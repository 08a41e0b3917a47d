"""Fits the units of a candidate, whatever family it is of."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from cupel.core import machine
from cupel.core.budget import Deadline
from cupel.core.errors import TrainingError, UsageError
from cupel.core.family import Family, FittedUnit, UnitData
from cupel.core.inputs import InputShape
from cupel.core.recipe import Recipe
from cupel.core.task import Task
from cupel.training.loop import Loop
from cupel.training.model import TargetScale, TrainedNetwork, one_of
from cupel.training.stacking import Stack

SAMPLES_OF_ALL_EPOCHS = 1_200_000
MIN_EPOCHS, MAX_EPOCHS = 24, 256


def fit(
    family: Family,
    units: Sequence[UnitData],
    *,
    config: Any,
    recipe: Recipe | None,
    task: Task,
    deadline: Deadline | None = None,
    threads: int | None = None,
    device: str = "cpu",
    progress: Callable[[float], None] | None = None,
) -> list[FittedUnit]:
    """Fitted units in the order of `units`: by the family itself, or by the loop, all units as one stacked network.

    Raises:
        TrainingError: a unit could not be trained; says which and why.
    """
    deadline = deadline or Deadline()
    if family.fit is not None:
        return family.fit(units, config=config, task=task, threads=threads, deadline=deadline)
    assert family.build is not None, "a family has a fit or a build"
    with _settled(threads or machine.usable_cores()):
        recipe = concrete(recipe or Recipe(), n_train=max(unit.train.n_samples for unit in units))
        return _fit_stacked(
            family, units, config=config, recipe=recipe, task=task, deadline=deadline, device=device, progress=progress
        )


def concrete(recipe: Recipe, *, n_train: int) -> Recipe:
    """The recipe with batch size and epochs chosen from the number of training rows where they were left open.

    Small tables get many epochs of small batches; from some 10,000 rows on, the samples seen in all stay about the same.
    """
    batch_size = recipe.batch_size or (128 if n_train < 1000 else 256 if n_train < 20_000 else 512 if n_train < 100_000 else 1024)
    epochs = recipe.epochs or int(np.clip(round(SAMPLES_OF_ALL_EPOCHS / n_train), MIN_EPOCHS, MAX_EPOCHS))
    return replace(recipe, batch_size=batch_size, epochs=epochs)


def choose_device(wanted: str) -> str:
    """ "cuda" or "cpu" for auto, cpu or cuda.

    Raises:
        UsageError: a GPU was asked for and there is none that PyTorch can use.
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError("device 'cuda' was asked for, but PyTorch finds no GPU here; use --device cpu, or install a CUDA build.")
    return wanted


def _fit_stacked(
    family: Family,
    units: Sequence[UnitData],
    *,
    config: Any,
    recipe: Recipe,
    task: Task,
    deadline: Deadline,
    device: str,
    progress: Callable[[float], None] | None,
) -> list[FittedUnit]:
    assert family.build is not None, "asked only for families that build networks"
    started = time.monotonic()
    shape = InputShape.covering([part for unit in units for part in (unit.train, unit.stop, unit.valid)])
    scales = [None if task.is_classification else TargetScale.of(unit.train_target) for unit in units]
    train = Stack([u.train for u in units], _targets(units, scales, "train"), shape, device=device)
    stop = Stack([u.stop for u in units], _targets(units, scales, "stop"), shape, device=device)
    seeds = [unit.seed for unit in units]
    network = family.build(shape, n_outputs=task.n_outputs, task=task, config=config, seeds=seeds).to(device)
    network.initialise({name: block[:, : min(train.sizes)] for name, block in train.blocks.items()})
    loop = Loop(network, recipe, train=train, stop=stop, folds=[unit.fold for unit in units], n_outputs=task.n_outputs)
    state = loop.run(seeds=seeds, deadline=deadline, progress=progress)
    loop.restore(state)
    network.to("cpu")
    seconds = (time.monotonic() - started) / len(units)
    fitted = []
    for position, unit in enumerate(units):
        single = family.build(shape, n_outputs=task.n_outputs, task=task, config=config, seeds=seeds[position : position + 1])
        model = TrainedNetwork(one_of(network, single, position), shape, scales[position])
        fitted.append(
            FittedUnit(
                model,
                model.predict(unit.valid),
                curve=state.curves[position],
                best_epoch=state.best_epoch[position],
                seconds=seconds,
                cut_short=state.cut_short,
                weights={name: tensor.numpy() for name, tensor in model.network.state_dict().items()},
            )
        )
    return fitted


def _targets(units: Sequence[UnitData], scales: Sequence[TargetScale | None], part: str) -> list[Any]:
    targets = [getattr(unit, f"{part}_target") for unit in units]
    if any(len(target) == 0 for target in targets):
        raise TrainingError(f"a fold has no {part} rows; use fewer folds, or more rows.")
    return [target if scale is None else scale.standardised(target) for target, scale in zip(targets, scales, strict=True)]


@contextmanager
def _settled(threads: int) -> Iterator[None]:
    """PyTorch with this many threads, denormals off, and fast matrix units in use; as it was afterwards."""
    threads_before, precision_before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    if _has_matrix_unit():
        torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        torch.set_flush_denormal(False)
        torch.set_float32_matmul_precision(precision_before)


def _has_matrix_unit() -> bool:
    """Whether float32 products may go through bfloat16 at several times the speed (AMX)."""
    return platform.machine() == "x86_64" and machine.has_flag("amx_bf16")
