"""Do ranges and sets cover as often as they promise, on rows that nobody has seen?

    python -m benchmarks.honesty.conformal --work FOLDER --data FOLDER [--seconds 300]

Every development table, divided ten times (large ones three times): up to 2,000 rows train linear models, neighbours, boosted
trees and a forest on folds; the best of them promises by its out-of-fold predictions; the mean of its folds' models is judged on
up to 4,000 other rows, as a packed model would be.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.honesty.cheap import dataset_of, models, of_folds, strong, trials
from benchmarks.honesty.keeping import RESULTS, markdown, parsed, worked
from benchmarks.honesty.real import named, numbers_of
from benchmarks.tables import TABLES
from cupel import data, evaluation
from cupel.core.uncertainty import Coverage

COVERAGES = (0.8, 0.9, 0.95)
N_TRAIN, N_TEST, N_SEEDS, N_SEEDS_LARGE = 2000, 4000, 10, 3
LARGE = frozenset(
    {"adult", "telco_churn", "mushroom", "letter", "california_housing", "diamonds", "bike_sharing", "bengaluru_house"}
)
"""Tables that leave 4,000 rows to judge: a share of these is known to half a point."""
TRIED = ("linear-4", "quadratic-2", "knn-2")
TOLERANCE = 0.02


def cases() -> Iterator[dict[str, Any]]:
    for seed in range(N_SEEDS):
        for table in TABLES:
            if seed < N_SEEDS_LARGE or table.name not in LARGE:
                yield {"table": table.name, "seed": seed}


def worker(folder: Path) -> Any:
    """A function that works on a case with the tables of that folder."""

    def work(case: dict[str, Any]) -> dict[str, Any]:
        features, target, n_classes = numbers_of(named(case["table"]), folder, seed=case["seed"])
        n_train = min(N_TRAIN, int(0.7 * len(features)))
        dataset = dataset_of(features[:n_train], target[:n_train], n_classes=n_classes)
        new, truth = features[n_train:][:N_TEST], target[n_train:][:N_TEST]
        splits = data.split(dataset, n_folds=5, seed=case["seed"])
        tried = [model for model in models(features.shape[1], n_classes=n_classes) if model.name in TRIED]
        tried += strong(features.shape[1], n_classes=n_classes)
        found = trials(dataset, splits, tried)
        assert dataset.task is not None
        metric = evaluation.metric_named(dataset.task.metric, dataset.task)
        rows = splits.covered
        scores = [metric.sign * evaluation.score(metric, target[rows], trial.out_of_fold[rows]) for trial in found]
        best = int(np.argmax(scores))
        each = of_folds(dataset, splits, tried[best], new)
        said = np.mean(each, axis=0)
        learned = evaluation.coverage_of(target[rows], found[best].out_of_fold[rows])
        result = {
            "model": tried[best].name,
            "n_test": len(truth),
            "n_rows": len(features),
            "follows": len(learned.scales) > 1,
        }
        for coverage in COVERAGES:
            covered, size = held(learned, truth, said, coverage)
            alone = np.mean([held(learned, truth, one, coverage)[0] for one in each])
            result[f"{coverage:g}"] = [covered, size if n_classes else size / float(target.std()), float(alone)]
        if n_classes:
            result["accuracy"] = float((said.argmax(axis=1) == truth).mean())
        return result

    return work


def held(learned: Coverage, truth: np.ndarray, said: np.ndarray, coverage: float) -> tuple[float, float]:
    """The share of the truths that sets or ranges hold, and their mean size or width."""
    if said.shape[1] > 1:
        members = learned.members(said, coverage)
        return float(members[np.arange(len(truth)), truth].mean()), float(members.sum(axis=1).mean())
    low, high = learned.interval(said[:, 0], coverage)
    return float(((low <= truth) & (truth <= high)).mean()), float((high - low).mean())


def standard_error(shares: list[float], n_rows: int) -> float:
    """Of a mean share over divisions: they share rows, so that it is never less than that of one look at all rows."""
    mean = float(np.mean(shares))
    between = float(np.std(shares, ddof=1)) / np.sqrt(len(shares)) if len(shares) > 1 else 0.0
    return max(between, float(np.sqrt(mean * (1 - mean) / n_rows)))


def main() -> None:
    arguments = parsed(__doc__)
    path = Path(arguments.work) / "conformal.jsonl"
    done = worked(path, [] if arguments.only_table else cases(), worker(Path(arguments.data)), arguments.seconds)
    rows, short, long = [], [], []
    for name in dict.fromkeys(each["case"]["table"] for each in done):
        some = [each for each in done if each["case"]["table"] == name]
        cells: list[Any] = [name, f"{len(some)} × {some[0]['n_test']}", "yes" if some[0]["follows"] else "no"]
        for coverage in COVERAGES:
            shares = [each[f"{coverage:g}"][0] for each in some]
            observed, error = float(np.mean(shares)), standard_error(shares, some[0]["n_rows"])
            if observed < coverage - TOLERANCE:
                short.append(f"{name} at {coverage:.0%}: {100 * (coverage - observed):.1f} ± {100 * error:.1f} points")
            if observed > coverage + TOLERANCE and np.mean([each.get("accuracy", 0.0) for each in some]) <= coverage:
                long.append(f"{name} at {coverage:.0%}: {100 * (observed - coverage):.1f} ± {100 * error:.1f} points")
            alone, size = (float(np.mean([each[f"{coverage:g}"][place] for each in some])) for place in (2, 1))
            cells += [f"{observed:.1%} ± {error:.1%}", f"{alone:.1%}", size]
        rows.append([*cells, f"{np.mean([each['accuracy'] for each in some]):.1%}" if "accuracy" in some[0] else "–"])
    header = ["table", "divisions × test rows", "width follows the prediction"]
    for coverage in COVERAGES:
        header += [f"covered at {coverage:.0%}", "by one fold's model", "size"]
    text = (
        "# Ranges and sets: covered as promised?\n\nMean over divisions ± standard error. Size: width of ranges in standard "
        "deviations of the target, or classes in a set. Sets are\nnever empty, so where one class is right more often than "
        "promised they cover more than promised. What is packed is the mean of the\nfolds' models; where it is better than each "
        "of them, by whose errors ranges are made, it covers more than these do.\n\n"
        f"{markdown([*header, 'accuracy'], rows)}\n\nMore than two points below the promise: {'; '.join(short) or 'none'}.\n"
        f"More than two points above it, where not every set has one class at least so often: {'; '.join(long) or 'none'}.\n"
    )
    (RESULTS / "honesty-conformal.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
