"""`python -m benchmarks.survival.overhead`: what the worker process, the journal and checkpoints cost.

    python -m benchmarks.survival.overhead --work overhead --pairs 3
    python -m benchmarks.survival.overhead --work overhead --report benchmarks/results/survival-overhead.md

The same fit (a fixed number of candidates, no time cap) as it always is, and in one process without journal and checkpoints: both
at the same time, each on a core of its own, cores exchanged from pair to pair. Processor time counts all processes. Goes on where
it stopped.
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.survival.chaos import written_table

SIDES = ("watched", "bare")


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
    cores = sorted(os.sched_getaffinity(0))[:2]
    for pair in range(given.pairs):
        if any(each["pair"] == pair for each in _read(results)) or time.monotonic() - started > given.seconds:
            continue
        with ThreadPoolExecutor(len(SIDES)) as threads:
            abreast = zip(SIDES, cores[:: 1 if pair % 2 == 0 else -1], strict=True)
            found = list(threads.map(lambda each: _measured(given, side=each[0], core=each[1]), abreast))
        for each in found:
            with results.open("a") as stream:
                stream.write(json.dumps({"pair": pair, **each}) + "\n")
            print(json.dumps(each), flush=True)
    return 0


def _measured(given: argparse.Namespace, *, side: str, core: int) -> dict[str, Any]:
    """Wall time and processor time of one fit in a process of its own, on one core, its start and end included."""
    options = ["--work", str(given.work), "--rows", str(given.rows), "--families", given.families, "--one", side]
    command = ["taskset", "-c", str(core), sys.executable, "-m", "benchmarks.survival.overhead", *options]
    told = given.work / f"told-{side}.json"
    started = time.monotonic()
    with told.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
    _, code, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    if code:
        raise RuntimeError(f"{' '.join(command)} ended with {code}")
    taken = round(used.ru_utime + used.ru_stime, 2)
    own = json.loads(told.read_text().splitlines()[-1])
    return {"side": side, "core": core, "seconds": round(seconds, 2), "processor_seconds": taken, **own}


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
        "without journal and checkpoints: both at the same time, each on one of two cores, exchanged from pair to pair.",
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
