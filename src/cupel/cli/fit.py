"""`cupel fit`: from a file to a proven, packed predictor."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Any

from cupel.cli.asking import add_backbones, add_fixes, add_question, numbers_from, settings_from, with_backbones
from cupel.core.budget import seconds_in
from cupel.core.settings import PREFERENCES, Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    add_question(parser)
    add_fixes(parser)
    parser.add_argument(
        "--ensemble",
        metavar="METHOD",
        default=Settings().ensemble,
        help="how candidates are combined: auto (the default: the simplest that is as good as the best), greedy, bagged-greedy, "
        "soft-vote, weighted-vote, hard-vote, stack, network-stack, two-layer-stack, or none",
    )
    parser.add_argument(
        "--prefer",
        choices=PREFERENCES,
        default=Settings().prefer,
        help="which of those that cannot be told apart is packed: the cheapest (the default) or the best",
    )
    parser.add_argument(
        "--seal",
        type=float,
        metavar="SHARE",
        default=Settings().seal,
        help="keep this share of the rows, such as 0.1, away from everything until the packed model is judged by them, once",
    )
    deciding = parser.add_argument_group("decisions between two classes")
    deciding.add_argument("--costs", metavar="C", help="what errors cost, such as false-positive=1,false-negative=5")
    deciding.add_argument("--at-least", metavar="S", help="say yes so that precision=0.9, or recall=0.9, is surely reached")
    add_backbones(parser)
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


def add_progress(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses what is shown meanwhile."""
    parser.add_argument(
        "--progress", default="auto", choices=["auto", "rich", "plain", "none"], help="what to show while working"
    )


def run(arguments: argparse.Namespace) -> int:
    """Fit and print the verdict."""
    started = time.monotonic()
    settings = replace(
        settings_from(arguments),
        ensemble=arguments.ensemble,
        prefer=arguments.prefer,
        seal=arguments.seal,
        costs=numbers_from(arguments.costs, option="--costs"),
        at_least=numbers_from(arguments.at_least, option="--at-least"),
    )
    settings = with_backbones(settings, arguments)
    cap = seconds_in(arguments.time)
    from cupel import pipeline
    from cupel.cli.progress import observer_for

    finished = pipeline.fit(
        arguments.source,
        arguments.target,
        effort=arguments.effort,
        time=None if cap is None else max(cap - (time.monotonic() - started), 1.0),  # importing PyTorch is part of it
        out=arguments.out,
        settings=settings,
        observer=observer_for(arguments.progress),
    )
    show(finished)
    return 0


def show(finished: Any) -> None:
    """Print a run's verdict, its files, and what to do next."""
    print(finished.verdict)
    print()
    print(f"report    {finished.report}")
    print(f"model     {finished.artifact}")
    print(f"predict   cupel predict {finished.artifact} NEW -o predictions.csv")
