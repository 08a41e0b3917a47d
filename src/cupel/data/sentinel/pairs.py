"""Two columns that give the target away together, where neither does alone."""

from __future__ import annotations

import shlex
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.data.association import average_ranks
from cupel.data.skill import Bench

Array = NDArray[Any]

MAX_COLUMNS = 60
N_BINS = 8
MIN_GAIN = 0.2
"""What two columns must explain beyond the better of them, by the quick look, to be looked at closely."""
N_ASKED = 3
ALMOST_PERFECT_CLASSES, ALMOST_PERFECT_NUMBERS = 0.95, 0.99
NOT_ALONE = 0.8
ERROR_RATIO = 4
MAX_MISFIT = 1e-3
MAX_FACTORS = 4
N_ROWS = 4_000
MIN_ROWS = 60


def find_pair_leaks(dataset: Dataset, bench: Bench, known: set[str]) -> list[Finding]:
    """Pairs of columns not in `known` that almost determine the target, while neither alone nor all others do.

    A quick look at every pair (counts over 8 by 8 bins, and the exact multiple correlation of numbers and of their
    logarithms) chooses the six that gain most by being two; a small forest on both, their sum, difference, product and ratio
    then has to avoid 95 % of the mistakes (explain 99 % of the rank variance) on rows not learned from. A
    product of powers that equals the target to a thousandth is found without it.
    """
    names = [column.name for column in dataset.schema.plain_features if column.name not in known][:MAX_COLUMNS]
    if len(bench.rows) < MIN_ROWS or len(names) < 2:
        return []
    formula = [] if bench.is_classification else _product(bench, dataset, known)
    if formula:
        return formula
    used = slice(0, N_ROWS)
    states = {name: bench.states(name)[used] for name in names}
    answers = bench.answers[used]
    gains = _binned_gains(states, answers)
    linear = _linear_gains(dataset, states, answers)
    asked = dict.fromkeys([*_best(gains), *_best(linear)])
    found = [finding for pair in asked for finding in _judged(dataset, bench, pair, known)]
    return found[:N_ASKED]


def _best(gains: dict[tuple[str, str], float]) -> list[tuple[str, str]]:
    ranked = sorted(gains, key=lambda pair: -gains[pair])
    return [pair for pair in ranked if gains[pair] >= MIN_GAIN][:N_ASKED]


def _binned_gains(states: dict[str, Array], answers: Array) -> dict[tuple[str, str], float]:
    """What a table of joint bins, counted on every other row, explains on the rest beyond the better column's own bins."""
    codes = {name: _bins(values) for name, values in states.items()}
    learned = np.arange(len(answers)) % 2 == 0
    single = {name: _explained(bins, N_BINS, answers, learned) for name, bins in codes.items()}
    return {
        (first, second): _explained(codes[first] * N_BINS + codes[second], N_BINS**2, answers, learned)
        - max(single[first], single[second])
        for first, second in combinations(codes, 2)
    }


def _bins(values: Array) -> Array:
    ranks = average_ranks(values)
    distinct, codes = np.unique(ranks, return_inverse=True)
    if len(distinct) <= N_BINS:
        return np.asarray(codes.reshape(-1))
    return np.minimum((ranks + 0.5) * N_BINS / len(ranks), N_BINS - 1).astype(np.int64)


def _explained(codes: Array, n_codes: int, answers: Array, learned: Array) -> float:
    """The share of the answers' variance on the other rows that the means of the bins explain."""
    counts = np.bincount(codes[learned], minlength=n_codes)
    overall = answers[learned].mean(axis=0)
    sums = np.stack([np.bincount(codes[learned], column, minlength=n_codes) for column in answers[learned].T], axis=1)
    means = (sums + overall) / (counts + 1)[:, None]
    missed = float(((answers[~learned] - means[codes[~learned]]) ** 2).sum())
    total = float(((answers[~learned] - overall) ** 2).sum())
    return 1 - missed / total if total > 0 else 0.0


def _linear_gains(dataset: Dataset, states: dict[str, Array], answers: Array) -> dict[tuple[str, str], float]:
    """The squared multiple correlation of two numeric columns beyond the better one's own, plain or of logarithms."""
    numeric = [name for name in states if dataset.schema[name].kind.is_numeric and np.isfinite(states[name]).all()]
    gains: dict[tuple[str, str], float] = {}
    for scale in (np.asarray, np.log):
        usable = [name for name in numeric if scale is np.asarray or states[name].min() > 0]
        usable = [name for name in usable if np.ptp(scale(states[name])) > 0]
        if len(usable) < 2:
            continue
        matrix = np.column_stack([scale(states[name]) for name in usable])
        correlations = np.corrcoef(matrix / np.abs(matrix).max(axis=0), rowvar=False)
        for answer in answers.T[: min(answers.shape[1], 10)]:
            own = (
                np.array([np.corrcoef(column, answer)[0, 1] for column in matrix.T])
                if np.ptp(answer) > 0
                else np.zeros(len(usable))
            )
            gain = _multiple(correlations, own) - np.maximum(own[:, None] ** 2, own[None, :] ** 2)
            for first, second in zip(*np.nonzero(np.triu(gain, 1) >= MIN_GAIN), strict=True):
                pair = (usable[first], usable[second])
                gains[pair] = max(gains.get(pair, 0.0), float(gain[first, second]))
    return gains


def _multiple(correlations: Array, own: Array) -> Array:
    """R squared of one variable on each two others, from all correlations."""
    rest = np.maximum(1 - correlations**2, 1e-9)
    whole = (own[:, None] ** 2 + own[None, :] ** 2 - 2 * np.outer(own, own) * correlations) / rest
    return np.asarray(np.clip(whole, 0.0, 1.0))


def _judged(dataset: Dataset, bench: Bench, pair: tuple[str, str], known: set[str]) -> list[Finding]:
    limit = ALMOST_PERFECT_CLASSES if bench.is_classification else ALMOST_PERFECT_NUMBERS
    alone = max(bench.alone(name) for name in pair)
    if alone >= NOT_ALONE:
        return []
    first, second = (np.where(np.isfinite(values), values, np.nan) for values in map(bench.states, pair))
    with np.errstate(all="ignore"):
        ratio, product = first / second, first * second
    derived = np.column_stack([first, second, first + second, first - second, product, ratio])
    skill, _, _ = bench.grown(np.where(np.isfinite(derived), derived, -np.inf))
    if skill < limit:
        return []
    rest = [column.name for column in dataset.schema.plain_features if column.name not in (*pair, *known)]
    others, used, _ = bench.together(rest)
    if 1 - others < ERROR_RATIO * max(1 - skill, 1 / int(used.sum())):
        return []
    verb = (
        "avoid {:.1%} of the mistakes of a constant guess" if bench.is_classification else "explain {:.1%} of the target's ranks"
    )
    what = (
        f"{pair[0]!r} and {pair[1]!r} together give the target away: on rows not learned from they {verb.format(skill)}, the "
        "better "
        f"of them alone {alone:.0%}, all other columns {others:.0%}."
    )
    return [_finding(pair, what)]


def _finding(names: tuple[str, ...], what: str) -> Finding:
    options = " ".join(f"--drop {shlex.quote(name)}" for name in names)
    return Finding(
        code="pair-leak",
        severity=Severity.SERIOUS,
        where=", ".join(names),
        what=what,
        action=f"They are kept. If they are not known at the moment of prediction, leave one or both out with {options}.",
        probability=0.99,
        fix=Fix(kind=FixKind.DROP_COLUMN, columns=names),
    )


def _product(bench: Bench, dataset: Dataset, known: set[str]) -> list[Finding]:
    """A finding if the target is a product of powers of some positive columns, found on half the rows, true on the rest."""
    assert dataset.target is not None, "leaks are looked for where there is a target"
    rows = slice(0, N_ROWS)
    target = dataset.target[bench.rows[rows]]
    names = [column.name for column in dataset.schema.numeric_features if column.name not in known]
    columns = {name: bench.states(name)[rows] for name in names[:MAX_COLUMNS]}
    positive = {name: values for name, values in columns.items() if values.min() > 0 and np.ptp(values) > 0}
    if target.min() <= 0 or len(positive) < 2 or len(target) < 4 * len(positive) + 8:
        return []
    names, matrix = list(positive), np.log(np.column_stack(list(positive.values())))
    answer = np.log(target)
    kept = np.arange(len(names))
    for _ in range(2):  # once with all, once with those that have a weight
        design = np.column_stack([matrix[:, kept], np.ones(len(target))])
        weights = np.linalg.lstsq(design[::2], answer[::2], rcond=None)[0]
        misfit = np.abs(design[1::2] @ weights - answer[1::2])
        if np.quantile(misfit, 0.95) > MAX_MISFIT * max(1.0, float(answer.std())):
            return []
        told = np.abs(weights[:-1]) * matrix[:, kept].std(axis=0) > 10 * MAX_MISFIT * float(answer.std())
        kept, weights = kept[told], weights[:-1][told]
        if not 2 <= len(kept) <= MAX_FACTORS:
            return []
    factors = " × ".join(
        names[place] if abs(power - 1) < 0.01 else f"{names[place]}^{power:.3g}"
        for place, power in zip(kept, weights, strict=True)
    )
    what = f"The target is made of other columns: {dataset.schema.target} is proportional to {factors}, nearly without error."
    return [_finding(tuple(names[place] for place in kept), what)]
