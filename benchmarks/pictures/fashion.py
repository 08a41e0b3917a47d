"""Fashion-MNIST: what `cupel fit` finds in so many seconds, everything included, judged on the official test set.

    python -m benchmarks.pictures.fashion --data FOLDER --work FOLDER [--seconds 600,1800] [--repeats 1] [--out PAGE.md]

The command is the one that a user would give, on the archive as it is published; the test set is handed to nothing but
`cupel predict`. Goes on where it stopped.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environments import ended
from benchmarks.pictures.sets import fashion
from cupel.core import machine

CUPEL = [sys.executable, "-m", "cupel.cli.main"]


def measured(data: Path, out: Path, *, seconds: float, seed: int) -> dict[str, Any]:
    """Accuracy on the official test set, seconds of the whole command, what was packed and expected; kept beside the run."""
    told = out / "told.json"
    if told.exists():
        return dict(json.loads(told.read_text()))
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    folder = data / "fashion_mnist"
    source, test = folder / "train-images-idx3-ubyte.gz", folder / "t10k-images-idx3-ubyte.gz"
    options = ["--time", f"{seconds:g}s", "--metric", "accuracy", "--seed", str(seed), "--out", str(out / "run")]
    started = time.monotonic()
    failed = ended([*CUPEL, "fit", str(source), *options, "--progress", "plain"], out / "log.txt", seconds=1.5 * seconds + 60)
    took = time.monotonic() - started
    if failed:
        return {"seconds": seconds, "seed": seed, "failed": failed}
    model, said = out / "run" / "model.cupel", out / "predictions.csv"
    failed = ended([*CUPEL, "predict", str(model), str(test), "-o", str(said)], out / "predict.txt", seconds=1200)
    if failed:
        return {"seconds": seconds, "seed": seed, "failed": failed}
    with said.open() as lines:
        predicted = np.array([row["prediction"] for row in csv.DictReader(lines)])
    facts = json.loads((out / "run" / "verdict.json").read_text())
    score = facts["pick"]["score"]
    found = {
        "seconds": seconds,
        "seed": seed,
        "took": took,
        "accuracy": float((predicted == fashion(data, part="t10k")[1]).mean()),
        "packed": facts["pick"]["name"],
        "expected": score["estimate"],
        "low": score["low"],
        "high": score["high"],
        "bytes": facts["bytes"],
        "one_ms": facts["latency_ms"]["one"],
        "tried": facts["n_candidates"],
        "machine": machine.describe(),
    }
    told.write_text(json.dumps(found))
    return found


def page(found: list[dict[str, Any]]) -> str:
    """All runs as a table."""
    about = machine.describe()
    lines = [
        "# Fashion-MNIST in ten and thirty minutes",
        "",
        f"`python -m benchmarks.pictures.fashion`, {date.today()}, {about['cores']} cores of an {about['processor']}:",
        "`cupel fit` on the 60,000 training pictures, everything included; accuracy on the 10,000 of the official test set.",
        "",
        "| allowed | took, s | accuracy | the verdict had said | packed | tried | MB | one picture, ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in found:
        if "failed" in each:
            lines.append(f"| {each['seconds']:g} s | | † {each['failed']} | | | | | |")
            continue
        expected = f"{each['expected']:.4f} ({each['low']:.4f} to {each['high']:.4f})"
        cost = f"{each['bytes'] / 1e6:.1f} | {each['one_ms']:.1f}"
        shown = f"{each['took']:.0f} | {each['accuracy']:.4f} | {expected} | {each['packed']} | {each['tried']} | {cost}"
        lines.append(f"| {each['seconds']:g} s | {shown} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of data sets")
    parser.add_argument("--work", type=Path, required=True, help="where runs are kept")
    parser.add_argument("--seconds", type=lambda text: [float(part) for part in text.split(",")], default=[600.0, 1800.0])
    parser.add_argument("--repeats", type=int, default=1, help="runs of each, by other seeds")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = []
    for seconds in given.seconds:
        for seed in range(given.repeats):
            found.append(measured(given.data, given.work / f"{seconds:g}-{seed}", seconds=seconds, seed=seed))
            print(json.dumps(found[-1]), flush=True)
            if given.out:
                given.out.write_text(page(found))
    print(page(found))


if __name__ == "__main__":
    main()
