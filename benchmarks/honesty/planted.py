"""Leaks planted into real tables: eight kinds, each into five tables, in five ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars

Frame = polars.DataFrame


@dataclass(frozen=True)
class Plant:
    """A table with a leak: the kind, the frame, its target, and the findings that name the leak (codes, and where)."""

    kind: str
    frame: Frame
    target: str
    codes: frozenset[str]
    where: frozenset[str]


KINDS: dict[str, Callable[[Frame, str, np.ndarray, int, np.random.Generator], Plant]] = {}
ALONE = {"leak", "possible-leak"}


def planted(kind: str, frame: Frame, target: str, *, variant: int, seed: int) -> Plant:
    """The table with a leak of that kind; `variant` 0 to 4 is the way in which it is planted."""
    generator = np.random.default_rng(seed)
    return KINDS[kind](frame, target, outcome(frame, target), variant, generator)


def outcome(frame: Frame, target: str) -> np.ndarray:
    """The target as numbers: codes of classes in the order of their names, or values."""
    values = frame[target].to_numpy()
    numbers = frame[target].cast(polars.Float64, strict=False)
    if numbers.null_count() == 0 and numbers.n_unique() > 20:
        return numbers.to_numpy()
    return np.unique(values.astype(str), return_inverse=True)[1].reshape(-1).astype(float)


def is_coded(y: np.ndarray) -> bool:
    return len(np.unique(y)) <= 10 and bool((y == np.floor(y)).all())


def _kind(name: str) -> Callable:
    def register(plant: Callable) -> Callable:
        KINDS[name] = plant
        return plant

    return register


def _with(frame: Frame, name: str, values: np.ndarray | list) -> Frame:
    """With one more column, at a place in the middle, as text as a file would bring it."""
    texts = [None if value is None or value != value else str(value) for value in list(values)]
    cells, names = polars.Series(name, texts, dtype=polars.String), frame.columns
    return frame.with_columns(cells).select(*names[: len(names) // 2], name, *names[len(names) // 2 :])


@_kind("one column")
def one_column(frame: Frame, target: str, y: np.ndarray, variant: int, draw: np.random.Generator) -> Plant:
    """A renamed copy; one with a little noise; a monotone function; the target with some rows wrong; what is there only
    after the outcome."""
    n, spread = len(y), float(y.std())
    noise = draw.normal(size=n)
    flipped = np.where(draw.random(n) < 0.01, draw.permutation(y), y)
    ways = [
        np.array([f"K{int(code)}" for code in y]) if is_coded(y) else np.round(2 * y + 7, 6),
        np.round(y + 0.01 * spread * noise, 6) if not is_coded(y) else np.round(y + 0.15 * np.tanh(noise), 4),
        np.round(np.exp((y - y.mean()) / spread), 9),
        flipped if is_coded(y) else np.round(y + 0.005 * spread * noise, 6),
        np.where(y == y.max(), np.round(100 * np.abs(noise), 2), np.nan)
        if is_coded(y)
        else np.round(y / 100 + 0.0001 * spread * noise, 8),
    ]
    return Plant("one column", _with(frame, "later", ways[variant]), target, frozenset(ALONE), frozenset(["later"]))


@_kind("pair")
def pair(frame: Frame, target: str, y: np.ndarray, variant: int, draw: np.random.Generator) -> Plant:
    """A difference; a product; for classes an exclusive or, of bits or of signs; a threshold on a difference; a sum with
    noise."""
    n, spread = len(y), float(y.std())
    first = draw.gamma(4.0, 2.0, n)
    if is_coded(y):
        code = (y - y.min()).astype(int)
        n_classes = int(code.max()) + 1
        mask = draw.integers(0, n_classes, n)
        base = draw.normal(size=n) * 10 * n_classes
        ways = [
            (mask, (code - mask) % n_classes),
            (np.round(base, 3), np.round(base + code + 0.2 * np.tanh(draw.normal(size=n)), 3)),
            (np.array([f"a{m}" for m in mask]), np.array([f"b{m}" for m in (code + mask) % n_classes])),
            (np.round(base, 3), np.round(2 + code - base, 3)),
            (mask, (code + mask) % n_classes),
        ]
    else:
        ways = [
            (np.round(10 * spread * first + y, 4), np.round(10 * spread * first, 4)),
            (np.round(first, 6), np.round(y / first, 6)),
            (np.round(5 * spread * first, 4), np.round(y + 0.01 * spread * draw.normal(size=n) - 5 * spread * first, 4)),
            (np.round(first, 6), np.round(y * first, 6)),
            (np.round(10 * spread * first + y, 4), np.round(10 * spread * first + 0.01 * spread * draw.normal(size=n), 4)),
        ]
    left, right = ways[variant]
    planted_frame = _with(_with(frame, "before", left), "after", right)
    return Plant("pair", planted_frame, target, frozenset({"pair-leak", "leak"}), frozenset(["before", "after"]))


@_kind("row order")
def row_order(frame: Frame, target: str, y: np.ndarray, variant: int, draw: np.random.Generator) -> Plant:
    """Sorted by the target; sorted with noise; in stretches of one outcome; a slow drift; alternating by a pattern of blocks."""
    n = len(y)
    ranks = np.argsort(np.argsort(y + 1e-9 * draw.normal(size=n))) / n
    ways = [
        ranks,
        ranks + 0.3 * draw.normal(size=n),
        np.floor(5 * ranks) * 0.2 + 0.1 * draw.random(n),
        ranks + 0.7 * draw.normal(size=n),
        (np.floor(20 * ranks) * 7 % 20) + draw.random(n),
    ]
    order = np.argsort(ways[variant], kind="stable")
    return Plant("row order", frame[order], target, frozenset({"row-order", "sorted-by-target"}), frozenset(["rows"]))


@_kind("identifier")
def identifier(frame: Frame, target: str, y: np.ndarray, variant: int, draw: np.random.Generator) -> Plant:
    """Numbered by outcome; a prefix for it; parity; a last letter; numbers from ranges by outcome, with overlap."""
    n = len(y)
    high = y > np.median(y) if y.max() > np.median(y) else y == y.max()
    order = np.argsort(np.argsort(y + 0.3 * float(y.std()) * draw.normal(size=n)))
    serial = draw.permutation(n) + 10_000
    ways = [
        [f"{rank + 1}" for rank in order],
        [f"{'AC' if up else 'BD'}-{number}" for up, number in zip(high, serial, strict=True)],
        [f"X{2 * number + int(up)}" for up, number in zip(high, serial, strict=True)],
        [f"{number}{'P' if up else 'Q'}" for up, number in zip(high, serial, strict=True)],
        [f"T{100_000 + 3 * rank + int(draw.integers(0, 3))}" for rank in order],
    ]
    name = "record_id"
    codes = frozenset({"telling-identifier", *ALONE})
    return Plant("identifier", _with(frame, name, ways[variant]), target, codes, frozenset([name]))


def _jittered(frame: Frame, target: str, rows: np.ndarray, share: float, draw: np.random.Generator) -> Frame:
    """Rows of the frame with noise in each number: so many deviations; whole numbers of few values stay."""
    copies = frame[rows]
    for name in frame.columns:
        numbers = frame[name].cast(polars.Float64, strict=False)
        if name == target or numbers.null_count() > frame[name].null_count() or numbers.drop_nulls().n_unique() <= 10:
            continue
        values = copies[name].cast(polars.Float64).to_numpy()
        noisy = values + share * float(np.nanstd(numbers.to_numpy())) * draw.normal(size=len(rows))
        copies = copies.with_columns(polars.Series(name, [None if v != v else f"{v:.6g}" for v in noisy], dtype=polars.String))
    return copies


@_kind("near copies")
def near_copies(frame: Frame, target: str, y: np.ndarray, variant: int, draw: np.random.Generator) -> Plant:
    """10 to 40 % of the rows once or twice more, with noise of 0.1 to 2 % of a deviation in every number."""
    share, noise, times = [(0.1, 0.001, 1), (0.2, 0.01, 1), (0.4, 0.01, 1), (0.2, 0.02, 2), (0.1, 0.005, 2)][variant]
    chosen = draw.choice(len(y), int(share * len(y)), replace=False)
    parts = [frame, *(_jittered(frame, target, chosen, noise, draw) for _ in range(times))]
    whole = polars.concat(parts)
    return Plant("near copies", whole[draw.permutation(len(whole))], target, frozenset({"near-copies"}), frozenset(["rows"]))


@_kind("groups")
def groups(frame: Frame, target: str, y: np.ndarray, variant: int, draw: np.random.Generator) -> Plant:
    """Things measured 3 to 8 times: numbers differ by 0.1 to 0.4 deviations, the outcome is the thing's."""
    size, noise = [(3, 0.2), (5, 0.3), (8, 0.4), (4, 0.1), (6, 0.25)][variant]
    n_things = min(len(y), max(60, len(y) // size))
    chosen = np.repeat(draw.choice(len(y), n_things, replace=False), size)
    whole = _jittered(frame, target, chosen, noise, draw)
    name = ["patient", "machine", "household", "session_id", "customer"][variant]
    things = [f"{name[:2]}{number}" if variant % 2 else str(1000 + number) for number in chosen]
    whole = _with(whole, name, things)[draw.permutation(len(whole))]
    return Plant("groups", whole, target, frozenset({"group-leak", "repeated-identifier"}), frozenset([name]))


@_kind("time")
def in_time(frame: Frame, target: str, y: np.ndarray, variant: int, draw: np.random.Generator) -> Plant:
    """Outcomes that drift with a date; the next row's outcome; a centred average of outcomes; a date after the outcome; a
    lead of two."""
    n = len(y)
    start = np.datetime64("2021-01-01")
    dates = [str(start + np.timedelta64(day, "h")) for day in np.arange(n) * 7]
    if variant == 0:
        drift = np.argsort(np.argsort(np.argsort(np.argsort(y)) / n + 0.6 * draw.normal(size=n)))
        whole = _with(frame, "date", [dates[place] for place in drift])
        return Plant("time", whole[draw.permutation(n)], target, frozenset({"time-leak"}), frozenset(["date"]))
    if variant == 3:
        wait = np.where(y > np.median(y), 5.0, 40.0) * (0.5 + draw.random(n))
        after = [np.timedelta64(int(86_400 * days), "s") for days in wait]
        closed = [str(np.datetime64(date, "s") + days) for date, days in zip(dates, after, strict=True)]
        whole = _with(_with(frame, "opened", dates), "closed", closed)
        return Plant("time", whole[draw.permutation(n)], target, frozenset({"late-date", *ALONE}), frozenset(["closed"]))
    centred = np.convolve(np.pad(y, 2, mode="edge"), np.ones(5) / 5, "valid")
    later = {1: np.append(y[1:], y[-1]), 2: centred, 4: np.append(y[2:], [y[-1], y[-1]])}
    whole = _with(_with(frame, "date", dates), "signal", np.round(later[variant], 9))
    shuffled = draw.permutation(n) if variant == 4 else np.arange(n)
    return Plant("time", whole[shuffled], target, frozenset({"future-column"}), frozenset(["signal"]))


@_kind("preparation outside of folds")
def prepared_outside(frame: Frame, target: str, y: np.ndarray, variant: int, draw: np.random.Generator) -> Plant:
    """Mean target of a category of many levels, over all rows: plain, smoothed, the category left out, rounded, leave-one-out."""
    n = len(y)
    codes = draw.integers(0, max(20, n // 12), n)
    is_numeric = frame[target].cast(polars.Float64, strict=False).null_count() == 0
    answer = y if is_numeric or len(np.unique(y)) == 2 else (y == y.max()).astype(float)
    counts = np.maximum(np.bincount(codes), 1)
    sums = np.bincount(codes, answer)
    means, prior = sums / counts, float(answer.mean())
    smoothed = (sums + 10 * prior) / (counts + 10)
    left_out = (sums[codes] - answer) / np.maximum(counts[codes] - 1, 1)
    decimals = max(0, 4 - int(np.floor(np.log10(max(float(answer.std()), 1e-9)))))
    ways = [means[codes], smoothed[codes], smoothed[codes], np.round(means[codes], decimals), left_out]
    whole = _with(frame, "rate", ways[variant])
    if variant not in (2, 3):
        whole = _with(whole, "branch", [f"b{code}" for code in codes])
    return Plant("preparation outside of folds", whole, target, frozenset({"target-encoding", *ALONE}), frozenset(["rate"]))
