"""`cupel report`: the verdict of a finished run, and where its report is."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("run_folder", metavar="RUN", help="the run folder")
    parser.add_argument("--open", action="store_true", help="open the report in a browser")
    parser.add_argument("--json", action="store_true", help="print verdict.json instead")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the verdict."""
    import json

    from cupel.cli.fit import show
    from cupel.run import Run

    finished = Run.open(arguments.run_folder)
    if arguments.json:
        print(json.dumps(finished.facts, indent=1, ensure_ascii=False))
        return 0
    show(finished)
    if arguments.open:
        import webbrowser

        webbrowser.open(finished.report.resolve().as_uri())
    return 0
