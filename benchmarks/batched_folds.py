"""Five folds trained at once against five one after another in a plain PyTorch loop, side by side.

    python benchmarks/batched_folds.py [--epochs 10] [--repeats 3] [--sizes 1000x64,5000x128,20000x256] [--out FILE.md]

Both train the same perceptron (three hidden layers, ReLU, dropout 0.1, AdamW) for the same number of epochs on the same rows,
keep the best epoch on the same stop rows, and index tensors (no DataLoader). The plain loop is written as one would: nn.Linear,
nn.Dropout; it runs with all cores and with one, and the faster counts. Runs alternate, and the median of the repeats counts,
since other programs may be running. The loss is the mean over folds of the best stop loss: a gain in speed counts only where
it is as low.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from cupel import training
from cupel.core import machine
from cupel.core.budget import Deadline
from cupel.core.family import UnitData
from cupel.core.inputs import Inputs
from cupel.core.recipe import Recipe
from cupel.core.task import Task, TaskKind
from cupel.modalities.tabular.models import mlp

TASK = Task(kind=TaskKind.BINARY, target="y", metric="log_loss", classes=("no", "yes"))
N_FOLDS, N_FEATURES, DEPTH, DROPOUT, LEARNING_RATE = 5, 20, 3, 0.1, 1e-3


def units_of(n_rows: int) -> list[UnitData]:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(n_rows, N_FEATURES)).astype(np.float32)
    signal = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + np.abs(x[:, 3]) + 0.5 * generator.normal(size=n_rows)
    target = (signal > np.median(signal)).astype(np.int64)
    parts = np.array_split(generator.permutation(n_rows), N_FOLDS)

    def inputs(rows: np.ndarray) -> Inputs:
        empty = np.empty((len(rows), 0), np.float32)
        return Inputs({"numeric": x[rows], "binary": empty, "codes": empty.astype(np.int64)}, {"codes": ()})

    units = []
    for fold, valid in enumerate(parts):
        rest = np.concatenate([part for other, part in enumerate(parts) if other != fold])
        stop, train = np.split(rest, [len(rest) // 8])
        units.append(
            UnitData(
                fold=fold,
                seed=fold,
                train=inputs(train),
                train_target=target[train],
                stop=inputs(stop),
                stop_target=target[stop],
                valid=inputs(valid),
            )
        )
    return units


def stacked(units: list[UnitData], *, width: int, recipe: Recipe) -> float:
    config = mlp.Config(width=width, depth=DEPTH, dropout=DROPOUT)
    fitted = training.fit(mlp.spec, units, config=config, recipe=recipe, task=TASK, deadline=Deadline())
    return float(np.mean([min(unit.curve["stop_loss"]) for unit in fitted]))


def one_by_one(units: list[UnitData], *, width: int, recipe: Recipe, threads: int) -> float:
    torch.set_num_threads(threads)
    return float(np.mean([plainly(unit, width=width, recipe=recipe) for unit in units]))


def plainly(unit: UnitData, *, width: int, recipe: Recipe) -> float:
    torch.manual_seed(unit.seed)
    layers: list[nn.Module] = []
    for n_in in [N_FEATURES, *[width] * (DEPTH - 1)]:
        layers += [nn.Linear(n_in, width), nn.ReLU(), nn.Dropout(DROPOUT)]
    network = nn.Sequential(*layers, nn.Linear(width, 2))
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=recipe.weight_decay, fused=True)
    x, y = torch.from_numpy(unit.train.blocks["numeric"]), torch.from_numpy(unit.train_target)
    stop_x, stop_y = torch.from_numpy(unit.stop.blocks["numeric"]), torch.from_numpy(unit.stop_target)
    best = float("inf")
    batch_size = recipe.pace(len(x)).batch_size
    for _ in range(recipe.epochs):
        network.train()
        order = torch.randperm(len(x))
        for start in range(0, len(x) - batch_size + 1, batch_size):
            rows = order[start : start + batch_size]
            loss = functional.cross_entropy(network(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            stop_loss = float(functional.cross_entropy(network(stop_x), stop_y))
        if stop_loss < best:
            best, _ = stop_loss, copy.deepcopy(network.state_dict())
    return best


def measured(n_rows: int, width: int, *, epochs: int, repeats: int) -> str:
    units = units_of(n_rows)
    recipe = Recipe(learning_rate=LEARNING_RATE, weight_decay=1e-2, epochs=epochs, patience=100)
    ways = {
        "stacked": stacked,
        "all cores": partial(one_by_one, threads=machine.usable_cores()),
        "one core": partial(one_by_one, threads=1),
    }
    short = Recipe(learning_rate=LEARNING_RATE, epochs=1)
    for way in ways.values():
        way(units, width=width, recipe=short)  # the first run of anything is slow
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    losses: dict[str, float] = {}
    for _ in range(repeats):
        for name, way in ways.items():
            started = time.perf_counter()
            losses[name] = way(units, width=width, recipe=recipe)
            seconds[name].append(time.perf_counter() - started)
    ours = statistics.median(seconds["stacked"])
    plain, name = min((statistics.median(seconds[name]), name) for name in ("all cores", "one core"))
    ratios = sorted(a / b for a, b in zip(seconds[name], seconds["stacked"], strict=True))
    return (
        f"| {n_rows:,} | {width} | {recipe.pace(len(units[0].train_target)).batch_size} | {plain:.2f} ({name}) | {ours:.2f} | "
        f"**{plain / ours:.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f}) | {losses[name]:.4f} | {losses['stacked']:.4f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sizes", default="1000x64,1000x256,5000x128,20000x64,20000x128,20000x256")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    facts = machine.describe()
    lines = [
        f"{facts['processor']}, {facts['cores']} cores, torch {torch.__version__}; {N_FOLDS} folds, {arguments.epochs} epochs, "
        f"median of {arguments.repeats} alternating runs, wall time",
        "",
        "| rows | width | batch | plain loop, s | stacked, s | ratio (range) | loss, plain | loss, stacked |",
        "|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for size in arguments.sizes.split(","):
        n_rows, width = (int(number) for number in size.split("x"))
        lines.append(measured(n_rows, width, epochs=arguments.epochs, repeats=arguments.repeats))
        print(lines[-1], flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
