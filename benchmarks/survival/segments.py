"""`python -m benchmarks.survival.segments --data ../shared/data`: what it costs that boosting is told new seeds on its way.

LightGBM as it is, and with new seeds every 20 rounds, far more often than Cupel does: losses on rows that neither saw, paired,
and seconds. What takes no longer than one segment is the same to the last bit anyway.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import polars

from benchmarks.tables import Table, tables_named
from cupel.core.family import FittedUnit, UnitData
from cupel.core.inputs import Inputs
from cupel.core.task import Task, TaskKind
from cupel.learners import lightgbm, segments

KINDS = {"roc_auc": TaskKind.BINARY, "log_loss": TaskKind.MULTICLASS, "rmse": TaskKind.REGRESSION}
NEVER, OFTEN = 10**9, 20


def main() -> int:
    """One line a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--tables", default="adult,california_housing,bike_sharing,diamonds,telco_churn")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    segments.SECONDS_OF_A_SEGMENT = 0.0
    print("| table | rounds | loss, one seed | loss, new seeds | difference ± its standard error | seconds | seconds |")
    print("|---|---|---|---|---|---|---|")
    for table in tables_named(given.tables):
        pairs = [_pair(table, given.data, seed) for seed in range(given.seeds)]
        differences = np.concatenate([pair[2] for pair in pairs])
        losses = [np.mean([pair[side][1] for pair in pairs]) for side in (0, 1)]
        seconds = [np.mean([pair[side][0].seconds for pair in pairs]) for side in (0, 1)]
        rounds = np.mean([len(pair[0][0].curve["stop_loss"]) for pair in pairs])
        error = differences.std() / np.sqrt(len(differences))
        shown = f"{differences.mean():+.5f} ± {error:.5f}"
        cells = [table.name, f"{rounds:.0f}", *(f"{loss:.4f}" for loss in losses), shown, *(f"{each:.1f}" for each in seconds)]
        print(f"| {' | '.join(cells)} |", flush=True)
    return 0


def _pair(table: Table, data: Path, seed: int) -> tuple[tuple[FittedUnit, float], tuple[FittedUnit, float], np.ndarray]:
    unit, answers, task = _unit(table, data, seed)
    found = []
    for n_rounds in (NEVER, OFTEN):
        segments.FEWEST_ROUNDS = n_rounds
        (fitted,) = lightgbm.fit([unit], config=lightgbm.Config(), task=task, threads=1)
        found.append((fitted, _losses(fitted.predictions, answers, task)))
    losses = [each[1] for each in found]
    first, second = ((each[0], float(each[1].mean())) for each in found)
    return first, second, losses[1] - losses[0]


def _losses(predictions: np.ndarray, answers: np.ndarray, task: Task) -> np.ndarray:
    """Of each row: the log loss, or the squared error in units of the target's variance."""
    if task.kind is TaskKind.REGRESSION:
        return np.asarray((predictions[:, 0] - answers) ** 2 / answers.var())
    return -np.log(np.maximum(predictions[np.arange(len(answers)), answers], 1e-15))


def _unit(table: Table, data: Path, seed: int) -> tuple[UnitData, np.ndarray, Task]:
    frame = table.read(data)
    features = frame.drop(table.target)
    numbers = [_numbers(features[name]) for name in features.columns]
    matrix = np.stack(numbers, axis=1).astype(np.float32)
    kind = KINDS[table.metric]
    if kind is TaskKind.REGRESSION:
        target, classes = frame[table.target].cast(polars.Float64).to_numpy(), ()
    else:
        names = sorted(frame[table.target].unique())
        target, classes = np.searchsorted(names, frame[table.target].to_numpy()).astype(np.int64), tuple(names)
    task = Task(kind=kind, target=table.target, metric=table.metric, classes=classes)
    order = np.random.default_rng(seed).permutation(len(matrix))
    train, stop, valid = np.split(order, [int(0.6 * len(order)), int(0.75 * len(order))])
    inputs = [Inputs({"numeric": matrix[rows]}, {}) for rows in (train, stop, valid)]
    return UnitData(0, seed, inputs[0], target[train], inputs[1], target[stop], inputs[2]), target[valid], task


def _numbers(column: polars.Series) -> np.ndarray:
    numbers = column.cast(polars.Float64, strict=False)
    if numbers.null_count() > 0.5 * len(column):
        numbers = column.cast(polars.Categorical).to_physical().cast(polars.Float64)
    return numbers.fill_null(float("nan")).to_numpy()


if __name__ == "__main__":
    sys.exit(main())
