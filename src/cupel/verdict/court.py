"""Where contenders meet: the same rows, the same resamples, the same metric for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cupel import evaluation
from cupel.core.combination import Combination
from cupel.core.dataset import Dataset
from cupel.core.errors import DataError
from cupel.core.split import Splits
from cupel.core.task import Task
from cupel.core.trial import Ensemble, Trial
from cupel.verdict.costs import CONSTANT, costs_of
from cupel.verdict.measures import SEED, affordable_resamples, score_of
from cupel.verdict.verdict import Score

if TYPE_CHECKING:
    from cupel.core.graph import Graph

Array = NDArray[Any]
Select = Callable[[NDArray[np.int64]], Any]
"""The whole choosing procedure: from the dataset rows it may look at to weights over the usable trials in their order, or to
another `Combination` of them."""

MIN_COVERED = 0.5  # a trial with predictions for fewer of the covered rows is left out, else it would take rows from all
N_CORRECTIONS, FEWEST_CORRECTIONS = 100, 60
ROWS_IN_CORRECTIONS = 250_000  # the more rows, the smaller and surer is the optimism, and the dearer each resample


def predictions_of(trial: Trial) -> Array:
    """A usable trial's out-of-fold predictions."""
    assert trial.out_of_fold is not None, "only usable trials come before the court"
    return trial.out_of_fold


@dataclass(frozen=True, kw_only=True, eq=False)
class Court:
    """Usable trials and the rows that all of them predicted; `best` is the one with the best score, `leader` what seems
    best of all, one of them or a combination.

    `target` are the answers of the judged rows, `answers` those of all. `incomplete` says by name why a trial with predictions is
    left out. `n_asked` counts all usable trials, those left out too: a selecting procedure combines them, and `kept` are the
    positions of `trials` among them. Rows of one number in `groups` count once (`Splits.units`). `is_mutual` where rows of two
    folds trained the models that judge the other's.
    """

    task: Task
    metric: evaluation.Metric
    trials: tuple[Trial, ...]
    kept: tuple[int, ...]
    n_asked: int
    incomplete: Mapping[str, str]
    rows: NDArray[np.int64]
    target: Array
    answers: Array
    groups: Array | None
    parts: Array
    leader: Ensemble
    best: Ensemble
    is_mutual: bool = False
    most_corrections: int = N_CORRECTIONS

    @property
    def sign(self) -> float:
        """1 where larger is better, else -1."""
        return 1.0 if self.metric.higher_is_better else -1.0

    def seen(self, predictions: Array) -> Array:
        """Predictions for the judged rows."""
        return np.ascontiguousarray(predictions[self.rows], dtype=np.float64)

    def measured(self, predictions: Array) -> float:
        """The plain score."""
        return float(evaluation.score(self.metric, self.target, self.seen(predictions)))

    def standing(self, name: str) -> Score:
        """The plain score of a trial, or of the leader, with its interval."""
        found = self.comparison.interval(self._names.index(name))
        if not np.isfinite(found.estimate):
            return Score(estimate=np.nan, low=np.nan, high=np.nan)
        low, high = sorted((self.sign * found.low, self.sign * found.high))
        return score_of(evaluation.Interval(self.sign * found.estimate, low, high), self.metric)

    def interval(self, predictions: Array) -> Score:
        """The same of any predictions for the rows of the dataset."""
        n_resamples = affordable_resamples(len(self.rows), len(self.trials))
        found = evaluation.interval(
            self.metric,
            self.target,
            self.seen(predictions),
            groups=self.groups,
            seed=SEED,
            n_resamples=n_resamples,
            stretch=evaluation.stretch_of(is_mutual=self.is_mutual),
        )
        return score_of(found, self.metric)

    @property
    def _constant(self) -> int | None:
        """The place of the trial that always says the same."""
        families = [trial.candidate.family.casefold() for trial in self.trials]
        return families.index(CONSTANT) if CONSTANT in families else None

    def paired(self, first: Array, second: Array) -> evaluation.Difference:
        """How much better the first is on the same rows; positive is better.

        It reaches beyond what drawn rows show as scores do: what one sample taught strays apart in two models as in one.
        """
        n_resamples = affordable_resamples(len(self.rows), 2)
        found = evaluation.paired_difference(
            self.metric, self.target, self.seen(first), self.seen(second), groups=self.groups, seed=SEED, n_resamples=n_resamples
        )
        return found.stretched(max(evaluation.STRETCH, self.comparison.widening) if self.is_mutual else 1.0)

    def best_of(self, trials: Sequence[Trial]) -> Trial | None:
        """The one with the best plain score, the first of equals; None of none."""
        if not trials:
            return None
        scores = np.array([self.sign * self.measured(predictions_of(trial)) for trial in trials])
        return trials[int(np.argmax(np.where(np.isfinite(scores), scores, -np.inf)))]

    @cached_property
    def comparison(self) -> evaluation.Comparison:
        """All trials, and the leader where it is more than one of them, on the same resamples."""
        candidates = [self.seen(predictions_of(trial)) for trial in self.trials]
        if self._has_mixture:
            candidates.append(self.seen(self.leader.out_of_fold))
        found = evaluation.Comparison.of(
            self.metric,
            self.target,
            candidates,
            groups=self.groups,
            seed=SEED,
        )
        return found.of_folds(self._constant) if self.is_mutual else found

    @property
    def _has_mixture(self) -> bool:
        """Whether the leader is none of the trials that are compared anyway: a combination, or one left out."""
        return len(self.leader.members) > 1 or all(self.leader.name != trial.candidate.name for trial in self.trials)

    @property
    def _names(self) -> list[str]:
        """Of all that are compared, in the order of the comparison."""
        names = [trial.candidate.name for trial in self.trials]
        return [*names, self.leader.name] if self._has_mixture else names

    def unflattered(self, plain: Score, prefer: str = "best", *, among: Sequence[Trial] | None = None) -> Score:
        """The score of what is chosen, free of the luck of having been chosen, which is never negative.

        `prefer` is "best", for the best single trial, or "cheapest", for the cheapest that is as good as the leader. `among` is
        set where the choice is of the best of some trials alone.
        """
        places = [place for place, trial in enumerate(self.trials) if among is None or trial in among]
        if prefer == "cheapest":
            luck = self.comparison.luck(self._choose_cheapest())
        elif among is None:
            luck = self.comparison.luck(lambda scores: int(np.argmax(scores[: len(places)])))
        else:
            luck = self.comparison.among(places).luck(lambda scores: int(np.argmax(scores)))
        estimate = plain.estimate - self.sign * luck.estimate
        low, high = sorted((estimate + self.sign * luck.low, estimate + self.sign * luck.high))
        return score_of(evaluation.Interval(estimate, low, high), self.metric)

    def cheapest(self) -> Ensemble:
        """The smallest of the trials that are as good for all that is known, if notably cheaper than the leader, else that."""
        chosen = self._choose_cheapest()(self.comparison.scores)
        if chosen == self._leading:
            return self.leader
        return single(self.trials[chosen])

    @property
    def _leading(self) -> int:
        return len(self.trials) if self._has_mixture else self._names.index(self.leader.members[0].candidate.name)

    def _choose_cheapest(self) -> Callable[[Array], int]:
        """The choice as a function of the scores; what always says the same is never chosen for being cheap."""
        cost, leading = costs_of(self.trials, self.leader if self._has_mixture else None), self._leading
        near, scores = self.comparison.near(self._constant), self.comparison.scores

        def choose(shown: Array) -> int:
            # Shown the real scores, the leader leads, even where a mixture that gains too little to count scores better.
            best = leading if shown is scores else int(np.argmax(shown))
            return cost.cheapest(near(shown, best), best=best)

        return choose

    def corrected(self, select: Select, plain: Score, *, final: Array | None = None, looks_at: int | None = None) -> Score:
        """The score of a combination that choosing could not inflate: the plain interval, moved by the luck of the choice.

        `select` as in `judge`. `plain` is the chosen one's uncorrected score; the corrected one is never better, so that
        chance in the resamples cannot flatter. The interval keeps the width of all judged rows, where BBC-CV's own is that of
        the third that judges at a time. `final` are cross-fitted predictions for all of the dataset's rows, where there are such.
        `looks_at` is how many rows `select` looks at, where these are not all that it is shown.

        Source: Tsamardinos et al. 2018, "Bootstrapping the out-of-sample predictions", doi:10.1007/s10994-018-5714-4.
        """
        useful = int(np.clip(ROWS_IN_CORRECTIONS // len(self.rows), FEWEST_CORRECTIONS, N_CORRECTIONS))
        found = evaluation.corrected_for_selection(
            self.metric,
            self.target,
            [self.seen(predictions_of(trial)) for trial in self.trials],
            self._on_own_rows(select),
            groups=self.groups,
            seed=SEED,
            n_resamples=min(useful, self.most_corrections),
            final=None if final is None else self.seen(final),
            looks_at=looks_at,
        )
        return plain.moved(-self.sign * self.comparison.widening * max(float(found.optimism), 0.0))

    def _on_own_rows(self, select: Select) -> Select:
        kept = np.array(self.kept)

        def choose(positions: Array) -> Array | Combination:
            choice = select(self.rows[positions])
            if not isinstance(choice, np.ndarray):
                return _Seated(choice, self.kept, self.n_asked)
            weights = np.asarray(choice, dtype=np.float64)[kept]
            total = weights.sum()
            return weights / total if total > 0 else np.full(len(kept), 1 / len(kept))

        return choose

    @property
    def p_values(self) -> dict[str, float]:
        """Of no difference between the leader and each that is compared, by the paired bootstrap; for one test alone."""
        return dict(zip(self._names, self.comparison.p_values(self._leading).tolist(), strict=True))

    def tie_groups(self) -> dict[str, int]:
        """Group of each usable trial, and of the leader: 1 for those not significantly worse than the best, then 2, ...."""
        return {name: int(group) for name, group in zip(self._names, self.comparison.tie_groups(), strict=True)}


@dataclass(frozen=True, eq=False)
class _Seated:
    """A combination of all that asked, given those that were kept; the others say what these say on average."""

    combination: Combination
    kept: tuple[int, ...]
    n_asked: int

    def apply(self, predictions: Sequence[Array]) -> NDArray[np.float64]:
        seats: list[Array] = [np.mean(predictions, axis=0)] * self.n_asked
        for position, prediction in zip(self.kept, predictions, strict=True):
            seats[position] = prediction
        return self.combination.apply(seats)

    def emit(self, graph: Graph, predictions: Sequence[str]) -> str:
        raise NotImplementedError("a court packs nothing; pack the ensemble's own rule.")


def open_court(
    trials: Sequence[Trial],
    *,
    dataset: Dataset,
    splits: Splits,
    leader: Ensemble | None = None,
    most_corrections: int = N_CORRECTIONS,
) -> Court:
    """The court of a run, which repeats the choice at most `most_corrections` times to learn how much of the score is luck.

    Without a `leader` the trial with the best score leads.

    Raises:
        DataError: no trial is usable, or the dataset has no task.
    """
    if dataset.task is None or dataset.target is None:
        raise DataError("a dataset without a target was to be judged; expected one read with target=.")
    asked = [trial for trial in trials if trial.out_of_fold is not None]
    if not asked:
        raise DataError("none of the candidates has predictions, so there is nothing to judge; see their reasons.")
    covered = splits.covered
    finite = np.array([np.isfinite(predictions_of(trial)[covered]).all(axis=1) for trial in asked])
    shares = finite.mean(axis=1)
    kept = tuple(int(position) for position in np.flatnonzero(shares >= min(MIN_COVERED, float(shares.max()))))
    judged = finite[list(kept)].all(axis=0)
    if not judged.any():  # trials cover rows apart from one another: the one with the most is judged alone
        kept = (int(np.argmax(shares)),)
        judged = finite[kept[0]]
    rows = covered[judged]
    incomplete = {
        trial.candidate.name: f"it has predictions for {int(found.sum()):,} of {len(covered):,} rows."
        for position, (trial, found) in enumerate(zip(asked, finite, strict=True))
        if position not in kept
    }
    metric = evaluation.metric_named(dataset.task.metric, dataset.task).within(splits.parts[rows])
    usable = tuple(asked[position] for position in kept)
    scores = np.array(
        [metric.sign * evaluation.score(metric, dataset.judged[rows], predictions_of(trial)[rows]) for trial in usable]
    )
    best = single(usable[int(np.argmax(np.where(np.isfinite(scores), scores, -np.inf)))])
    return Court(
        task=dataset.task,
        metric=metric,
        trials=usable,
        kept=kept,
        n_asked=len(asked),
        incomplete=incomplete,
        rows=rows,
        target=dataset.judged[rows],
        answers=dataset.judged,
        groups=None if splits.units is None else splits.units[rows],
        parts=splits.parts[rows],
        leader=leader or best,
        best=best,
        is_mutual=splits.teach_one_another,
        most_corrections=most_corrections,
    )


def predictions_by(name: str, court: Court) -> Array:
    """Out-of-fold predictions of the candidate of that name."""
    return predictions_of(next(trial for trial in court.trials if trial.candidate.name == name))


def single(trial: Trial) -> Ensemble:
    """A usable trial as an ensemble of one."""
    return Ensemble(name=trial.candidate.name, members=(trial,), weights=(1.0,), out_of_fold=predictions_of(trial))
