"""`cupel plan`: what would be tried, with estimated time and memory, before anything is trained."""

from __future__ import annotations

import argparse
from itertools import accumulate

from cupel.cli.asking import add_backbones, add_fixes, add_question, settings_from, with_backbones
from cupel.cli.fit import add_budget


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    add_question(parser)
    add_fixes(parser)
    add_backbones(parser)
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
    settings = with_backbones(settings_from(arguments), arguments)
    problem = understand(arguments.source, arguments.target, settings=settings)
    steps = pipeline.plan(problem, effort=arguments.effort, seconds=cap)
    most_bytes = pipeline.memory_for_candidates()
    fits = [cost.memory_bytes <= most_bytes for _, _, cost in steps]
    sums = list(accumulate(cost.seconds if is_small else 0.0 for (_, _, cost), is_small in zip(steps, fits, strict=True)))
    total = sums[-1]
    table = Table(box=None, pad_edge=False)
    for heading in ("candidate", "family", "time", "sum", "memory", ""):
        table.add_column(heading, justify="right" if heading in ("time", "sum", "memory") else "left")
    for (candidate, family, cost), is_small, so_far in zip(steps, fits, sums, strict=True):
        memory, note = f"{cost.memory_bytes / 1e6:,.0f} MB", "" if is_small else "too large"
        is_left_out = not is_small or (cap is not None and so_far > cap)
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
    if arguments.search != "portfolio" and arguments.effort != "quick":
        console.print("What the search adds after these depends on what it finds; it is not in the sum.")
    if not all(fits):
        console.print(
            f"Those too large do not fit into the {most_bytes / 1e6:,.0f} MB that a candidate may take, and would be skipped; "
            f"leave columns out with --drop, use fewer --folds, or a machine with more memory."
        )
    if cap is not None and total > cap:
        console.print(f"With --time {arguments.time} the dim ones would not be reached, or be cut short.")
    return 0
