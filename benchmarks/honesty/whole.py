"""Whole runs: does what the verdict says to expect hold, of the folds' models and of what is packed?

    python -m benchmarks.honesty.whole --work FOLDER --data FOLDER [--seconds 900]

Real runs of `--effort quick` (linear models, LightGBM, networks) on rows drawn from large tables, the truth being up to 20,000 of
the rows left, and on noise (neighbours and forests too), where nothing is to be found: search, choosing, combining, correcting
and packing, all of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars

import cupel
from benchmarks.honesty.keeping import RESULTS, markdown, parsed, worked
from benchmarks.honesty.real import named
from cupel import evaluation
from cupel.core.settings import Settings

TABLES, SIZES, N_DRAWS, MOST_TRUTH = ("adult", "california_housing", "diamonds", "letter", "bike_sharing"), (500, 2000), 6, 20_000
FAMILIES = ("linear", "LightGBM", "MLP")
NOISE, NOISE_SIZES, NOISE_FAMILIES, N_NOISE_DRAWS, N_FEATURES = "noise", (150, 300), (*FAMILIES, "kNN", "ExtraTrees"), 30, 8


def cases() -> Iterator[dict[str, Any]]:
    for draw in range(N_DRAWS):
        for n_rows in SIZES:
            for name in TABLES:
                yield {"name": name, "n_rows": n_rows, "draw": draw}
    for draw in range(N_NOISE_DRAWS):
        for n_rows in NOISE_SIZES:
            yield {"name": NOISE, "n_rows": n_rows, "draw": draw}


def worker(folder: Path) -> Any:
    """A function that works on a case with the tables of that folder."""

    def work(case: dict[str, Any]) -> dict[str, Any]:
        frame, target, settings = noise(case["draw"]) if case["name"] == NOISE else _drawn(folder, case)
        known, new = frame[: case["n_rows"]], frame[case["n_rows"] : case["n_rows"] + MOST_TRUTH]
        with tempfile.TemporaryDirectory() as scratch:
            known.write_csv(f"{scratch}/known.csv")
            run = cupel.fit(
                f"{scratch}/known.csv", target, effort="quick", out=f"{scratch}/run", settings=settings, progress="none"
            )
            return _judged(run, target, new)

    return work


def _drawn(folder: Path, case: dict[str, Any]) -> tuple[polars.DataFrame, str, Settings]:
    table = named(case["name"])
    frame = table.read(folder).unique(maintain_order=True)
    order = np.random.default_rng([11, case["draw"]]).permutation(len(frame))
    return frame[order], table.target, Settings(families=FAMILIES, metric=table.metric)


def noise(seed: int) -> tuple[polars.DataFrame, str, Settings]:
    """Columns that say nothing about the two classes."""
    generator = np.random.default_rng([13, seed])
    columns: dict[str, Any] = {f"x{number}": generator.normal(size=MOST_TRUTH) for number in range(N_FEATURES)}
    columns["y"] = generator.choice(["a", "b"], MOST_TRUTH)
    return polars.DataFrame(columns), "y", Settings(families=NOISE_FAMILIES, metric="roc_auc", seed=seed)


def _judged(run: Any, target: str, new: polars.DataFrame) -> dict[str, Any]:
    """What was said, and what is true of single models and of what is packed."""
    facts, sign = run.facts, 1 if run.facts["higher_is_better"] else -1
    said = {"folds": facts["pick"]["score"], "packed": facts["promises"].get("packed")}
    predictor = run.predictor
    truth, told = (
        _truth(predictor, target, new),
        predictor.predict_proba if predictor.task.is_classification else predictor.predict,
    )
    packed = np.asarray(told(new.drop(target)), float).reshape(len(new), -1)
    found = {
        "metric": facts["metric"],
        "sign": sign,
        "pick": facts["pick"]["name"],
        "is_mixture": bool(facts["pick"].get("members")),
        "looked": facts["naive_score"],
        "candidates": facts["n_candidates"],
        "packed": evaluation.score(facts["metric"], truth, packed),
    }
    for name, score in said.items():
        found[f"said_{name}"] = None if score is None else [score["estimate"], score["low"], score["high"]]
    return found


def _truth(predictor: Any, target: str, new: polars.DataFrame) -> np.ndarray:
    if not predictor.task.is_classification:
        return new[target].str.strip_chars().cast(polars.Float64).to_numpy()
    places = {name: place for place, name in enumerate(predictor.task.classes)}
    return np.array([places[text.strip()] for text in new[target].to_list()])


def rows_of(done: list[Any]) -> Iterator[list[Any]]:
    real, of_noise = ([each for each in done if (each["case"]["name"] == NOISE) == is_noise] for is_noise in (False, True))
    groups = [("real, ", real, SIZES), ("noise, ", of_noise, NOISE_SIZES)]
    for label, some in [
        (f"{kind}{size}", [each for each in among if size == "all" or each["case"]["n_rows"] == size])
        for kind, among, sizes in groups
        for size in (*sizes, "all")
    ]:
        if not some:
            continue
        row: list[Any] = [label, len(some)]
        for what in ("folds", "packed"):
            told = [each for each in some if each[f"said_{what}"] is not None]
            holds = [each[f"said_{what}"][1] <= each["packed"] <= each[f"said_{what}"][2] for each in told]
            worse = [each["sign"] * each["packed"] < min(each["sign"] * end for end in each[f"said_{what}"][1:]) for each in told]
            row += [len(told), f"{np.mean(holds):.0%}" if told else "–", f"{np.mean(worse):.0%}" if told else "–"]
        errors = [each["sign"] * (each["said_folds"][0] - each["packed"]) for each in some]
        looked = [each["sign"] * (each["looked"] - each["packed"]) for each in some if "looked" in each]
        yield [*row, _mean(looked) if label.startswith("noise") else "–", _mean(errors) if label.startswith("noise") else "–"]


def _mean(values: list[float]) -> str:
    return f"{np.mean(values):+.4f} ± {np.std(values) / np.sqrt(len(values)):.4f}"


def main() -> None:
    arguments = parsed(__doc__)
    path = Path(arguments.work) / "whole.jsonl"
    done = worked(path, [] if arguments.only_table else cases(), worker(Path(arguments.data)), arguments.seconds)
    header = ["rows drawn", "runs"]
    for what in ("expected of the folds' models", "expected of their mean"):
        header += [f"{what}: said in", "holds the packed one's score", "it is worse"]
    header += ["what led looked better by", "what was to be expected of the pick is better by"]
    text = f"# Whole runs on real tables\n\n{__doc__.split(chr(10) * 2)[2]}\n\n{markdown(header, rows_of(done))}\n"
    (RESULTS / "honesty-whole.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
