"""On columns that say nothing about the target: does nested cross-validation say so?

    python -m benchmarks.honesty.nested --work FOLDER [--seconds 200]

Tables of noise, 150 and 400 rows, two and three classes; real runs of ten candidates (linear models, nearest neighbours)
are repeated without each of five outer folds.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.honesty.keeping import RESULTS, markdown, parsed, worked
from cupel import pipeline
from cupel.core.budget import Budget, Effort
from cupel.core.limits import Limits
from cupel.core.observer import Silent
from cupel.core.settings import Settings
from cupel.execution import Guard, RunFolder
from cupel.nesting import Nesting
from cupel.problem import understand

SIZES, CLASSES, N_SEEDS, N_FEATURES = (150, 400), (2, 3), 25, 6
METRICS = {2: "roc_auc", 3: "roc_auc_ovr"}
CHANCE = 0.5


def cases() -> Iterator[dict[str, Any]]:
    for seed in range(N_SEEDS):
        for n_rows in SIZES:
            for n_classes in CLASSES:
                yield {"n_rows": n_rows, "n_classes": n_classes, "seed": seed}


def work(case: dict[str, Any]) -> dict[str, Any]:
    """The nested score of one table, its interval, and what the outer runs themselves gave to expect."""
    generator = np.random.default_rng([7, case["seed"], case["n_rows"], case["n_classes"]])
    table: dict[str, Any] = {f"x{number}": generator.normal(size=case["n_rows"]) for number in range(N_FEATURES)}
    table["y"] = [f"c{number}" for number in generator.integers(0, case["n_classes"], case["n_rows"])]
    asked = {"families": ("linear", "knn"), "metric": METRICS[case["n_classes"]], "split": "stratified", "n_folds": 3}
    settings = Settings(**asked, nested=5, seed=case["seed"])
    problem, budget = understand(table, "y", settings=settings), Budget(Effort.QUICK, None)
    with tempfile.TemporaryDirectory() as scratch, RunFolder(Path(scratch)) as folder:
        guard = Guard(folder.path, Limits(workers=0))
        found = Nesting.of(problem, folder.path, effort=Effort.QUICK).carried_out(
            partial(pipeline._searched_within, budget=budget, guard=guard),
            left=lambda: math.inf,
            end=lambda: "",
            observer=Silent(),
            folder=folder,
        )
    assert found is not None
    return {"estimate": found.estimate, "low": found.low, "high": found.high, "expected": found.expected}


def rows_of(done: list[Any]) -> Iterator[list[Any]]:
    groups = [(f"{n:,}", [each for each in done if each["case"]["n_rows"] == n]) for n in SIZES]
    for label, some in [*groups, ("all", done)]:
        if not some:
            continue
        error = np.array([each["estimate"] for each in some]) - CHANCE
        expected = np.array([each["expected"] for each in some]) - CHANCE
        covers = np.mean([each["low"] <= CHANCE <= each["high"] for each in some])
        shown = [f"{each.mean():+.4f} ± {each.std() / math.sqrt(len(each)):.4f}" for each in (error, expected)]
        yield [label, len(some), shown[0], f"{covers:.0%}", shown[1]]


def main() -> None:
    arguments = parsed(__doc__)
    done = worked(Path(arguments.work) / "nested.jsonl", [] if arguments.only_table else cases(), work, arguments.seconds)
    header = ("rows", "tables", "nested score − chance", "its 95% interval holds chance", "what the outer runs promised − chance")
    head = "# Noise, judged from outside"
    told = "ROC-AUC (for three classes one versus rest); chance is 0.5. Means over tables with their standard errors."
    text = f"{head}\n\n{told}\n\n{markdown(header, rows_of(done))}\n"
    (RESULTS / "honesty-nested.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
