"""`python -m benchmarks.survival.size`: how time and memory grow from ten thousand to ten million rows of 50 columns.

    python -m benchmarks.survival.size --work /tmp/size --write

Tables are made as Parquet, each is fitted within the same memory, and processes are watched from outside. What is done is not
done again: the same command goes on where it was stopped. `--write` renews the table in benchmarks/results.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
from pathlib import Path
from typing import Any

from benchmarks.survival.made import N_COLUMNS, TARGET, written
from benchmarks.survival.watching import fitted, watched
from cupel.core import machine

TIMES = {10_000: "60s", 100_000: "60s", 1_000_000: "2min", 10_000_000: "6min"}
MEMORY = "4GB"
RESULTS = Path(__file__).parents[1] / "results" / "survival-size.md"


def main() -> None:
    """Run what has not been run, and show all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("size"), help="folder for tables, runs and results")
    parser.add_argument("--rows", default=",".join(map(str, TIMES)), help="which sizes")
    parser.add_argument("--suffix", default="parquet", choices=["parquet", "csv", "csv.gz", "arrow"])
    parser.add_argument("--time", help="of each run, instead of what its size is given")
    parser.add_argument("--write", action="store_true", help="renew the table in benchmarks/results")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    results = given.work / "size.jsonl"
    found = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    done = {(each["rows"], each["suffix"]) for each in found}
    for n_rows in map(int, given.rows.split(",")):
        if (n_rows, given.suffix) not in done:
            found.append(measured(given.work, n_rows=n_rows, suffix=given.suffix, time=given.time))
            with results.open("a") as stream:
                stream.write(json.dumps(found[-1]) + "\n")
    text = page(sorted(found, key=lambda each: (each["rows"], each["suffix"])))
    print(text)
    if given.write:
        RESULTS.write_text(text)


def measured(work: Path, *, n_rows: int, suffix: str, time: str | None = None) -> dict[str, Any]:
    """One size."""
    table = written(work / f"made-{n_rows}.{suffix}", n_rows=n_rows)
    out = work / f"run-{n_rows}-{suffix}"
    shutil.rmtree(out, ignore_errors=True)
    time = time or TIMES.get(n_rows, "2min")
    watch = watched(fitted(table, "--target", TARGET, "--memory", MEMORY, "--time", time, out=out), log=work / f"{out.name}.log")
    return recorded(out, n_rows=n_rows, suffix=suffix, time=time, code=watch.code, seconds=watch.seconds, peak=watch.peak_bytes)


def recorded(out: Path, *, n_rows: int, suffix: str, time: str, code: int, seconds: float, peak: int) -> dict[str, Any]:
    """What a run took and found."""
    verdict = json.loads((out / "verdict.json").read_text()) if code == 0 else {}
    rows = {name: value for name, value in verdict.get("promises", {}).get("rows", {}).items() if name != "columns"}
    return {
        "rows": n_rows,
        "suffix": suffix,
        "time": time,
        "code": code,
        "seconds": seconds,
        "peak_bytes": peak,
        "saw": rows,
        "pick": verdict.get("pick", {}).get("name"),
        "score": verdict.get("pick", {}).get("score"),
        "stages": verdict.get("seconds_by_stage", {}),
        "cores": machine.usable_cores(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def page(found: list[dict[str, Any]]) -> str:
    """The table, with machine and date."""
    about = machine.describe()
    lines = [
        "# Time and memory by the number of rows",
        "",
        f"`python -m benchmarks.survival.size --write`: made tables of {N_COLUMNS} columns (numbers, whole numbers, truths, "
        f"categories of 2 to 10,000 levels, a moment; missing cells), two classes, `--memory {MEMORY}`. The peak is of the "
        "proportional set sizes of all processes, looked at four times a second. The score is ROC-AUC with its 95% interval: "
        "what to expect by the search's out-of-fold predictions, and, where all rows were fitted, what the search's model and "
        "the fit on all rows have on rows that neither had seen.",
        "",
        f"Machine: {about['processor']}, {', '.join(sorted({str(each['cores']) for each in found}))} core(s) used, which other "
        f"work shared; {max((each['date'] for each in found), default='')}.",
        "",
        "| rows | file | `--time` | seconds | peak, MB | searched on | final fit on | expected | the search's model, new rows "
        "| fit on all rows, new rows | packed |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *map(_line, found), ""])


def _line(each: dict[str, Any]) -> str:
    saw = each["saw"]
    scores = saw.get("scores", {})
    packed = ("all rows" if saw.get("is_packed") else "the search's") if scores else ("the search's" if saw else "all rows")
    cells = [
        f"{each['rows']:,}",
        each["suffix"],
        each["time"],
        f"{each['seconds']:.0f}",
        f"{each['peak_bytes'] / 1e6:,.0f}",
        f"{saw.get('search', each['rows']):,}",
        f"{saw['final']:,}" if "final" in saw else "–",
        _score(each["score"]),
        _score(scores.get("search")),
        _score(scores.get("final")),
        packed if each["code"] == 0 else f"nothing (code {each['code']})",
    ]
    return f"| {' | '.join(cells)} |"


def _score(score: dict[str, float] | None) -> str:
    return f"{score['estimate']:.4f} ({score['low']:.4f} to {score['high']:.4f})" if score else "–"


if __name__ == "__main__":
    main()
