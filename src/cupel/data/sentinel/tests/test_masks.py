"""Masks pass through the sentinel: what tells how much of a mask a class covers is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cupel.core.dataset import Dataset
from cupel.core.finding import Finding, Severity
from cupel.core.fix import FixKind
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import Task, TaskKind
from cupel.data.profiling import profile
from cupel.data.quality import judge_quality
from cupel.data.sentinel import find_hidden_leaks

N, GRID = 120, (16, 16)
CLASSES = ("ground", "cell", "edge")
SHARES = np.random.default_rng(0).integers(1, 12, N)
"""Rows of a mask that are of the second class; a row more is of the third."""


def masked(names: list[str] | None = None, *, order: np.ndarray | None = None, source: str = "") -> Dataset:
    """Noise upon a ground of its own for each share, and masks whose upper part is of the second class."""
    generator = np.random.default_rng(1)
    shares = SHARES if order is None else SHARES[order]
    pictures, masks = (np.empty(N, dtype=object) for _ in range(2))
    target = np.zeros((N, *GRID), np.uint8)
    for row, share in enumerate(shares.tolist()):
        pictures[row] = (generator.integers(0, 60, (8, 8, 1)) + 15 * share).astype(np.uint8)
        target[row, :share], target[row, share : share + 1] = 1, 2
        masks[row] = target[row][:, :, None]
    columns = (
        Column(name="picture", kind=ColumnKind.IMAGE, channels=1),
        Column(name="mask", kind=ColumnKind.IMAGE, channels=1, levels=CLASSES),
    )
    return Dataset(
        Schema(columns, target="mask"),
        {"picture": pictures, "mask": masks},
        "made",
        task=Task(kind=TaskKind.SEGMENTATION, target="mask", metric="dice", classes=CLASSES, grid=GRID),
        target=target,
        row_numbers=np.arange(N),
        source=source,
        names={} if names is None else {"picture": np.array(names, dtype=object)},
    )


def found_in(dataset: Dataset) -> dict[str, Finding]:
    return {finding.code: finding for finding in find_hidden_leaks(dataset, [])}


def serial(row: int) -> str:
    return f"{np.random.default_rng(row).integers(1 << 40):x}.png"


def test_honest_masks_draw_no_finding() -> None:
    assert found_in(masked()) == {}
    assert found_in(masked([serial(row) for row in range(N)])) == {}


def test_names_that_tell_how_much_is_covered_are_a_note() -> None:
    found = found_in(masked([f"scan_{100 * share + row % 100:05d}.png" for row, share in enumerate(SHARES)]))
    finding = found["telling-files"]
    assert (finding.severity, finding.where) == (Severity.NOTE, "picture")
    assert finding.what.startswith("Of how much of a mask is 'cell': ")
    assert finding.contrast is not None
    assert len(finding.contrast.rows) == len(finding.contrast.states)


def test_bytes_of_files_are_not_held_against_masks(tmp_path: Path) -> None:
    names = [serial(row) for row in range(N)]
    for name, share in zip(names, SHARES.tolist(), strict=True):
        (tmp_path / name).write_bytes(bytes(100 * share))
    assert found_in(masked(names, source=str(tmp_path))) == {}


def test_names_that_begin_alike_where_masks_are_alike_ask_for_groups() -> None:
    order = np.argsort(SHARES, kind="stable")
    shuffled = np.random.default_rng(2).permutation(order)
    place = {row: where for where, row in enumerate(order.tolist())}
    names = [f"patient{place[row] // 4:02d}_{'abcd'[place[row] % 4]}.png" for row in shuffled.tolist()]
    finding = found_in(masked(names, order=shuffled))["group-leak"]
    assert "'patient" in finding.what
    assert finding.contrast is not None
    units = finding.contrast.units
    assert units is not None
    assert [units[row] == units[0] for row in range(N)] == [name[:9] == names[0][:9] for name in names]


def test_an_order_of_the_files_that_tells_is_found_and_put_into_words_by_the_whole_gate() -> None:
    wave = np.argsort(np.argsort(np.sin(np.arange(N) / 8)))
    dataset = masked(order=np.argsort(SHARES, kind="stable")[wave])
    finding = found_in(dataset)["row-order"]
    assert finding.fix is not None
    assert finding.fix.kind is FixKind.ORDER
    codes = {each.code for each in judge_quality(dataset, profile(dataset.unasked))}
    assert "row-order" in codes
    assert not codes & {"skewed-target", "extreme-targets"}
