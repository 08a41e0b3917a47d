"""Trains the network families on the processor and on a GPU, side by side, on a table made here; prints a markdown table.

python benchmarks/devices.py [--rows 20000] [--columns 20]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
import torch

from cupel import training
from cupel.core.family import UnitData
from cupel.core.inputs import Inputs
from cupel.core.task import Task, TaskKind
from cupel.modalities.tabular.models import mlp, realmlp, tabm

TASK = Task(kind=TaskKind.BINARY, target="y", metric="log_loss", classes=("no", "yes"))


def made(n_rows: int, n_columns: int) -> tuple[Inputs, np.ndarray]:
    generator = np.random.default_rng(0)
    numeric = generator.normal(size=(n_rows, n_columns)).astype(np.float32)
    codes = generator.integers(0, 40, (n_rows, 1))
    signal = (
        np.sin(2 * numeric[:, 0]) + numeric[:, 1] * numeric[:, 2] + (codes[:, 0] % 3 == 0) + 0.5 * generator.normal(size=n_rows)
    )
    binary = np.zeros((n_rows, 0), np.float32)
    return Inputs({"numeric": numeric, "binary": binary, "codes": codes}, {"codes": (40,)}), (signal > 0.4).astype(np.int64)


def taken(inputs: Inputs, rows: np.ndarray) -> Inputs:
    return Inputs({name: block[rows] for name, block in inputs.blocks.items()}, inputs.cardinalities)


def units(inputs: Inputs, target: np.ndarray) -> list[UnitData]:
    folds = np.array_split(np.random.default_rng(1).permutation(len(target)), 5)
    made_units = []
    for fold, valid in enumerate(folds):
        rest = np.concatenate([rows for other, rows in enumerate(folds) if other != fold])
        stop, train = rest[: len(rest) // 8], rest[len(rest) // 8 :]
        parts = {"train": taken(inputs, train), "stop": taken(inputs, stop), "valid": taken(inputs, valid)}
        made_units.append(UnitData(fold=fold, seed=fold + 1, train_target=target[train], stop_target=target[stop], **parts))
    return made_units


def loss_of(fitted: list, target: np.ndarray) -> float:
    folds = np.array_split(np.random.default_rng(1).permutation(len(target)), 5)
    losses = [-np.log(unit.predictions[np.arange(len(rows)), target[rows]]) for unit, rows in zip(fitted, folds, strict=True)]
    return float(np.concatenate(losses).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    inputs, target = made(arguments.rows, arguments.columns)
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    names = {"cpu": f"{torch.get_num_threads()} threads", "cuda": torch.cuda.get_device_name() if len(devices) > 1 else ""}
    print(
        f"{arguments.rows} rows, {arguments.columns} columns, 5 folds, {arguments.epochs} epochs; PyTorch {torch.__version__}\n"
    )
    print(
        "| family | device | seconds | log loss | largest difference to its ONNX-bound copy on the CPU |\n|---|---|---|---|---|"
    )
    for spec in (mlp.spec, realmlp.spec, tabm.spec):
        preset = spec.portfolio(TASK)[0]
        recipe = replace(preset.recipe, epochs=arguments.epochs)
        for device in devices:
            started = time.monotonic()
            fitted = training.fit(spec, units(inputs, target), config=preset.config, recipe=recipe, task=TASK, device=device)
            seconds = time.monotonic() - started
            again = [unit.model.predict(part.valid) for unit, part in zip(fitted, units(inputs, target), strict=True)]
            difference = max(float(np.abs(a - unit.predictions).max()) for a, unit in zip(again, fitted, strict=True))
            loss = loss_of(fitted, target)
            print(f"| {spec.name} | {device} ({names[device]}) | {seconds:.1f} | {loss:.4f} | {difference:.1g} |", flush=True)


if __name__ == "__main__":
    main()
