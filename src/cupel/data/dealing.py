"""Divides rows into parts, whole units at a time, keeping proportions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Integers = NDArray[np.int64]

MAX_GREEDY_UNITS = 20_000
MAX_COMPOSITION_CELLS = 20_000_000
N_DRAWS = 20


def compact(labels: Array) -> Integers:
    """The same labels numbered from 0."""
    return np.unique(labels, return_inverse=True)[1].reshape(-1).astype(np.int64)


def joined(first: Integers, second: Integers) -> Integers:
    """Numbers from 0 for rows; two rows share one if either numbering puts them together, directly or through others."""
    parts = np.arange(len(first), dtype=np.int64)
    groupings = (compact(first), compact(second))
    while True:
        before = parts
        for grouping in groupings:
            least = np.full(int(grouping.max(initial=-1)) + 1, len(parts), np.int64)
            np.minimum.at(least, grouping, parts)
            parts = least[grouping]
        if np.array_equal(parts, before):
            return compact(parts)


def deal(units: Integers, strata: Integers, *, n_parts: int, generator: np.random.Generator) -> Integers:
    """A part number for each row: units whole, parts of like size, strata in like proportions.

    `units` and `strata` number from 0. Where all units are single rows, a stratum's rows and the sizes of the parts
    differ by one at most. Larger units are placed first, each where it disturbs the proportions least; single rows
    then even out what these left uneven. No part stays empty if there are as many units as parts.

    Source: after StratifiedGroupKFold of scikit-learn 1.0, with the even filling of single rows added.
    """
    sizes = np.bincount(units)
    parts = np.full(len(units), -1, np.int64)
    counts = np.zeros((n_parts, int(strata.max()) + 1))
    large = np.flatnonzero(sizes > 1)
    if len(large):
        part_of_unit, counts = _place_units(units, strata, n_parts=n_parts, generator=generator)
        parts = part_of_unit[units]
    single = np.flatnonzero(parts < 0)
    single = generator.permutation(single)
    by_stratum = single[np.argsort(strata[single], kind="stable")]
    ends = np.cumsum(np.bincount(strata[single], minlength=counts.shape[1]))
    for stratum, rows in enumerate(np.split(by_stratum, ends[:-1])):
        if len(rows):
            quotas = _even_quotas(counts[:, stratum], counts.sum(axis=1), n_rows=len(rows), generator=generator)
            parts[rows] = np.repeat(np.arange(n_parts), quotas)
            counts[:, stratum] += quotas
    return parts


def draw(units: Integers, strata: Integers, *, share: float, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Marks about `share` of the rows: units whole, strata in proportion; a stratum of one unit gives none.

    At least one unit is marked, and at least one left, if there are two.
    """
    n_units = int(units.max()) + 1
    sizes = np.bincount(units)
    stratum_of = np.empty(n_units, np.int64)
    stratum_of[units] = strata  # units of several strata count for the one of their last row
    quotas = _draw_quotas(stratum_of, sizes, share=share, generator=generator)
    order = generator.permutation(n_units)
    order = order[sizes[order] <= np.maximum(1, 2 * quotas[stratum_of[order]])]
    order = order[np.argsort(stratum_of[order], kind="stable")]
    sums = np.cumsum(sizes[order]) - sizes[order]
    starts = np.searchsorted(stratum_of[order], np.arange(len(quotas)))
    before = sums - np.append(sums, 0)[starts[stratum_of[order]]]
    chosen = np.zeros(n_units, bool)
    chosen[order[before + sizes[order] / 2 < quotas[stratum_of[order]]]] = True
    if not chosen.any() or chosen.all():
        chosen[:] = False
        chosen[np.argmin(sizes)] = n_units > 1
    return np.asarray(chosen[units])


def draw_like_whole(units: Integers, strata: Integers, *, share: float, generator: np.random.Generator) -> NDArray[np.bool_]:
    """As `draw`, for units of many rows and mixed strata: of 20 draws the one nearest to `share` of every stratum."""
    whole = np.bincount(strata)
    alike = np.zeros(len(units), np.int64)
    best, best_distance = np.zeros(len(units), bool), np.inf
    for _ in range(N_DRAWS):
        marked = draw(units, alike, share=share, generator=generator)
        got = np.bincount(strata[marked], minlength=len(whole))
        distance = float((np.abs(got - share * whole) / np.sqrt(np.maximum(share * whole, 1))).sum())
        if distance < best_distance:
            best, best_distance = marked, distance
    return best


def _draw_quotas(stratum_of: Integers, sizes: Array, *, share: float, generator: np.random.Generator) -> Integers:
    n_units = np.bincount(stratum_of)
    wanted = np.where(n_units > 1, share * np.bincount(stratum_of, sizes), 0.0)
    quotas = np.floor(wanted).astype(np.int64)
    n_left = round(float(wanted.sum())) - int(quotas.sum())
    by_remainder = np.lexsort((generator.random(len(wanted)), quotas - wanted))
    for stratum in by_remainder[: max(0, n_left)]:
        quotas[stratum] += n_units[stratum] > 1
    # Early stopping should see every class, unless there are very many: the extra rows stay below a quarter.
    starved = np.flatnonzero((quotas == 0) & (n_units >= 3))
    quotas[starved[: 1 + int(wanted.sum() / 4)]] = 1
    return quotas


def _place_units(
    units: Integers, strata: Integers, *, n_parts: int, generator: np.random.Generator
) -> tuple[Integers, NDArray[np.float64]]:
    """A part for each unit of several rows (-1 for the others), and the rows of each part and stratum so placed."""
    sizes, n_strata = np.bincount(units), int(strata.max()) + 1
    large = np.flatnonzero(sizes > 1)
    position = np.full(len(sizes), -1)
    position[large] = np.arange(len(large))
    rows = np.flatnonzero(position[units] >= 0)
    if len(large) * n_strata > MAX_COMPOSITION_CELLS:
        strata, n_strata = np.zeros_like(strata), 1
    flat = np.bincount(position[units[rows]] * n_strata + strata[rows], minlength=len(large) * n_strata)
    compositions = flat.reshape(len(large), n_strata)
    ideal = np.bincount(strata, minlength=n_strata) / n_parts
    placed = _place_compositions(compositions, ideal, n_parts=n_parts, generator=generator)
    part_of_unit = np.full(len(sizes), -1, np.int64)
    part_of_unit[large] = placed
    counts = np.zeros((n_parts, n_strata))
    np.add.at(counts, placed, compositions)
    return part_of_unit, counts


def _place_compositions(compositions: Array, ideal: Array, *, n_parts: int, generator: np.random.Generator) -> Integers:
    """A part for each row of `compositions` (rows of each stratum in a unit); like units are dealt out in turn if many."""
    n_units = len(compositions)
    if n_units <= MAX_GREEDY_UNITS:
        members = [np.array([unit]) for unit in generator.permutation(n_units)]
    else:
        weights = np.random.default_rng(0).integers(1, 2**62, compositions.shape[1])
        kinds = compact(compositions @ weights)
        shuffled = generator.permutation(n_units)
        by_kind = shuffled[np.argsort(kinds[shuffled], kind="stable")]
        members = np.split(by_kind, np.cumsum(np.bincount(kinds))[:-1])
    sizes = compositions.sum(axis=1)
    members.sort(key=lambda units: -int(sizes[units[0]]))
    parts = np.empty(n_units, np.int64)
    state = np.zeros((n_parts, len(ideal) + 1))
    target = np.append(ideal, ideal.sum())
    weight = 1 / np.maximum(target, 1)
    for alike in members:
        added = np.append(compositions[alike[0]], sizes[alike[0]])
        n_each, n_rest = divmod(len(alike), n_parts)
        state += n_each * added
        rest = []
        for _ in range(n_rest):
            cost = (2 * (state - target) + added) @ (added * weight)
            rest.append(int(np.argmin(cost)))
            state[rest[-1]] += added
        parts[alike] = np.concatenate([np.repeat(np.arange(n_parts), n_each), np.array(rest, np.int64)])
    return parts


def _even_quotas(levels: Array, totals: Array, *, n_rows: int, generator: np.random.Generator) -> Integers:
    """How many of `n_rows` each part gets, so that `levels` end as even as can be; odd ones go to the smallest parts."""
    order = np.argsort(levels, kind="stable")
    sums = np.cumsum(levels[order])
    n_filled = len(levels)
    while (sums[n_filled - 1] + n_rows) / n_filled < levels[order[n_filled - 1]]:
        n_filled -= 1
    filled = order[:n_filled]
    quotas = np.zeros(len(levels), np.int64)
    quotas[filled] = (np.floor((sums[n_filled - 1] + n_rows) / n_filled) - levels[filled]).astype(np.int64)
    smallest = np.lexsort((generator.random(n_filled), (totals + quotas)[filled]))
    quotas[filled[smallest[: n_rows - int(quotas.sum())]]] += 1
    return quotas
