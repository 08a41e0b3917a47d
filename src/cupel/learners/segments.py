"""Boosting in segments, each with random numbers of its own, so that it can go on where an earlier process was ended.

What LightGBM draws from cannot be read out of it and put back. So it is told new seeds every few rounds, whether or not anything
is written down there; and where a process was ended, another begins with the trees so far and the seeds of that place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cupel.core.keeping import Keeping
from cupel.core.task import Task
from cupel.learners.boosted_text import booster_of, trees_of

SECONDS_OF_A_SEGMENT = 5.0
"""As estimated; what is done in less is one segment, and learned as LightGBM alone would."""
FEWEST_ROUNDS = 20
SEEDS = ("bagging_seed", "feature_fraction_seed", "extra_seed")
MOST_SEED = 2**31 - 1
ENOUGH_TO_DIFFER = 1e-9
"""By this the share of rows changes with each segment: with the same share LightGBM would go on drawing from its old seed."""


def rounds_of_a_segment(seconds_per_round: float) -> int:
    """The same wherever the same is learned: what a segment is must not depend on the clock."""
    return max(FEWEST_ROUNDS, round(SECONDS_OF_A_SEGMENT / seconds_per_round))


@dataclass(eq=False)
class Boosting:
    """One training in progress: its losses, and the segments that it consists of.

    `patience` rounds without a better loss end it; where no rows judge, losses are zero and it grows all its rounds. `rate` is
    the learning rate where it was changed on the way.
    """

    keeping: Keeping
    task: Task
    width: int
    seed: int
    n_rounds_of_a_segment: int
    patience: int
    losses: list[float] = field(default_factory=list)
    rate: float | None = None
    is_over: bool = False
    booster: Any = None

    def __post_init__(self) -> None:
        """Go on where an earlier process was ended, if it left a checkpoint that is sound."""
        kept = self.keeping.load()
        if kept is None:
            return
        arrays, facts = kept
        try:
            booster = booster_of(bytes(arrays["trees"]).decode("ascii"), width=self.width, task=self.task)
            losses, rate = [float(loss) for loss in facts["losses"]], facts["rate"]
            if booster.current_iteration() != len(losses) or not isinstance(rate, float | None):
                return
        except (ValueError, KeyError, TypeError, OverflowError):
            return
        self.booster, self.losses, self.rate, self.is_over = booster, losses, rate, bool(facts.get("is_over"))

    @property
    def n_rounds(self) -> int:
        """Rounds done."""
        return len(self.losses)

    @property
    def has_no_more_patience(self) -> bool:
        """Whether the rounds since the best one have used it up."""
        return bool(self.losses) and len(self.losses) - 1 - int(np.argmin(self.losses)) >= self.patience

    def seeds(self, n_rounds: int, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """What differs in the parameters of the segment that begins after so many rounds; nothing in the first."""
        segment = n_rounds // self.n_rounds_of_a_segment
        if segment == 0:
            return {}
        drawn = np.random.default_rng([self.seed, segment]).integers(MOST_SEED, size=len(SEEDS))
        changed: dict[str, Any] = dict(zip(SEEDS, map(int, drawn), strict=True))
        if parameters["bagging_fraction"] < 1:
            changed["bagging_fraction"] = parameters["bagging_fraction"] * (1 - ENOUGH_TO_DIFFER * (segment % 2))
        return changed

    def callbacks(self, parameters: Mapping[str, Any]) -> list[Any]:
        """What LightGBM is to call before and after each round."""
        return [_Reseeding(self, parameters), _Noting(self)]

    def save(self, booster: Any, *, is_over: bool = False) -> None:
        """Write down the trees so far."""
        trees = np.frombuffer(trees_of(booster).encode("ascii"), np.uint8)
        self.keeping.save({"trees": trees}, {"losses": self.losses, "rate": self.rate, "is_over": is_over})


@dataclass(eq=False)
class _Reseeding:
    """New seeds at the beginning of each segment but the first of this process, which has them from its parameters."""

    boosting: Boosting
    parameters: Mapping[str, Any]
    before_iteration = True
    order = 5

    def __call__(self, environment: Any) -> None:
        done = environment.iteration
        begins = done > environment.begin_iteration and done % self.boosting.n_rounds_of_a_segment == 0
        if begins and _has_a_column(environment.model.train_set):
            environment.model.reset_parameter(self.boosting.seeds(done, self.parameters))


def _has_a_column(train: Any) -> bool:
    """Whether any column has two values to split between; where none has, LightGBM refuses new parameters."""
    return any(train.feature_num_bin(column) > 1 for column in range(train.num_feature()))


@dataclass(eq=False)
class _Noting:
    """The loss of each round; the end where patience has; a checkpoint at the end of a segment, if one is due."""

    boosting: Boosting
    before_iteration = False
    order = 30

    def __call__(self, environment: Any) -> None:
        boosting, results = self.boosting, environment.evaluation_result_list
        boosting.losses.append(float(results[0][2]) if results else 0.0)
        if results and boosting.has_no_more_patience:
            from lightgbm.callback import EarlyStopException

            raise EarlyStopException(environment.iteration, environment.evaluation_result_list)
        if boosting.n_rounds % boosting.n_rounds_of_a_segment == 0 and boosting.keeping.is_due:
            boosting.save(environment.model)
