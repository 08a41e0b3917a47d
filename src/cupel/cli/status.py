"""`cupel status`: what a run is doing or has done, read from its journal."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("run_folder", metavar="RUN", help="the run folder")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one line per candidate, the last event of each."""
    from cupel.execution import Journal, read_run
    from cupel.nesting import FINISHED

    folder = Path(arguments.run_folder)
    asked = read_run(folder)
    last: dict[str, dict[str, Any]] = {}
    concluded: dict[str, Any] = {}
    told: dict[str, dict[str, Any]] = {}
    outer: set[int] = set()
    for record in Journal(folder / "journal" / "journal.jsonl").read():
        if "candidate" in record:
            last.setdefault(record["candidate"], {}).update(record)
        if record["event"] == FINISHED:
            outer.add(record["number"])
        concluded = record if record["event"] == "concluded" else concluded
        told[record["event"]] = record
    print(f"{folder}: {asked['target']} ({asked['task']['kind']}), effort {asked['effort']}, version {asked['version']}")
    for name, record in last.items():
        print(f"  {name:<18} {_state(record):<9} {_times(record):<24} {record.get('reason', '')}".rstrip())
    for line in _now(folder, told):
        print(f"  {line}")
    if n_asked := int(asked["settings"].get("nested", 0)):
        print(f"  {len(outer)} of {n_asked} outer folds finished")
    if concluded.get("seconds_by_stage"):
        from cupel.verdict import stage_words

        print(f"  where the time went: {stage_words(concluded['seconds_by_stage'])}")
    print("  verdict written" if (folder / "verdict.json").exists() else "  no verdict yet")
    return 0


def _state(record: dict[str, Any]) -> str:
    if record.get("dropped"):
        return "dropped"
    return "finished" if record["event"] in ("timed", "raced") else str(record["event"])


def _now(folder: Path, told: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What the run is doing, if a process is at it, and the best so far."""
    from cupel.core import processes
    from cupel.execution import holder_of

    holder, turn = holder_of(folder), told.get("turn")
    if holder is not None:
        memory = f", {processes.memory_bytes(holder) / 1e6:,.0f} MB with its worker"
        yield f"process {holder} is at work{memory}"
        if turn is not None and turn["time"] >= told.get("concluded", turn)["time"]:
            left = max(0.0, float(turn["seconds_left"] or 0.0) - (time.time() - turn["time"]))
            yield f"candidate {turn['number']} of {turn['total']}, {turn['of']}; about {left:.0f} s of searching left"
    if "best" in told:
        best = told["best"]
        within = f" (95% interval {best['interval']}; the choice is not allowed for yet)" if "interval" in best else ""
        yield f"best so far: {best['of']}, {best['score']}{within}"


def _times(record: dict[str, Any]) -> str:
    if "estimated" not in record:
        return ""
    if "seconds" not in record:
        return f"estimated {record['estimated']:.1f} s"
    return f"{record['seconds']:.1f} s, estimated {record['estimated']:.1f} s"
