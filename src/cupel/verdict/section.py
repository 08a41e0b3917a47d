"""One part of the report: its words and pictures, and the numbers behind them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from cupel.core.storage import finite

SIGNIFICANT = 6


@dataclass(frozen=True, kw_only=True)
class Section:
    """A titled part with an anchor. `html` is already escaped; `data` holds plain values by block name."""

    anchor: str
    title: str
    html: str
    data: Mapping[str, Any] = field(default_factory=dict)

    def page(self) -> str:
        """The section as HTML."""
        return f'<section id="{self.anchor}"><h2>{escape(self.title)}</h2>{self.html}</section>'

    def blocks(self) -> str:
        """Its numbers as JSON that no cell's content can break out of."""
        return "\n".join(
            f'<script type="application/json" id="data-{name}">{safe_json(values)}</script>' for name, values in self.data.items()
        )


def safe_json(values: Any) -> str:
    """JSON to stand inside a script element: `<`, `>` and `&` written as escapes, numbers to six digits."""
    text = json.dumps(finite(_rounded(values)), separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _rounded(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return _rounded(value.tolist())
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT}g}")
    if isinstance(value, Mapping):
        return {str(key): _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value


def paragraph(words: str, style: str = "") -> str:
    """A paragraph of escaped words; nothing for no words."""
    kind = f' class="{style}"' if style else ""
    return f"<p{kind}>{escape(words)}</p>" if words else ""


def figure(title: str, tells: str, *, picture: str, style: str = "") -> str:
    """A picture under its title and a plain sentence on what it tells; nothing where there is no picture."""
    if not picture:
        return ""
    kind = f' class="{style}"' if style else ""
    head = f"<h3>{escape(title)}</h3>" if title else ""
    return f"<figure{kind}><figcaption>{head}{paragraph(tells, 'tells')}</figcaption>{picture}</figure>"


def table(heads: Sequence[tuple[str, str]], rows: Sequence[str], *, sortable: bool = False) -> str:
    """A table; each head is (words, style), rows are whole `<tr>` elements."""
    cells = []
    for words, style in heads:
        kind = f' class="{style}"' if style else ""
        inner = f'<button type="button">{escape(words)}</button>' if sortable and words else escape(words)
        cells.append(f'<th scope="col"{kind}>{inner}</th>')
    return f'<div class="scroll"><table><thead><tr>{"".join(cells)}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def cell(words: str, style: str = "", *, value: Any = None) -> str:
    """A table cell of escaped words; `value` is what it is sorted by."""
    kind = f' class="{style}"' if style else ""
    sort = "" if value is None else f' data-value="{escape(str(value))}"'
    return f"<td{kind}{sort}>{escape(words)}</td>"


def tag(words: str, style: str = "") -> str:
    """A small label."""
    return f'<span class="tag {style}">{escape(words)}</span>'
