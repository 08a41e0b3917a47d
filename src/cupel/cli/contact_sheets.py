"""Pictures of a dataset side by side, a few of each class, for a page."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cupel.cli.describing import printable
from cupel.core.form import Form
from cupel.core.thumbnails import Thumbnails

if TYPE_CHECKING:
    from cupel.cli.look import Look

Array = NDArray[Any]

N_EACH, N_WITHOUT_CLASSES = 12, 48
MAX_PICTURES = 600
MOST_BYTES = 1_400_000


def contact_sheets(look: Look) -> str:
    """HTML with a row of pictures for each class, the largest first, drawn by chance but always the same.

    Nothing where rows have no pictures. With many classes there are fewer pictures of each; what is beyond 600 pictures or
    1.4 MB is counted.
    """
    thumbnails = Thumbnails.of(look.dataset)
    if thumbnails is None:
        return ""
    kinds = _kinds(look)
    n_each = N_WITHOUT_CLASSES if len(kinds) == 1 else max(1, min(N_EACH, MAX_PICTURES // max(len(kinds), 1)))
    sheets: list[str] = []
    n_bytes = 0
    for label, rows in kinds[:MAX_PICTURES]:
        if n_bytes > MOST_BYTES:
            break
        sheet = _sheet(label, rows, thumbnails, n_each=n_each)
        n_bytes += len(sheet)
        sheets.append(sheet)
    rest = len(kinds) - len(sheets)
    more = f'<p class="soft">… {rest:,} more classes</p>' if rest else ""
    return "<h2>Pictures</h2>\n" + "\n".join(sheets) + more


def _kinds(look: Look) -> list[tuple[str, Array]]:
    """Classes or labels with their rows, the largest first; where there are no classes all rows under no name."""
    task, target, rows = look.dataset.task, look.dataset.target, np.arange(look.dataset.n_samples)
    if task is None or target is None or task.form in (Form.VALUES, Form.MASKS):
        return [("", rows)]
    is_of = target == 1 if target.ndim == 2 else target[:, None] == np.arange(len(task.classes))
    kinds = [(label, rows[is_of[:, klass]]) for klass, label in enumerate(task.classes)]
    return sorted(kinds, key=lambda kind: -len(kind[1]))


def _sheet(label: str, rows: Array, thumbnails: Thumbnails, *, n_each: int) -> str:
    drawn = np.random.default_rng(0).permutation(rows)
    shown = []
    for row in drawn.tolist():
        url = thumbnails.with_mask(row)
        if url is None:
            continue
        name = escape(printable(thumbnails.name(row)))
        shown.append(f'<li><img src="{escape(url)}" alt="{name}" title="{name}" width="64" height="64"></li>')
        if len(shown) == n_each:
            break
    name = f"<b>{escape(printable(label)) or '(no name)'}</b>" if label or len(rows) < thumbnails.dataset.n_samples else ""
    count = f'<p>{name} <span class="soft">{len(rows):,}</span></p>'
    return f'<div class="sheet">{count}<ul>{"".join(shown)}</ul></div>'
