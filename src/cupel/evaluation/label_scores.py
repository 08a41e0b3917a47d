"""How well each of several labels is told, and which of them come together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped
from numpy.typing import NDArray

from cupel.evaluation.class_scores import ClassScore, class_scores, worth_of_classes
from cupel.evaluation.intervals import Interval, interval
from cupel.evaluation.metrics import METRICS

Array = NDArray[Any]
MAX_DRAWN = 8_000_000
FEWEST_RESAMPLES, MOST_RESAMPLES = 40, 400
_NOTHING = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class LabelScore:
    """One label: in how many rows it is known and holds, how well its probabilities rank rows, and what is said of it.

    `said` counts rows as of a class, the class being that the label holds. `matrix` is (true, said), absent before present.
    `roc_auc` and `pr_auc` are NaN where the known rows are all alike.
    """

    n_known: int
    n_holds: int
    roc_auc: Interval
    pr_auc: Interval
    said: ClassScore
    matrix: tuple[tuple[int, int], tuple[int, int]]

    @property
    def prevalence(self) -> float:
        """The share of known rows in which it holds."""
        return self.n_holds / self.n_known if self.n_known else float("nan")


def label_scores(
    target: Float[Array, "sample label"],
    predictions: Shaped[Array, "sample label"],
    said: Bool[Array, "sample label"],
    *,
    groups: Shaped[Array, " sample"] | None = None,
    parts: Shaped[Array, "sample way"] | None = None,
    seed: int = 0,
    stretch: float = 1.0,
) -> list[LabelScore]:
    """A score for each label, over the rows where it is known; intervals are of rows, or of whole groups.

    `parts` as for `Metric.within`, `stretch` as for `interval`.
    """
    n_rows, n_labels = target.shape
    n_resamples = int(np.clip(MAX_DRAWN // max(n_rows * n_labels, 1), FEWEST_RESAMPLES, MOST_RESAMPLES))
    found = []
    for label in range(n_labels):
        rows = np.flatnonzero(np.isfinite(target[:, label]))
        truth, given = (target[rows, label] == 1).astype(np.int64), predictions[rows, label]
        matrix = np.bincount(2 * truth + said[rows, label], minlength=4).reshape(2, 2)
        own = None if groups is None else groups[rows]
        worth = worth_of_classes(truth, said[rows, label].astype(np.int64), groups=own, n_classes=2)
        ranks = [_NOTHING, _NOTHING]
        if 0 < truth.sum() < len(truth):
            both = np.stack([1 - given, given], axis=1)
            within = None if parts is None else parts[rows]
            how: dict[str, Any] = {"groups": own, "seed": seed, "n_resamples": n_resamples, "stretch": stretch}
            ranks = [interval(METRICS[name].within(within), truth, both, **how) for name in ("roc_auc", "pr_auc")]
        (right_absent, wrong_present), (missed, hit) = matrix.tolist()
        found.append(
            LabelScore(
                n_known=len(rows),
                n_holds=int(truth.sum()),
                roc_auc=ranks[0],
                pr_auc=ranks[1],
                said=class_scores(matrix, worth=worth, stretch=stretch)[1],
                matrix=((right_absent, wrong_present), (missed, hit)),
            )
        )
    return found


def co_occurrence(target: Float[Array, "sample label"]) -> Float[Array, "label label"]:
    """Of the rows where the label of the row holds, the share in which that of the column does too; NaN where none is known."""
    holds, known = (target == 1).astype(np.float64), np.isfinite(target).astype(np.float64)
    together, asked = holds.T @ holds, holds.T @ known
    return np.asarray(np.where(asked > 0, together / np.maximum(asked, 1.0), np.nan))
