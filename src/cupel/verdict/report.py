"""Writes the report: one page of HTML that needs nothing else, on screen, on paper and on a telephone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np

from cupel.core.dataset import Dataset
from cupel.core.errors import DataError
from cupel.core.form import Form
from cupel.core.profile import Profile
from cupel.core.trial import Ensemble, Trial
from cupel.verdict.candidates import configs_section, cost_section, curves_section, leaderboard_section, opening
from cupel.verdict.evidence import predictions_section
from cupel.verdict.exhibits import Exhibits
from cupel.verdict.label_evidence import labels_section
from cupel.verdict.masks import masks_section
from cupel.verdict.materials import data_section, importance_section, method_section, weights_section
from cupel.verdict.mistakes import attention_section, mistakes_section
from cupel.verdict.nested import nested_section
from cupel.verdict.section import Section
from cupel.verdict.verdict import Verdict
from cupel.version import __version__

END_OF_RULES = '<meta name="viewport"'
"""What follows, in the page's head, on what a browser may do."""


def report_page(
    verdict: Verdict,
    *,
    trials: Sequence[Trial],
    pick: Ensemble,
    dataset: Dataset,
    profile: Profile,
    exhibits: Exhibits | None = None,
) -> str:
    """The report as HTML text. `pick` holds the predictions that its pictures show.

    Raises:
        DataError: the dataset has no target.
    """
    exhibits = exhibits or Exhibits()
    if dataset.target is None:
        raise DataError("a dataset without a target was to be reported on; expected one read with target=.")
    rows = np.flatnonzero(np.isfinite(pick.out_of_fold).all(axis=1))
    if verdict.task.grid:
        answers = [masks_section(dataset, exhibits.masks, thumbnails=exhibits.thumbnails)]
    else:
        target, given = dataset.target[rows], pick.out_of_fold[rows]
        yes_from = verdict.promises.get("shown_threshold")
        answers = [
            labels_section(verdict, target, given)
            if verdict.task.form is Form.LABELS
            else predictions_section(
                verdict.task,
                target,
                given,
                rows=rows,
                exhibits=exhibits,
                yes_from=yes_from,
            ),
            mistakes_section(verdict.task, target, given, rows=rows, thumbnails=exhibits.thumbnails, yes_from=yes_from),
            attention_section(verdict.task, dataset.target, exhibits=exhibits),
        ]
    found = [
        leaderboard_section(verdict, trials),
        nested_section(verdict.nested, metric=verdict.metric_label, higher_is_better=verdict.higher_is_better),
        *answers,
        importance_section(verdict),
        cost_section(verdict, trials, timeline=exhibits.timeline),
        curves_section(verdict, trials),
        data_section(verdict, profile),
        weights_section(verdict),
        method_section(verdict),
        configs_section(trials, verdict),
    ]
    return _page(verdict, opening(verdict), [section for section in found if section is not None])


def _page(verdict: Verdict, start: str, sections: Sequence[Section]) -> str:
    style, script = _part("report.css"), _part("report.js")
    contents = [f'<a href="#{section.anchor}">{escape(section.title)}</a>' for section in sections]
    footer = f"Made by Cupel {__version__}. Every picture's numbers stand in this file as JSON."
    values: dict[str, Any] = {
        "title": escape(f"{verdict.task.target}: {verdict.pick.name} ({verdict.metric_label})"),
        "version": __version__,
        "style": style,
        "script": script,
        "style_hash": _digest(style),
        "script_hash": _digest(script),
        "contents": "".join(contents),
        "sections": start + "\n".join(section.page() for section in sections),
        "blocks": "\n".join(section.blocks() for section in sections if section.data),
        "footer": escape(footer),
    }
    return Template(_part("report.html")).substitute(values)


def is_own_page(content: str) -> bool:
    """Whether a page begins as this Cupel begins its own, and directs a browser nowhere else.

    So it begins with what keeps a browser from all scripts but Cupel's own, whatever a stranger has written behind it.
    """
    start, rest = _part("report.html").split(END_OF_RULES)
    hashes = {"style_hash": _digest(_part("report.css")), "script_hash": _digest(_part("report.js"))}
    own = Template(start).substitute(hashes) + END_OF_RULES
    return content.startswith(own) and content[len(own) :].lower().count("<meta") == rest.count("<meta")


def _part(name: str) -> str:
    return files("cupel.verdict").joinpath("page", name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
