"""`cupel plan`: what would be tried, with estimated time and memory, before anything is trained."""

from __future__ import annotations

import argparse

from cupel.cli.asking import add_question, settings_from
from cupel.cli.fit import add_budget


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    add_question(parser)
    add_budget(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the plan."""
    from rich.console import Console
    from rich.table import Table

    from cupel import pipeline
    from cupel.cli.progress import in_words
    from cupel.core.budget import seconds_in
    from cupel.problem import understand

    cap = seconds_in(arguments.time)
    problem = understand(arguments.source, arguments.target, settings=settings_from(arguments))
    steps = pipeline.plan(problem, effort=arguments.effort, seconds=cap)
    table = Table(box=None, pad_edge=False)
    for heading, justify in (("candidate", "left"), ("family", "left"), ("time", "right"), ("sum", "right"), ("memory", "right")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    total = 0.0
    for candidate, family, cost in steps:
        total += cost.seconds
        late = cap is not None and total > cap
        row = (candidate.name, family.name, in_words(cost.seconds), in_words(total), f"{cost.memory_bytes / 1e6:.0f} MB")
        table.add_row(*row, style="dim" if late else None)
    console = Console(highlight=False)
    console.print(
        f"{problem.dataset.n_samples} rows, {len(problem.dataset.schema.features)} features; {problem.task.kind.value}, ", end=""
    )
    console.print(
        f"judged by {problem.task.metric}; {problem.splits.scheme}, {len(problem.splits.folds)} folds: {problem.splits.reason}"
    )
    console.print(table)
    console.print(f"In all about {in_words(total)} on this machine; estimates are corrected while a run goes on.")
    if arguments.search != "portfolio" and arguments.effort != "quick":
        console.print("What the search adds after these depends on what it finds; it is not in the sum.")
    if cap is not None and total > cap:
        console.print(f"With --time {arguments.time} the dim ones would not be reached, or be cut short.")
    return 0
