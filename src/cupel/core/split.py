"""Which rows train a model and which judge it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import DataError
from cupel.core.recipe import Recipe

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Fold:
    """One division of the rows.

    `train` and `stop` together are what a candidate may learn from: `stop` is the slice held back to decide
    when training ends. `valid` is what it is judged on, and is never seen before that. All are sorted row indices.
    """

    index: int
    train: Rows
    stop: Rows
    valid: Rows


@dataclass(frozen=True, eq=False)
class Splits:
    """All folds of a run and how they were made.

    `scheme` is one of holdout, k-fold, stratified, repeated, group, time; `reason` says in a sentence why it was chosen.
    `groups` (int64 per row) is set for the group scheme. `key` is a hash of every row index: part of a unit's identity.
    `sealed` are rows that are in no fold, kept to judge what is packed in the end. Rows that share a number in `units` (int64 per
    row) say little more than one of them: whoever asks how far a score strays counts them once. None where each counts.
    """

    folds: tuple[Fold, ...]
    scheme: str
    reason: str
    key: str
    groups: NDArray[np.int64] | None = None
    sealed: Rows | None = None
    units: NDArray[np.int64] | None = None

    @property
    def covered(self) -> Rows:
        """Rows that are in some validation part, sorted: those with an out-of-fold prediction."""
        return np.unique(np.concatenate([fold.valid for fold in self.folds]))

    def n_learned(self, recipe: Recipe | None) -> int:
        """How many rows of a fold train a network by this recipe, on average."""
        n_train = int(np.mean([len(fold.train) for fold in self.folds]))
        n_stop = int(np.mean([len(fold.stop) for fold in self.folds]))
        return n_train + n_stop if recipe is not None and recipe.learns_all(n_train + n_stop) else n_train

    @property
    def parts(self) -> NDArray[np.int64]:
        """The number of the fold that judges a row, shape (samples, ways), for every way in which repeated splits divide them.

        Samples are as many as the folds tell of; -1 where no fold of a way judges a row.
        """
        n_samples = 1 + max(int(rows.max()) for fold in self.folds for rows in (fold.train, fold.stop, fold.valid) if len(rows))
        ways: list[NDArray[np.int64]] = []
        for fold in self.folds:
            if not ways or (ways[-1][fold.valid] >= 0).any():
                ways.append(np.full(n_samples, -1, np.int64))
            ways[-1][fold.valid] = fold.index
        return np.stack(ways, axis=1)

    @property
    def teach_one_another(self) -> bool:
        """Whether rows of two folds train the models that judge the other's: neither over time, nor with one part held out."""
        first, last = self.folds[0], self.folds[-1]
        taught = [np.isin(one.valid, np.concatenate([other.train, other.stop])) for one, other in ((first, last), (last, first))]
        return bool(taught[0].any() and taught[1].any())

    def sparing(self, rows: Rows) -> Splits:
        """The same folds, in which the given rows train nothing and stop nothing; they are judged as before.

        Raises:
            DataError: a fold would have nothing left to learn from.
        """
        if not len(rows):
            return self
        folds = tuple(
            replace(fold, train=np.setdiff1d(fold.train, rows), stop=np.setdiff1d(fold.stop, rows)) for fold in self.folds
        )
        for fold in folds:
            if min(len(fold.train), len(fold.stop)) == 0:
                raise DataError(
                    f"without the {len(rows):,} rows that are to train nothing, fold {fold.index + 1} has {len(fold.train)} "
                    "rows to train and "
                    f"{len(fold.stop)} to stop; leave fewer rows out."
                )
        key = hashlib.sha256(self.key.encode() + np.ascontiguousarray(rows, dtype="<i8").tobytes()).hexdigest()[:16]
        return replace(
            self, folds=folds, key=key, reason=f"{self.reason}; {len(rows):,} rows train nothing, as the fix plan says"
        )

    def sealing(self, rows: Rows, *, silent: Rows | None = None) -> Splits:
        """The same folds without the given rows, which neither train nor stop nor judge; a fold left without judges is dropped.

        Rows that are `silent` train and stop nothing either, as they would give away those that are sealed; a fold that has no
        others to learn from is dropped too.

        Raises:
            DataError: too little is left.
        """
        untaught = rows if silent is None else np.union1d(rows, silent)
        folds = [
            replace(
                fold,
                train=np.setdiff1d(fold.train, untaught),
                stop=np.setdiff1d(fold.stop, untaught),
                valid=np.setdiff1d(fold.valid, rows),
            )
            for fold in self.folds
        ]
        folds = [fold for fold in folds if len(fold.valid)]
        learning = [fold for fold in folds if min(len(fold.train), len(fold.stop)) > 0]
        apart = "" if silent is None else f", and {len(silent):,} of their groups teach nothing,"
        if not learning or (silent is None and len(learning) < len(folds)):
            raise DataError(f"with {len(rows):,} rows sealed{apart} too few are left to train and judge; seal fewer rows.")
        told = rows.astype("<i8").tobytes() + (b"" if silent is None else silent.astype("<i8").tobytes())
        key = hashlib.sha256(b"sealed" + self.key.encode() + told).hexdigest()[:16]
        numbered = tuple(replace(fold, index=index) for index, fold in enumerate(learning))
        reason = f"{self.reason}; {len(rows):,} rows are sealed{apart.rstrip(',')}"
        return replace(self, folds=numbered, key=key, sealed=rows, reason=reason)

    def placed(self, rows: Rows, *, n_samples: int) -> Splits:
        """The same folds in a table of `n_samples` rows, of which these were divided at places `rows`; all others are sealed."""
        folds = tuple(Fold(fold.index, *(rows[part] for part in (fold.train, fold.stop, fold.valid))) for fold in self.folds)
        key = hashlib.sha256(b"placed" + self.key.encode() + np.ascontiguousarray(rows, dtype="<i8").tobytes()).hexdigest()[:16]
        sealed = np.setdiff1d(np.arange(n_samples), rows)
        groups, units = (_spread(numbers, rows, n_samples=n_samples) for numbers in (self.groups, self.units))
        return replace(self, folds=folds, key=key, sealed=sealed, groups=groups, units=units)

    def describe(self) -> dict[str, Any]:
        """Scheme, reason and sizes, for `run.yaml` and reports."""
        return {"scheme": self.scheme, "reason": self.reason, "n_folds": len(self.folds), "key": self.key}


def _spread(numbers: Rows | None, rows: Rows, *, n_samples: int) -> Rows | None:
    """Numbers of some rows as an array over all; -1 for the others."""
    if numbers is None:
        return None
    spread = np.full(n_samples, -1, np.int64)
    spread[rows] = numbers
    return spread
