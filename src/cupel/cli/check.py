"""`cupel check`: does a packed model predict here what it predicted where it was made?"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("model", metavar="MODEL", help="the model.cupel file")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Predict the golden rows again and print the differences."""
    from cupel.serving import load

    differences = load(arguments.model).check()
    for name, difference in differences.items():
        print(f"{name.replace('_', ' '):<12} differs by {difference:.2g}")
    print(f"{arguments.model} predicts here what it was trained to.")
    return 0
