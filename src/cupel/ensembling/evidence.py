"""What an ensemble is chosen by: out-of-fold predictions, a score, and parts of the rows that judge what the others taught."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.combination import Among, Combination, WeightedMean
from cupel.core.form import Form
from cupel.core.split import Splits

Array = NDArray[Any]
Rows = NDArray[np.int64]
Score = Callable[[Array, Array], float]
"""`score(predictions, rows)`: how good predictions (rows, outputs) are for those rows; larger is better."""

N_PARTS = 5
N_BLOCKS = 8
MIN_BLOCK_ROWS = 8
NOISE = 0.25
"""Standard errors that a gain must reach to count. Of 0, ¼, ½ and 1, tried for greedy selection on four tables with 300 to 5,000
rows, ¼ loses next to nothing on test rows and saves a fifth of the members; 1 loses half of what ensembles gain on 300."""
CLOSE = 2.0
"""Standard errors over blocks of rows by which one is surely worse than another. Of 1.5, 2, 2.5 and 3, tried on what 18 runs of
300 seconds had trained, none was clearly better (docs/decisions/0010-ensembles.md)."""
MEMBER_LIMITS = ((500, 5), (2500, 8))
MAX_MEMBERS = 15
"""With fewer rows than the first number at most the second may take part; in steps like AutoGluon's learned rule (100 rows, 4
models; 500, 8; 2,500, 15), with five below 500 rows."""
SHARE_OF_A_FAMILY = 1 / 3
"""Of the places: a search draws dozens of the family that did best, near-copies of one another, and a mean gains by what errs in
other ways. What no other family claims goes to whoever is next."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """Out-of-fold predictions of all candidates, each of shape (samples, outputs), and how they are judged.

    `target` are as `form` says, one (or one row of labels, or of points of a mask) per sample. `parts` number the samples: a
    cross-fitted prediction of a row comes from a combination that saw no row of its part. `families` name what each candidate is
    one of; empty where that is not known, and then each is one of its own.
    """

    predictions: Sequence[Array]
    score: Score
    target: Array
    parts: NDArray[np.int64]
    form: Form
    seed: int = 0
    families: Sequence[str] = ()

    def at(self, rows: Rows) -> list[Array]:
        """Every candidate's predictions for those rows."""
        return [np.asarray(candidate)[rows] for candidate in self.predictions]

    def scores(self, rows: Rows) -> NDArray[np.float64]:
        """Every candidate's own score on those rows, minus infinity where it is not defined."""
        found = np.array([self.score(prediction, rows) for prediction in self.at(rows)])
        return np.where(np.isfinite(found), found, -np.inf)

    def admitted(self, rows: Rows) -> list[int]:
        """Positions of the few candidates that are best on their own, best first: on few rows every further one fits noise.

        Of one family no more than its share, as long as there are others.
        """
        limit = next((most for below, most in MEMBER_LIMITS if len(rows) < below), MAX_MEMBERS)
        ranked = [int(position) for position in np.argsort(-self.scores(rows), kind="stable")]
        families, counts = self.families or range(len(ranked)), Counter[object]()
        within, beyond = list[int](), list[int]()
        for position in ranked:
            counts[families[position]] += 1
            is_within = counts[families[position]] <= math.ceil(SHARE_OF_A_FAMILY * limit)
            (within if is_within else beyond).append(position)
        return sorted([*within, *beyond][:limit], key=ranked.index)


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """A combination of the candidates at `positions`; `shares` sum to 1, one per position, and say how much each counts.

    `method` names what chose, where that is another than was asked for. `learned_by` is set where the
    combination has learned from the target: what made it, so that it can be cross-fitted.
    """

    positions: tuple[int, ...]
    combination: Combination
    shares: tuple[float, ...]
    learned_by: Choose | None = None
    method: str = ""

    @property
    def rule(self) -> Combination:
        """The same as a combination of all candidates."""
        return Among(self.positions, self.combination)

    @classmethod
    def mean(cls, positions: Sequence[int], weights: Sequence[float]) -> Choice:
        """The weighted mean of those with weight."""
        total = float(sum(weights))
        kept = [(int(position), float(weight) / total) for position, weight in zip(positions, weights, strict=True) if weight > 0]
        shares = tuple(weight for _, weight in kept)
        return cls(positions=tuple(position for position, _ in kept), combination=WeightedMean(shares), shares=shares)


Choose = Callable[[Evidence, Rows], Choice]
"""Chooses a combination by looking at those rows alone; some may be repeated."""


def parts_of(splits: Splits, n_samples: int, *, seed: int) -> NDArray[np.int64]:
    """Each sample's part: the first fold that judges it. A single fold is cut into `N_PARTS` at random."""
    parts = np.full(n_samples, -1, np.int64)
    for fold in reversed(splits.folds):
        parts[fold.valid] = fold.index
    if len(np.unique(parts[splits.covered])) < 2:
        parts[splits.covered] = np.random.default_rng(seed).permutation(len(splits.covered)) % N_PARTS
    return parts


def cross_fitted(choose: Choose, evidence: Evidence, *, rows: Rows, taught_by: Rows | None = None) -> NDArray[np.float64]:
    """Predictions for each of the rows, in their order, by combinations that saw no row of its part.

    The combinations are chosen on the rows `taught_by`, which are all of them unless some are named.
    What candidates say about other parts is from models that were trained on this one too: no labels of a row
    reach its own prediction by way of the combination, yet parts are not wholly strangers.

    Source: Wolpert 1992, "Stacked generalization", doi:10.1016/S0893-6080(05)80023-1, with a second round of cross-validation.
    """
    teachers = rows if taught_by is None else taught_by
    parts, taught = evidence.parts[rows], evidence.parts[teachers]
    if len(np.unique(parts)) < 2:
        parts, taught = blocks_of(rows, n_blocks=N_PARTS), blocks_of(teachers, n_blocks=N_PARTS)
    together = evidence.at(rows)
    predictions = np.empty(np.shape(together[0]))
    for part in np.unique(parts):
        inside = parts == part
        rule = choose(evidence, teachers[taught != part]).rule
        predictions[inside] = rule.apply([candidate[inside] for candidate in together])
    return predictions


def is_beyond_noise(new: Array, old: Array, *, score: Score, rows: Rows, noise: float = NOISE) -> bool:
    """Whether `new` is better than `old`, and its gain over blocks of rows more than `noise` standard errors from nothing.

    Both are predictions for `rows`. Where rows are too few for blocks, any gain counts.
    """
    if not score(new, rows) > score(old, rows):
        return False
    blocks = Blocks.of(rows)
    return are_gains_beyond_noise(blocks.scores(new, score), blocks.scores(old, score), noise=noise)


@dataclass(frozen=True, eq=False)
class Blocks:
    """Rows in blocks on which a gain must show; there are none where rows are too few."""

    rows: tuple[Rows, ...]
    places: tuple[NDArray[np.int64], ...]

    @classmethod
    def of(cls, rows: Rows) -> Blocks:
        """Blocks of these rows, of which equal ones are together."""
        if len(rows) < N_BLOCKS * MIN_BLOCK_ROWS:
            return cls((), ())
        blocks = blocks_of(rows, n_blocks=N_BLOCKS)
        places = tuple(np.flatnonzero(blocks == block) for block in np.unique(blocks))
        return cls(tuple(rows[inside] for inside in places), places)

    def scores(self, predictions: Array, score: Score) -> NDArray[np.float64]:
        """The score on each block of predictions for all the rows."""
        return np.array([score(predictions[inside], rows) for inside, rows in zip(self.places, self.rows, strict=True)])


def are_gains_beyond_noise(new: Array, old: Array, *, noise: float = NOISE) -> bool:
    """Whether the scores on blocks are better by more than `noise` standard errors; so they are where there are few."""
    gains = new - old
    gains = gains[np.isfinite(gains)]
    if len(gains) < N_BLOCKS // 2:
        return True
    return bool(gains.mean() > noise * gains.std(ddof=1) / np.sqrt(len(gains)))


def are_surely_worse(new: Array, old: Array) -> bool:
    """Whether the scores on blocks are worse by more than `CLOSE` standard errors; so they count where too few are defined."""
    losses = old - new
    losses = losses[np.isfinite(losses)]
    if len(losses) < N_BLOCKS // 2:
        return True
    return bool(losses.mean() > CLOSE * losses.std(ddof=1) / np.sqrt(len(losses)))


def blocks_of(rows: Rows, *, n_blocks: int) -> NDArray[np.int64]:
    """A block for every row, equal for equal rows and without order (Knuth's multiplicative hash)."""
    hashed: NDArray[np.int64] = (rows.astype(np.int64) * 2_654_435_761 % 2**32) >> 16
    return hashed % n_blocks


def shares_of(combination: Combination, predictions: Sequence[Array]) -> tuple[float, ...]:
    """Each member's share in a combination: how much it changes where that member says what all say on average."""
    if len(predictions) < 2:
        return (1.0,) * len(predictions)
    said, mean = combination.apply(predictions), np.mean(predictions, axis=0)
    changes = np.empty(len(predictions))
    for member in range(len(predictions)):
        others = [mean if position == member else prediction for position, prediction in enumerate(predictions)]
        changes[member] = np.abs(combination.apply(others) - said).mean()
    total = float(changes.sum())
    shares = changes / total if total > 0 else np.full(len(changes), 1 / len(changes))
    return tuple(shares.tolist())
