"""What a packed model may promise beside a prediction: a range or set that covers, when to keep silent, and where to say yes.

Learned from out-of-fold predictions at the end of a run, stored with the model, and applied at prediction with numpy alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import ArtifactError, UsageError

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Distribution:
    """Sorted values with the share of the mass at or below each; `n_units` is how many independent units they come from."""

    values: Numbers
    shares: Numbers
    n_units: float

    def quantile(self, level: float) -> float:
        """The least value such that one more unit of the same kind is at or below it with probability `level`.

        Infinite where the units are too few to promise it.

        Source: Vovk et al. 2005, "Algorithmic learning in a random world"; the ⌈(n+1)·level⌉-th smallest of n.
        """
        wanted = level * (self.n_units + 1) / self.n_units
        if wanted > 1 + 1e-9:
            return math.inf
        return float(self.values[min(int(np.searchsorted(self.shares, wanted - 1e-9)), len(self.values) - 1)])


@dataclass(frozen=True, eq=False)
class Coverage:
    """How far predictions were off, out of fold.

    For classes `above` holds what the true class's probability lacked to 1, and `below` is None. For values `above` and `below`
    hold how far the truth lay above and below the prediction (negative where it lay on the other side), in units of a
    scale that is `scales` at predictions `knots`, linear between them and constant beyond.
    """

    above: Distribution
    below: Distribution | None = None
    knots: tuple[float, ...] = (0.0,)
    scales: tuple[float, ...] = (1.0,)

    @property
    def most(self) -> float:
        """The coverage below which a promise can be made."""
        return 1 - (1 if self.below is None else 2) / (self.above.n_units + 1)

    def scale(self, predictions: Numbers) -> Numbers:
        """The size of usual errors at these predictions."""
        return np.asarray(np.interp(predictions, self.knots, self.scales), dtype=np.float64)

    def interval(self, predictions: Numbers, coverage: float) -> tuple[Numbers, Numbers]:
        """Ends of ranges that hold the truth of a new row of the same kind with that probability.

        Raises:
            UsageError: the coverage is no probability, or more than the rows that were learned from can promise.
        """
        assert self.below is not None, "ranges are for values"
        tail = (1 + checked_coverage(coverage)) / 2
        low, high = self.below.quantile(tail), self.above.quantile(tail)
        self._refuse_unbounded(max(low, high), coverage)
        scale = self.scale(predictions)
        return predictions - low * scale, predictions + high * scale

    def members(self, probabilities: Numbers, coverage: float) -> NDArray[np.bool_]:
        """Which classes belong to a set that holds the true one of a new row with that probability; never an empty set.

        Shape (rows, classes).

        Raises:
            UsageError: as `interval`.
        """
        lack = self.above.quantile(checked_coverage(coverage))
        self._refuse_unbounded(lack, coverage)
        is_member = 1.0 - probabilities <= lack + 1e-12
        is_member[np.arange(len(probabilities)), probabilities.argmax(axis=1)] = True
        return np.asarray(is_member)

    def _refuse_unbounded(self, found: float, coverage: float) -> None:
        if math.isinf(found):
            raise UsageError(
                f"a coverage of {coverage:g} cannot be promised from {self.above.n_units:.0f} rows or groups that were learned "
                f"from; ask for at most {math.floor(self.most * 1000) / 1000:g}."
            )

    def to_json(self) -> dict[str, Any]:
        """A plain structure for `json.dumps`."""
        plain: dict[str, Any] = {"above": _plain(self.above), "knots": list(self.knots), "scales": list(self.scales)}
        return plain if self.below is None else {**plain, "below": _plain(self.below)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any], *, is_classification: bool) -> Coverage:
        """Read what `to_json` wrote.

        Raises:
            ArtifactError: it cannot be true.
        """
        below = None if is_classification else _distribution(plain["below"])
        knots, scales = _numbers(plain["knots"]), _numbers(plain["scales"])
        if len(knots) != len(scales) or (np.diff(knots) <= 0).any() or (scales <= 0).any():
            raise ArtifactError("the scale of errors is not one")
        return cls(_distribution(plain["above"]), below, tuple(knots.tolist()), tuple(scales.tolist()))


@dataclass(frozen=True)
class Decision:
    """From which probability of the positive class on the answer is yes, and why there."""

    threshold: float = 0.5
    reason: str = ""

    def is_yes(self, positive: Numbers) -> NDArray[np.bool_]:
        """Whether the answer is yes: above the threshold, and of every row where that is 0."""
        return np.asarray((positive > self.threshold) | (self.threshold == 0))

    def to_json(self) -> dict[str, Any]:
        """A plain structure for `json.dumps`."""
        return {"threshold": self.threshold, "reason": self.reason}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Decision:
        """Read what `to_json` wrote.

        Raises:
            ArtifactError: it cannot be true.
        """
        return cls(_threshold(plain["threshold"]), str(plain["reason"]))


@dataclass(frozen=True, eq=False)
class Silence:
    """How often answers were right where the probability of what was answered was at least so much: a cautious estimate.

    `confidences` rise; `accuracies` are lower bounds of the share that was right, `answered` the share of rows. Answers were yes
    above that `threshold`, or the most probable class where it is None: so it is in older artifacts, whatever they answer by.
    """

    confidences: tuple[float, ...]
    accuracies: tuple[float, ...]
    answered: tuple[float, ...]
    threshold: float | None = None

    def confidence_for(self, accuracy: float) -> float:
        """The least confidence from which on answers are right at least that often; infinite where there is none.

        Raises:
            UsageError: the accuracy is no share.
        """
        if not 0 < accuracy < 1:
            raise UsageError(f"an accuracy of {accuracy:g} was asked for; expected a number between 0 and 1, such as 0.95.")
        return next((sure for sure, right in zip(self.confidences, self.accuracies, strict=True) if right >= accuracy), math.inf)

    def to_json(self) -> dict[str, Any]:
        """A plain structure for `json.dumps`."""
        plain: dict[str, Any] = {name: list(getattr(self, name)) for name in ("confidences", "accuracies", "answered")}
        return plain if self.threshold is None else {**plain, "threshold": self.threshold}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Silence:
        """Read what `to_json` wrote.

        Raises:
            ArtifactError: it cannot be true.
        """
        columns = [_numbers(plain[name]) for name in ("confidences", "accuracies", "answered")]
        if len({len(column) for column in columns}) != 1 or (np.diff(columns[0]) < 0).any():
            raise ArtifactError("the shares of right answers are no table")
        threshold = None if plain.get("threshold") is None else _threshold(plain["threshold"])
        confidences, accuracies, answered = (tuple(column.tolist()) for column in columns)
        return cls(confidences, accuracies, answered, threshold)


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """All of it: what a model knows about its own errors. Parts are None where they make no sense for the task."""

    coverage: Coverage | None = None
    silence: Silence | None = None
    decision: Decision | None = None

    def to_json(self) -> dict[str, Any]:
        """A plain structure for `json.dumps`."""
        parts = {"coverage": self.coverage, "silence": self.silence, "decision": self.decision}
        return {name: part.to_json() for name, part in parts.items() if part is not None}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any], *, is_classification: bool) -> Uncertainty:
        """Read what `to_json` wrote; nothing of nothing.

        Raises:
            ArtifactError: it cannot be true.
        """
        coverage, silence, decision = (plain.get(name) for name in ("coverage", "silence", "decision"))
        return cls(
            coverage=None if coverage is None else Coverage.from_json(coverage, is_classification=is_classification),
            silence=None if silence is None else Silence.from_json(silence),
            decision=None if decision is None else Decision.from_json(decision),
        )


def chosen(probabilities: Numbers, decision: Decision | None) -> NDArray[np.int64]:
    """Which class is answered of each row: by the decision where there is one, else the most probable."""
    if decision is None:
        return np.asarray(probabilities.argmax(axis=1))
    return decision.is_yes(probabilities[:, 1]).astype(np.int64)


def checked_coverage(coverage: float) -> float:
    """The coverage, where it is a probability that means something.

    Raises:
        UsageError: it is not.
    """
    if not 0 < coverage < 1:
        raise UsageError(f"a coverage of {coverage:g} was asked for; expected a number between 0 and 1, such as 0.9.")
    return coverage


def _plain(distribution: Distribution) -> dict[str, Any]:
    return {"values": distribution.values.tolist(), "shares": distribution.shares.tolist(), "n_units": distribution.n_units}


def _distribution(plain: Mapping[str, Any]) -> Distribution:
    values, shares, n_units = _numbers(plain["values"]), _numbers(plain["shares"]), float(plain["n_units"])
    is_sorted = not (np.diff(values) < 0).any() and not (np.diff(shares) < 0).any()
    if len(values) != len(shares) or not is_sorted or not n_units >= 1 or abs(shares[-1] - 1) > 1e-6:
        raise ArtifactError("the distribution of errors is not one")
    return Distribution(values, shares, n_units)


def _threshold(plain: Any) -> float:
    if type(plain) not in (int, float) or not 0 <= plain <= 1:
        raise ArtifactError("the threshold of decisions is no probability")
    return float(plain)


def _numbers(plain: Any) -> Numbers:
    if not isinstance(plain, list) or not plain or any(type(number) not in (int, float) for number in plain):
        raise ArtifactError("a list of numbers was expected")
    numbers = np.array(plain, np.float64)
    if not np.isfinite(numbers).all():
        raise ArtifactError("a number is not finite")
    return numbers
