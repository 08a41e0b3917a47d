"""On columns that say nothing about the target: does the reported score say so?

    python -m benchmarks.honesty.noise --work FOLDER [--seconds 300]

200 tables of noise, 100 to 5,000 rows, 2 to 10 classes, 33 candidates each, through the choosing and the judging of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.honesty.cheap import dataset_of, models, trials
from benchmarks.honesty.keeping import RESULTS, markdown, parsed, worked
from cupel import data
from cupel.core.trial import Ensemble
from cupel.verdict.court import Court, open_court

SIZES, N_SEEDS, N_FEATURES = (100, 300, 1000, 2500, 5000), 12, 10
CLASSES = {100: (2, 3, 5, 10), 300: (2, 3, 5, 10), 1000: (2, 3, 5, 10), 2500: (2, 3, 5), 5000: (2, 3)}
CHANCE = 0.5


def cases() -> Iterator[dict[str, Any]]:
    """Of every size and number of classes one, then the next seed."""
    for seed in range(N_SEEDS):
        for n_rows in SIZES:
            for n_classes in CLASSES[n_rows]:
                yield {"n_rows": n_rows, "n_classes": n_classes, "seed": seed}


def worker(folder: Path) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A function that works on a case and keeps predictions in that folder."""

    def work(case: dict[str, Any]) -> dict[str, Any]:
        """One table: what the best looked like, what was reported, and with which interval."""
        generator = np.random.default_rng([case["seed"], case["n_rows"], case["n_classes"]])
        features = generator.normal(size=(case["n_rows"], N_FEATURES))
        target = generator.integers(0, case["n_classes"], case["n_rows"])
        metric = "roc_auc" if case["n_classes"] == 2 else "roc_auc_ovr"
        dataset = dataset_of(features, target, n_classes=case["n_classes"], metric=metric)
        splits = data.split(dataset, seed=case["seed"])
        cheap = models(N_FEATURES, n_classes=case["n_classes"], seed=case["seed"])
        kept = folder / "noise" / f"{case['n_rows']}-{case['n_classes']}-{case['seed']}.npz"
        court = open_court(trials(dataset, splits, cheap, kept=kept), dataset=dataset, splits=splits)
        scores = court.comparison.scores
        return {
            "best": reported(court, court.leader, "best"),
            "cheapest": reported(court, court.cheapest(), "cheapest"),
            "naive": float(scores.max()),
            "mean_candidate": float(scores.mean()),
            "n_tied": sum(group == 1 for group in court.tie_groups().values()),
        }

    return work


def reported(court: Court, pick: Ensemble, what: str) -> list[float]:
    """Estimate, low, high, as a verdict states them."""
    score = court.unflattered(court.standing(pick.name), what)
    return [score.estimate, score.low, score.high]


def table(done: list[Any]) -> str:
    """By size, and over all: bias and coverage."""
    rows = []
    for label, some in [*((f"{n:,}", [d for d in done if d["case"]["n_rows"] == n]) for n in SIZES), ("all", done)]:
        if not some:
            continue
        naive = np.mean([each["naive"] for each in some]) - CHANCE
        of_all = np.mean([each["mean_candidate"] for each in some]) - CHANCE
        row = [label, len(some), f"{of_all:+.4f}", f"{naive:+.4f}"]
        for what in ("best", "cheapest"):
            stated = np.array([each[what] for each in some])
            error = stated[:, 0] - CHANCE
            covers = (stated[:, 1] <= CHANCE) & (stated[:, 2] >= CHANCE)
            row += [f"{error.mean():+.4f} ± {error.std() / np.sqrt(len(error)):.4f}", f"{covers.mean():.1%}"]
        rows.append(row)
    header = (
        "rows", "tables", "mean of all candidates − chance", "best, uncorrected − chance",
        "best, reported − chance", "its 95% interval covers chance", "packed, reported − chance", "covers",
    )  # fmt: skip
    return markdown(header, rows)


def main() -> None:
    arguments = parsed(__doc__)
    work = worker(Path(arguments.work))
    done = worked(Path(arguments.work) / "noise.jsonl", [] if arguments.only_table else cases(), work, arguments.seconds)
    head = "# Noise: nothing to be found, and what is reported"
    text = f"{head}\n\nROC-AUC (for more than two classes one versus rest); chance is 0.5.\n\n{table(done)}\n"
    (RESULTS / "honesty-noise.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
