"""Which labels are likely wrong, from what models said about rows that they had not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy.typing import NDArray

from cupel.core.errors import DataError

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class WrongLabels:
    """Rows whose label is likely wrong, the surest first.

    `rows` are positions in what was given, `suggested` the class that each seems to be of. `margins` are the probability of
    the label minus that of the suggested class, from -1 (surely wrong) to 0. `joint` estimates which share of all rows is
    labelled i (first axis) and truly of class j (second), and sums to 1.
    """

    rows: Int[Array, " suspect"]
    suggested: Int[Array, " suspect"]
    margins: Float[Array, " suspect"]
    joint: Float[Array, "klass klass"]

    @property
    def share(self) -> float:
        """The estimated share of wrong labels among all rows."""
        return float(max(0.0, 1.0 - np.trace(self.joint)))


def likely_wrong_labels(labels: Int[Array, " sample"], probabilities: Shaped[Array, "sample klass"]) -> WrongLabels:
    """As many rows of each label as are estimated to be labelled wrongly: those whose label is least probable beside another.

    `probabilities` must be out of fold: a model that learned a wrong label believes it. How many labels are wrong is told by
    which classes claim which rows with at least the confidence that is usual for their own: the mean probability of a class over
    the rows labelled so. So a model that is timid or bold about a class throughout accuses nobody for that. Classes that label no
    row claim none. A row is named only where another class is also more probable than its label.

    Raises:
        DataError: there are no rows, the shapes differ, or a number is not a probability.

    Source: confident learning, Northcutt, Jiang and Chuang 2021, doi:10.1613/jair.1.12125: thresholds and confident joint by
    eq. 1 and 2, its calibration by eq. 3, pruning by the noise rate of each label (section 3.2). Naming the claimed
    rows alone found 59 to 80% of flipped labels where this finds 79 to 96% (docs/log.md).
    """
    _check(labels, probabilities)
    n_samples, n_classes = probabilities.shape
    every = np.arange(n_samples)
    given = probabilities[every, labels]
    counts = np.bincount(labels, minlength=n_classes)
    usual = np.full(n_classes, np.inf)
    usual[counts > 0] = np.bincount(labels, weights=given, minlength=n_classes)[counts > 0] / counts[counts > 0]
    # Sums of the same numbers in another order differ in their last digits.
    is_claimed = probabilities >= usual - 1e-9
    claimed = np.where(is_claimed, probabilities, -1.0).argmax(axis=1)
    has_claim = is_claimed.any(axis=1)
    joint = np.bincount((labels * n_classes + claimed)[has_claim], minlength=n_classes**2).reshape(n_classes, n_classes)
    shares = _calibrated(joint, counts)
    others = np.array(probabilities, np.float64)
    others[every, labels] = -1.0
    others[:, counts == 0] = -1.0
    suggested = others.argmax(axis=1)
    margins = given - others[every, suggested]
    n_wrong = np.rint(n_samples * (shares.sum(axis=1) - np.diag(shares))).astype(np.int64)
    order = np.argsort(margins, kind="stable")
    order = order[margins[order] < 0]
    named = [order[labels[order] == klass][: n_wrong[klass]] for klass in range(n_classes)]
    rows = np.concatenate(named)
    rows = rows[np.argsort(margins[rows], kind="stable")]
    return WrongLabels(rows, suggested[rows], margins[rows], shares)


def _calibrated(joint: Int[Array, "klass klass"], counts: Int[Array, " klass"]) -> Float[Array, "klass klass"]:
    """Shares whose rows sum to those of the labels; a label of which no row is claimed counts as right."""
    whole = joint.astype(np.float64)
    empty = np.flatnonzero(whole.sum(axis=1) == 0)
    whole[empty, empty] = 1.0
    whole *= (counts / whole.sum(axis=1))[:, None]
    shares: Array = whole / whole.sum()
    return shares


def _check(labels: Array, probabilities: Array) -> None:
    if len(labels) == 0 or len(labels) != len(probabilities):
        raise DataError(
            f"{len(probabilities)} rows of probabilities came for {len(labels)} labels; expected equally many, one at least."
        )
    n_classes = probabilities.shape[1]
    if labels.min() < 0 or labels.max() >= n_classes:
        raise DataError(
            f"labels run from {labels.min()} to {labels.max()}; expected 0 to {n_classes - 1}, one for each probability."
        )
    if not (probabilities.min() >= -1e-9 and probabilities.max() <= 1 + 1e-9):  # also where one is not a number
        raise DataError("probabilities outside 0 to 1 were given; expected a probability of each class for each row.")
