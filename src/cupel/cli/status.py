"""`cupel status`: what a run is doing or has done, read from its journal."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cupel.cli.describing import printable
from cupel.core.plain_lines import in_words

Record = Mapping[str, Any]
BEGINNINGS = ("started", "worker lost", "finished", "failed", "skipped")
"""What each says of a candidate holds instead of all that was said before; `ADDITIONS` stand beside it."""
ADDITIONS = ("raced", "timed")
MOST_SIGNS, MOST = 300, 1e12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("run_folder", metavar="RUN", help="the run folder")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one line per candidate, the last event of each.

    Raises:
        DataError: there is no run, or what it has written cannot be read.
    """
    from cupel.execution import Journal, read_run

    folder = Path(arguments.run_folder)
    asked, path = read_run(folder), folder / "journal" / "journal.jsonl"
    told = Told.of(Journal(path).read() if path.exists() else ())
    kind = asked["task"].get("kind") if isinstance(asked.get("task"), Mapping) else None
    head = f"{text(asked['target'])} ({text(kind)}), effort {text(asked.get('effort'))}, version {text(asked['version'])}"
    print(f"{text(str(folder))}: {head}")
    for line in _lines(folder, told, n_outer=asked["settings"].get("nested")):
        print(f"  {line}".rstrip())
    return 0


@dataclass
class Told:
    """What a journal tells, by the order of its records alone: clocks are set back, and machines wake up.

    `candidates` has of each what holds now, `now` is what the run is at, and `last` has the last record of each event.
    """

    candidates: dict[str, Record] = field(default_factory=dict)
    last: dict[str, Record] = field(default_factory=dict)
    outer: set[int] = field(default_factory=set)
    now: Record | None = None

    @property
    def is_concluded(self) -> bool:
        """Whether nothing was begun since the last verdict."""
        return self.now is not None and self.now["event"] == "concluded"

    @classmethod
    def of(cls, records: Iterable[Record]) -> Told:
        """Everything that is of use."""
        from cupel.nesting import FINISHED

        told = cls()
        for record in records:
            event = record["event"]
            told.last[event] = record
            if event in (*BEGINNINGS, *ADDITIONS) and "candidate" in record and "share" not in record:
                before = told.candidates.get(record["candidate"], {}) if event in ADDITIONS else {}
                told.candidates[record["candidate"]] = {**before, **record}
            if event == FINISHED and type(record.get("number")) is int:
                told.outer.add(record["number"])
            if event in ("stage", "turn", "concluded"):
                told.now = record
        return told


def _lines(folder: Path, told: Told, *, n_outer: Any) -> Iterator[str]:
    """All lines below the first."""
    for name, record in told.candidates.items():
        yield f"{text(name):<18} {_state(record):<11} {_times(record):<24} {text(record.get('reason', ''))}"
    yield from _now(folder, told)
    if (n_asked := number(n_outer)) is not None and n_asked > 0:
        yield f"{len(told.outer)} of {n_asked:.0f} outer folds finished"
    if told.is_concluded:
        yield from _end(told.now or {})
    yield "verdict written" if (folder / "verdict.json").exists() else "no verdict yet"


def _end(concluded: Record) -> Iterator[str]:
    """What is packed, and where the time of all processes went."""
    from cupel.verdict import stage_words

    yield f"packed: {text(concluded.get('pick'))}"
    by_stage = concluded.get("seconds_by_stage")
    known = {text(name): number(own) for name, own in by_stage.items()} if isinstance(by_stage, Mapping) else {}
    if words := stage_words({name: own for name, own in known.items() if own is not None and own >= 0}):
        yield f"where the time went: {words}"


def _now(folder: Path, told: Told) -> Iterator[str]:
    """What the run is doing, if a process is at it, and the best so far."""
    from cupel.core import processes
    from cupel.execution import holder_of

    holder = holder_of(folder)
    if holder is not None:
        memory = f", {held / 1e6:,.0f} MB with its worker" if (held := processes.memory_bytes(holder)) else ""
        yield f"process {holder} is at work{memory}"
        yield from _stage(told.now)
    elif told.now is not None and not told.is_concluded:
        yield f"nobody works at it; `cupel resume {text(str(folder))}` goes on"
    if "best" in told.last and not told.is_concluded:
        best = told.last["best"]
        interval = f" (95% interval {text(best['interval'])}; the choice is not allowed for yet)" if "interval" in best else ""
        yield f"best so far: {text(best.get('of'))}, {text(best.get('score'))}{interval}"


def _stage(now: Record | None) -> Iterator[str]:
    """The candidate whose turn it is, or the stage that the run is at."""
    if now is None or now["event"] == "concluded":
        return
    if now["event"] == "stage":
        yield f"{text(now.get('name'))} …"
        return
    begun, left = number(now.get("time")), number(now.get("seconds_left"))
    rest = ""
    if begun is not None and left is not None:
        left = max(left, 0.0)
        left -= min(max(time.time() - begun, 0.0), left)  # a clock that was set back makes nothing longer
        rest = f"; about {in_words(left)} of searching left" if left >= 1 else "; it takes longer than was expected"
    yield f"candidate {text(now.get('number'))} of {text(now.get('total'))}, {text(now.get('of'))}{rest}"


def _state(record: Record) -> str:
    if record.get("dropped"):
        return "dropped"
    return "finished" if record["event"] in ADDITIONS else str(record["event"])


def _times(record: Record) -> str:
    seconds, estimated = number(record.get("seconds")), number(record.get("estimated"))
    shown = (f"{seconds:.1f} s" if seconds is not None else "", f"estimated {estimated:.1f} s" if estimated is not None else "")
    return ", ".join(filter(None, shown))


def number(value: Any) -> float | None:
    """A number of ordinary size; None for everything else that may stand in a file."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < MOST else None


def text(value: Any) -> str:
    """A name or a number as it is shown, without what steers the terminal; "?" for what is neither."""
    if number(value) is not None:
        return str(value)
    return printable(value[:MOST_SIGNS]) if isinstance(value, str) else "?"
