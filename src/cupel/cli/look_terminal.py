"""A look at a table, for a terminal of any width from 60 characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cupel.cli.describing import bar, blocks, number_words, printable, range_words, share_words, values_words
from cupel.core.finding import Finding
from cupel.core.form import Form
from cupel.core.profile import ColumnProfile
from cupel.core.task import TaskKind

if TYPE_CHECKING:
    from cupel.cli.look import Look

N_COLUMNS = 40
N_CLASSES = 10
MAX_WIDTH = 140
STYLES = {"serious": "bold red", "warning": "yellow", "note": "cyan"}
ASSOCIATION_WIDTH = 6


def show(look: Look, *, all_columns: bool = False, console: Console | None = None) -> None:
    """Print a look."""
    console = console or Console(highlight=False)
    width = min(console.width, MAX_WIDTH)
    console.print(
        Group(*_header(look), *_target(look, width), Text(), _columns(look, width, all_columns=all_columns)), width=width
    )
    console.print(Group(Text(), *_findings(look)), width=width)


def _header(look: Look) -> list[Text | Table]:
    dataset, profile = look.dataset, look.profile
    name = dataset.source.rsplit("/", 1)[-1] or "table"
    size = f"{profile.n_samples:,} rows, {len(profile.columns):,} columns, {profile.memory_bytes / 1e6:,.1f} MB"
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    if dataset.task is not None:
        asked = f"{printable(dataset.task.target)}: {dataset.task.kind.value}, judged by {dataset.task.metric}"
        facts.add_row("predict", Text(asked))
    for what, words in look.facts:
        facts.add_row(what, Text(printable(words)))
    for role, column in (("group", dataset.schema.group), ("order", dataset.schema.time)):
        if column:
            facts.add_row(role, Text(printable(column)))
    if look.splits is not None:
        facts.add_row("divided", Text(printable(look.splits.reason)))
    return [Text.assemble((printable(name), "bold"), f"   {size}"), facts]


def _target(look: Look, width: int) -> list[Text | Table]:
    task, profile = look.dataset.task, look.profile
    if task is None:
        return []
    if not task.form.has_probabilities:
        target = next(column for column in profile.columns if column.name == task.target)
        spread = f"   median {number_words(target.median)}, mean {number_words(target.mean)} ± {number_words(target.std)}"
        kind = look.dataset.schema[task.target].kind
        drawn = f"{blocks(target.histogram, width=20)}  {range_words(target, kind)}{spread}"
        return [Text(), Text(drawn, no_wrap=True, overflow="ellipsis")]
    ranked = sorted(zip(profile.class_counts, task.classes, strict=True), key=lambda pair: -pair[0])
    n_counted = sum(profile.class_counts) if task.form is Form.MASKS else profile.n_samples
    shown = ranked if len(ranked) <= N_CLASSES else ranked[: N_CLASSES - 1]
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=width // 3)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, justify="right")
    for count, label in shown:
        filled = bar(count / ranked[0][0], width=max(10, width // 3))
        positive = label == task.classes[-1] and task.kind is TaskKind.BINARY
        name = Text(printable(label) or "(empty)", style="bold" if positive else "")
        table.add_row(name, Text(filled, style="green"), f"{count:,}", share_words(count, n_counted))
    rest = ranked[len(shown) :]
    what = "labels" if task.form is Form.LABELS else "classes"
    counted = "pixels" if task.form is Form.MASKS else "rows"
    note = [Text(f"… {len(rest)} more {what}, {rest[0][0]:,} to {rest[-1][0]:,} {counted} each", style="dim")] if rest else []
    return [Text(), table, *note]


def _columns(look: Look, width: int, *, all_columns: bool) -> Group:
    columns = look.by_association
    shown = columns if all_columns or len(columns) <= N_COLUMNS else columns[:N_COLUMNS]
    has_target = look.dataset.task is not None
    fixed = 10 + 7 + 8 + (ASSOCIATION_WIDTH + 5 if has_target else 0)
    longest = max((cell_len(printable(column.name)) for column in shown), default=6)
    name_width = max(6, min(longest, (width - fixed - 4) * 2 // 5))
    values_width = max(8, width - fixed - name_width - (5 if has_target else 4))
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim", show_edge=False)
    table.add_column("column", no_wrap=True, overflow="ellipsis", width=name_width)
    table.add_column("kind", no_wrap=True, width=10)
    table.add_column("missing", no_wrap=True, justify="right", width=7)
    table.add_column("distinct", no_wrap=True, justify="right", width=8)
    table.add_column("values", no_wrap=True, overflow="ellipsis", width=values_width)
    if has_target:
        table.add_column("tells", no_wrap=True, width=ASSOCIATION_WIDTH + 5)
    for column in shown:
        table.add_row(*_row(look, column, values_width=values_width)[: 6 if has_target else 5])
    rest = len(columns) - len(shown)
    more = [Text(f"… {rest:,} more that tell less; --all shows them", style="dim")] if rest else []
    return Group(table, *more)


def _row(look: Look, profile: ColumnProfile, *, values_width: int) -> list[Text]:
    schema, n_samples = look.dataset.schema, look.profile.n_samples
    column = schema[profile.name]
    is_used = column.is_feature and profile.name != schema.group
    share = profile.n_missing / max(1, n_samples)
    tells = Text("not used" if not is_used else "", style="dim")
    if is_used and profile.association is not None:
        drawn = bar(profile.association, width=ASSOCIATION_WIDTH)
        tells = Text.assemble((drawn.ljust(ASSOCIATION_WIDTH), "green"), f" {profile.association:.2f}")
    name = Text(printable(profile.name) or "(no name)", style="bold" if is_used else "dim")
    return [
        name,
        Text(profile.kind, style="" if is_used else "dim"),
        Text(share_words(profile.n_missing, n_samples) if profile.n_missing else "", style="yellow" if share >= 0.2 else ""),
        Text(f"{profile.n_unique:,}"),
        Text(values_words(profile, column, n_samples=n_samples, width=values_width), style="" if is_used else "dim"),
        tells,
    ]


def _findings(look: Look) -> list[Text | Table | Padding]:
    findings = look.by_severity
    if not findings:
        return [Text("Nothing wrong was found.")]
    counts = [(name, sum(finding.severity.value == name for finding in findings)) for name in STYLES]
    summary = ", ".join(f"{count} {name}{'s' if count > 1 and name != 'serious' else ''}" for name, count in counts if count)
    heading = Text.assemble((f"{len(findings)} finding{'s' if len(findings) > 1 else ''}", "bold"), f"   {summary}")
    return [heading, *(_finding(finding) for finding in findings)]


def _finding(finding: Finding) -> Padding:
    style = STYLES[finding.severity.value]
    head = Text.assemble((finding.severity.value, style), "  ", (finding.code, "bold"), f"  {printable(finding.where)}")
    if finding.probability is not None:
        head.append(f"  {min(finding.probability, 0.999):.1%} sure", style="dim")
    body = Table.grid(padding=(0, 1))
    body.add_column(width=1, style="dim")
    body.add_column(overflow="fold")
    body.add_row("", Text(printable(finding.what)))
    body.add_row("→", Text(printable(finding.action)))
    return Padding(Group(head, body), (1, 0, 0, 0))
