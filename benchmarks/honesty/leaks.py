"""Planted leaks found, and false alarms on clean tables.

    python -m benchmarks.honesty.leaks --data FOLDER [--only KIND,...] [--out FILE]

Eight kinds of leaks, each planted into five tables in five ways, and 23 tables as they are but with their rows shuffled,
since the order of rows of many says something. Found is a finding of a code that names the kind and that points at the planted
columns, be it a note: where a leak is measured to change no score it is told as one. A false alarm is a finding of any such code,
be it a note, on a clean table.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars

from benchmarks.honesty.planted import KINDS, planted
from benchmarks.tables import TABLES
from cupel import data
from cupel.core import registry
from cupel.core.finding import Finding
from cupel.problem import findings_of, inspect

MAX_ROWS = 2_000
PLANTED_INTO = ("telco_churn", "pima_diabetes", "breast_cancer", "california_housing", "abalone")
"""Two thirds classes, one third numbers; chosen before anything was measured, as were the ways of planting."""
CODES = frozenset(
    {
        "leak", "possible-leak", "pair-leak", "row-order", "sorted-by-target", "telling-identifier", "near-copies", "group-leak",
        "repeated-identifier", "time-leak", "future-column", "late-date", "target-encoding",
    }
)  # fmt: skip
BUNDLED = ("iris", "wine", "digits", "diabetes")


@dataclass(frozen=True)
class Line:
    """One table of the benchmark."""

    kind: str
    table: str
    variant: int
    is_found: bool
    seconds: float
    findings: tuple[Finding, ...]


def frame_of(name: str, folder: Path, *, n_rows: int = MAX_ROWS) -> tuple[polars.DataFrame, str]:
    """A table as text, and its target; rows shuffled, at most so many of them."""
    if name in BUNDLED:
        from sklearn import datasets

        loaded = getattr(datasets, f"load_{name}")(as_frame=True).frame
        frame, target = polars.DataFrame({str(c): loaded[c].to_numpy() for c in loaded.columns}), "target"
        frame = frame.with_columns(polars.all().cast(polars.String))
    else:
        table = next(table for table in TABLES if table.name == name)
        frame, target = table.read(folder), table.target
    order = np.random.default_rng(0).permutation(len(frame))[:n_rows]
    return frame[order], target


def findings_in(frame: polars.DataFrame, target: str) -> tuple[Finding, ...]:
    """What `cupel look` says of a table."""
    dataset = data.read(frame, target=target)
    modality = registry.recognise(dataset.schema)
    return findings_of(dataset, data.profile(dataset), inspection=inspect(dataset, modality))


def alarms_of(findings: tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in findings if finding.code in CODES]


def plant(kind: str, place: int, folder: Path) -> Line:
    """One planted leak, looked for."""
    name = PLANTED_INTO[place]
    frame, target = frame_of(name, folder)
    leak = planted(kind, frame, target, variant=place, seed=100 + place)
    started = time.perf_counter()
    alarms = alarms_of(findings_in(leak.frame, leak.target))
    found = [f for f in alarms if f.code in leak.codes and leak.where & set(f.where.split(", "))]
    return Line(kind, name, place, bool(found), time.perf_counter() - started, tuple(found or alarms))


def clean(name: str, folder: Path) -> Line:
    """A clean table: found is what should not be."""
    frame, target = frame_of(name, folder)
    started = time.perf_counter()
    alarms = alarms_of(findings_in(frame, target))
    return Line("clean", name, 0, bool(alarms), time.perf_counter() - started, tuple(alarms))


def report(lines: list[Line]) -> str:
    planted_lines = [line for line in lines if line.kind != "clean"]
    clean_lines = [line for line in lines if line.kind == "clean"]
    n_found, n_alarms = sum(line.is_found for line in planted_lines), sum(line.is_found for line in clean_lines)
    written = [
        "# Leaks\n",
        "`python -m benchmarks.honesty.leaks`: eight kinds of leaks planted into five tables each, in five ways, and clean "
        "tables, rows shuffled, "
        f"{MAX_ROWS:,} rows at most.\n",
        f"**{n_found} of {len(planted_lines)} planted leaks found; {n_alarms} of {len(clean_lines)} clean tables with a false "
        "alarm.**\n",
        "| kind | " + " | ".join(PLANTED_INTO) + " |",
        "|---|" + "---|" * len(PLANTED_INTO),
    ]
    for kind in dict.fromkeys(line.kind for line in planted_lines):
        cells = [
            next((_cell(line) for line in planted_lines if line.kind == kind and line.table == name), "") for name in PLANTED_INTO
        ]
        written.append(f"| {kind} | " + " | ".join(cells) + " |")
    written += ["", "| clean table | alarms |", "|---|---|"]
    written += [
        f"| {line.table} | {', '.join(f'{f.code}: {f.where}' for f in line.findings) or 'none'} |" for line in clean_lines
    ]
    return "\n".join(written) + "\n"


def _cell(line: Line) -> str:
    codes = ", ".join(dict.fromkeys(f.code for f in line.findings))
    return codes if line.is_found else f"**missed** ({codes or 'nothing said'})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--only", default="", help="kinds, comma-separated; `clean` for the clean tables")
    parser.add_argument("--out", help="write the table here")
    arguments = parser.parse_args()
    folder, wanted = Path(arguments.data), [kind for kind in arguments.only.split(",") if kind]
    lines: list[Line] = []
    for kind in (kind for kind in KINDS if not wanted or kind in wanted):
        for place in range(len(PLANTED_INTO)):
            lines.append(plant(kind, place, folder))
            _tell(lines[-1])
    names = [table.name for table in TABLES] + list(BUNDLED)
    for name in names if not wanted or "clean" in wanted else []:
        lines.append(clean(name, folder))
        _tell(lines[-1])
    text = report(lines)
    print(text)
    if arguments.out:
        Path(arguments.out).write_text(text, encoding="utf-8")


def _tell(line: Line) -> None:
    word = "found" if line.is_found else "nothing"
    print(
        f"{line.kind:28} {line.table:20} {word:8} {line.seconds:5.1f} s  {', '.join(f.code for f in line.findings)}", flush=True
    )


if __name__ == "__main__":
    main()
