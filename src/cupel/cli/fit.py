"""`cupel fit`: from a file to a proven, packed predictor."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cupel.cli.asking import (
    add_backbones,
    add_fixes,
    add_nested,
    add_question,
    numbers_from,
    settings_from,
    with_backbones,
    with_nested,
)
from cupel.cli.describing import printable
from cupel.core.budget import seconds_in
from cupel.core.errors import NoModelError
from cupel.core.limits import Limits, bytes_in
from cupel.core.settings import PREFERENCES, Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    add_question(parser)
    add_fixes(parser)
    parser.add_argument(
        "--ensemble",
        metavar="METHOD",
        default=Settings().ensemble,
        help="how candidates are combined: auto (the default: close-vote, unless greedy or stack is likely better), greedy, "
        "bagged-greedy, close-vote, soft-vote, weighted-vote, hard-vote, stack, network-stack, two-layer-stack, or none",
    )
    parser.add_argument(
        "--prefer",
        choices=PREFERENCES,
        default=Settings().prefer,
        help="which of those within a standard error of the best is packed: the cheapest (the default) or the best",
    )
    parser.add_argument(
        "--seal",
        type=float,
        metavar="SHARE",
        default=Settings().seal,
        help="keep this share of the rows, such as 0.1, away from everything until the packed model is judged by them, once",
    )
    add_nested(parser)
    deciding = parser.add_argument_group("decisions between two classes")
    deciding.add_argument("--costs", metavar="C", help="what errors cost, such as false-positive=1,false-negative=5")
    deciding.add_argument("--at-least", metavar="S", help="say yes so that precision=0.9, or recall=0.9, is surely reached")
    add_backbones(parser)
    parser.add_argument(
        "--shuffle-check",
        action="store_true",
        help="learn from targets exchanged at random: without leaks scores fall to chance, else this ends with code 3",
    )
    spent = parser.add_argument_group("what may be spent")
    add_budget(spent)
    parser.add_argument("--out", metavar="FOLDER", help="the run folder (default: runs/NAME); the same question goes on there")
    add_progress(parser)
    parser.set_defaults(run=run)


def add_budget(parser: Any) -> None:
    """Add the options that limit a run."""
    parser.add_argument(
        "--effort",
        choices=["quick", "standard", "thorough", "open"],
        help="how many candidates: 10, 24, 72, or as many as --time allows (default: open with --time, else standard)",
    )
    parser.add_argument("--time", metavar="TIME", help="a cap on wall time, such as 90s, 10min, 2h; the best so far is kept")
    add_limits(parser)


def add_limits(parser: Any) -> None:
    """Add the options that limit what a run takes of the machine."""
    parser.add_argument(
        "--workers", type=int, metavar="N", default=1, help="1: train in a process that is watched; 0: in this one, for debugging"
    )
    parser.add_argument(
        "--at-once", type=int, metavar="N", help="with --time alone: so many candidates side by side at most (default: as suits)"
    )
    parser.add_argument("--memory", metavar="SIZE", help="a cap on the memory of all processes of the run, such as 2GB")
    parser.add_argument("--disk", metavar="SIZE", help="a cap on the size of the run folder, such as 500MB")
    parser.add_argument("--cores", type=int, metavar="N", help="how many processors may be used (default: all that there are)")


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add the option that allows downloads, which no run folder does."""
    parser.add_argument(
        "--allow-network", action="store_true", help="download backbones of the run that are not here, whatever it was allowed"
    )


def limits_from(arguments: argparse.Namespace, *, kept: Any = None) -> Limits:
    """The limits that the options describe, or that a run has `kept`; a worker begins to import what it needs.

    Raises:
        UsageError: an option cannot be read.
    """
    limits = Limits(
        memory_bytes=bytes_in(arguments.memory),
        disk_bytes=bytes_in(arguments.disk),
        cores=arguments.cores,
        workers=arguments.workers,
        at_once=arguments.at_once,
        began=arguments.began,  # importing PyTorch takes a part of the time
        allow_network=arguments.allow_network,
    ).completed(kept)
    limits = limits.for_time(seconds_in(arguments.time))
    if limits.cores is not None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: limits.cores])  # before libraries count processors
    if limits.workers:
        from cupel.execution.worker import prepare_worker

        prepare_worker()
    return limits


def add_progress(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses what is shown meanwhile."""
    parser.add_argument(
        "--progress", default="auto", choices=["auto", "rich", "plain", "json", "none"], help="what to show while working"
    )


def run(arguments: argparse.Namespace) -> int:
    """Fit and print the verdict."""
    settings = replace(
        settings_from(arguments),
        ensemble=arguments.ensemble,
        prefer=arguments.prefer,
        seal=arguments.seal,
        costs=numbers_from(arguments.costs, option="--costs"),
        at_least=numbers_from(arguments.at_least, option="--at-least"),
        shuffle_target=arguments.shuffle_check,
    )
    settings = with_nested(with_backbones(settings, arguments), arguments)
    limits = limits_from(arguments)
    from cupel import pipeline
    from cupel.cli.progress import observer_for

    finished = pipeline.fit(
        arguments.source,
        arguments.target,
        effort=arguments.effort,
        out=_folder(arguments),
        settings=settings,
        limits=limits,
        progress=observer_for(arguments.progress, memory_bytes=limits.memory_bytes),
    )
    if arguments.shuffle_check:
        return show_shuffled(finished.facts)
    show(finished)
    return 0


def _folder(arguments: argparse.Namespace) -> Any:
    """The run folder asked for; a shuffled run never lands where a real one would."""
    from cupel.pipeline import folder_for

    if arguments.out or not arguments.shuffle_check:
        return arguments.out
    folder = folder_for(None, arguments.source)
    return folder.with_name(f"{folder.name}-shuffled")


def show_shuffled(facts: Mapping[str, Any]) -> int:
    """Say whether what learned from shuffled targets is no better than a constant; 3 where it is."""
    if facts["constant"] is None:
        raise NoModelError("The constant gave no score, so that there is nothing to compare with; the leaderboard says why.")
    pick, constant = facts["pick"]["score"], facts["constant"]["score"]
    sign = 1.0 if facts["higher_is_better"] else -1.0
    bounds = sorted(sign * pick[name] for name in ("low", "high"))
    is_better = bounds[0] > sign * constant["estimate"]
    print(
        f"With targets exchanged at random, {facts['pick']['name']} has {facts['metric']} {pick['estimate']:.4g} (95% interval "
        f"{pick['low']:.4g} to {pick['high']:.4g}); always the same answer has {constant['estimate']:.4g}."
    )
    if is_better:
        print(
            "That is better than chance: rows that judged have been seen, or a preparation was fitted outside of the folds. Look "
            "for near copies and groups (`cupel look`), and at families and preparations from other packages."
        )
        return 3
    print("That is chance: nothing leaks through the pipeline.")
    return 0


def show(finished: Any) -> None:
    """Print a run's verdict, which a stranger may have written, its files, and what to do next."""
    print("\n".join(map(printable, finished.verdict.split("\n"))))
    print()
    if finished.report.exists():
        print(f"report    {finished.report}")
    print(f"model     {finished.artifact}")
    print(f"predict   cupel predict {finished.artifact} NEW -o predictions.csv")
