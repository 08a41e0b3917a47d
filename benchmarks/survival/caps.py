"""`python -m benchmarks.survival.caps`: whether a cap on time holds, on any table, however short.

    python -m benchmarks.survival.caps --data ../shared/data --work caps --pairs 50
    python -m benchmarks.survival.caps --data ../shared/data --work caps --pairs 50 --backwards     (beside it: they meet)
    python -m benchmarks.survival.caps --work caps --report benchmarks/results/survival-caps.md

Random pairs of a development table and a budget of 10 to 120 seconds; the whole process is timed, from its start to its end. It
may take 5% and 5 seconds more than it was given, and must leave a packed model. Goes on where it stopped.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from benchmarks.survival.chaos import CUPEL
from benchmarks.tables import TABLES, Table

LEAST_SECONDS, MOST_SECONDS = 10.0, 120.0
SHARE_OVER, SECONDS_OVER = 0.05, 5.0
_claims: list[IO[str]] = []


def main() -> int:
    """Fit what is not fitted yet; 1 where a cap did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("caps"))
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backwards", action="store_true", help="begin with the last pair: two processes meet in the middle")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no further fit after so many")
    parser.add_argument("--report", type=Path, help="write the figures there, and run nothing")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    results = given.work / "caps.jsonl"
    if given.report is not None:
        given.report.write_text(as_page(_read(results)))
        return 0
    started = time.monotonic()
    numbered = list(enumerate(pairs(given.pairs, seed=given.seed)))
    for number, (table, budget) in reversed(numbered) if given.backwards else numbered:
        known = any(each["number"] == number for each in _read(results))
        if known or time.monotonic() - started > given.seconds or not is_claimed(given.work / f"claimed-{number}"):
            continue
        found = {"number": number, "table": table.name, "budget": budget, **_fitted(table, budget, given, number=number)}
        with results.open("a") as stream:
            stream.write(json.dumps(found) + "\n")
        print(json.dumps(found), flush=True)
    return 1 if any(is_broken(each) for each in _read(results)) else 0


def is_claimed(claim: Path) -> bool:
    """Whether this process may do it, until it ends: no other that lives has said that it does."""
    stream = claim.open("w")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        return False
    _claims.append(stream)
    return True


def pairs(n_pairs: int, *, seed: int) -> list[tuple[Table, float]]:
    """Tables and budgets, the same for the same seed; short budgets as often as long ones."""
    chance = random.Random(seed)
    ratio = MOST_SECONDS / LEAST_SECONDS
    return [(chance.choice(TABLES), round(LEAST_SECONDS * ratio ** chance.random(), 1)) for _ in range(n_pairs)]


def is_broken(found: dict[str, Any]) -> bool:
    """Whether it took too long, or left no model."""
    return found["seconds"] > allowed(found["budget"]) or not found["has_model"]


def allowed(budget: float) -> float:
    """Seconds that a run of this budget may take in all."""
    return budget * (1 + SHARE_OVER) + SECONDS_OVER


def _fitted(table: Table, budget: float, given: argparse.Namespace, *, number: int) -> dict[str, Any]:
    out, path = given.work / f"run-{number}", given.work / f"{table.name}.parquet"
    if not path.exists():
        unfinished = given.work / f"{table.name}-{number}.part"
        table.read(given.data).write_parquet(unfinished)
        unfinished.rename(path)
    shutil.rmtree(out, ignore_errors=True)
    question = ["fit", str(path), "--target", table.target, "--time", f"{budget}s"]
    command = [*CUPEL, *question, "--out", str(out), "--progress", "none"]
    started = time.monotonic()
    ended = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace", timeout=20 * MOST_SECONDS)
    seconds = time.monotonic() - started
    facts = json.loads((out / "verdict.json").read_text()) if (out / "verdict.json").exists() else {}
    has_model = (out / "model.cupel").exists()
    shutil.rmtree(out, ignore_errors=True)
    return {
        "seconds": round(seconds, 2),
        "cores": len(os.sched_getaffinity(0)),
        "code": ended.returncode,
        "has_model": has_model,
        "told": ended.stderr.strip()[-300:] if ended.returncode else "",
        "own_seconds": facts.get("seconds"),
        "seconds_by_stage": facts.get("seconds_by_stage", {}),
    }


def _read(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


def as_page(found: Sequence[dict[str, Any]]) -> str:
    """The figures, as Markdown, the longest overrun first."""
    ordered = sorted(found, key=lambda each: allowed(each["budget"]) - each["seconds"])
    held = sum(not is_broken(each) for each in found)
    models = sum(each["has_model"] for each in found)
    lines = [
        "# Caps on time",
        "",
        "Random pairs of a development table and a budget of 10 to 120 s; the whole process is timed, imports included, on",
        f"{' or '.join(sorted({str(each.get('cores', '?')) for each in found}))} core(s) each. Allowed: 5% and 5 s more.",
        f"**{held} of {len(found)}** held; {models} packed a model.",
        "",
        "| table | budget, s | took, s | over, s | of what is allowed over | model |",
        "|---|---|---|---|---|---|",
    ]
    for each in ordered:
        over = each["seconds"] - each["budget"]
        share = over / (allowed(each["budget"]) - each["budget"])
        has = "yes" if each["has_model"] else "no"
        lines.append(f"| {each['table']} | {each['budget']:.1f} | {each['seconds']:.1f} | {over:.1f} | {share:.0%} | {has} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
