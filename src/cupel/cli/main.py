"""The entry point: finds the verb, runs it, and turns errors into one clear line and an exit code."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import select
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

from cupel.core import machine
from cupel.core.errors import CupelError
from cupel.version import __version__

VERBS = {
    "look": "what a table holds and what is wrong with it; trains nothing",
    "plan": "what would be tried, with estimated time and memory; trains nothing",
    "fit": "find the best model, prove it and pack it",
    "resume": "go on with a run that was stopped, or give it more time",
    "refit": "train what a run chose on other data, without a new search, and compare",
    "status": "what a run has done so far, also from another terminal",
    "report": "show the verdict of a finished run and its report",
    "predict": "predict the rows of a file with a packed model",
    "backbone": "save the best network's features, for other runs to start from",
    "check": "prove that a packed model predicts here what it was trained to",
    "demo": "see all of it on a real table, damaged as real tables are; nothing to download",
}
INTERRUPTED = 130
MOST_SECONDS_TO_BEGIN = 5.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 2 wrong use or bad input, 3 no usable model, 130 interrupted."""
    _show_what_can_be()
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser(given[0] if given else "").parse_args(given)
    arguments.began = _began() if argv is None else time.monotonic()
    try:
        return _run(arguments)
    finally:
        for stream in (sys.stdout, sys.stderr):
            if _is_unread(stream):  # else what waits in it would fail at the end of this process
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _show_what_can_be() -> None:
    """Let a terminal of few letters show "?" for the others: a finished run must not end by how it is told."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _run(arguments: argparse.Namespace) -> int:
    try:
        return int(arguments.run(arguments))
    except CupelError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail(
            "interrupted. What was finished is kept; the same command, or `cupel resume`, goes on from there.", INTERRUPTED
        )
    except BrokenPipeError as error:
        return 0 if _is_unread(sys.stdout) else _fail(_describe(error), 2)
    except MemoryError:
        return _fail("out of memory. Use fewer rows, drop wide columns with --drop, or a machine with more memory.", 2)
    except ModuleNotFoundError as error:
        return _fail(f'the library {error.name!r} is not installed; fitting needs: pip install "cupel[fit]".', 2)
    except OSError as error:
        return _fail(_describe(error), 2)


def _is_unread(stream: TextIO | None) -> bool:
    """Whether nobody can read any more what is written there, as of `cupel look data.csv | head`."""
    if stream is None:
        return False
    poll = select.poll()
    with suppress(OSError, ValueError):  # it is no file, or closed
        poll.register(stream.fileno(), 0)
        return bool(poll.poll(0))
    return False


def _began() -> float:
    """When this command began; where its process did other things before, by exec, now."""
    began, now = machine.process_began(), time.monotonic()
    return began if now - began < MOST_SECONDS_TO_BEGIN else now


def _parser(asked: str) -> argparse.ArgumentParser:
    """All verbs by name, and the arguments of the one that is asked for: help must not wait for the others' imports."""
    parser = argparse.ArgumentParser(
        prog="cupel",
        description="Finds the best deep learning model for your data, proves it, and packs it to run anywhere.",
        epilog="Start with:  cupel look data.csv --target COLUMN    then:  cupel fit data.csv --target COLUMN",
    )
    parser.add_argument("--version", action="version", version=f"cupel {__version__}")
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb, purpose in VERBS.items():
        parser_of_verb = subparsers.add_parser(verb, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        if verb == asked:
            importlib.import_module(f"cupel.cli.{verb}").add_arguments(parser_of_verb)
    return parser


def _describe(error: OSError) -> str:
    place = f" ({error.filename})" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"the disk is full{place}. Free some space and run the same command again: finished work is kept."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission{place}: {error.strerror}. Choose a place that you may write to, or mend the permissions."
    return f"{error.strerror or error}{place}."


def _fail(message: str, code: int) -> int:
    with suppress(OSError, ValueError):
        print(f"cupel: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
