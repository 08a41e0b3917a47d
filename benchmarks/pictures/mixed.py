"""Whether a table with pictures is learned better as a whole than each of its parts.

    python -m benchmarks.pictures.mixed --data FOLDER --work FOLDER [--out PAGE.md]

The table is `insurance_charges` (real), whose age is taken away and handed over as a scan instead: two handwritten digits
(scikit-learn's, real too; none of those on test rows is on a training row). What a policy costs hangs on the age, on the
rest, and on both together. A fifth of the rows is held back. Each way gets the same number of candidates and the same seed;
"with the age" is the table as it was, which nothing that has to read handwriting should beat.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars
from PIL import Image
from sklearn.datasets import load_digits

import cupel
from cupel import evaluation

TARGET, AGE, SCAN = "charges", "age", "scan"
N_FOLDS = 3
WAYS = {
    "table and scan": (AGE,),
    "table alone": (AGE, SCAN),
    "scan alone": (AGE, "sex", "bmi", "children", "smoker", "region"),
    "with the age": (SCAN,),
}


@dataclass(frozen=True)
class Outcome:
    """What one way came to."""

    predictions: np.ndarray
    winner: str
    families: tuple[str, ...]
    seconds: float
    latency_ms: float
    n_bytes: int


def forms(data: Path, folder: Path) -> tuple[polars.DataFrame, polars.DataFrame]:
    """Rows to learn from and to be judged on, their scans written below `folder`."""
    table = polars.read_csv(next((data / "insurance_charges").glob("*.csv.gz")))
    generator = np.random.default_rng(0)
    order = generator.permutation(len(table))
    digits = load_digits()
    kept_back = generator.random(len(digits.target)) < 0.2
    (folder / "scans").mkdir(parents=True, exist_ok=True)
    names = np.empty(len(table), dtype=object)
    is_test = np.zeros(len(table), bool)
    is_test[order[: len(table) // 5]] = True
    for row, age in enumerate(table[AGE].to_list()):
        pool = kept_back == is_test[row]
        written = [generator.choice(np.flatnonzero(pool & (digits.target == int(digit)))) for digit in f"{age:02d}"]
        pixels = np.concatenate([digits.images[sample] for sample in written], axis=1)
        names[row] = f"scans/{row:04d}.png"
        Image.fromarray((pixels * (255 / 16)).astype(np.uint8)).save(folder / names[row])
    table = table.with_columns(polars.Series(SCAN, names.tolist(), dtype=polars.String))
    return table.filter(~polars.Series(is_test)), table.filter(polars.Series(is_test))


def tried(way: str, files: tuple[Path, Path], *, work: Path, effort: str, epochs: int) -> Outcome:
    """Fit one way, and predict the rows that it has not seen."""
    started = time.monotonic()
    train, test = files
    settings = cupel.Settings(drop=WAYS[way], n_folds=N_FOLDS, space={"*": {"epochs": epochs}} if epochs else {})
    run = cupel.fit(train, TARGET, effort=effort, out=work / way.replace(" ", "-"), settings=settings)
    return Outcome(
        predictions=np.asarray(run.predictor.predict(test), np.float64),
        winner=run.facts["pick"]["name"],
        families=tuple(dict.fromkeys(row["family"] for row in run.leaderboard.to_dicts() if row["status"] == "done")),
        seconds=time.monotonic() - started,
        latency_ms=run.facts["latency_ms"]["one"],
        n_bytes=run.facts["bytes"],
    )


def page(outcomes: dict[str, Outcome], target: np.ndarray, *, asked: str) -> str:
    """A table of all ways, and how sure it is that the whole beats each part."""
    lines = [
        "# A table with pictures, as a whole and in parts",
        "",
        f"`python -m benchmarks.pictures.mixed {asked}`: `insurance_charges`, the age as a handwritten scan; RMSE of",
        f"{len(target)} test rows, in dollars; 95 % intervals of differences by paired bootstrap over test rows.",
        "",
        "| learned from | RMSE | more than the whole's | what won | one row, ms | MB | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    whole = next(iter(outcomes.values())).predictions
    for way, outcome in outcomes.items():
        error = float(np.sqrt(np.mean((outcome.predictions - target) ** 2)))
        shown = difference(target, outcome.predictions, whole) if outcome.predictions is not whole else ""
        sizes = f"{outcome.latency_ms:.1f} | {outcome.n_bytes / 1e6:.1f} | {outcome.seconds:.0f}"
        lines.append(f"| {way} | {error:,.0f} | {shown} | {outcome.winner} | {sizes} |")
    return "\n".join([*lines, ""])


def difference(target: np.ndarray, part: np.ndarray, whole: np.ndarray) -> str:
    """By how much the part's error is larger, with its interval."""
    generator = np.random.default_rng(0)
    rows = generator.integers(0, len(target), (2000, len(target)))
    errors = [evaluation.score("rmse", target, each[:, None]) for each in (part, whole)]
    squares = [((each - target) ** 2)[rows].mean(axis=1) ** 0.5 for each in (part, whole)]
    low, high = np.quantile(squares[0] - squares[1], [0.025, 0.975])
    return f"{errors[0] - errors[1]:+,.0f} ({low:+,.0f} to {high:+,.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--effort", default="quick")
    parser.add_argument("--epochs", type=int, default=0, help="of every network at most; 0: as each chooses")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    train, test = forms(arguments.data, arguments.work)
    paths = arguments.work / "train.csv", arguments.work / "test.csv"
    for frame, path in zip((train, test), paths, strict=True):
        frame.write_csv(path)
    asked = f"--effort {arguments.effort}" + (f" --epochs {arguments.epochs}" if arguments.epochs else "")
    outcomes = {}
    for way in WAYS:
        outcomes[way] = tried(way, paths, work=arguments.work, effort=arguments.effort, epochs=arguments.epochs)
        print(f"{way}: {outcomes[way].winner}, after {outcomes[way].seconds:.0f} s", flush=True)
    written = page(outcomes, test[TARGET].to_numpy(), asked=asked)
    print(written)
    for way, outcome in outcomes.items():
        print(f"{way}: {', '.join(outcome.families)}")
    if arguments.out:
        arguments.out.write_text(written)


if __name__ == "__main__":
    main()
