"""Experiments that go on where they stopped: one line of JSON per case, and tables in Markdown made of them."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "results"


def parsed(description: str | None) -> argparse.Namespace:
    """What every experiment takes: where cases are kept, for how long to work, and whether to write the table."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, help="a folder in which finished cases are kept")
    parser.add_argument("--data", default="../shared/data", help="the folder of development tables")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long; called again it goes on")
    parser.add_argument("--only-table", action="store_true", help="write the table of what there is")
    return parser.parse_args()


def worked(
    path: Path, cases: Iterable[dict[str, Any]], work: Callable[[dict[str, Any]], dict[str, Any]], seconds: float
) -> list[Any]:
    """The results of all cases that are done, each beside its case; those of an earlier call are not repeated."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    known = {json.dumps(each["case"], sort_keys=True) for each in done}
    started = time.monotonic()
    with path.open("a") as stream:
        for case in cases:
            if json.dumps(case, sort_keys=True) in known:
                continue
            if time.monotonic() - started > seconds:
                break
            begun = time.process_time()
            each = {"case": case, **work(case), "cpu_seconds": round(time.process_time() - begun, 2)}
            stream.write(json.dumps(each) + "\n")
            stream.flush()
            done.append(each)
    return done


def markdown(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)
