"""`python -m benchmarks.survival.memory`: twenty runs with caps on memory that most tables would not fit into.

    python -m benchmarks.survival.memory --work /tmp/memory --write

Each run must stay below its cap and a tenth, all processes together, and end with a model, or say before training what is needed.
What is done is not done again: the same command goes on where it was stopped. `--write` renews the table in benchmarks/results.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.survival.made import TARGET, written
from benchmarks.survival.watching import fitted, watched
from cupel.core import machine
from cupel.core.limits import bytes_in

CASES = (
    ("700MB", 10_000, "csv"), ("700MB", 100_000, "parquet"), ("700MB", 1_000_000, "csv"),
    ("1GB", 10_000, "csv"), ("1GB", 100_000, "parquet"), ("1GB", 100_000, "csv"), ("1GB", 1_000_000, "parquet"),
    ("1500MB", 100_000, "parquet"), ("1500MB", 100_000, "csv"), ("1500MB", 1_000_000, "parquet"), ("1500MB", 1_000_000, "csv"),
    ("2GB", 100_000, "csv"), ("2GB", 1_000_000, "parquet"), ("2GB", 1_000_000, "csv"), ("2GB", 1_000_000, "arrow"),
    ("3GB", 1_000_000, "parquet"), ("3GB", 1_000_000, "csv"), ("3GB", 1_000_000, "csv.gz"),
    ("4GB", 1_000_000, "parquet"), ("4GB", 1_000_000, "csv"),
)  # fmt: skip
MANY_ROWS = 1_000_000
TOLERANCE = 1.1
RESULTS = Path(__file__).parents[1] / "results" / "survival-memory.md"


def main() -> int:
    """Run what has not been run, and show all; 1 where a cap did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("memory"), help="folder for tables, runs and results")
    parser.add_argument("--time", default="25s", help="of each run")
    parser.add_argument("--long-time", default="75s", help="of each run on a million rows, which are read twice")
    parser.add_argument("--runs", type=int, default=len(CASES), metavar="N", help="so many more at most")
    parser.add_argument("--write", action="store_true", help="renew the table in benchmarks/results")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    results = given.work / "memory.jsonl"
    found = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    done = {(each["cap"], each["rows"], each["suffix"]) for each in found}
    for cap, n_rows, suffix in [case for case in CASES if case not in done][: given.runs]:
        time = given.long_time if n_rows >= MANY_ROWS else given.time
        found.append(measured(given.work, cap, n_rows, suffix, time=time))
        with results.open("a") as stream:
            stream.write(json.dumps(found[-1]) + "\n")
        print(_line(found[-1]), flush=True)
    text = page(sorted(found, key=lambda each: CASES.index((each["cap"], each["rows"], each["suffix"]))))
    print(text)
    if given.write:
        RESULTS.write_text(text)
    return 0 if all(map(has_held, found)) else 1


def measured(work: Path, cap: str, n_rows: int, suffix: str, *, time: str) -> dict[str, Any]:
    """One run."""
    table = written(work / f"made-{n_rows}.{suffix}", n_rows=n_rows)
    out = work / f"run-{cap}-{n_rows}-{suffix}"
    shutil.rmtree(out, ignore_errors=True)
    watch = watched(fitted(table, "--target", TARGET, "--memory", cap, "--time", time, out=out), log=work / f"{out.name}.log")
    verdict = json.loads((out / "verdict.json").read_text()) if watch.code == 0 else {}
    saw = verdict.get("promises", {}).get("rows", {})
    return {
        "cap": cap,
        "rows": n_rows,
        "suffix": suffix,
        "time": time,
        "code": watch.code,
        "seconds": watch.seconds,
        "peak_bytes": watch.peak_bytes,
        "search": saw.get("search"),
        "final": saw.get("final"),
        "failures": [each["reason"] for each in verdict.get("failures", ())],
        "words": watch.words.strip().splitlines()[-1] if watch.code else "",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def has_held(each: dict[str, Any]) -> bool:
    """Whether the run stayed below its cap and a tenth, and ended as it should."""
    return each["peak_bytes"] <= TOLERANCE * (bytes_in(each["cap"]) or 0) and each["code"] in (0, 2)


def page(found: list[dict[str, Any]]) -> str:
    """The table, with machine and date."""
    about = machine.describe()
    n_held = sum(map(has_held, found))
    n_models = sum(each["code"] == 0 for each in found)
    lines = [
        "# Runs within a cap on memory",
        "",
        "`python -m benchmarks.survival.memory --write`: made tables of 50 columns, `--memory` and `--time` as said. The peak is "
        "of the proportional set sizes of all processes, looked at four times a second. "
        f"{n_held} of {len(found)} stayed below their cap and a tenth; {n_models} ended with a model, the others "
        "said before training what is needed.",
        "",
        f"Machine: {about['processor']}, {machine.usable_cores()} core(s) used, which other work shared; "
        f"{max((each['date'] for each in found), default='')}.",
        "",
        "| cap | rows | file | `--time` | peak, MB | of the cap | seconds | searched on | final fit on | ended |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *map(_line, found), ""])


def _line(each: dict[str, Any]) -> str:
    share = each["peak_bytes"] / (bytes_in(each["cap"]) or 1)
    cells = [
        each["cap"],
        f"{each['rows']:,}",
        each["suffix"],
        each["time"],
        f"{each['peak_bytes'] / 1e6:,.0f}",
        f"{share:.0%}",
        f"{each['seconds']:.0f}",
        f"{each['search'] or each['rows']:,}" if each["code"] == 0 else "–",
        f"{each['final']:,}" if each["final"] else "–",
        "with a model" if each["code"] == 0 else f"code {each['code']}: {each['words'][:160]}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
