"""The report's section on masks: how well each class is found, and pictures with what was said of them."""

from __future__ import annotations

from html import escape

import numpy as np

from cupel import evaluation
from cupel.core.candidate import plain
from cupel.core.dataset import Dataset
from cupel.core.overlays import colours_of, errors, overlaid
from cupel.core.thumbnails import Thumbnails, small_data_url
from cupel.verdict import words
from cupel.verdict.pictures import cut
from cupel.verdict.section import Section, cell, figure, paragraph, table

SIDE = 160
MAX_MATRIX = 30
HEADS = {"worst": "Worst", "middling": "Middling", "best": "Best"}


def masks_section(dataset: Dataset, found: evaluation.WholeMasks | None, *, thumbnails: Thumbnails | None) -> Section | None:
    """Scores of classes and overlays; None where nothing was measured."""
    if found is None or dataset.task is None:
        return None
    tells = (
        f"Measured at every pixel of {words.count_words(found.n_rows, 'picture')}, each in its own size, by models that had not "
        "seen it; the packed graph's own enlargement is in it. Dice is twice the overlap over the sum of the two areas, IoU the "
        "overlap over their union, both over all pictures together, with 95% intervals over pictures."
    )
    parts = [paragraph(tells, "tells"), _class_by_class(found), _confused(dataset.task.classes, found)]
    if thumbnails is not None:
        parts += [_gallery(kind, found, dataset, thumbnails) for kind in HEADS]
    data = {"classes": plain(list(found.classes)), "pixels": found.counts.sum(axis=0)}
    return Section(anchor="predictions", title="How well it finds each class", html="".join(parts), data={"masks": data})


def _class_by_class(found: evaluation.WholeMasks) -> str:
    lines, colours = [], colours_of(len(found.classes))
    for klass, each in enumerate(found.classes):
        colour = "" if klass == 0 else f' <span style="color:{_hex(colours[klass])}">■</span>'
        name = f'<td class="name">{escape(cut(each.name, 60))}{colour}</td>'
        scores = [cell(_with_interval(score), "n", value=score.estimate) for score in (each.dice, each.iou)]
        shares = [cell(f"{share:.2%}", "n", value=share) for share in (each.share, each.share_said)]
        lines.append(f"<tr>{name}{''.join([*scores, *shares])}</tr>")
    heads = [("Class", ""), ("Dice", "n"), ("IoU", "n"), ("Share of pixels", "n"), ("Share predicted", "n")]
    return table(heads, lines, sortable=True)


def _with_interval(score: evaluation.Interval) -> str:
    half = (score.high - score.low) / 2
    estimate, low, high = (words.written(number, resolution=half) for number in (score.estimate, score.low, score.high))
    return f"{estimate} ({low} to {high})"


def _confused(classes: tuple[str, ...], found: evaluation.WholeMasks) -> str:
    """Which class pixels of each class were taken for, in shares of the true one."""
    if not 2 < len(classes) <= MAX_MATRIX:
        return ""
    total = found.counts.sum(axis=0)
    shares = total / np.maximum(total.sum(axis=1, keepdims=True), 1)
    lines = [
        f"<tr>{cell(cut(name, 30), 'name')}{''.join(cell(f'{share:.1%}', 'n') for share in own)}</tr>"
        for name, own in zip(classes, shares.tolist(), strict=True)
    ]
    heads = [("True", ""), *((cut(name, 12), "n") for name in classes)]
    return figure("What pixels are taken for", "Shares of the pixels of each true class.", picture=table(heads, lines))


def _gallery(kind: str, found: evaluation.WholeMasks, dataset: Dataset, thumbnails: Thumbnails) -> str:
    assert dataset.task is not None, "masks are shown for a task"
    n_classes, items = len(dataset.task.classes), []
    for row, dice, said in found.shown[kind]:
        picture, truth = dataset.columns[thumbnails.column][row], dataset.columns[dataset.task.target][row][:, :, 0]
        if picture is None:
            continue
        shown = {
            "true": overlaid(picture, truth, n_classes=n_classes),
            "predicted": overlaid(picture, said, n_classes=n_classes),
            "wrong": errors(picture, said, truth=truth),
        }
        drawn = "".join(
            f'<li><img src="{small_data_url(pixels, side=SIDE)}" alt="{name}"><span class="soft">{name}</span></li>'
            for name, pixels in shown.items()
        )
        name = escape(cut(thumbnails.name(row), 60))
        items.append(f'<p>{name} <span class="soft">Dice {dice:.3f}</span></p><ul class="gallery masks">{drawn}</ul>')
    return f"<h3>{HEADS[kind]}</h3>{''.join(items)}" if items else ""


def _hex(colour: np.ndarray) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour.tolist())
