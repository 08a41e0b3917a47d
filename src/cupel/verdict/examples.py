"""Rows shown as pictures: galleries, and what stands behind the cells of the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.task import Task
from cupel.core.thumbnails import Thumbnails
from cupel.verdict.pictures import cut

Array = NDArray[Any]
MOST_BYTES = 1_200_000
WRONG_EACH, RIGHT_EACH = 8, 4
FAIRLY_SURE = 0.8
MAX_NAME, MAX_CLASS = 40, 24


def picture(url: str, name: str, *, words: Sequence[str] = ()) -> str:
    """A row's picture over its name and a few short lines on it."""
    lines = "".join(f"<span>{escape(line)}</span>" for line in words)
    label = f'<span class="soft">{escape(short_name(name))}</span>'
    return f'<li title="{escape(name)}"><img src="{escape(url)}" alt="{escape(name)}">{lines}{label}</li>'


def gallery(items: Sequence[str]) -> str:
    """Pictures side by side; nothing for none."""
    return f'<ul class="gallery">{"".join(items)}</ul>' if items else ""


def short_name(name: str) -> str:
    """The end of a file's path, which tells it from others."""
    return name if len(name) <= MAX_NAME else "…" + name[-MAX_NAME + 1 :]


def said_words(given: Array, klass: int, *, task: Task) -> str:
    """As in "cat 97%"."""
    return f"{cut(task.classes[klass], MAX_CLASS)} {share_words(float(given[klass]))}"


def share_words(share: float) -> str:
    """A share in percent that never says 100% where something is left."""
    if 0.995 <= share < 1:
        return "over 99%"
    return f"{100 * share:.0f}%"


def telling_rows(target: Array, predictions: Array, *, n_each: int = 6) -> list[int]:
    """A few rows worth a longer look, mistakes and right answers in turns: one of each class before a second of any.

    Of the mistakes they are the surest. Of the right answers those of a probability near 0.8: where it is 1, covering a part
    of the row changes nothing. `predictions` (samples, classes) are NaN where a row was not judged.
    """
    judged = np.flatnonzero(np.isfinite(predictions).all(axis=1))
    chosen, sure = predictions[judged].argmax(axis=1), predictions[judged].max(axis=1)
    is_right = chosen == target[judged]
    kinds = []
    for places, dull in ((np.flatnonzero(~is_right), -sure), (np.flatnonzero(is_right), np.abs(sure - FAIRLY_SURE))):
        ranked = places[np.argsort(dull[places], kind="stable")]
        before: dict[int, int] = {}
        turns = []
        for place in ranked.tolist():
            klass = int(chosen[place])
            turns.append(before.get(klass, 0))
            before[klass] = before.get(klass, 0) + 1
        kinds.append(judged[ranked[np.argsort(turns, kind="stable")]].tolist()[:n_each])
    wrong, right = kinds
    longest = max(len(wrong), len(right))
    return [row for turn in range(longest) for rows in (wrong, right) for row in rows[turn : turn + 1]]


def behind_cells(
    task: Task, target: Array, predictions: Array, *, chosen: Array, rows: Array, thumbnails: Thumbnails
) -> dict[str, Any]:
    """For each cell of the confusion matrix a few rows, the surest mistakes and the most doubtful right answers first.

    Pictures are given out in turns, one for each cell and mistakes before right answers, until they take over a megabyte.
    """
    sure = np.take_along_axis(predictions, chosen[:, None], axis=1)[:, 0]
    queues: dict[str, list[int]] = {}
    for place in np.argsort(np.where(chosen == target, sure - 1, -sure), kind="stable").tolist():
        queue = queues.setdefault(f"{target[place]},{chosen[place]}", [])
        if len(queue) < (RIGHT_EACH if chosen[place] == target[place] else WRONG_EACH):
            queue.append(place)
    found: dict[str, list[dict[str, str]]] = {cell: [] for cell in queues}
    order = sorted(queues, key=lambda cell: (len(set(cell.split(","))) == 1, [int(klass) for klass in cell.split(",")]))
    n_bytes = 0
    for turn in range(WRONG_EACH):
        for cell in order:
            if turn >= len(queues[cell]) or n_bytes > MOST_BYTES:
                continue
            place = queues[cell][turn]
            url = thumbnails(int(rows[place]))
            if url is not None:
                said = said_words(predictions[place], int(chosen[place]), task=task)
                found[cell].append({"url": url, "name": thumbnails.name(int(rows[place])), "said": said})
                n_bytes += len(url)
    return {cell: shown for cell, shown in found.items() if shown}
