"""Rows that are nearly equal: copies with a little noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.data.dealing import joined
from cupel.data.duplicates import find_duplicates

Array = NDArray[Any]
Integers = NDArray[np.int64]
Points = NDArray[np.float32]

MIN_ROWS, MAX_ROWS = 100, 200_000
MIN_COLUMNS, MAX_COLUMNS = 3, 200
N_DIMENSIONS = 24
N_PROBED, FEWEST_PROBED, MAX_DISTANCES, N_NEAREST = 600, 200, 12_000_000, 10
NEAR = 0.1
MAX_COPIES = 3
FIRST_USUAL = 5
MIN_SHARE, MIN_FOUND, MAX_CHANCE = 0.015, 8, 1e-5
MAX_COMPONENT = 0.05
REACH = 1.5
"""Times the distance within which nine tenths of the copies that were seen lie."""
N_TABLES, N_HASHED, CELL_WIDTH, WINDOW = 10, 3, 8.0, 6
CHUNK = 200


@dataclass(frozen=True, eq=False)
class NearCopies:
    """Rows that are far nearer to one another than rows of this table are.

    `units` numbers all rows of the dataset; copies, near or exact, share a number. `n_rows` have a near copy; of `n_probed` rows
    `n_found` had neighbours that stand apart from all others, where `n_expected` would.
    """

    units: Integers
    n_rows: int
    n_probed: int
    n_found: int
    n_expected: float
    chance: float


def near_copies(dataset: Dataset, *, seed: int = 0) -> NearCopies | None:
    """Near copies, where there are more than the density of the rows explains; exact ones are not counted.

    Rows become points of at most 24 dimensions: numbers in deviations, a random direction for each category, projected at
    random. Where points lie as they may, (d[k] / d[k + 1]) ** k of the distances to the k-th nearest has the same distribution
    for every k, whatever the local density and dimension. With copies it is near 0 far more often for a k up to 3 than for 5
    to 9: that is what is tested (binomial, 1e-5), on up to 600 rows.

    Source: nearest-neighbour distances of a Poisson process, after Levina and Bickel 2004, "Maximum likelihood estimation of
    intrinsic dimension", eq. 5 and 6; random projections, Johnson and Lindenstrauss 1984.
    """
    columns = dataset.schema.plain_features[:MAX_COLUMNS]
    if len(columns) < MIN_COLUMNS or dataset.n_samples < MIN_ROWS:
        return None
    generator = np.random.default_rng(seed)
    twins = find_duplicates(dataset).twins
    rows = np.unique(twins, return_index=True)[1]
    rows = np.sort(generator.permutation(rows)[:MAX_ROWS])
    if len(rows) < MIN_ROWS:
        return None
    points = _points(dataset, rows, generator)
    n_probed = int(np.clip(MAX_DISTANCES // len(rows), FEWEST_PROBED, N_PROBED))
    probed = np.sort(generator.permutation(len(rows))[:n_probed])
    distances = _nearest(points, probed)
    found = _standing_apart(distances)
    if found is None:
        return None
    n_copies, is_found, n_expected, chance = found
    reach = REACH * float(np.quantile(distances[is_found, n_copies - 1], 0.9))
    pairs = _pairs_within(points, reach, generator)
    units = _components(pairs, len(rows))
    sizes = np.bincount(units)
    if sizes.max() > max(MIN_FOUND, MAX_COMPONENT * len(rows)):
        return None  # no copies: the rows lie on a line, each near to the next
    whole = np.arange(dataset.n_samples, dtype=np.int64) + len(rows)
    whole[rows] = units
    n_rows = int((sizes[units] > 1).sum())
    return NearCopies(joined(twins, whole), n_rows, len(probed), int(is_found.sum()), n_expected, chance)


def copies_finding(copies: NearCopies, dataset: Dataset) -> Finding:
    """The finding that tells of near copies, and what is done about them."""
    is_divided = dataset.schema.group is not None or dataset.schema.time is not None
    by = "the groups decide" if dataset.schema.group is not None else "the order in time decides"
    kept = (
        f"Here {by} which rows are together; near copies may train and judge."
        if is_divided
        else "They are kept, and near copies are always in the same fold, so that no row is judged by its copy."
    )
    return Finding(
        code="near-copies",
        severity=Severity.WARNING,
        where="rows",
        what=f"About {copies.n_rows:,} of {dataset.n_samples:,} rows are nearly equal to another: of {copies.n_probed:,} "
        f"looked at, {copies.n_found:,} have "
        f"neighbours that stand apart from all other rows, where the density of the rows explains {copies.n_expected:.0f}.",
        action=kept,
        probability=min(0.999, 1 - copies.chance),
        fix=None if is_divided else Fix(kind=FixKind.KEEP_TOGETHER, is_safe=True),
    )


def _points(dataset: Dataset, rows: Integers, generator: np.random.Generator) -> Points:
    """Rows as points, shape (rows, dimensions); a missing number is a category of its own."""
    columns = dataset.schema.plain_features[:MAX_COLUMNS]
    is_projected = len(columns) > N_DIMENSIONS or any(not column.kind.is_numeric for column in columns)
    width = N_DIMENSIONS if is_projected else len(columns)
    points = np.zeros((len(rows), width), np.float32)
    for position, column in enumerate(columns):
        direction = generator.normal(size=width) / np.sqrt(width) if is_projected else np.eye(width)[position]
        values = dataset.columns[column.name][rows]
        if not column.kind.is_numeric:
            directions = generator.normal(size=(int(values.max()) + 2, width)) / np.sqrt(2 * width)
            points += directions[values + 1].astype(np.float32)
            continue
        missing = np.isnan(values)
        if missing.all():
            continue
        scaled = _scaled(values, missing)
        points += (scaled[:, None] * direction).astype(np.float32)
        points += (missing[:, None] * generator.normal(size=width) / np.sqrt(width)).astype(np.float32)
    return points


def _scaled(values: Array, missing: NDArray[np.bool_]) -> NDArray[np.float64]:
    """In deviations from the median, 4 at most; missing is 0."""
    present = values[~missing]
    low, high = np.quantile(present, [0.01, 0.99])
    spread = float(np.clip(present, low, high).std()) or float(present.std()) or 1.0
    return np.clip(np.where(missing, 0.0, (values - np.median(present)) / spread), -4.0, 4.0)


def _nearest(points: Points, probed: Integers) -> NDArray[np.float64]:
    """Distances to the nearest others, sorted, shape (probed, nearest)."""
    squares = (points.astype(np.float64) ** 2).sum(axis=1)
    found = np.empty((len(probed), N_NEAREST))
    for start in range(0, len(probed), CHUNK):
        part = probed[start : start + CHUNK]
        apart = squares[part][:, None] + squares[None, :] - 2 * (points[part] @ points.T)
        apart[np.arange(len(part)), part] = np.inf
        nearest = np.argpartition(apart, N_NEAREST, axis=1)[:, :N_NEAREST]
        exact = (
            points[part][:, None, :].astype(np.float64) - points[nearest]
        )  # differences of squares are inexact where it matters
        found[start : start + CHUNK] = np.sort(np.sqrt((exact**2).sum(axis=2)), axis=1)
    return found


def _standing_apart(distances: NDArray[np.float64]) -> tuple[int, NDArray[np.bool_], float, float] | None:
    """How many copies rows have, which rows do, how many would by chance, and the probability of so many; None where there
    are none."""
    from scipy.special import bdtrc  # scipy.stats has the same and takes two seconds to import

    powers = np.arange(1, N_NEAREST)
    with np.errstate(all="ignore"):
        apart = np.nan_to_num((distances[:, :-1] / distances[:, 1:]) ** powers, nan=1.0) < NEAR
    counts = apart.sum(axis=0)
    n_probed = len(distances)
    usual = (float(counts[FIRST_USUAL - 1 :].max()) + 1) / n_probed
    n_copies = int(np.argmax(counts[:MAX_COPIES])) + 1
    n_found = int(counts[n_copies - 1])
    chance = MAX_COPIES * float(bdtrc(n_found - 1, n_probed, min(usual, 1.0)))
    if n_found - usual * n_probed < max(MIN_FOUND, MIN_SHARE * n_probed) or chance > MAX_CHANCE:
        return None
    return n_copies, apart[:, n_copies - 1], usual * n_probed, chance


def _pairs_within(points: Points, reach: float, generator: np.random.Generator) -> Integers:
    """Pairs of rows at most `reach` apart, shape (2, pairs), found in ten hash tables of cells eight times as wide.

    Source: locality-sensitive hashing, Datar et al. 2004, doi:10.1145/997817.997857.
    """
    n_rows, width = points.shape
    found = [np.empty((2, 0), np.int64)]
    cell = max(CELL_WIDTH * reach, 1e-12)
    for _ in range(N_TABLES):
        lines = points @ (generator.normal(size=(width, N_HASHED + 1)) / np.sqrt(width)).astype(np.float32)
        cells = np.floor(lines[:, :N_HASHED] / cell + generator.random(N_HASHED)).astype(np.int64).view(np.uint64)
        hashes = np.zeros(n_rows, np.uint64)
        for column in cells.T:
            hashes = (hashes + column) * np.uint64(0x9E3779B97F4A7C15)
            hashes ^= hashes >> np.uint64(29)
        order = np.lexsort((lines[:, N_HASHED], hashes))
        for step in range(1, WINDOW + 1):
            first, second = order[:-step], order[step:]
            same = (hashes[first] == hashes[second]) & (np.abs(lines[first, -1] - lines[second, -1]) <= cell)
            first, second = first[same], second[same]
            is_near = ((points[first] - points[second]) ** 2).sum(axis=1) <= reach**2
            found.append(np.stack([first[is_near], second[is_near]]))
    return np.concatenate(found, axis=1)


def _components(pairs: Integers, n_rows: int) -> Integers:
    """A number for each row, the same for rows that pairs connect."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    links = coo_matrix((np.ones(pairs.shape[1], np.int8), (pairs[0], pairs[1])), shape=(n_rows, n_rows))
    return np.asarray(connected_components(links, directed=False)[1], np.int64)
