"""`cupel backbone`: what makes features in the best network of a run, as a file that other runs can start from."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("run_folder", metavar="RUN", help="the run folder")
    parser.add_argument("-o", "--out", metavar="FILE", required=True, help="where to write it: a .safetensors file")
    parser.add_argument("--licence", metavar="NAME", default="", help="under which terms others may use it, such as apache-2.0")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the file, and say what is in it."""
    from cupel.run import Run

    trunk = Run.open(arguments.run_folder).backbone
    path = trunk.save(arguments.out, licence=arguments.licence)
    facts = trunk.facts
    print(f"{path}: the features of {facts['candidate']} ({facts['family']}, {facts['metric']} {facts['score']:.4f}), trained on")
    print(f"data {facts['fingerprint'][:16]}; licence {arguments.licence or 'not given'}.")
    print(f"use it    cupel fit OTHER/ --backbone {path}")
    return 0
