"""Cells that hold several labels: "red|round", "red;round", ["red", "round"]."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import numpy as np

from cupel.core.decoding import canonical, spelled
from cupel.core.errors import DataError
from cupel.data.table import Array

DELIMITERS = ("|", ";", ",", " ")
"""What may stand between labels, in the order in which it is tried."""
MIN_JOINED_SHARE = 0.2
MOST_LABELS_GUESSED = 50


def sets_of(name: str, raw: Array) -> list[frozenset[str] | None]:
    """The labels in each cell; None where it is empty, which says nothing. A cell "[]" says that no label holds.

    Labels stand in a JSON list, or are divided by the first of `DELIMITERS` that occurs in the column.

    Raises:
        DataError: a cell begins like a list and is none, or holds lists within lists.
    """
    texts = [spelled(cell).strip() for cell in raw.tolist()]
    plain = [text for text in set(texts) if text and not text.startswith("[")]
    delimiter = next((mark for mark in DELIMITERS if any(mark in text for text in plain)), None)
    known: dict[str, frozenset[str] | None] = {"": None}
    for row, text in enumerate(texts):
        if text not in known:
            parts = _listed(name, row, text) if text.startswith("[") else text.split(delimiter) if delimiter else [text]
            known[text] = frozenset(label for label in (canonical(part) for part in parts) if label)
    return [known[text] for text in texts]


def _listed(name: str, row: int, text: str) -> list[str]:
    try:
        cells = json.loads(text)
    except ValueError:
        cells = None
    if not isinstance(cells, list) or any(isinstance(cell, list | dict) for cell in cells):
        raise DataError(
            f"target {name!r}, row {row + 1}: {text[:60]!r} begins like a list and is none of labels; expected for example "
            f'["red", "round"], or red|round. Mend the cell.'
        )
    return [spelled(cell) for cell in cells]


def look_like_sets(texts: Sequence[str]) -> bool:
    """Whether these different texts are a few labels, joined: parts come again in other company, as words of a text hardly do."""
    for delimiter in DELIMITERS[:3]:
        parts = [[part.strip() for part in _inner(text).split(delimiter)] for text in texts]
        joined = [each for each in parts if len(each) > 1]
        counts = Counter(part for each in joined for part in set(each))
        if len(joined) < 2 or len(joined) < MIN_JOINED_SHARE * len(texts) or len(counts) > MOST_LABELS_GUESSED:
            continue
        shares = np.array(list(counts.values())) >= 2
        if "" not in counts and shares.mean() > 0.5 and len(counts) < len(texts):
            return True
    return False


def _inner(text: str) -> str:
    return text.strip().removeprefix("[").removesuffix("]")
