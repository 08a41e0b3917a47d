"""The entry point: finds the verb, runs it, and turns errors into one clear line and an exit code."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from cupel.cli import check, demo, fit, look, plan, predict, report, resume, status
from cupel.core.errors import CupelError
from cupel.version import __version__

VERBS = (look, plan, fit, resume, status, report, predict, check, demo)
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 2 wrong use or bad input, 3 no usable model, 130 interrupted."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except CupelError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail(
            "interrupted. What was finished is kept; the same command, or `cupel resume`, goes on from there.", INTERRUPTED
        )
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _fail("out of memory. Use fewer rows, drop wide columns with --drop, or a machine with more memory.", 2)
    except OSError as error:
        return _fail(_describe(error), 2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cupel",
        description="Finds the best deep learning model for your data, proves it, and packs it to run anywhere.",
        epilog="Start with:  cupel look data.csv --target COLUMN    then:  cupel fit data.csv --target COLUMN",
    )
    parser.add_argument("--version", action="version", version=f"cupel {__version__}")
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in VERBS:
        verb.add_parser(subparsers)
    return parser


def _describe(error: OSError) -> str:
    place = f" ({error.filename})" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"the disk is full{place}. Free some space and run the same command again: finished work is kept."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission{place}: {error.strerror}. Choose a place that you may write to, or mend the permissions."
    return f"{error.strerror or error}{place}."


def _fail(message: str, code: int) -> int:
    print(f"cupel: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
