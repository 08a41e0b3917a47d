"""The same seed and effort give the same leaderboard, on one core or on two, now and again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars
import pytest

CORES = sorted(os.sched_getaffinity(0))[:2]
FAMILIES = "linear,LightGBM,ExtraTrees,kNN,MLP,TabM"
TIMED = {"fit_seconds", "latency_ms", "bytes"}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(len(CORES) < 2, reason="this process may use one core only"),
]


def fit(table: Path, out: Path, *, cores: list[int]) -> Path:
    """`cupel fit` in a process that may use these cores; returns the run folder."""
    pinned = f"import os, sys; os.sched_setaffinity(0, {cores}); from cupel.cli.main import main; sys.exit(main(sys.argv[1:]))"
    asked = ["fit", str(table), "--target", "y", "--effort", "quick", "--folds", "3", "--families", FAMILIES]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    command = [sys.executable, "-c", pinned, *asked, "--out", str(out), "--progress", "none"]
    subprocess.run(command, check=True, capture_output=True, env=environment, timeout=600)
    return out


def leaderboard(run: Path) -> list[dict[str, object]]:
    """What does not depend on the clock, numbers to the digits that people are shown."""
    board = polars.read_csv(run / "leaderboard.csv").drop(TIMED)
    return board.with_columns(polars.col(polars.Float64).round(5)).to_dicts()


def predictions(run: Path) -> dict[str, np.ndarray]:
    """Out-of-fold predictions of every unit, by its key."""
    return {folder.name: np.load(folder / "predictions.npy") for folder in (run / "units").iterdir()}


def is_network(run: Path, key: str) -> bool:
    """Whether the unit is one of a network's: those leave weights."""
    return (run / "units" / key / "weights.safetensors").exists()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, generator = tmp_path_factory.mktemp("cores"), np.random.default_rng(0)
    a, b, c = generator.normal(size=(3, 400))
    kind = generator.choice(list("abcde"), 400)
    signal = a + b * c + (kind == "a") + 0.5 * generator.normal(size=400)
    table = folder / "table.csv"
    polars.DataFrame({"a": a, "b": b, "c": c, "kind": kind, "y": np.where(signal > 0, "yes", "no")}).write_csv(table)
    wanted = {"one": CORES[:1], "one again": CORES[1:], "two": CORES}
    return {name: fit(table, folder / name, cores=cores) for name, cores in wanted.items()}


def test_a_second_run_gives_the_same_to_the_last_bit(runs: dict[str, Path]) -> None:
    assert leaderboard(runs["one"]) == leaderboard(runs["one again"])
    first, second = predictions(runs["one"]), predictions(runs["one again"])
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[key], second[key]) for key in first)


def test_one_core_or_two_give_the_same_to_the_last_bit(runs: dict[str, Path]) -> None:
    first, second = predictions(runs["one"]), predictions(runs["two"])
    assert first.keys() == second.keys()
    assert any(is_network(runs["one"], key) for key in first)
    assert all(np.array_equal(first[key], second[key]) for key in first)


def test_one_core_or_two_give_the_same_leaderboard(runs: dict[str, Path]) -> None:
    board = leaderboard(runs["one"])
    assert {row["family"] for row in board} == {"constant", *FAMILIES.split(",")}
    assert board == leaderboard(runs["two"])


def test_one_core_or_two_try_and_drop_the_same(runs: dict[str, Path]) -> None:
    ended = [{row["name"]: row["status"] for row in leaderboard(runs[name])} for name in ("one", "two")]
    assert ended[0] == ended[1]
