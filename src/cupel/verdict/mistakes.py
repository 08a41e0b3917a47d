"""The report's sections on single rows, shown as pictures: sure mistakes, doubtful labels, and what answers rest on."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import evaluation
from cupel.core.form import Form
from cupel.core.task import Task
from cupel.core.thumbnails import Thumbnails
from cupel.verdict import words
from cupel.verdict.drawings import Drawing
from cupel.verdict.examples import MAX_CLASS, gallery, picture, said_words, share_words
from cupel.verdict.exhibits import Exhibits
from cupel.verdict.label_evidence import label_mistakes_section
from cupel.verdict.measures import answers_of
from cupel.verdict.pictures import cut
from cupel.verdict.section import Section, paragraph

Array = NDArray[Any]
N_MISTAKES, N_LABELS = 24, 24
MAX_LISTED = 1000
MAP_SIDE = 160.0
FAINTEST = 0.02
"""A drop of the probability below this is not drawn."""


def mistakes_section(
    task: Task, target: Array, predictions: Array, *, rows: Array, thumbnails: Thumbnails | None, yes_from: float | None = None
) -> Section | None:
    """The surest mistakes, and the labels that are likely wrong; for numbers the farthest off. None where rows have no pictures.

    `target` and `predictions` are of the given rows of the dataset. The answer is yes above `yes_from` where that is given.
    """
    if thumbnails is None:
        return None
    if task.form is Form.LABELS:
        return label_mistakes_section(task, target, predictions, rows=rows, thumbnails=thumbnails)
    if task.form is Form.VALUES:
        html = _farthest_off(target, predictions[:, 0], rows=rows, thumbnails=thumbnails)
        return Section(anchor="mistakes", title="Where it errs", html=html)
    target = target.astype(np.int64)
    suspects = evaluation.likely_wrong_labels(target, np.clip(predictions, 0.0, 1.0))
    parts = [
        _sure_mistakes(task, target, predictions, rows=rows, thumbnails=thumbnails, yes_from=yes_from),
        _doubtful_labels(task, target, predictions, rows=rows, thumbnails=thumbnails, suspects=suspects),
    ]
    listed = [
        {
            "name": thumbnails.name(int(rows[place])),
            "label": task.classes[target[place]],
            "suggested": task.classes[klass],
            "margin": float(margin),
        }
        for place, klass, margin in zip(
            suspects.rows.tolist()[:MAX_LISTED], suspects.suggested.tolist(), suspects.margins.tolist(), strict=False
        )
    ]
    html = "".join(parts)
    return Section(anchor="mistakes", title="Where it errs, or the labels do", html=html, data={"labels": listed})


def _sure_mistakes(
    task: Task, target: Array, predictions: Array, *, rows: Array, thumbnails: Thumbnails, yes_from: float | None
) -> str:
    chosen = answers_of(predictions, yes_from).argmax(axis=1)
    sure = np.take_along_axis(predictions, chosen[:, None], axis=1)[:, 0]
    wrong = np.flatnonzero(chosen != target)
    order = wrong[np.argsort(-sure[wrong], kind="stable")][:N_MISTAKES]
    head = "<h3>Sure and wrong</h3>"
    if not len(order):
        return head + paragraph("No row that was judged is answered wrongly.", "tells")
    tells = (
        f"{words.count_words(len(wrong), 'row')} of {len(target):,} {'is' if len(wrong) == 1 else 'are'} answered wrongly; "
        "the surest of these first, each judged by models that had not seen it. What they have in common is what "
        "to photograph more of."
    )
    items = [
        _shown(place, rows=rows, thumbnails=thumbnails, lines=_lines(task, predictions[place], target[place], chosen[place]))
        for place in order.tolist()
    ]
    return head + paragraph(tells, "tells") + gallery([item for item in items if item])


def _farthest_off(target: Array, given: Array, *, rows: Array, thumbnails: Thumbnails) -> str:
    off = np.abs(given - target)
    order = np.argsort(-off, kind="stable")[:N_MISTAKES]
    spread = float(np.std(target)) / 100
    items = []
    for place in order.tolist():
        truth, said = (words.written(float(value), resolution=spread) for value in (target[place], given[place]))
        items.append(_shown(place, rows=rows, thumbnails=thumbnails, lines=(f"is {truth}", f"said {said}")))
    tells = "The rows whose prediction is farthest from the truth, each judged by models that had not seen it."
    return paragraph(tells, "tells") + gallery([item for item in items if item])


def _lines(task: Task, given: Array, label: int, said: int) -> tuple[str, str]:
    return f"is {cut(task.classes[int(label)], MAX_CLASS)}", f"said {said_words(given, int(said), task=task)}"


def _doubtful_labels(
    task: Task,
    target: Array,
    predictions: Array,
    *,
    rows: Array,
    thumbnails: Thumbnails,
    suspects: evaluation.WrongLabels,
) -> str:
    head = "<h3>Labels that may be wrong</h3>"
    if not len(suspects.rows):
        return head + paragraph("No label stands out: none is contradicted by more than usual confidence.", "tells")
    tells = (
        f"{words.count_words(len(suspects.rows), 'row')} of {len(target):,} have a label that is less probable than another "
        "class: as many of each label as are estimated to be wrong (confident learning, Northcutt et al. 2021). Some are "
        "mistakes of the model, "
        "others of the data: look at each, mend the labels that are wrong, and run again. The names of all stand in this page "
        "as JSON."
    )
    items = []
    for place, klass in zip(suspects.rows.tolist()[:N_LABELS], suspects.suggested.tolist(), strict=False):
        lines = (
            f"labelled {cut(task.classes[target[place]], MAX_CLASS)}",
            f"{said_words(predictions[place], klass, task=task)}?",
        )
        items.append(_shown(place, rows=rows, thumbnails=thumbnails, lines=lines))
    return head + paragraph(tells, "tells") + gallery([item for item in items if item])


def _shown(place: int, *, rows: Array, thumbnails: Thumbnails, lines: tuple[str, str]) -> str:
    row = int(rows[place])
    url = thumbnails(row)
    return "" if url is None else picture(url, thumbnails.name(row), words=lines)


def attention_section(task: Task, target: Array, *, exhibits: Exhibits) -> Section | None:
    """Pictures with the parts that an answer rests on; None where nothing was measured. `target` is of all rows."""
    thumbnails = exhibits.thumbnails
    if thumbnails is None or not task.is_classification:
        return None
    items, data = [], []
    for found in exhibits.occlusions:
        url = thumbnails(found.row)
        if url is None:
            continue
        name = thumbnails.name(found.row)
        label, looked_at = (cut(task.classes[int(klass)], MAX_CLASS) for klass in (target[found.row], found.output))
        said = f"{looked_at} {share_words(found.plain)}" + ("" if label == looked_at else f", is {label}")
        drawn = occlusion_picture(found, url, height_over_width=_proportion(thumbnails, found.row))
        is_flat = float(np.abs(found.drops).max()) < FAINTEST
        more = '<span class="soft">no single part matters</span>' if is_flat else ""
        items.append(f'<li title="{escape(name)}">{drawn}<span>{escape(said)}</span>{more}</li>')
        data.append({"name": name, "class": task.classes[found.output], "probability": found.plain, "drops": found.drops})
    if not items:
        return None
    tells = (
        "Grey squares were slid over each picture. Where the probability of the class falls when a square lies there, the answer "
        "rests on what is there (orange, deeper for a larger fall); where it rises, what is there speaks against it (blue). "
        "A model that looks at the background, a logo or an edge will fail where these are missing. Each picture was given to "
        "one of the pick's models that had not seen it. On a dark or a bright ground a grey square is itself something new."
    )
    html = paragraph(tells, "tells") + gallery(items)
    return Section(anchor="attention", title="What it looks at", html=html, data={"attention": data})


def _proportion(thumbnails: Thumbnails, row: int) -> float:
    height, width = thumbnails.dataset.columns[thumbnails.column][row].shape[:2]
    return float(height) / float(width)


def occlusion_picture(found: evaluation.Occlusion, url: str, *, height_over_width: float) -> str:
    """The picture under its map; depth is the change of the probability relative to the largest, which the title says."""
    height, width = (MAP_SIDE * side / max(height_over_width, 1.0) for side in (height_over_width, 1.0))
    n_down, n_across = found.drops.shape
    largest = max(float(np.abs(found.drops).max()), FAINTEST)
    drawing = Drawing(width, height, label=f"what an answer of {share_words(found.plain)} rests on")
    drawing.image((0.0, 0.0), (width, height), url)
    for down, across in np.ndindex(n_down, n_across):
        drop = float(found.drops[down, across])
        if abs(drop) < FAINTEST:
            continue
        corner = (width * across / n_across, height * down / n_down)
        title = f"covered, the probability {'falls' if drop > 0 else 'rises'} by {abs(drop):.2f}"
        style = "area wrong" if drop > 0 else "area right"
        drawing.rect(corner, (width / n_across, height / n_down), style, opacity=0.65 * abs(drop) / largest, title=title)
    return drawing.svg()
