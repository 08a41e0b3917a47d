"""Masks judged pixel by pixel in the pictures' own sizes, class by class, by models that had not seen them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from cupel.core.masks import VOID, on_grid
from cupel.evaluation.intervals import Interval, interval_of, reaching
from cupel.evaluation.mask_scores import class_overlap, overlap
from cupel.evaluation.resampling import Resamples

Array = NDArray[Any]
Labels = NDArray[np.uint8]
N_RESAMPLES = 1000
N_SHOWN = 3


@dataclass(frozen=True)
class ClassOverlap:
    """How well one class is found, over all pictures; `share` and `share_said` are how much of all pixels it covers."""

    name: str
    dice: Interval
    iou: Interval
    share: float
    share_said: float


@dataclass(frozen=True, kw_only=True, eq=False)
class WholeMasks:
    """Counts of pixels by true and predicted class for each of the judged `rows`, and what was said of a few of them.

    `shown` has rows that were found best, middling and worst, by their own Dice, each with the labels predicted.
    """

    rows: NDArray[np.int64]
    counts: Float[Array, "row actual predicted"]
    classes: tuple[ClassOverlap, ...]
    shown: Mapping[str, Sequence[tuple[int, float, Labels]]]

    @property
    def n_rows(self) -> int:
        """Pictures that were judged."""
        return len(self.rows)


def whole_masks(
    rows: Int[Array, " row"],
    predict: Callable[[int], Labels],
    *,
    truth: Array,
    classes: Sequence[str],
    groups: Array | None = None,
    seconds: float,
    stretch: float = 1.0,
) -> WholeMasks | None:
    """Every row's mask compared with what `predict` says of it, in an order drawn by chance, as long as there is time.

    `truth` holds masks (height, width, 1) of class indices. Intervals are of 95 %, over pictures or whole groups, `stretch` times
    as far. None where there was no time for a single one.
    """
    until = time.monotonic() + seconds
    judged: list[int] = []
    counts: list[Array] = []
    for row in np.random.default_rng(0).permutation(rows).tolist():
        if time.monotonic() > until:
            break
        judged.append(row)
        counts.append(_counts(truth[row][:, :, 0], predict(row), len(classes)))
    if not judged:
        return None
    order = np.argsort(judged)
    found, every = np.array(judged, np.int64)[order], np.stack(counts)[order]
    resamples = Resamples.draw(len(found), groups=None if groups is None else groups[found], n_resamples=N_RESAMPLES)
    weights = np.concatenate(list(resamples.batches()))
    resampled = np.tensordot(weights, every, axes=1)
    return WholeMasks(
        rows=found,
        counts=every,
        classes=tuple(_of_class(klass, name, every, resampled, stretch=stretch) for klass, name in enumerate(classes)),
        shown=_shown(found, every, predict),
    )


def _counts(truth: Labels, said: Labels, n_classes: int) -> Array:
    said = said if said.shape == truth.shape else on_grid(said, truth.shape)
    known = truth != VOID
    cells = truth[known].astype(np.int64) * n_classes + said[known]
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes).astype(np.float64)


def _of_class(klass: int, name: str, counts: Array, resampled: Array, *, stretch: float) -> ClassOverlap:
    total = counts.sum(axis=0)
    n_pixels = max(float(total.sum()), 1.0)
    found = {}
    for kind in ("dice", "iou"):
        estimate, scores = float(class_overlap(kind)(total[None])[0, klass]), class_overlap(kind)(resampled)[:, klass]
        reached = interval_of(*reaching(estimate, scores, stretch=stretch))
        found[kind] = Interval(estimate, max(reached.low, 0.0), min(reached.high, 1.0))
    shares = float(total[klass].sum() / n_pixels), float(total[:, klass].sum() / n_pixels)
    return ClassOverlap(name=name, dice=found["dice"], iou=found["iou"], share=shares[0], share_said=shares[1])


def _shown(rows: Array, counts: Array, predict: Callable[[int], Labels]) -> dict[str, list[tuple[int, float, Labels]]]:
    """A few pictures of each kind, none twice."""
    dice = overlap("dice")(counts)
    order = np.argsort(-dice, kind="stable")
    middle = len(order) // 2 - N_SHOWN // 2
    places = {"best": order[:N_SHOWN], "middling": order[max(middle, 0) :][:N_SHOWN], "worst": order[::-1][:N_SHOWN]}
    taken: set[int] = set()
    shown: dict[str, list[tuple[int, float, Labels]]] = {}
    for kind in ("worst", "best", "middling"):
        shown[kind] = []
        for place in places[kind].tolist():
            if place not in taken:
                taken.add(place)
                shown[kind].append((int(rows[place]), float(dice[place]), predict(int(rows[place]))))
    return {kind: shown[kind] for kind in ("worst", "middling", "best")}
