"""`python -m benchmarks.survival`: runs killed at random moments and resumed, compared with one that was left alone.

    python -m benchmarks.survival --work chaos --runs 100
    python -m benchmarks.survival --work chaos --runs 10 --hardship disk      (root: it mounts small disks)
    python -m benchmarks.survival --work chaos --runs 10 --hardship memory    (root: it makes control groups, version 1)
    python -m benchmarks.survival --work chaos --runs 20 --rows 100000 --sample 1500    (fitted on all rows in the end)
    python -m benchmarks.survival --work chaos --report benchmarks/results/survival-chaos.md

Each run is killed (SIGKILL, to a random process of it) one to five times at random moments and gone on with, by `cupel resume`
or by being asked the same again. It must end, lose no finished unit, and give the leaderboard, predictions and artifact of the
run that was left alone. What is done is not done again: the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.survival.caps import is_claimed
from benchmarks.survival.chaos import Question, disturbed, left_alone, written_table
from benchmarks.survival.hardship import on_a_small_disk, peak_memory, with_little_memory
from benchmarks.survival.told import as_page, line_of


def main() -> int:
    """Run, compare, report; 1 where a run did not survive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("chaos"), help="folder for tables, runs and results")
    parser.add_argument("--runs", type=int, default=100, metavar="N")
    parser.add_argument("--rows", type=int, default=4000, help="of the table that is made: more rows, longer runs")
    parser.add_argument("--sample", type=int, default=0, help="search on so many rows, and fit the best on all")
    parser.add_argument("--families", default="linear,LightGBM,MLP")
    parser.add_argument("--hardship", choices=("kills", "disk", "memory"), default="kills")
    parser.add_argument("--most-kills", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no further run after so many")
    parser.add_argument("--backwards", action="store_true", help="begin with the last run: two processes meet in the middle")
    parser.add_argument("--keep", action="store_true", help="keep the folders of runs that survived")
    parser.add_argument("--report", type=Path, help="write the figures of all hardships there, and run nothing")
    given = parser.parse_args()
    if given.sample and given.hardship != "kills":
        parser.error("--sample goes with kills alone")
    given.work.mkdir(parents=True, exist_ok=True)
    if given.report is not None:
        given.report.write_text(as_page(given.work))
        return 0
    started = time.monotonic()
    question = Question(table=written_table(given.work, n_rows=given.rows), families=given.families, sample=given.sample)
    reference = left_alone(question, given.work)
    name = "sampled" if given.sample else given.hardship
    results = given.work / f"{name}.jsonl"
    for seed in reversed(range(given.runs)) if given.backwards else range(given.runs):
        is_over = seed in _done(results) or time.monotonic() - started > given.seconds
        if is_over or not is_claimed(given.work / f"claimed-{name}-{seed}"):
            continue
        found = _endured(given, question, reference, seed)
        with results.open("a") as stream:
            stream.write(json.dumps(found) + "\n")
        print(json.dumps(found), flush=True)
    found = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    print(line_of(found))
    return 1 if any(each["faults"] for each in found) else 0


def _done(results: Path) -> set[int]:
    return {json.loads(line)["seed"] for line in results.read_text().splitlines()} if results.exists() else set()


def _endured(given: argparse.Namespace, question: Question, reference: Path, seed: int) -> dict[str, Any]:
    match given.hardship:
        case "disk":
            return on_a_small_disk(question, reference, given.work, seed=seed)
        case "memory":
            peak = peak_memory(question, given.work)
            return with_little_memory(question, reference, given.work, seed=seed, peak=peak)
        case _:
            out = given.work / f"run{'-sampled' if question.sample else ''}-{seed}"
            return disturbed(question, reference, out, seed=seed, most_kills=given.most_kills, keep=given.keep)


if __name__ == "__main__":
    sys.exit(main())
