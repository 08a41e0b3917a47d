"""A look at a table as one self-contained page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from cupel.cli.contact_sheets import contact_sheets
from cupel.cli.describing import levels_of, number_words, printable, range_words, share_words
from cupel.core.finding import Finding
from cupel.core.form import Form
from cupel.core.profile import ColumnProfile
from cupel.core.schema import Column, ColumnKind
from cupel.version import __version__

if TYPE_CHECKING:
    from cupel.cli.look import Look

N_LEVELS = 4
N_CLASSES = 20
N_COLUMNS = 500
HEIGHT, STEP = 28, 7
UNUSED = '<tr class="unused">'


def page_of(look: Look) -> str:
    """HTML that needs no other file and no network; every name and cell is escaped."""
    style = files("cupel.cli").joinpath("look.css").read_text(encoding="utf-8")
    name = look.dataset.source.rsplit("/", 1)[-1] or "table"
    body = "\n".join([_header(look, name), _findings(look), _facts(look), contact_sheets(look), _target(look), _columns(look)])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        f"<title>{_text(name)} – Cupel look</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def histogram(counts: Sequence[int], *, title: str) -> str:
    """A small histogram; a bin with any row is at least one pixel high."""
    highest = max(counts, default=0)
    if not highest:
        return ""
    width = len(counts) * STEP
    bars = [
        f'<rect x="{position * STEP}" y="{HEIGHT - height:.1f}" width="{STEP - 1}" height="{height:.1f}"/>'
        for position, count in enumerate(counts)
        if (height := max(1.0, HEIGHT * count / highest) if count else 0.0)
    ]
    ground = f'<rect class="ground" x="0" y="{HEIGHT}" width="{width}" height="1"/>'
    drawn = f'<svg width="{width}" height="{HEIGHT + 1}" role="img"><title>{_text(title)}</title>'
    return f"{drawn}{ground}{''.join(bars)}</svg>"


def _strip(share: float, *, width: int, title: str) -> str:
    filled = f'<rect x="0" y="0" width="{max(0.0, min(1.0, share)) * width:.1f}" height="10"/>'
    ground = f'<rect class="ground" x="0" y="0" width="{width}" height="10"/>'
    return f'<svg width="{width}" height="10" role="img"><title>{_text(title)}</title>{ground}{filled}</svg>'


def _text(words: str) -> str:
    return escape(printable(words), quote=True)


def _facts(look: Look) -> str:
    rows = "".join(f'<tr><td class="name">{_text(what)}</td><td>{_text(words)}</td></tr>' for what, words in look.facts)
    return f'<h2>What they are like</h2>\n<table class="facts">{rows}</table>' if rows else ""


def _header(look: Look, name: str) -> str:
    profile, task = look.profile, look.dataset.task
    size = f"{profile.n_samples:,} rows, {len(profile.columns):,} columns, {profile.memory_bytes / 1e6:,.1f} MB."
    lines = [f'<p class="brand">Cupel {__version__}</p>', f"<h1>{_text(name)}</h1>", f"<p>{size}"]
    if task is not None:
        lines[-1] += f" To predict: <b>{_text(task.target)}</b> ({task.kind.value}), judged by {_text(task.metric)}."
    lines[-1] += "</p>"
    if look.splits is not None:
        lines.append(f'<p class="soft">Division: {_text(look.splits.reason)}.</p>')
    if look.obstacle:
        lines.append(f'<div class="finding serious"><p><b>No model can be trained.</b> {_text(look.obstacle)}</p></div>')
    return "\n".join(lines)


def _findings(look: Look) -> str:
    findings = look.by_severity
    if not findings:
        return "<h2>Findings</h2>\n<p>Nothing wrong was found.</p>"
    return "\n".join(["<h2>Findings</h2>", *(_finding(finding) for finding in findings)])


def _finding(finding: Finding) -> str:
    severity = finding.severity.value
    head = f'<b>{severity}</b> · {_text(finding.code)} · <span class="where">{_text(finding.where)}</span>'
    action = re.sub(r"--[a-z]+", r"<code>\g<0></code>", _text(finding.action))
    body = f'{_text(finding.what)} <span class="soft">{action}</span>'
    return f'<div class="finding {severity}"><p>{head}</p><p>{body}</p></div>'


def _target(look: Look) -> str:
    task, profile = look.dataset.task, look.profile
    if task is None:
        return ""
    if not task.form.has_probabilities:
        target = next(column for column in profile.columns if column.name == task.target)
        words = f"{range_words(target, look.dataset.schema[task.target].kind)}; median {number_words(target.median)}, "
        words += f"mean {number_words(target.mean)} ± {number_words(target.std)}"
        return f"<h2>Target</h2>\n{histogram(target.histogram, title=words)}<p>{_text(words)}</p>"
    ranked = sorted(zip(profile.class_counts, task.classes, strict=True), key=lambda pair: -pair[0])
    n_counted = sum(profile.class_counts) if task.form is Form.MASKS else profile.n_samples
    rows = [
        f'<tr><td>{_text(label)}</td><td>{_strip(count / ranked[0][0], width=240, title=label)}</td><td class="n">{count:,}</td>'
        f'<td class="n">{share_words(count, n_counted)}</td></tr>'
        for count, label in ranked[:N_CLASSES]
    ]
    rest = len(ranked) - N_CLASSES
    what = "Labels" if task.form is Form.LABELS else "Classes"
    more = f'<p class="soft">… {rest} more {what.lower()}</p>' if rest > 0 else ""
    return f'<h2>{what}</h2>\n<table class="classes">{"".join(rows)}</table>{more}'


def _columns(look: Look) -> str:
    columns = look.by_association
    heads = '<tr><th>column</th><th>kind</th><th class="n">missing</th><th class="n">distinct</th><th></th><th>values</th>'
    heads += "<th>tells of the target</th></tr>" if look.dataset.task is not None else "<th></th></tr>"
    rows = [_row(look, column) for column in columns[:N_COLUMNS]]
    rest = len(columns) - N_COLUMNS
    more = f'<p class="soft">… {rest:,} more that tell less</p>' if rest > 0 else ""
    body = "\n".join(rows)
    return f'<h2>Columns</h2>\n<div class="scroll"><table><thead>{heads}</thead><tbody>\n{body}\n</tbody></table></div>{more}'


def _row(look: Look, profile: ColumnProfile) -> str:
    schema, n_samples = look.dataset.schema, look.profile.n_samples
    column = schema[profile.name]
    is_used = column.is_feature and profile.name != schema.group
    tells = "not used"
    if is_used:
        found = profile.association
        tells = "" if found is None else f'<div class="tells">{_strip(found, width=90, title=f"{found:.3f}")} {found:.2f}</div>'
    missing = share_words(profile.n_missing, n_samples) if profile.n_missing else ""
    cells = [
        f'<td class="name">{_text(profile.name) or "(no name)"}</td><td>{_text(profile.kind)}</td><td class="n">{missing}</td>',
        f'<td class="n">{profile.n_unique:,}</td><td>{histogram(profile.histogram, title=profile.name)}</td>',
        f'<td class="values">{_text(_values(profile, column, n_samples))}</td><td>{tells}</td>',
    ]
    return f"{'<tr>' if is_used else UNUSED}{''.join(cells)}</tr>"


def _values(profile: ColumnProfile, column: Column, n_samples: int) -> str:
    if column.kind is ColumnKind.DATETIME:
        return range_words(profile, column.kind)
    if column.kind is ColumnKind.NUMBER and profile.low is not None:
        return f"{range_words(profile, column.kind)}; median {number_words(profile.median)}"
    levels = levels_of(profile, column)
    if levels:
        shown = [f"{name or '(empty)'} {share_words(count, n_samples)}" for name, count in levels[:N_LEVELS]]
        return ", ".join(shown) + (", …" if len(levels) > N_LEVELS else "")
    return ", ".join(f"“{example}”" for example in profile.examples) or "no value"
