"""Does the 95% interval of the winner hold the truth?

    python -m benchmarks.honesty.coverage --work FOLDER --data FOLDER [--seconds 600]

112 draws from four known distributions, the truth from 100,000 further rows; then subsamples of large tables, the truth from
the rest. Twenty-seven candidates each; the truth is the mean score of the models of the winner's folds, which is what
cross-validation estimates, and that of their mean, which is what would be packed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.honesty.cheap import dataset_of, models, of_folds, trials
from benchmarks.honesty.keeping import RESULTS, markdown, parsed, worked
from benchmarks.honesty.real import named, numbers_of
from cupel import data, evaluation
from cupel.core.trial import Ensemble
from cupel.verdict.court import Court, open_court

SIZES, N_DRAWS, N_TRUTH, N_FEATURES = (200, 500, 1000, 2000), 7, 100_000, 8
KNOWN = ("line", "bent", "clouds", "friedman")
REAL, REAL_SIZES, N_REAL_DRAWS = ("adult", "letter", "california_housing", "diamonds"), (300, 1000), 6
FURTHER, N_FURTHER_DRAWS = {"bike_sharing": 1000, "bengaluru_house": 1000, "telco_churn": 500, "compas": 500}, 20
"""Tables, and how many rows of them, by which no constant was set."""


def cases() -> Iterator[dict[str, Any]]:
    for draw in range(N_DRAWS):
        for n_rows in SIZES:
            for name in KNOWN:
                yield {"name": name, "n_rows": n_rows, "draw": draw}
    for draw in range(N_REAL_DRAWS):
        for n_rows in REAL_SIZES:
            for name in REAL:
                yield {"name": name, "n_rows": n_rows, "draw": draw}
    for draw in range(N_FURTHER_DRAWS):
        for name, n_rows in FURTHER.items():
            yield {"name": name, "n_rows": n_rows, "draw": draw}


def drawn(name: str, n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Features, target and number of classes of a known distribution."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n_rows, N_FEATURES))
    match name:
        case "line":
            return (
                x,
                (generator.random(n_rows) < 1 / (1 + np.exp(-(x[:, 0] - 0.7 * x[:, 1] + 0.4 * x[:, 2])))).astype(np.int64),
                2,
            )
        case "bent":
            logit = 1.5 * x[:, 0] * x[:, 1] + np.abs(x[:, 2]) - 1
            return x, (generator.random(n_rows) < 1 / (1 + np.exp(-logit))).astype(np.int64), 2
        case "clouds":
            target = generator.integers(0, 4, n_rows)
            centres = np.random.default_rng(5).normal(0, 0.8, (4, N_FEATURES))
            return x + centres[target], target, 4
        case _:
            u = 1 / (1 + np.exp(-1.7 * x))
            smooth = 10 * np.sin(np.pi * u[:, 0] * u[:, 1]) + 20 * (u[:, 2] - 0.5) ** 2 + 10 * u[:, 3] + 5 * u[:, 4]
            return x, smooth + generator.normal(0, 2, n_rows), 0


def worker(folder: Path) -> Any:
    """A function that works on a case with the tables of that folder."""

    def work(case: dict[str, Any]) -> dict[str, Any]:
        n_rows, seed = case["n_rows"], case["draw"]
        if case["name"] in KNOWN:
            features, target, n_classes = drawn(case["name"], n_rows, seed)
            new, truth, _ = drawn(case["name"], N_TRUTH, 10_000 + seed)
        else:
            everything, answers, n_classes = numbers_of(named(case["name"]), folder, seed=seed)
            features, target, new, truth = everything[:n_rows], answers[:n_rows], everything[n_rows:], answers[n_rows:]
        dataset = dataset_of(features, target, n_classes=n_classes)
        splits = data.split(dataset, seed=seed)
        tried = [model for model in models(features.shape[1], n_classes=n_classes, seed=seed) if model.family != "knn"]
        court = open_court(trials(dataset, splits, tried), dataset=dataset, splits=splits)
        found: dict[str, Any] = {"metric": court.metric.name}
        for what, pick in (("best", court.leader), ("cheapest", court.cheapest())):
            model = next(model for model in tried if model.name == pick.name)
            found[what] = stated(court, pick, what) | {"model": pick.name}
            found[what] |= true(court, of_folds(dataset, splits, model, new), truth)
        return found

    return work


def stated(court: Court, pick: Ensemble, what: str) -> dict[str, float]:
    """What a verdict would say."""
    plain = court.standing(pick.name)
    score = court.unflattered(plain, what)
    return {"measured": plain.estimate, "estimate": score.estimate, "low": score.low, "high": score.high}


def true(court: Court, said: list[np.ndarray], truth: np.ndarray) -> dict[str, float]:
    """What the models of the folds, and their mean, score on the truth."""
    name = court.metric.name
    folds = [evaluation.score(name, truth, each) for each in said]
    return {"folds": float(np.mean(folds)), "packed": evaluation.score(name, truth, np.mean(said, axis=0))}


def rows_of(done: list[Any]) -> Iterator[list[Any]]:
    groups = [("known distributions", KNOWN, [(n,) for n in SIZES] + [SIZES])]
    groups.append(("real tables", REAL, [(n,) for n in REAL_SIZES] + [REAL_SIZES]))
    groups.append(("further real tables", tuple(FURTHER), [(500,), (1000,), (500, 1000)]))
    for label, names, sizes in groups:
        for some_sizes in sizes:
            some = [each for each in done if each["case"]["name"] in names and each["case"]["n_rows"] in some_sizes]
            if not some:
                continue
            row: list[Any] = [label, f"{some_sizes[0]:,}" if len(some_sizes) == 1 else "all", len(some)]
            signs = [1 if case["metric"] == "roc_auc" else -1 for case in some]
            for what in ("best", "cheapest"):
                each = [case[what] for case in some]
                row += [
                    f"{np.mean([one['low'] <= one[truth] <= one['high'] for one in each]):.1%}" for truth in ("folds", "packed")
                ]
                worse = [
                    sign * one["packed"] < min(sign * one["low"], sign * one["high"])
                    for one, sign in zip(each, signs, strict=True)
                ]
                gains = [
                    2 * sign * (one["packed"] - one["folds"]) / (one["high"] - one["low"])
                    for one, sign in zip(each, signs, strict=True)
                ]
                row += [f"{np.mean(worse):.1%}", f"{np.mean(gains):+.2f}"]
            losses = [
                (case["best"]["packed"] - case["cheapest"]["packed"]) / (case["best"]["high"] - case["best"]["low"]) * 2 * sign
                for case, sign in zip(some, signs, strict=True)
            ]
            yield [*row, f"{np.mean(losses):+.2f}"]


EXPLAINED = """What a score out of fold estimates is how well the models of the folds do on average; what is packed is their mean,
which does better. `holds` counts how often the 95% interval holds the one and the other, `worse` how often what is packed is
worse than the interval says, and `gain` how much better the mean is than its models, in half widths of the interval.
`loss` is what was packed, the cheapest within a standard error, lost against the best, in the same unit. Columns are cut at five
deviations from their means, and categories are numbers by how often they occur."""


def main() -> None:
    arguments = parsed(__doc__)
    path = Path(arguments.work) / "coverage.jsonl"
    done = worked(path, [] if arguments.only_table else cases(), worker(Path(arguments.data)), arguments.seconds)
    header = ["from", "rows", "draws"]
    for what in ("best", "packed"):
        header += [f"{what}: holds its models' score", "holds the packed one's", "worse", "gain"]
    text = f"# The winner's interval against the truth\n\n{EXPLAINED}\n\n{markdown([*header, 'loss'], rows_of(done))}\n"
    (RESULTS / "honesty-coverage.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
