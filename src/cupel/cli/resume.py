"""`cupel resume`: go on with a run that was stopped, or give it more."""

from __future__ import annotations

import argparse
from pathlib import Path

from cupel.cli.fit import add_budget, add_network, add_progress, limits_from, show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.epilog = "What is not given is as the run was asked: effort, what was left of its time, memory, disk and cores."
    parser.add_argument("run_folder", metavar="RUN", help="the run folder")
    parser.add_argument(
        "--source", metavar="DATA", help="where the data are now: they have moved, or the database's address needs its password"
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="train again what has failed by its own fault (a family that was mended)"
    )
    add_budget(parser)
    add_network(parser)
    add_progress(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Resume and print the verdict."""
    from cupel.execution.folder import read_run

    limits = limits_from(arguments, kept=read_run(Path(arguments.run_folder)).get("limits"))
    from cupel import pipeline
    from cupel.cli.progress import observer_for

    finished = pipeline.resume(
        arguments.run_folder,
        source=arguments.source,
        time=arguments.time,
        effort=arguments.effort,
        limits=limits,
        progress=observer_for(arguments.progress, memory_bytes=limits.memory_bytes),
        retry_failed=arguments.retry_failed,
    )
    show(finished)
    return 0
