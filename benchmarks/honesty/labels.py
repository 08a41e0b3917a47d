"""Wrong targets found: 5 % of the labels flipped, or of the values exchanged, and how many of these rows are named.

    python -m benchmarks.honesty.labels --data FOLDER [--out FILE]

The small forest that `cupel look` uses predicts every row out of fold; rows are named in the order of its doubts, as many as were
flipped. On the four tables whose own labels are nearly noiseless recall is a measure of the finder; on the hard ones, where a
perfect model would err in every sixth row, flipped labels drown among honest surprises, whatever finds them.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.honesty.leaks import frame_of
from cupel import data
from cupel.data.rehearsal import Rehearsal
from cupel.evaluation import likely_wrong_labels, likely_wrong_values
from cupel.evaluation.doubts import N_TREES

MAX_ROWS = 5_000
"""As many as `cupel look` asks its forest about."""
SHARE = 0.05
SEEDS = 3
EASY, HARD = ("mushroom", "breast_cancer", "letter", "digits"), ("adult", "telco_churn")
NUMBERS = ("california_housing", "concrete")
"""Chosen before anything was measured."""


def recall(name: str, folder: Path, *, seed: int) -> tuple[float, float, int]:
    """The share of the flipped rows among as many named first, that among all named, and how many were flipped."""
    frame, target = frame_of(name, folder, n_rows=MAX_ROWS)
    dataset = data.read(frame, target=target)
    assert dataset.task is not None, "tables are read with a target"
    generator = np.random.default_rng(seed)
    truth = np.asarray(dataset.target)
    flipped = generator.choice(len(truth), int(SHARE * len(truth)), replace=False)
    given, n_flipped = truth.copy(), len(flipped)
    if dataset.task.is_classification:
        n_classes = len(dataset.task.classes)
        given[flipped] = (truth[flipped] + generator.integers(1, n_classes, n_flipped)) % n_classes
    else:
        order = np.argsort(truth)
        ranks = np.argsort(order)
        moved = ranks[flipped] + generator.integers(len(truth) // 3, len(truth) // 2, n_flipped)
        given[flipped] = truth[order[moved % len(truth)]]
    rehearsal = Rehearsal(replace(dataset, target=given), n_rows=len(given), n_trees=N_TREES, seed=seed)
    predictions = rehearsal.predictions(rehearsal.parts())
    if dataset.task.is_classification:
        named = likely_wrong_labels(given, predictions).rows
    else:
        named = likely_wrong_values(given, predictions, min_deviations=0.0).rows
    return float(np.isin(flipped, named[: len(flipped)]).mean()), float(np.isin(flipped, named).mean()), len(flipped)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--out", help="write the table here")
    arguments = parser.parse_args()
    lines = [
        "# Wrong labels\n",
        f"`python -m benchmarks.honesty.labels`: {SHARE:.0%} of the labels flipped to another class, of numbers exchanged for "
        "one a third to half of the "
        f"ranks away; mean of {SEEDS} draws, at most 5,000 rows a table.\n",
        "| table | kind | flipped | recall at that many rows | recall among all named |",
        "|---|---|---|---|---|",
    ]
    for kind, names in (("nearly noiseless classes", EASY), ("noisy classes", HARD), ("numbers", NUMBERS)):
        for name in names:
            found = [recall(name, Path(arguments.data), seed=seed) for seed in range(SEEDS)]
            first, among = np.mean([each[0] for each in found]), np.mean([each[1] for each in found])
            among_words = "(all are ranked)" if kind == "numbers" else f"{among:.0%}"
            lines.append(f"| {name} | {kind} | {found[0][2]} | {first:.0%} | {among_words} |")
            print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    if arguments.out:
        Path(arguments.out).write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
