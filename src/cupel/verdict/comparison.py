"""Whether one model is better than another on the same rows, which neither had learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import evaluation
from cupel.evaluation.intervals import difference_of, interval_of, resampled_scores, width_of
from cupel.verdict.verdict import Score

Array = NDArray[Any]
MAX_DOUBT = 0.1
"""The second is called better only where the probability that it is worse is below this."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Scores of two models on `n_rows` rows, and the difference between them; `rows` says in words which these are.

    `gain` is how much better the second is: positive is better, whatever the metric. `probability_worse` is the share of paired
    resamples in which it is worse.
    """

    metric: str
    metric_label: str
    n_rows: int
    rows: str
    before: Score
    after: Score
    gain: Score
    probability_worse: float

    @property
    def is_better(self) -> bool:
        """Whether the second is better, beyond reasonable doubt."""
        return self.gain.estimate > 0 and self.probability_worse < MAX_DOUBT

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "is_better": self.is_better}

    @property
    def words(self) -> str:
        """Both scores, the difference and what it means, a line for each."""
        scores = (("before", self.before), ("after", self.after), ("gain", self.gain))
        outcome = "better" if self.is_better else "not shown to be better"
        lines = [f"{name:<8} {self.metric_label} {_shown(score)}" for name, score in scores]
        doubt = f"the new model is {outcome}: worse with probability {self.probability_worse:.3f}"
        return "\n".join([f"judged on {self.n_rows:,} rows: {self.rows}", *lines, doubt])


def compare(
    metric: evaluation.Metric,
    target: Array,
    *,
    before: Sequence[Array],
    after: Array,
    rows: str,
    groups: Array | None = None,
    seed: int = 0,
) -> Comparison:
    """Two models by what they predict for the same rows, in the same order; `groups` are resampled whole.

    Where `before` are the predictions of several models, each is judged by itself, and the mean of their scores is taken: a mean
    of models is better than its models, and must not be held against what one model says of each row.
    """
    resamples = evaluation.Resamples.draw(
        len(target), groups=groups, seed=seed, width=width_of(metric, after) * (1 + len(before))
    )
    resampled = resampled_scores(metric, target, [after, *before], resamples)
    plain = [evaluation.score(metric, target, predictions) for predictions in (after, *before)]
    earlier, earlier_resampled = float(np.mean(plain[1:])), resampled[1:].mean(axis=0)
    gain = difference_of(metric.sign * (plain[0] - earlier), metric.sign * (resampled[0] - earlier_resampled))
    return Comparison(
        metric=metric.name,
        metric_label=metric.label,
        n_rows=len(target),
        rows=rows,
        before=_score(interval_of(earlier, earlier_resampled)),
        after=_score(interval_of(plain[0], resampled[0])),
        gain=_score(gain),
        probability_worse=float(gain.probability_worse),
    )


def _score(found: evaluation.Interval | evaluation.Difference) -> Score:
    return Score(estimate=float(found.estimate), low=float(found.low), high=float(found.high))


def _shown(score: Score) -> str:
    return f"{score.estimate:.4f} ({score.low:.4f} to {score.high:.4f})"
