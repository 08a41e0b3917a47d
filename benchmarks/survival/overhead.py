"""`python -m benchmarks.survival.overhead`: what the worker process, the journal and checkpoints cost.

    python -m benchmarks.survival.overhead --work overhead --pairs 3
    python -m benchmarks.survival.overhead --work overhead --report benchmarks/results/survival-overhead.md

The same fit (a fixed number of candidates, no time cap) as it always is, and in one process without journal and checkpoints; in
turns, each pair in the other order than the one before. Processor time counts all processes. Goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.survival.chaos import written_table

SIDES = ("watched", "bare")
MOST_SECONDS = 1800


def main() -> int:
    """Measure what is not measured yet, one fit a process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("overhead"))
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--families", default="linear,LightGBM,MLP,RealMLP")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no further fit after so many")
    parser.add_argument("--one", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--report", type=Path, help="write the figures there, and run nothing")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    if given.one:
        print(json.dumps(_fitted(given)))
        return 0
    results = given.work / "overhead.jsonl"
    if given.report is not None:
        given.report.write_text(as_page(_read(results)))
        return 0
    written_table(given.work, n_rows=given.rows)
    started = time.monotonic()
    for pair in range(given.pairs):
        for side in SIDES if pair % 2 == 0 else SIDES[::-1]:
            known = any((each["pair"], each["side"]) == (pair, side) for each in _read(results))
            if known or time.monotonic() - started > given.seconds:
                continue
            found = {"pair": pair, "side": side, **_measured(given, side)}
            with results.open("a") as stream:
                stream.write(json.dumps(found) + "\n")
            print(json.dumps(found), flush=True)
    return 0


def _measured(given: argparse.Namespace, side: str) -> dict[str, Any]:
    """Wall time and processor time of one fit in a process of its own, its start and end included."""
    options = ["--work", str(given.work), "--rows", str(given.rows), "--families", given.families, "--one", side]
    started, before = time.monotonic(), os.times()
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.survival.overhead", *options], check=True, capture_output=True, timeout=MOST_SECONDS
    )
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    told = json.loads(ended.stdout.splitlines()[-1])
    return {"seconds": round(time.monotonic() - started, 2), "processor_seconds": round(used, 2), **told}


def _fitted(given: argparse.Namespace) -> dict[str, Any]:
    import cupel
    from cupel.core.limits import Limits
    from cupel.core.settings import Settings

    if given.one == "bare":
        _without_journal_and_checkpoints()
    out = given.work / f"run-{given.one}"
    shutil.rmtree(out, ignore_errors=True)
    settings = Settings(families=tuple(given.families.split(",")), n_folds=3)
    limits = Limits(workers=1 if given.one == "watched" else 0)
    table = given.work / f"table-{given.rows}.csv"
    run = cupel.fit(str(table), "y", effort="quick", out=out, settings=settings, limits=limits)
    told = {"n_candidates": run.facts["n_candidates"]}
    shutil.rmtree(out)
    return told


def _without_journal_and_checkpoints() -> None:
    from cupel import execution
    from cupel.execution.checkpoint_folder import CheckpointFolder

    def nothing(*given: Any, **named: Any) -> None:
        del given, named

    for kind, name in ((execution.Journal, "append"), (CheckpointFolder, "save"), (CheckpointFolder, "clear")):
        setattr(kind, name, nothing)


def _read(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


def as_page(found: list[dict[str, Any]]) -> str:
    """The figures, as Markdown."""
    by_pair = {pair: {each["side"]: each for each in found if each["pair"] == pair} for pair in {each["pair"] for each in found}}
    whole = [sides for _, sides in sorted(by_pair.items()) if len(sides) == len(SIDES)]
    lines = [
        "# What the worker process, the journal and checkpoints cost",
        "",
        "The same fit (10 candidates, 3 folds; start and end of the process included) as it always is, and in one process",
        "without journal and checkpoints. Pairs in alternating order.",
        "",
        "| pair | watched, s | bare, s | more, s | more | processor time: watched, s | bare, s |",
        "|---|---|---|---|---|---|---|",
    ]
    for number, sides in enumerate(whole, 1):
        watched, bare = (sides[side] for side in SIDES)
        more = watched["seconds"] - bare["seconds"]
        lines.append(
            f"| {number} | {watched['seconds']:.1f} | {bare['seconds']:.1f} | {more:.1f} | {more / bare['seconds']:.1%} "
            f"| {watched['processor_seconds']:.1f} | {bare['processor_seconds']:.1f} |"
        )
    if whole:
        more = statistics.mean(sides["watched"]["seconds"] - sides["bare"]["seconds"] for sides in whole)
        bare = statistics.mean(sides["bare"]["seconds"] for sides in whole)
        lines += ["", f"In the mean {more:.1f} s of {bare:.0f} s more, which is {more / bare:.1%}."]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
