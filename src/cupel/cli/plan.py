"""`cupel plan`: what would be tried, with estimated time and memory, before anything is trained."""

from __future__ import annotations

import argparse
import math
from itertools import accumulate
from typing import TYPE_CHECKING

from cupel.cli.asking import add_backbones, add_fixes, add_nested, add_question, settings_from, with_backbones, with_nested
from cupel.cli.fit import add_budget

if TYPE_CHECKING:
    from cupel.planning import Longest


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
    from rich.table import Table

    from cupel import pipeline, planning
    from cupel.core import machine
    from cupel.core.budget import seconds_in
    from cupel.core.limits import Limits, bytes_in
    from cupel.core.plain_lines import in_words
    from cupel.problem import understand

    cap = seconds_in(arguments.time)
    settings = with_nested(with_backbones(settings_from(arguments), arguments), arguments)
    limits = Limits(memory_bytes=bytes_in(arguments.memory), cores=arguments.cores, workers=arguments.workers).for_time(cap)
    seconds = math.inf if cap is None else cap
    problem = understand(arguments.source, arguments.target, settings=settings, limits=limits, seconds=seconds)
    shared = None if cap is None else cap / (settings.nested + 1)
    with machine.held_to(limits.cores):
        steps = planning.plan(problem, effort=arguments.effort, seconds=cap)
        longest = planning.longest(problem, effort=arguments.effort, seconds=shared)
    most_bytes = pipeline.memory_for_candidates(limits)
    fits = [cost.memory_bytes <= most_bytes for _, _, cost in steps]
    sums = list(accumulate(cost.seconds if is_small else 0.0 for (_, _, cost), is_small in zip(steps, fits, strict=True)))
    total = sums[-1]
    table = Table(box=None, pad_edge=False)
    for heading in ("candidate", "family", "time", "sum", "memory", ""):
        table.add_column(heading, justify="right" if heading in ("time", "sum", "memory") else "left")
    for (candidate, family, cost), is_small, so_far in zip(steps, fits, sums, strict=True):
        memory, note = f"{cost.memory_bytes / 1e6:,.0f} MB", "" if is_small else "too large"
        waits = longest is not None and not family.is_baseline and candidate.name not in longest.looked_at
        is_left_out = not is_small or waits or (shared is not None and so_far > shared)
        row = (candidate.name, family.name, in_words(cost.seconds), in_words(so_far), memory, note)
        table.add_row(*row, style="dim" if is_left_out else None)
    console = Console(highlight=False)
    console.print(
        f"{problem.dataset.n_samples} rows, {len(problem.dataset.schema.features)} features; {problem.task.kind.value}, ", end=""
    )
    console.print(
        f"judged by {problem.task.metric}; {problem.splits.scheme}, {len(problem.splits.folds)} folds: {problem.splits.reason}"
    )
    console.print(table)
    console.print(f"In all about {in_words(total)} on this machine; estimates are corrected while a run goes on.")
    if planning.draws_more(problem, than=len(steps), effort=arguments.effort, seconds=cap):
        console.print("What the search adds after these depends on what it finds; it is not in the sum.")
    if longest is not None:
        console.print(longest_words(longest))
    if not all(fits):
        console.print(
            f"Those too large do not fit into the {most_bytes / 1e6:,.0f} MB that a candidate may take, and would be skipped; "
            f"leave columns out with --drop, use fewer --folds, or a machine with more memory."
        )
    if settings.nested:
        console.print(nested_words(settings.nested, total=total, shared=shared))
    if shared is not None and total > shared:
        console.print(f"With --time {arguments.time} the dim ones would not be reached, or be cut short.")
    return 0


def longest_words(longest: Longest) -> str:
    """What comes in the place of a search."""
    from cupel.core.plain_lines import in_words

    return (
        f"Time is short for a search: after a look at {' and '.join(longest.looked_at)}, one long run of a larger network "
        f"({longest.candidate.name}) gets the rest, about {in_words(longest.seconds)}; the dim ones wait until it is over."
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
