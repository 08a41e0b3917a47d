"""`cupel refit`: what a run chose, trained on other data, and whether that made it better."""

from __future__ import annotations

import argparse

from cupel.cli.fit import add_limits, add_network, add_progress, limits_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("run_folder", metavar="RUN", help="the run folder whose model is to be trained again")
    parser.add_argument("source", metavar="DATA", help="the rows to train on, with the target: the same columns as before")
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--cold", dest="warm", action="store_false", help="train from scratch (default)")
    begin.add_argument("--warm", dest="warm", action="store_true", help="start networks from the weights of the run")
    parser.set_defaults(warm=False)
    parser.add_argument("--out", metavar="FOLDER", help="the new run folder (default: RUN-refit)")
    parser.add_argument(
        "--pack", default="better", choices=["better", "always", "never"], help="when to write a model.cupel (default: better)"
    )
    parser.add_argument("--time", metavar="TIME", help="a cap on wall time, such as 90s, 10min, 2h")
    add_limits(parser)
    add_network(parser)
    add_progress(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Refit, and print the comparison."""
    limits = limits_from(arguments)
    from cupel import data, refitting
    from cupel.cli.progress import observer_for

    made = refitting.refit(
        arguments.run_folder,
        arguments.source,
        warm=arguments.warm,
        out=arguments.out,
        pack=arguments.pack,
        limits=limits,
        progress=observer_for(arguments.progress, memory_bytes=limits.memory_bytes),
    )
    print(made.words)
    if made.run is None:
        again = f"cupel refit {arguments.run_folder} {data.to_be_kept(arguments.source)} --out {made.folder} --pack always"
        print(f"model     none was written; to have it all the same: {again}")
    else:
        print(f"report    {made.run.report}")
        print(f"model     {made.run.artifact}")
    return 0
