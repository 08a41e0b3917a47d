"""How rows to be predicted differ from those that were learned from."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.decoding import decode
from cupel.core.errors import DataError
from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.core.schema import Column, ColumnKind
from cupel.data.association import average_ranks

Array = NDArray[Any]

N_ROWS = 20_000
N_ROWS_TOLD = 2_000
N_FOLDS, N_TREES = 3, 40
MIN_DISTANCE, LARGE_DISTANCE = 0.1, 0.3
MAX_CHANCE = 1e-3
TOLD_APART, PLAINLY_APART = 0.6, 0.8
N_SHOWN = 5
DROP = "If it is no lasting quantity, learn without: --drop {name}."
LIKE_THEM = "They may come from another device, place or program: bring all into one form, or learn from some like the new."
MAX_COLUMNS = 1_000
DEVIATIONS_APART = 3.0
"""Standard errors by which the area under a curve must be above one half: few rows are told apart by chance."""


@dataclass(frozen=True)
class Shift:
    """One column's: the distance of the distributions, 0 to 1, the probability of one so large by chance, and words."""

    name: str
    distance: float
    chance: float
    words: str
    action: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Fact:
    """What is known of old rows and of new beside the cells of tables, as of a picture its height.

    `column` is a name and a kind: numbers, NaN where one is not known, or categories as places in its levels, -1 where not.
    """

    column: Column
    old: Array
    new: Array


def find_shift(dataset: Dataset, columns: Mapping[str, Array], *, facts: Sequence[Fact] = (), seed: int = 0) -> list[Finding]:
    """Findings about new rows, given as raw columns: columns not there, cells not readable, distributions that differ, also those
    of facts that were learned otherwise, and all together.

    Numbers are compared by the largest difference of their distribution functions (Kolmogorov and Smirnov), categories by half
    the sum of differences of their shares (total variation, with a chi-square test), a missing cell being a value of its own.
    A column has shifted where the distance is at least 0.1 and chance is below 0.001 divided by the number of columns. A small
    forest then tells old rows from new ones: the area under its ROC curve on rows not learned from is 0.5 where nothing differs.

    Raises:
        DataError: the new rows have none of the columns.
    """
    features = dataset.schema.features[:MAX_COLUMNS]
    there = [column for column in features if column.name in columns]
    if not there:
        raise DataError(
            f"the new rows have none of the {len(features)} columns that are learned from "
            f"({', '.join(c.name for c in features[:10])}); "
            "expected a table with the same header."
        )
    generator = np.random.default_rng(seed)
    found = _absent([column.name for column in features if column.name not in columns])
    shifts, old_states, new_states = [], [], []
    old_rows = generator.permutation(dataset.n_samples)[:N_ROWS]
    n_new = len(columns[there[0].name])
    new_rows = generator.permutation(n_new)[:N_ROWS]
    for column in (column for column in there if column.kind is not ColumnKind.IMAGE):
        old = _states(column, dataset.columns[column.name][old_rows])
        new, unreadable, unseen = _new_states(column, columns[column.name][new_rows])
        found += _unfit(column, unreadable, unseen, n_rows=len(new_rows))
        shifts.append(_compared(column, old, new, action=DROP.format(name=shlex.quote(column.name))))
        old_states.append(old)
        new_states.append(new)
    for fact in facts:
        old_states.append(_states(fact.column, fact.old[old_rows]))
        new_states.append(_states(fact.column, fact.new[new_rows]))
        shifts.append(_compared(fact.column, old_states[-1], new_states[-1], action=LIKE_THEM))
    if not shifts:
        return found
    surely = [s for s in shifts if s.distance >= MIN_DISTANCE and s.chance <= MAX_CHANCE / len(shifts)]
    surely.sort(key=lambda shift: -shift.distance)
    found += [_shifted(shift) for shift in surely[:N_SHOWN]]
    if len(surely) > N_SHOWN:
        found.append(_more(surely[N_SHOWN:]))
    told = _told_apart(np.column_stack(old_states), np.column_stack(new_states), seed=seed)
    return [*found, *_together(told, n_new=n_new)]


def _states(column: Column, values: Array) -> NDArray[np.float64]:
    """Cells as numbers; a missing one lies below all others."""
    states = values.astype(np.float64)
    return np.where(np.isnan(states), -1e38, states) if column.kind.is_numeric else states


def _new_states(column: Column, cells: Array) -> tuple[NDArray[np.float64], int, dict[str, int]]:
    """States of raw cells, how many could not be read, and the categories never seen, which are all one state."""
    decoded = decode(cells, column)
    if column.kind.is_numeric:
        return _states(column, decoded.values), len(decoded.unreadable), {}
    place = {level: float(position) for position, level in enumerate(column.levels)} | {"": -1.0}
    unseen: dict[str, int] = {}
    for text in decoded.values.tolist():
        if text not in place:
            unseen[text] = unseen.get(text, 0) + 1
    return np.array([place.get(text, float(len(column.levels))) for text in decoded.values.tolist()]), 0, unseen


def _compared(column: Column, old: Array, new: Array, *, action: str) -> Shift:
    n_old, n_new = len(old), len(new)
    if column.kind in (ColumnKind.NUMBER, ColumnKind.DATETIME):
        points = np.concatenate([old, new])
        points.sort()
        below_old = np.searchsorted(np.sort(old), points, "right") / n_old
        below_new = np.searchsorted(np.sort(new), points, "right") / n_new
        distance = float(np.abs(below_old - below_new).max())
        # Kolmogorov's limit: 2 exp(-2 n d squared), n the harmonic size
        chance = min(1.0, 2 * math.exp(-2 * distance**2 * n_old * n_new / (n_old + n_new)))
        return Shift(column.name, distance, chance, _middles(column, old, new), action)
    codes = np.unique(np.concatenate([old, new]), return_inverse=True)[1].reshape(-1)
    counts = np.stack([np.bincount(part, minlength=codes.max() + 1) for part in (codes[:n_old], codes[n_old:])])
    shares = counts / counts.sum(axis=1, keepdims=True)
    distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
    words = _most_changed(column, np.unique(np.concatenate([old, new])), shares)
    return Shift(column.name, distance, _chi_square(counts), words, action)


def _chi_square(counts: Array) -> float:
    """The probability of shares so different, rare levels as one."""
    from scipy.stats import chi2_contingency

    common = counts.sum(axis=0) >= 10
    table = np.column_stack([counts[:, common], counts[:, ~common].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    return float(chi2_contingency(table).pvalue) if table.shape[1] > 1 else 1.0


def _middles(column: Column, old: Array, new: Array) -> str:
    absent = [float((states <= -1e38).mean()) for states in (old, new)]
    present = [states[states > -1e38] for states in (old, new)]
    if not all(len(states) for states in present):
        return f"missing in {absent[0]:.0%} of the old rows and {absent[1]:.0%} of the new"
    middles = [float(np.median(states)) for states in present]
    written = [
        str(np.datetime64(int(m), "s").astype("datetime64[D]")) if column.kind is ColumnKind.DATETIME else f"{m:.4g}"
        for m in middles
    ]
    words = f"the median was {written[0]}, now it is {written[1]}"
    return words + (f"; missing {absent[0]:.0%}, now {absent[1]:.0%}" if abs(absent[0] - absent[1]) > 0.01 else "")


def _most_changed(column: Column, states: Array, shares: Array) -> str:
    place = int(np.abs(shares[1] - shares[0]).argmax())
    level = int(states[place])
    name = (
        "missing"
        if level < 0 or states[place] <= -1e38
        else "never seen"
        if level >= len(column.levels)
        else repr(column.levels[level])
    )
    return f"{name} was {shares[0, place]:.0%} of the rows, now it is {shares[1, place]:.0%}"


def _told_apart(old: Array, new: Array, *, seed: int) -> float:
    """Area under the ROC curve of a forest that tells old rows from new ones, out of fold; one half where chance explains it."""
    from sklearn.ensemble import ExtraTreesClassifier

    n_rows = min(len(old), len(new), N_ROWS_TOLD)
    if n_rows < 2 * N_FOLDS:
        return 0.5
    generator = np.random.default_rng(seed)
    matrix = np.concatenate([old[generator.permutation(len(old))[:n_rows]], new[generator.permutation(len(new))[:n_rows]]])
    matrix = np.clip(matrix, -1e38, 1e38).astype(np.float32)
    is_new = np.arange(2 * n_rows) >= n_rows
    folds = generator.permutation(np.arange(2 * n_rows) % N_FOLDS)
    said = np.zeros(2 * n_rows)
    for fold in range(N_FOLDS):
        asked = folds == fold
        forest = ExtraTreesClassifier(n_estimators=N_TREES, min_samples_leaf=3, random_state=seed)
        said[asked] = forest.fit(matrix[~asked], is_new[~asked]).predict_proba(matrix[asked])[:, 1]
    ranks = average_ranks(said)
    area = float((ranks[is_new].mean() - (n_rows - 1) / 2) / n_rows)
    by_chance = math.sqrt((2 * n_rows + 1) / 12) / n_rows  # Mann and Whitney 1947, of two samples of one size
    return area if area - 0.5 >= DEVIATIONS_APART * by_chance else 0.5


def _absent(names: list[str]) -> list[Finding]:
    if not names:
        return []
    return [
        Finding(
            code="absent-columns",
            severity=Severity.SERIOUS,
            where=", ".join(names[:10]),
            what=f"{len(names)} column{'s' if len(names) > 1 else ''} that would be learned from "
            f"{'are' if len(names) > 1 else 'is'} not in the new rows: "
            f"{', '.join(names[:10])}{', …' if len(names) > 10 else ''}.",
            action=f"A model that reads them cannot predict these rows. Add them, or learn without: "
            f"{' '.join(f'--drop {shlex.quote(n)}' for n in names[:10])}.",
            fix=Fix(kind=FixKind.DROP_COLUMN, columns=tuple(names)),
        )
    ]


def _unfit(column: Column, n_unreadable: int, unseen: Mapping[str, int], *, n_rows: int) -> list[Finding]:
    found = []
    if n_unreadable:
        found.append(
            Finding(
                code="unreadable-new-cells",
                severity=Severity.SERIOUS,
                where=column.name,
                what=f"{n_unreadable:,} of {n_rows:,} new cells of {column.name!r} cannot be read as {column.kind.value}.",
                action="Prediction would stop at the first. Mend them, or leave them empty.",
            )
        )
    if unseen:
        common = sorted(unseen, key=lambda text: (-unseen[text], text))
        shown = ", ".join(f"{text[:40]!r} ({unseen[text]:,})" for text in common[:N_SHOWN])
        found.append(
            Finding(
                code="unseen-levels",
                severity=Severity.WARNING if sum(unseen.values()) > 0.01 * n_rows else Severity.NOTE,
                where=column.name,
                what=f"{sum(unseen.values()):,} of {n_rows:,} new rows have {len(unseen):,} "
                f"level{'s' if len(unseen) > 1 else ''} of {column.name!r} that "
                f"no old row has: {shown}{', …' if len(unseen) > N_SHOWN else ''}.",
                action="They are predicted as unknown. A new spelling of a known level can be merged by a fix plan (--fixes).",
            )
        )
    return found


def _shifted(shift: Shift) -> Finding:
    return Finding(
        code="shifted-column",
        severity=Severity.WARNING if shift.distance >= LARGE_DISTANCE else Severity.NOTE,
        where=shift.name,
        what=f"{shift.name!r} is distributed otherwise in the new rows: {shift.words} (distance {shift.distance:.2f} of 1).",
        action=f"Scores measured on the old rows say less about the new ones. {shift.action}",
        probability=min(0.999, 1 - shift.chance),
    )


def _more(shifts: list[Shift]) -> Finding:
    return Finding(
        code="shifted-column",
        severity=Severity.NOTE,
        where=", ".join(shift.name for shift in shifts[:10]),
        what=f"{len(shifts)} more columns are distributed otherwise: "
        f"{', '.join(f'{s.name} {s.distance:.2f}' for s in shifts[:10])}"
        f"{', …' if len(shifts) > 10 else ''}.",
        action="Scores measured on the old rows say less about the new ones.",
        probability=min(0.999, 1 - max(shift.chance for shift in shifts)),
    )


def _together(told: float, *, n_new: int) -> list[Finding]:
    if told < TOLD_APART:
        return []
    severity = Severity.SERIOUS if told >= PLAINLY_APART else Severity.WARNING
    return [
        Finding(
            code="shift",
            severity=severity,
            where="rows",
            what=f"A small forest tells the {n_new:,} new rows from the old ones with ROC-AUC {told:.3f} on rows not learned "
            "from (0.5 is by chance).",
            action="Expect another score on the new rows than on the old. Learn from rows like them, or judge by the latest: "
            "--order.",
        )
    ]
