"""The report's sections on data and method: findings, columns, what the pick relies on, how it was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import PurePath
from typing import Any

from cupel.core.candidate import plain
from cupel.core.finding import Finding, Severity
from cupel.core.profile import ColumnProfile, Profile
from cupel.evaluation import STRETCH
from cupel.verdict import pictures, words
from cupel.verdict.answers import small_histogram
from cupel.verdict.section import Section, cell, figure, paragraph, table, tag
from cupel.verdict.verdict import Verdict

MAX_COLUMNS = 60
MAX_FINDINGS = 100
ORDER = {Severity.SERIOUS: 0, Severity.WARNING: 1, Severity.NOTE: 2}


def importance_section(verdict: Verdict) -> Section | None:
    """What the pick relies on."""
    if not verdict.importance:
        return None
    tells = (
        "How much worse the score gets when one column's values are shuffled among the rows. Columns that say the same thing "
        "can stand in for one another, so that each alone looks unimportant."
    )
    if verdict.pick.members:
        tells += f" Measured on {verdict.pick.members[0][0]}, the heaviest member."
    rest = len(verdict.importance) - pictures.MAX_IMPORTANCE
    more = paragraph(f"{words.count_words(rest, 'further column')} matter less.", "soft") if rest > 0 else ""
    html = figure("", tells, picture=pictures.importance(verdict.importance, verdict), style="wide") + more
    return Section(anchor="importance", title="What it relies on", html=html, data={"importance": list(verdict.importance)})


def data_section(verdict: Verdict, profile: Profile) -> Section:
    """The columns and what is wrong with them."""
    columns = sorted(profile.columns, key=lambda column: _column_order(column, verdict.task.target))
    lines = [_column_line(column, profile.n_samples, verdict.task.target) for column in columns[:MAX_COLUMNS]]
    heads = [
        ("Column", ""),
        ("Kind", ""),
        ("Distribution", ""),
        ("Low · median · high, or most frequent", ""),
        ("Distinct", "n"),
        ("Missing", "n"),
        ("Says about target", "n"),
    ]
    size = (
        f"{words.count_words(profile.n_samples, 'row')}, {words.count_words(len(profile.columns), 'column')}. "
        "The target stands first, then the columns that on their own say most about it (from 0, nothing, to 1, everything)."
    )
    rest = len(columns) - MAX_COLUMNS
    more = paragraph(f"{words.count_words(rest, 'further column')} not shown.", "soft") if rest > 0 else ""
    html = _findings(verdict.findings) + paragraph(size, "tells") + table(heads, lines, sortable=True) + more
    shown = [plain(column) for column in columns[:MAX_COLUMNS]]
    return Section(anchor="data", title="The data", html=html, data={"columns": shown, "findings": plain(list(verdict.findings))})


def weights_section(verdict: Verdict) -> Section | None:
    """What was trained before and started from here: every file, by its hash and licence."""
    if not verdict.weights:
        return None
    lines = [_weights_line(each, file) for each in verdict.weights for file in each["files"]]
    heads = [("Weights", ""), ("Licence", ""), ("File", ""), ("Size", "n"), ("sha256", "")]
    tells = "Networks that were trained before, on other data. A model that has them in it inherits their licence."
    html = paragraph(tells, "tells") + table(heads, lines)
    return Section(anchor="weights", title="Pretrained weights", html=html, data={"weights": list(verdict.weights)})


def _weights_line(weights: Mapping[str, Any], file: Mapping[str, Any]) -> str:
    label = tag("in the pick", "pick") if weights["in_pick"] else ""
    warning = tag(weights["licence_kind"], "warning") if weights["licence_kind"] != "open" else ""
    cells = [
        f'<td class="name">{escape(weights["name"])}{label}</td>',
        f"<td>{escape(weights['licence'] or 'not given')}{warning}</td>",
        cell(PurePath(file["path"]).name),
        cell(words.size_words(file["bytes"]), "n", value=file["bytes"]),
        cell(file["sha256"]),
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _column_order(column: ColumnProfile, target: str) -> tuple[bool, float]:
    return column.name != target, -(column.association or 0.0)


def _column_line(column: ColumnProfile, n_samples: int, target: str) -> str:
    label = tag("target", "pick") if column.name == target else ""
    share = 100 * column.n_missing / n_samples if n_samples else 0.0
    missing = "" if not column.n_missing else "<0.1%" if share < 0.1 else f"{share:.1f}%"
    histogram = small_histogram(column.histogram, label=f"distribution of {column.name}") if column.histogram else ""
    association = "" if column.association is None or column.name == target else f"{column.association:.2f}"
    return (
        f'<tr><td class="name">{escape(pictures.cut(column.name, 80))}{label}</td>'
        + cell(column.kind)
        + f'<td class="histogram">{histogram}</td>'
        + cell(_typical(column))
        + cell(f"{column.n_unique:,}", "n", value=column.n_unique)
        + cell(missing, "n", value=column.n_missing)
        + cell(association, "n", value=association)
        + "</tr>"
    )


def _typical(column: ColumnProfile) -> str:
    if column.median is not None and column.low is not None and column.high is not None and column.kind != "datetime":
        low, median, high = (_short(number) for number in (column.low, column.median, column.high))
        return f"{low} · {median} · {high}"
    names = column.labels[:3] or column.examples[:2]
    return ", ".join(pictures.cut(name, 18) for name in names)


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return paragraph("No faults were found.")
    ranked = sorted(findings, key=lambda finding: ORDER.get(finding.severity, 3))
    items = [
        f"<li>{tag(finding.severity.value, finding.severity.value)}<b>{escape(pictures.cut(finding.where, 120))}</b>"
        f'<p>{escape(finding.what)} <span class="soft">{escape(finding.action)}</span></p></li>'
        for finding in ranked[:MAX_FINDINGS]
    ]
    rest = len(ranked) - MAX_FINDINGS
    more = f"<li>{escape(words.count_words(rest, 'further finding'))} of the mildest kind.</li>" if rest > 0 else ""
    return f'<ul class="findings">{"".join(items)}{more}</ul>'


def method_section(verdict: Verdict) -> Section:
    """How all of it was measured, so that it can be repeated."""
    paragraphs = [
        f"Rows were divided by the scheme {verdict.splits.get('scheme')!r} into {verdict.splits.get('n_folds')} folds. "
        f"{verdict.splits.get('reason', '')}",
        "Each candidate was trained without the rows it is judged on; preparation too. "
        f"{verdict.n_judged:,} rows were judged, each by a model that never saw it.",
        f"The score to expect is corrected for choosing: {_correction_words(verdict)} The search is not repeated by that; "
        "fit --nested repeats the whole run. Intervals: 95% percentiles over resampled rows; groups, copies and stretches of "
        f"time are drawn whole. Those of scores over folds reach {STRETCH:g} times as far, since one sample taught all folds.",
        "Margins are differences on the same rows; tie groups allow for how many are compared, and for the best having been "
        "found by the same rows.",
        "The estimate holds for new rows that come from where these came from. It says nothing about a world that changes.",
    ]
    facts: dict[str, Any] = {
        "data": verdict.fingerprint,
        "splits": verdict.splits.get("key"),
        "seed": verdict.seed,
        **({"time": words.stage_words(verdict.seconds_by_stage)} if verdict.seconds_by_stage else {}),
        "versions": ", ".join(f"{name} {version}" for name, version in verdict.versions.items()),
        **{name: _machine_words(name, value) for name, value in verdict.machine.items()},
    }
    lines = [f"<tr>{cell(str(name), 'name')}{cell(str(value))}</tr>" for name, value in facts.items()]
    listed = table([("", ""), ("", "")], lines)
    html = "".join(paragraph(text) for text in paragraphs) + _metrics(verdict) + f'<div class="narrow">{listed}</div>'
    return Section(anchor="method", title="How it was measured", html=html, data={"verdict": verdict.to_json()})


def _correction_words(verdict: Verdict) -> str:
    """How the luck of choosing was found, of a combination or of one candidate."""
    if verdict.pick.members:
        return (
            "candidates are combined anew on resamples of the rows and judged on the rows left out (Tsamardinos et al. 2018, "
            "doi:10.1007/s10994-018-5714-4)."
        )
    return (
        "the scores of all candidates are drawn around what they are likely to be, as resampled rows make them stray, one is "
        "chosen by the same rule each time, and what it owes to chance is taken off (after Efron 2011, "
        "doi:10.1198/jasa.2011.tm11181)."
    )


def _machine_words(name: str, value: Any) -> str:
    return words.size_words(float(value)) if name.endswith("_bytes") else str(value)


def _metrics(verdict: Verdict) -> str:
    if not verdict.metrics:
        return ""
    lines = []
    for name, score in verdict.metrics.items():
        half = score.half_width
        low, high = (words.written(end, resolution=half) for end in (score.low, score.high))
        label = tag("the one asked for", "pick") if name == verdict.metric else ""
        value = cell(words.written(score.estimate, resolution=half), "n")
        lines.append(f'<tr><td class="name">{escape(name)}{label}</td>{value}{cell(f"{low} to {high}", "n")}</tr>')
    tells = "The pick by every other measure that fits, on its out-of-fold predictions, not corrected for choosing. "
    tells += words.answer_words(verdict)
    heads = [("Metric", ""), ("Score", "n"), ("95% interval", "n")]
    return f"<h3>All metrics</h3>{paragraph(tells, 'tells')}<div class='narrow'>{table(heads, lines)}</div>"
