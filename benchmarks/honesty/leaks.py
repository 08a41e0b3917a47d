"""Planted leaks found, and false alarms on clean tables.

    python -m benchmarks.honesty.leaks --work FOLDER --data FOLDER [--seconds 300]

Eight kinds of leaks, each planted into five tables in five ways, and 23 tables as they are but with their rows shuffled,
since the order of rows of many says something. Found is a finding of a code that names the kind and that points at the planted
columns, be it a note: where a leak is measured to change no score it is told as one. On a table taken for clean a finding of any
such code, be it a note, is a false alarm, unless mending it is measured to change the score beyond chance: then the table is at
fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars

from benchmarks.honesty.keeping import RESULTS, markdown, parsed, worked
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


def cases() -> Iterator[dict[str, Any]]:
    """Every planted leak, then every table taken for clean."""
    for kind in KINDS:
        for place in range(len(PLANTED_INTO)):
            yield {"kind": kind, "place": place}
    for name in (*(table.name for table in TABLES), *BUNDLED):
        yield {"kind": "clean", "table": name}


def worker(folder: Path) -> Any:
    """A function that works on a case with the tables of that folder."""

    def work(case: dict[str, Any]) -> dict[str, Any]:
        alarms = clean(case["table"], folder) if case["kind"] == "clean" else plant(case["kind"], case["place"], folder)
        print(case, [alarm["code"] for alarm in alarms["findings"]], flush=True)
        return alarms

    return work


def plant(kind: str, place: int, folder: Path) -> dict[str, Any]:
    """One planted leak, looked for."""
    frame, target = frame_of(PLANTED_INTO[place], folder)
    leak = planted(kind, frame, target, variant=place, seed=100 + place)
    alarms = alarms_of(findings_in(leak.frame, leak.target))
    found = [f for f in alarms if f.code in leak.codes and leak.where & set(f.where.split(", "))]
    return {"is_found": bool(found), "findings": [plain_of(finding) for finding in found or alarms]}


def clean(name: str, folder: Path) -> dict[str, Any]:
    """A table taken for clean: found is what should not be."""
    alarms = alarms_of(findings_in(*frame_of(name, folder)))
    return {"is_found": bool(alarms), "findings": [plain_of(finding) for finding in alarms]}


def plain_of(finding: Finding) -> dict[str, Any]:
    effect = finding.effect
    facts = {} if effect is None else {name: getattr(effect, name) for name in ("metric", "as_is", "mended", "low", "high")}
    return {"code": finding.code, "where": finding.where, **facts}


def is_at_fault(alarm: dict[str, Any]) -> bool:
    """Whether mending changes the score beyond chance."""
    return "low" in alarm and (alarm["low"] > 0 or alarm["high"] < 0)


ALARMS = ("taken for clean", "finding", "metric", "as it is", "mended", "better mended, 95% interval", "it is")


def report(done: list[Any]) -> str:
    planted_cases = [each for each in done if each["case"]["kind"] != "clean"]
    clean_cases = [each for each in done if each["case"]["kind"] == "clean"]
    drew = [each for each in clean_cases if each["findings"]]
    false = [each for each in drew if not all(is_at_fault(alarm) for alarm in each["findings"])]
    grid = []
    for kind in dict.fromkeys(each["case"]["kind"] for each in planted_cases):
        some = {each["case"]["place"]: each for each in planted_cases if each["case"]["kind"] == kind}
        grid.append([kind, *(_cell(some.get(place)) for place in range(len(PLANTED_INTO)))])
    alarms = [_alarm_cells(each["case"]["table"], alarm) for each in drew for alarm in each["findings"]]
    quiet = ", ".join(each["case"]["table"] for each in clean_cases if not each["findings"])
    n_found = sum(each["is_found"] for each in planted_cases)
    return (
        "# Leaks\n\nEight kinds of leaks planted into five tables each, in five ways, and tables taken for clean, rows shuffled, "
        f"{MAX_ROWS:,} rows at most.\n\n**{n_found} of {len(planted_cases)} planted leaks found. {len(drew)} of "
        f"{len(clean_cases)} tables taken for clean drew a finding; in {len(drew) - len(false)} of these mending it changes the "
        f"score beyond chance, so that {len(false)} had a false alarm.**\n\n"
        f"{markdown(('kind', *PLANTED_INTO), grid)}\n\n"
        f"{markdown(ALARMS, alarms)}"
        f"\n\nNothing found in: {quiet}.\n"
    )


def _cell(each: dict[str, Any] | None) -> str:
    if each is None:
        return "not run"
    codes = ", ".join(dict.fromkeys(finding["code"] for finding in each["findings"]))
    return codes if each["is_found"] else f"**missed** ({codes or 'nothing said'})"


def _alarm_cells(table: str, alarm: dict[str, Any]) -> list[Any]:
    cells: list[Any] = [table, f"{alarm['code']}: {alarm['where']}"]
    if "low" in alarm:
        cells += [alarm["metric"], alarm["as_is"], alarm["mended"], f"{alarm['low']:+.3g} to {alarm['high']:+.3g}"]
    else:
        cells += ["–"] * 4
    return [*cells, "a fault of the table" if is_at_fault(alarm) else "a false alarm"]


def main() -> None:
    arguments = parsed(__doc__)
    path = Path(arguments.work) / "leaks.jsonl"
    done = worked(path, [] if arguments.only_table else cases(), worker(Path(arguments.data)), arguments.seconds)
    text = report(done)
    (RESULTS / "honesty-leaks.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
