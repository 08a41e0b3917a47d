"""What is told of runs that were disturbed: a line, and a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Found = Sequence[dict[str, Any]]
TITLES = {
    "kills": "killed 1 to 5 times (SIGKILL, a random process of the run)",
    "sampled": "the same, searched on a sample, and fitted on all rows in the end",
    "disk": "a disk that is too small, or suddenly full; then room again",
    "memory": "a control group with half to 95% of the memory it needs, then enough",
}


def line_of(found: Found) -> str:
    """One line for people."""
    survived = [each for each in found if not each["faults"]]
    kills = [kill for each in found for kill in each.get("kills", ())]
    workers = sum(kill["of"] == "worker" for kill in kills)
    told = f" {len(kills)} kills ({workers} of workers)" if kills else ""
    return (
        f"{len(survived)} of {len(found)} runs survived{told} with the same result; "
        f"{sum(each['n_lost'] for each in found)} finished units were lost"
    )


def as_page(work: Path) -> str:
    """The figures of all hardships, as Markdown."""
    seconds = float((work / "reference" / "seconds").read_text())
    n_units = len(list((work / "reference" / "units").glob("*/unit.json")))
    lines = [
        "# Runs that were killed, or starved",
        "",
        f"`make test-chaos`: the same fit ({n_units} units, {seconds:.0f} s when left alone, one core) again and again,",
        "disturbed as below and gone on with, half of the times by `cupel resume`, half by asking the same again. *Identical*:",
        "leaderboard, predictions, ONNX models and weights of every unit, and what the packed model predicts, are those of the",
        "run that was left alone, bit for bit.",
        "",
        "| | runs | ended | finished units lost | identical |",
        "|---|---|---|---|---|",
    ]
    notes = []
    for name, title in TITLES.items():
        path = work / f"{name}.jsonl"
        if not path.exists():
            continue
        found = [json.loads(line) for line in path.read_text().splitlines()]
        ended = sum(not any(fault.startswith("ended with") for fault in each["faults"]) for each in found)
        same = sum(not each["faults"] and not each.get("is_smaller") for each in found)
        lost = sum(each["n_lost"] for each in found)
        lines.append(f"| {title} | {len(found)} | {ended} | {lost} | {same} |")
        notes.append(_note(name, found))
    return "\n".join([*lines, "", *filter(None, notes), ""])


def _note(name: str, found: Found) -> str:
    if name in ("kills", "sampled"):
        kills = [kill for each in found for kill in each["kills"]]
        workers = sum(kill["of"] == "worker" for kill in kills)
        return (
            f"- *{name.capitalize()}*: {len(kills)} kills, {workers} of the worker process, {len(kills) - workers} of the run's "
            f"own; {sum(not each['kills'] for each in found)} runs ended before the moment that was drawn. "
            f"{sum(each['seconds'] for each in found) / len(found):.0f} s of work a run in the mean."
        )
    models = sum(each["had_model"] for each in found)
    units = sum(each["n_finished"] for each in found)
    ended = sum(each["first"] == 0 for each in found)
    told = f"- *{name.capitalize()}* (a fit of {found[0]['alone']:.0f} s when left alone): while starved {ended} of "
    told += f"{len(found)} runs ended without an error"
    told += f" ({models} had packed a model), the others with one; {units} units were finished by then."
    if name == "memory":
        n_smaller = sum(each.get("is_smaller", False) for each in found)
        told += f" In {n_smaller} a candidate was trained in smaller batches for want of memory, which makes it another one."
        told += f" The kernel ended {sum(each['n_ended'] for each in found)} processes."
    return told
