"""Compares Cupel with its peers on the development tables: same rows, same cores, same time.

    python -m benchmarks.tabular run --data FOLDER --work FOLDER --seconds 60 [--systems "cupel;FLAML"] [--only adult,letter]
    python -m benchmarks.tabular report --work FOLDER [--out PAGE.md]
    python -m benchmarks.tabular keep --work FOLDER [--kept benchmarks/results/cells]
    python -m benchmarks.tabular restore --work FOLDER [--kept benchmarks/results/cells] [--systems "AutoGluon best_quality"]

Every cell (table, system, seconds) is kept as it ends; a second `run` does what is missing. The test part of a table is seen
by nobody before predictions are judged here. `keep` writes cells into few small files that can be committed, `restore` puts them
back, so that hours of peers need not be spent anew; where Cupel itself has changed, leave its cells out and run them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.environments import ended
from benchmarks.tables import Table, tables_named
from benchmarks.tabular.keeping import keep, restore
from benchmarks.tabular.report import report
from benchmarks.tabular.systems import System, systems_named
from cupel.core import machine

PATIENCE = 3.0
"""A system is ended at so many times its budget, and counts as having failed."""
UNTIMED_SECONDS = 900.0
"""The same for systems that cannot be told a time."""


def cell(work: Path, table: Table, system: System, seconds: float) -> Path:
    """The folder of one system's run on one table; one for all budgets where the system keeps none."""
    name = system.name.replace(" ", "_").replace(",", "")
    return work / "cells" / table.name / name / (f"{seconds:g}" if system.keeps_time else "untimed")


def run(arguments: argparse.Namespace) -> None:
    work, data = Path(arguments.work).resolve(), Path(arguments.data).resolve()
    budgets = [float(seconds) for seconds in arguments.seconds.split(",")]
    cells = [
        (table, system, seconds)
        for seconds in budgets
        for system in systems_named(arguments.systems)
        for table in tables_named(arguments.only)
    ]
    missing = [item for item in cells if not (cell(work, *item) / "facts.json").exists()]
    print(f"{len(cells)} cells, {len(missing)} to run, about {sum(item[2] for item in missing) / 60:.0f} minutes", flush=True)
    for number, (table, system, seconds) in enumerate(missing, 1):
        out = cell(work, table, system, seconds)
        if (out / "facts.json").exists():
            continue
        started = time.monotonic()
        facts = _run_cell(work, data, table, system, seconds, out)
        took, said = time.monotonic() - started, facts.get("failed", f"{facts.get('seconds', 0):.0f} s")
        print(f"[{number}/{len(missing)}] {table.name}, {system.name}, {seconds:g} s: {said} ({took:.0f} s in all)", flush=True)


def _run_cell(work: Path, data: Path, table: Table, system: System, seconds: float, out: Path) -> dict[str, object]:
    train, test, target = _files(work, data, table)
    del target
    subprocess.run(["rm", "-rf", str(out)], check=True)
    out.mkdir(parents=True)
    limit = PATIENCE * seconds if system.keeps_time else UNTIMED_SECONDS
    if system.script:
        given = ["--train", str(train), "--test", str(test), "--target", table.target, "--metric", table.metric]
        given += ["--out", str(out), "--seconds", f"{seconds:g}", "--cores", str(machine.usable_cores())]
        failed = ended(system.command(work, given=given), out / "log.txt", seconds=limit + 60)
        facts = {} if failed else json.loads((out / "facts.json").read_text())
    else:
        failed, facts = _cupel(table, system, seconds, train=train, test=test, out=out, limit=limit)
    record = {**facts, "table": table.name, "system": system.name, "budget": seconds, "machine": machine.describe()}
    if failed:
        record["failed"] = failed
    (out / "facts.json").write_text(json.dumps(record))
    return record


def _files(work: Path, data: Path, table: Table) -> tuple[Path, Path, Path]:
    """Training rows, test rows without and with the target, as CSV files."""
    folder = work / "tables" / table.name
    paths = folder / "train.csv", folder / "test.csv", folder / "truth.csv"
    if not paths[2].exists():
        folder.mkdir(parents=True, exist_ok=True)
        train, test = table.divided(data)
        train.write_csv(paths[0])
        test.drop(table.target).write_csv(paths[1])
        test.select(table.target).write_csv(paths[2])
    return paths


def _cupel(
    table: Table, system: System, seconds: float, *, train: Path, test: Path, out: Path, limit: float
) -> tuple[str, dict[str, object]]:
    command = [sys.executable, "-m", "cupel.cli.main"]
    options = ["--target", table.target, "--metric", table.metric, "--time", f"{seconds:g}s", "--out", str(out / "run")]
    task = ["--task", "regression"] if table.is_regression else []
    started = time.monotonic()
    fitting = [*command, "fit", str(train), *options, *task, *system.options, "--progress", "plain"]
    failed = ended(fitting, out / "log.txt", seconds=limit + 60)
    took = time.monotonic() - started
    if failed:
        return failed, {}
    artifact = out / "run" / "model.cupel"
    predicted = ["predict", str(artifact), str(test), "-o", str(out / "predictions.csv")]
    failed = ended([*command, *predicted], out / "predict.txt", seconds=660)
    facts = json.loads((out / "run" / "verdict.json").read_text())
    kept = {name: facts[name] for name in ("latency_ms", "bytes", "n_candidates", "naive_score")}
    pick = {"pick": facts["pick"]["name"], "expected": facts["pick"]["score"]}
    return failed, {**kept, **pick, "seconds": took}


def _report(arguments: argparse.Namespace) -> None:
    work = Path(arguments.work)
    report(work, Path(arguments.out or work / "tabular.md"), note=arguments.note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.set_defaults(act=run)
    running.add_argument("--data", default="../shared/data")
    running.add_argument("--seconds", default="60")
    running.add_argument("--systems", default="")
    running.add_argument("--only", default="")
    reporting = commands.add_parser("report")
    reporting.set_defaults(act=_report)
    reporting.add_argument("--note", default="", help="a sentence for the head of the page")
    reporting.add_argument("--out", default="", help="the page; tabular.md in the work folder unless named")
    keeping = commands.add_parser("keep")
    keeping.set_defaults(act=lambda arguments: keep(Path(arguments.work), Path(arguments.kept)))
    restoring = commands.add_parser("restore")
    restoring.set_defaults(act=lambda arguments: restore(Path(arguments.work), Path(arguments.kept), systems=arguments.systems))
    restoring.add_argument("--systems", default="")
    for command in (keeping, restoring):
        command.add_argument("--kept", default="benchmarks/results/cells")
    for command in (running, reporting, keeping, restoring):
        command.add_argument("--work", required=True)
    arguments = parser.parse_args()
    arguments.act(arguments)


if __name__ == "__main__":
    main()
