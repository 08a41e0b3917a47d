"""The report's section on predictions of several labels: each by itself, and which come together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import evaluation
from cupel.core.task import Task
from cupel.core.thumbnails import Thumbnails
from cupel.verdict import answers, words
from cupel.verdict.drawings import Drawing
from cupel.verdict.examples import MAX_CLASS, gallery, picture, share_words
from cupel.verdict.pictures import cut
from cupel.verdict.section import Section, cell, figure, paragraph, table
from cupel.verdict.verdict import Verdict

Array = NDArray[Any]
MAX_LABELS = 100
MAX_TOGETHER = 30
N_MISTAKES = 24
N_BINS = 30
EDGES = np.linspace(0.0, 1.0, N_BINS + 1)


def labels_section(verdict: Verdict, target: Array, predictions: Array) -> Section:
    """How the pick answers about labels. `target` and finite `predictions` have shape (rows, labels); NaN targets are unknown."""
    task = verdict.task
    rows, labels = np.nonzero(np.isfinite(target))
    truth, given = target[rows, labels] == 1, predictions[rows, labels]
    counts = [np.histogram(given[truth == flag], EDGES)[0] for flag in (False, True)]
    together = evaluation.co_occurrence(target)
    calibration = evaluation.calibration_curve(truth, given)
    figures = [
        figure(
            "Which come together",
            "Of the rows in which the label at the left holds, the share in which that at the bottom does too.",
            picture=_together(together, task.classes) if len(task.classes) <= MAX_TOGETHER else "",
        ),
        figure(
            "Probabilities given",
            "Blue are labels that hold, orange those that do not. The less they overlap, the surer the model can be.",
            picture=answers.histograms(
                [("does not hold", "classical", counts[0]), ("holds", "deep", counts[1])], EDGES, x="probability of the label"
            ),
        ),
        figure(
            "Calibration",
            "Dots on the dashed line mean that a probability of 30% comes true 30% of the time; larger dots stand for more.",
            picture=answers.calibration(calibration),
        ),
    ]
    html = f'{_label_by_label(task, verdict.labels)}<div class="pair">{"".join(figures)}</div>'
    data = {
        "labels": verdict.labels_by_name(),
        "together": {"labels": task.classes, "shares": together},
        "histogram": {"edges": EDGES, "negative": counts[0], "positive": counts[1]},
    }
    return Section(anchor="predictions", title="How the pick answers", html=html, data=data)


def _label_by_label(task: Task, scores: Sequence[evaluation.LabelScore]) -> str:
    """A line for each label, the worst told first: scores with intervals, and right and wrong answers."""

    def badness(label: int) -> tuple[bool, float]:
        estimate = scores[label].roc_auc.estimate
        return math.isnan(estimate), estimate

    lines = []
    for label in sorted(range(len(scores)), key=badness)[:MAX_LABELS]:
        score = scores[label]
        (right_absent, wrong), (missed, hit) = score.matrix
        holds = f"{score.n_holds:,} ({100 * score.prevalence:.1f}%)" if score.n_known else "–"
        cells = [
            cell(cut(task.classes[label], 60), "name"),
            cell(holds, "n", value=score.n_holds),
            *(cell(_interval_words(found), "n", value=found.estimate) for found in (score.roc_auc, score.pr_auc)),
            cell("–" if math.isnan(score.said.f1) else words.written(score.said.f1), "n", value=score.said.f1),
            *(cell(f"{count:,}", "n", value=count) for count in (hit, missed, wrong, right_absent)),
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    heads = [
        ("Label", ""),
        ("Holds", "n"),
        ("ROC-AUC", "n"),
        ("Average precision", "n"),
        ("F1", "n"),
        ("Found", "n"),
        ("Missed", "n"),
        ("Wrongly said", "n"),
        ("Rightly not said", "n"),
    ]
    is_at_half = evaluation.metric_named(task.metric, task).needs == "labels"
    said_from = "a probability of one half on" if is_at_half else "the probability on that had the best F1 on other rows"
    tells = (
        f"Each label over the rows where it is known, with 95% intervals; the worst told first. A label is said from {said_from}."
    )
    rest = len(scores) - MAX_LABELS
    more = paragraph(f"{words.count_words(rest, 'further label')} told better.", "soft") if rest > 0 else ""
    return f"<div><h3>Label by label</h3>{paragraph(tells, 'tells')}{table(heads, lines, sortable=True)}{more}</div>"


def _interval_words(found: evaluation.Interval) -> str:
    if math.isnan(found.estimate):
        return "–"
    return f"{found.estimate:.3f} ({found.low:.2f} to {found.high:.2f})"


def _together(shares: Array, labels: Sequence[str]) -> str:
    """Squares, deeper for a larger share."""
    n_labels = len(labels)
    left, top, width = 132.0, 8.0, 560.0
    side = min((width - left - 8) / n_labels, 60.0)
    drawing = Drawing(left + side * n_labels + 8, top + side * n_labels + 60, label="labels that come together")
    style = "label small" if n_labels <= 16 else "tick tiny"
    for i, name in enumerate(labels):
        drawing.text((left - 8, top + side * (i + 0.5) + 4), cut(name, 18), style, anchor="end")
        for j, other in enumerate(labels):
            share = float(shares[i, j])
            if i == j or not share > 0:
                continue
            title = f"of rows with {name}, {100 * share:.1f}% have {other}"
            corner = (left + side * j, top + side * i)
            drawing.rect(corner, (side - 1, side - 1), "area deep", opacity=0.06 + 0.9 * share, title=title)
    for j, name in enumerate(labels):
        corner = (left + side * (j + 0.5) + 4, top + side * n_labels + 6)
        drawing.text(corner, cut(name, 8), style, anchor="end", turned=True)
    return drawing.svg()


def label_mistakes_section(task: Task, target: Array, predictions: Array, *, rows: Array, thumbnails: Thumbnails) -> Section:
    """The surest mistakes about single labels, as pictures: errors of the model, or of the data."""
    off = np.where(np.isfinite(target), np.abs(predictions - target), 0.0)
    order = np.argsort(-off, axis=None, kind="stable")
    items: list[str] = []
    places, labels = (axis.tolist() for axis in np.unravel_index(order, off.shape))
    for place, label in zip(places, labels, strict=True):
        if off[place, label] <= 0.5 or len(items) == N_MISTAKES:
            break
        url = thumbnails(int(rows[place]))
        if url is None:
            continue
        name, holds = cut(task.classes[label], MAX_CLASS), target[place, label] == 1
        lines = (f"{'is' if holds else 'is not'} {name}", f"said {name} {share_words(float(predictions[place, label]))}")
        items.append(picture(url, thumbnails.name(int(rows[place])), words=lines))
    wrong = int((off > 0.5).sum())
    tells = (
        f"Of {int(np.isfinite(target).sum()):,} labels the untrue answer was the more probable for {wrong:,}; the surest "
        "of these first, each judged by models that had not seen the row. Some are mistakes of the model, others of the data."
    )
    shown = tells if wrong else "Of no label that was judged was the untrue answer the more probable."
    return Section(anchor="mistakes", title="Where it errs, or the labels do", html=paragraph(shown, "tells") + gallery(items))
