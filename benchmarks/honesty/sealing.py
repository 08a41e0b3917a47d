"""From how many rows on does sealing a tenth of them cost less than it tells?

    python -m benchmarks.honesty.sealing --work FOLDER --data FOLDER [--seconds 200]

Subsamples of four large tables, the truth from the rows that are left. Each is taken through choosing and judging twice: with all
rows, and without a tenth that judges what is packed in the end. What sealing costs is how much worse the second packed model is;
what it tells is how much nearer to the truth of its model the sealed figure is than the corrected estimate to that of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.honesty.cheap import Cheap, dataset_of, models, of_folds, trials
from benchmarks.honesty.coverage import stated, true
from benchmarks.honesty.keeping import RESULTS, markdown, parsed, worked
from benchmarks.honesty.real import named, numbers_of
from cupel import data, evaluation
from cupel.verdict.court import open_court

TABLES = ("adult", "bike_sharing", "california_housing", "diamonds")
DRAWS = {500: 10, 2000: 6, 8000: 4, 20000: 2}
SHARE, FEWEST_TRUE_ROWS = 0.1, 5000
ENOUGH_TRUTH = 10
"""Rows of truth for each that is judged, with which the truth itself strays too little to matter."""
EVERY = 3
"""Of the cheap models every third, which are eight, and boosted trees of two sizes beside them."""


def cases() -> Iterator[dict[str, Any]]:
    for draw in range(max(DRAWS.values())):
        for n_rows, n_draws in DRAWS.items():
            for name in TABLES if draw < n_draws else ():
                yield {"name": name, "n_rows": n_rows, "draw": draw}


def tried_models(n_features: int, *, n_classes: int, seed: int) -> list[Cheap]:
    """Cheap candidates, and two whose score still grows with thousands of rows."""
    made = [model for model in models(n_features, n_classes=n_classes, seed=seed) if model.family != "knn"][::EVERY]
    return [*made, *(Cheap(f"boosted-{leaves}", "boosted", partial(_boosted, leaves, n_classes), 100_000) for leaves in (7, 31))]


def _boosted(leaves: int, n_classes: int, *arrays: np.ndarray) -> np.ndarray:
    import lightgbm

    features, target, new = arrays
    settings = {"num_leaves": leaves, "n_estimators": 80, "learning_rate": 0.1, "verbose": -1, "n_jobs": 1}
    if n_classes == 0:
        return lightgbm.LGBMRegressor(**settings).fit(features, target).predict(new)[:, None]
    return lightgbm.LGBMClassifier(**settings).fit(features, target).predict_proba(new)


def worker(folder: Path) -> Any:
    """A function that works on a case with the tables of that folder."""

    def work(case: dict[str, Any]) -> dict[str, Any]:
        n_rows = case["n_rows"]
        features, target, n_classes = numbers_of(named(case["name"]), folder, seed=case["draw"])
        if len(target) < n_rows + FEWEST_TRUE_ROWS:
            return {"too_small": True}
        truth = features[n_rows:], target[n_rows:]
        scale = float(np.std(truth[1])) if n_classes == 0 else 1.0
        kept = n_rows - round(SHARE * n_rows)
        whole = judged(features[:n_rows], target[:n_rows], n_classes, others=[truth], seed=case["draw"])
        held = features[kept:n_rows], target[kept:n_rows]
        sealed = judged(features[:kept], target[:kept], n_classes, others=[truth, held], seed=case["draw"])
        return {"whole": whole, "sealed": sealed, "scale": scale, "sign": 1 if n_classes else -1, "n_true": len(truth[1])}

    return work


def judged(features: Any, target: Any, n_classes: int, *, others: list[Any], seed: int) -> dict[str, Any]:
    """What a verdict would say of the best candidate, and what its packed model, the mean of its folds', scores on other rows."""
    dataset = dataset_of(features, target, n_classes=n_classes)
    splits = data.split(dataset, seed=seed)
    candidates = tried_models(features.shape[1], n_classes=n_classes, seed=seed)
    court = open_court(trials(dataset, splits, candidates), dataset=dataset, splits=splits)
    model = next(model for model in candidates if model.name == court.leader.name)
    found: dict[str, Any] = {"model": model.name, **stated(court, court.leader, "best")}
    said = of_folds(dataset, splits, model, np.concatenate([new for new, _ in others]))
    ends = np.cumsum([len(answers) for _, answers in others])
    scores = []
    for (_, answers), end in zip(others, ends, strict=True):
        own = [each[end - len(answers) : end] for each in said]
        scores.append(true(court, own, answers)["packed"])
        interval = evaluation.interval(court.metric.name, answers, np.mean(own, axis=0), n_resamples=200)
    return found | {"scores": scores, "sealed_low": interval.low, "sealed_high": interval.high}


def rows_of(done: list[Any]) -> Iterator[list[Any]]:
    known = [each for each in done if "whole" in each]
    for label, some in [
        *((f"{n:,} {name}", _those(known, n, [name])) for n in DRAWS for name in TABLES),
        *((f"{n:,} all", _those(known, n, TABLES)) for n in DRAWS),
    ]:
        if not some:
            continue
        cost = [each["sign"] * (each["whole"]["scores"][0] - each["sealed"]["scores"][0]) / each["scale"] for each in some]
        plain = [(each["whole"]["estimate"] - each["whole"]["scores"][0]) / each["scale"] for each in some]
        figure = [(each["sealed"]["scores"][1] - each["sealed"]["scores"][0]) / each["scale"] for each in some]
        told = _spread(plain) - _spread(figure)
        within = [each["sealed"]["sealed_low"] <= each["sealed"]["scores"][0] <= each["sealed"]["sealed_high"] for each in some]
        covers = [each["whole"]["low"] <= each["whole"]["scores"][0] <= each["whole"]["high"] for each in some]
        truth = min(each["n_true"] / each["case"]["n_rows"] for each in some)
        yield [
            label, len(some), f"{truth:.3g}{'' if truth >= ENOUGH_TRUTH else ' (few)'}",
            f"{np.mean(cost):+.4f} ± {np.std(cost) / math.sqrt(len(cost)):.4f}",
            f"{_spread(plain):.4f}", f"{np.mean(covers):.0%}", f"{_spread(figure):.4f}", f"{np.mean(within):.0%}",
            f"{told:+.4f}", "yes" if told > np.mean(cost) else "no",
        ]  # fmt: skip


def _those(done: list[Any], n_rows: int, names: Any) -> list[Any]:
    return [each for each in done if each["case"]["n_rows"] == n_rows and each["case"]["name"] in names]


def _spread(errors: list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


def main() -> None:
    arguments = parsed(__doc__)
    path = Path(arguments.work) / "sealing.jsonl"
    done = worked(path, [] if arguments.only_table else cases(), worker(Path(arguments.data)), arguments.seconds)
    header = (
        "rows", "draws", "rows of truth for each", "cost: packed model worse by",
        "error of the corrected estimate", "its interval holds",
        "error of the sealed figure", "its interval holds", "told: nearer to the truth by", "told more than it cost",
    )  # fmt: skip
    head = "# What sealing a tenth of the rows costs, and what it tells"
    text = (
        f"{head}\n\nROC-AUC of adult; RMSE of the others in units of the target's deviation. Errors are root mean squares "
        f"over draws, from the score of the packed model on all rows left. Where these are fewer than {ENOUGH_TRUTH} for each "
        "row that is learned from, the truth itself strays, and intervals hold it less often than they should."
        f"\n\n{markdown(header, rows_of(done))}\n"
    )
    (RESULTS / "honesty-sealing.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
