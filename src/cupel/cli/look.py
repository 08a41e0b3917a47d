"""`cupel look`: what a table holds, what is asked of it, and what is wrong with it. Trains nothing."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cupel.cli.asking import add_question, settings_from
from cupel.core import registry
from cupel.core.dataset import Dataset
from cupel.core.errors import DataError, UsageError
from cupel.core.finding import Finding, Severity
from cupel.core.limits import Limits, bytes_in
from cupel.core.modality import Inspection, Modality
from cupel.core.observer import Observer, Silent
from cupel.core.profile import ColumnProfile, Profile
from cupel.core.settings import Settings
from cupel.core.split import Splits
from cupel.core.storage import finite, write_text

_SEVERITIES = (Severity.SERIOUS, Severity.WARNING, Severity.NOTE)


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """All that is known before training. `obstacle` says why no model can be trained on it, "" where one can.

    `facts` are what the modality says of its own columns, as (what, words). `counts` are what all rows told where they are too
    many to be looked at.
    """

    dataset: Dataset
    profile: Profile
    findings: tuple[Finding, ...]
    splits: Splits | None
    obstacle: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    counts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def by_severity(self) -> list[Finding]:
        """Findings, the worst first."""
        return sorted(self.findings, key=lambda finding: _SEVERITIES.index(finding.severity))

    @property
    def by_association(self) -> list[ColumnProfile]:
        """Columns beside the target, the most telling first, those that models cannot read last."""
        others = [column for column in self.profile.columns if column.name != self.dataset.schema.target]
        return sorted(others, key=lambda column: -1.0 if column.association is None else column.association, reverse=True)

    def to_json(self) -> dict[str, Any]:
        """A plain structure for `json.dumps`."""
        plain: dict[str, Any] = finite(
            {
                "source": self.dataset.source,
                "fingerprint": self.dataset.fingerprint,
                "profile": self.profile.to_json(),
                "splits": None if self.splits is None else self.splits.describe(),
                "obstacle": self.obstacle,
                "facts": dict(self.facts),
                **({"all_rows": self.counts} if self.counts else {}),
                "findings": [finding.to_json() for finding in self.by_severity],
            }
        )
        return plain


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    add_question(parser)
    shown = parser.add_argument_group("what to show")
    shown.add_argument("--json", action="store_true", help="print everything as JSON, for machines")
    shown.add_argument("--html", metavar="PAGE", help="also write it as one self-contained HTML page")
    shown.add_argument("--all", action="store_true", help="show all columns, not the forty most telling")
    shown.add_argument(
        "--memory",
        metavar="SIZE",
        help="the memory that may be used, such as 2GB (default: what is free); of a larger file some rows are looked at",
    )
    shown.add_argument(
        "--against",
        metavar="NEW",
        help="also compare with what is to be predicted: the rows of this file, or a folder of pictures",
    )
    shown.add_argument(
        "--fixes",
        dest="fixes_out",
        metavar="PLAN",
        help="also write what could be mended, to edit and give to `cupel fit --fixes`",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look and show; 2 where the table cannot train a model."""
    from cupel.cli.progress import observer_for

    found = look(
        arguments.source,
        arguments.target,
        settings=settings_from(arguments),
        against=arguments.against,
        limits=Limits(memory_bytes=bytes_in(arguments.memory)),
        observer=observer_for("auto"),
    )
    for out in filter(None, (arguments.fixes_out, arguments.html)):
        Path(out).parent.mkdir(parents=True, exist_ok=True)
    if arguments.fixes_out:
        write_text(Path(arguments.fixes_out), plan_text(found))
    if arguments.html:
        from cupel.cli.look_page import page_of

        write_text(Path(arguments.html), page_of(found))
    if arguments.json:
        print(json.dumps(found.to_json(), indent=1))
    else:
        from cupel.cli.look_terminal import show

        show(found, all_columns=arguments.all)
    if arguments.html and not arguments.json:
        print(f"page      {arguments.html}")
    if arguments.fixes_out and not arguments.json:
        print(f"fixes     {arguments.fixes_out}")
    if found.obstacle:
        print(f"cupel: {found.obstacle}", file=sys.stderr)
        return 2
    return 0


def look(
    source: Any,
    target: str | None,
    *,
    settings: Settings,
    against: str | None = None,
    limits: Limits | None = None,
    observer: Observer | None = None,
) -> Look:
    """Read a table, profile it and judge it, also against the rows of another where one is named.

    A file that would not fit into what `limits` leave is counted whole, and looked at in some rows.

    Raises:
        DataError: it cannot be read, or the target cannot be one.
        UsageError: a setting does not fit.
    """
    from cupel import data
    from cupel.dividing import divide
    from cupel.new_rows import findings_on
    from cupel.problem import demand_memory_for, findings_of, inspect, profile_of, read_or_draw

    dataset, whole, settings = read_or_draw(source, target, settings=settings, limits=limits, observer=observer or Silent())
    profile = profile_of(dataset)
    modality = _modality_of(dataset)
    inspection = Inspection() if modality is None else inspect(dataset, modality)
    findings = findings_of(dataset, profile, inspection=inspection)
    if against is not None:
        demand_memory_for(against, limits, why="is compared whole")
        findings = (*findings, *findings_on(dataset, against))
    words = "" if whole is None else f"{whole.n_rows:,}; what is shown is of {dataset.n_samples:,} drawn from them"
    found = Look(
        dataset=dataset,
        profile=profile,
        findings=findings,
        splits=None,
        facts=((("all rows", words),) if words else ()) + inspection.facts,
        counts={} if whole is None else {"n_rows": whole.n_rows, "columns": dict(whole.counts)},
    )
    if dataset.task is None:
        return found
    try:
        obstacle = registry.recognise(dataset.schema).unusable(dataset) or ""
        splits = divide(dataset, settings, twins=inspection.twins)
    except DataError as error:
        return replace(found, obstacle=str(error))
    return replace(found, splits=splits, obstacle=obstacle, findings=(*findings, *data.few_units(dataset, splits)))


def plan_text(found: Look) -> str:
    """The fix plan of a look, as YAML with a few words on how to edit it."""
    import yaml

    from cupel.data import plain_plan

    plan = plain_plan(found.by_severity, found.dataset)
    head = (
        "# What could be mended in the data. `cupel fit … --fixes THIS_FILE` does what has `apply: true`, and nothing else.\n"
        "# Cells that are mended here are mended in the packed model too. Rows that are left out train nothing, and are still "
        "judged.\n"
        "# Instead of leaving rows out, give them another label:  fix: relabel-rows  with  labels: {17: 'yes', 103: 'no'}\n"
    )
    return head + yaml.safe_dump(plan, sort_keys=False, allow_unicode=True, width=120)


def _modality_of(dataset: Dataset) -> Modality | None:
    """The one whose columns these are; None where no modality can learn from them, which is no reason not to look."""
    try:
        return registry.recognise(dataset.schema)
    except UsageError:
        return None
