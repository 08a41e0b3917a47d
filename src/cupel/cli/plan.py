"""`cupel plan`: what would be tried, with estimated time and memory, before anything is trained."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cupel.cli.asking import add_backbones, add_fixes, add_nested, add_question, settings_from, with_backbones, with_nested
from cupel.cli.fit import add_budget

if TYPE_CHECKING:
    from rich.table import Table

    from cupel.core.candidate import Candidate
    from cupel.core.family import Cost
    from cupel.core.limits import Limits
    from cupel.core.settings import Settings
    from cupel.planning import Longest, Step
    from cupel.problem import Problem

TOO_LARGE, LATER, BEYOND, WOULD_FAIL = "too large", "after the long run", "beyond the time", "would fail"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    add_question(parser)
    add_fixes(parser)
    add_backbones(parser)
    add_nested(parser)
    add_budget(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the plan."""
    from rich.console import Console

    from cupel import pipeline, planning
    from cupel.core import machine
    from cupel.core.budget import Budget, seconds_in
    from cupel.core.limits import Limits, bytes_in
    from cupel.core.plain_lines import in_words

    cap = seconds_in(arguments.time)
    settings = with_nested(with_backbones(settings_from(arguments), arguments), arguments)
    memory, held = bytes_in(arguments.memory), {name: getattr(arguments, name) for name in ("cores", "workers", "at_once")}
    limits = Limits(memory_bytes=memory, **held).for_time(cap)
    problem = _understood(arguments, settings, limits=limits, seconds=math.inf if cap is None else cap)
    shared = None if cap is None else cap / (settings.nested + 1)
    with machine.held_to(limits.cores):
        steps = planning.plan(problem, effort=arguments.effort, seconds=cap)
        longest = planning.longest(problem, effort=arguments.effort, seconds=shared)
        budget = Budget(pipeline.effort_named(arguments.effort, cap), cap)
        most_bytes = pipeline.memory_for_candidates(problem, budget, limits=limits)
    rows, total = _rows(steps, most_bytes=most_bytes, shared=shared, longest=longest)
    notes = {row.note for row in rows}
    console = Console(highlight=False)
    console.print(
        f"{problem.dataset.n_samples} rows, {len(problem.dataset.schema.features)} features; {problem.task.kind.value}, ", end=""
    )
    console.print(f"judged by {problem.task.metric}; {problem.splits.scheme}: {problem.splits.reason}")
    console.print(_table(rows))
    console.print(f"In all about {in_words(total)} on this machine; estimates are corrected while a run goes on.")
    if planning.draws_more(problem, than=len(steps), effort=arguments.effort, seconds=cap):
        console.print("What the search adds after these depends on what it finds; it is not in the sum.")
    if longest is not None:
        console.print(longest_words(longest))
    for words in faults_in_words(steps):
        console.print(words)
    if TOO_LARGE in notes:
        console.print(
            f"Those too large do not fit into the {most_bytes / 1e6:,.0f} MB that a candidate may take, and would be skipped; "
            f"leave columns out with --drop, use fewer --folds, or a machine with more memory."
        )
    if settings.nested:
        console.print(nested_words(settings.nested, total=total, shared=shared))
    if BEYOND in notes:
        console.print(f"With --time {arguments.time} those beyond the time would not be reached, or be cut short.")
    return 0


def _understood(arguments: argparse.Namespace, settings: Settings, *, limits: Limits, seconds: float) -> Problem:
    """The data and the question; reading may take a while."""
    from cupel.cli.progress import observer_for
    from cupel.dividing import divided_for
    from cupel.problem import understand

    observer = observer_for("auto")
    try:
        found = understand(
            arguments.source, arguments.target, settings=settings, observer=observer, limits=limits, seconds=seconds
        )
        return divided_for(found, seconds=seconds)
    finally:
        observer.close()


@dataclass(frozen=True)
class _Row:
    """One candidate, the seconds that all up to it take, and what would keep it from its turn, "" where nothing would."""

    candidate: Candidate
    cost: Cost
    so_far: float
    note: str


def _rows(steps: Sequence[Step], *, most_bytes: float, shared: float | None, longest: Longest | None) -> tuple[list[_Row], float]:
    """The candidates, and the seconds of all that fit."""
    rows, so_far = list[_Row](), 0.0
    for step in steps:
        candidate, family, cost = step.candidate, step.family, step.cost
        is_small = cost.memory_bytes <= most_bytes
        so_far += cost.seconds if is_small else 0.0
        if step.fault:
            note = WOULD_FAIL
        elif not is_small:
            note = TOO_LARGE
        elif longest is not None:
            note = "" if family.is_baseline or candidate.name in longest.looked_at else LATER
        else:
            note = BEYOND if shared is not None and so_far > shared else ""
        rows.append(_Row(candidate, cost, so_far, note))
    return rows, so_far


def _table(rows: Sequence[_Row]) -> Table:
    from rich.table import Table

    from cupel.core.plain_lines import in_words

    table = Table(box=None, pad_edge=False)
    for heading in ("candidate", "family", "time", "sum", "memory", ""):
        table.add_column(heading, justify="right" if heading in ("time", "sum", "memory") else "left")
    for row in rows:
        times, memory = (in_words(row.cost.seconds), in_words(row.so_far)), f"{row.cost.memory_bytes / 1e6:,.0f} MB"
        cells = (row.candidate.name, row.candidate.family, *times, memory, row.note)
        table.add_row(*cells, style="dim" if row.note else None)
    return table


def faults_in_words(steps: Sequence[Step]) -> list[str]:
    """Each reason for which some would fail, once, with their names."""
    faults = dict.fromkeys(step.fault for step in steps if step.fault)
    named = {fault: [step.candidate.name for step in steps if step.fault == fault] for fault in faults}
    return [
        f"{'All' if len(names) == len(steps) else ', '.join(names)} would fail: {fault.rstrip('.')}."
        for fault, names in named.items()
    ]


def longest_words(longest: Longest) -> str:
    """What comes in the place of a search."""
    from cupel.core.plain_lines import in_words

    return (
        f"Time is short for a search: after a look at {' and '.join(longest.looked_at)}, one long run of a larger network "
        f"({longest.candidate.name}) gets the rest, about {in_words(longest.seconds)}; the others wait until it is over."
    )


def nested_words(n_folds: int, *, total: float, shared: float | None) -> str:
    """What repeating everything on outer folds costs; `total` and `shared` are seconds of one run."""
    from cupel.core.plain_lines import in_words
    from cupel.nesting import FEWEST_SECONDS

    repeated = f"All of it is done {n_folds + 1} times: on all rows, and without each of {n_folds} outer folds"
    if shared is None:
        return f"{repeated}, which are about {in_words((n_folds + 1) * total)} in all."
    few = "; that is little to search in, give more --time or fewer --outer-folds" if shared < FEWEST_SECONDS else ""
    return f"{repeated}, about {in_words(shared)} each{few}."
