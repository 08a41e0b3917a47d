"""`cupel report`: the verdict of a finished run, and where its report is."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cupel.core.errors import DataError
from cupel.core.untrusted import read_bytes

MOST_BYTES = 1 << 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("run_folder", metavar="RUN", help="the run folder")
    parser.add_argument("--open", action="store_true", help="open the report in a browser")
    parser.add_argument("--json", action="store_true", help="print verdict.json instead")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the verdict."""
    from cupel.cli.fit import show
    from cupel.run import Run

    finished = Run.open(arguments.run_folder)
    if arguments.json:
        text = json.dumps(finished.facts, indent=1, ensure_ascii=False)
        print("\n".join("".join(map(_escaped, line)) for line in text.split("\n")))
        return 0
    show(finished)
    if arguments.open:
        import webbrowser

        demand_own(finished.report)
        webbrowser.open(finished.report.resolve().as_uri())
    return 0


def demand_own(path: Path) -> None:
    """Refuse a report that would have a browser do what Cupel's own does not: a run folder may be a stranger's.

    Raises:
        DataError: it is a link or cannot be read, or it is no page of this Cupel.
    """
    from cupel.verdict import is_own_page

    again = f"`cupel resume {path.parent}` writes it anew"
    try:
        content = read_bytes(path, most_bytes=MOST_BYTES).decode()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); {again}.") from error
    if not is_own_page(content):
        raise DataError(
            f"{path} is no page of this Cupel: it is of another version, or somebody else's, whose scripts a browser would run. "
            f"{again}; or open it yourself, where you trust whoever made it."
        )


def _escaped(sign: str) -> str:
    """A character of JSON, which may stand for itself where it can be seen."""
    return sign if sign.isprintable() else json.dumps(sign)[1:-1]
