"""The short form of `make test-chaos`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import polars
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def chaos():
    spec = importlib.util.spec_from_file_location("survival_chaos", ROOT / "benchmarks" / "survival" / "chaos.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def survives(chaos, work, *, families, rows, seed):
    question = chaos.Question(table=chaos.written_table(work, n_rows=rows), families=families)
    reference = chaos.left_alone(question, work)
    found = chaos.disturbed(question, reference, work / f"run-{seed}", seed=seed, most_kills=3)
    assert found["faults"] == []
    assert found["n_lost"] == 0
    assert found["kills"]


def test_a_run_that_is_killed_again_and_again_ends_as_if_it_had_been_left_alone(chaos, tmp_path):
    survives(chaos, tmp_path, families="linear,LightGBM", rows=300, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_so_do_networks(chaos, tmp_path, seed):
    survives(chaos, tmp_path, families="linear,LightGBM,MLP", rows=600, seed=seed)


def test_a_difference_between_two_runs_is_seen(chaos, tmp_path):
    for name, value in (("one", 0.5), ("other", 0.25)):
        folder = tmp_path / name / "units" / "key"
        folder.mkdir(parents=True)
        np.save(folder / "predictions.npy", np.array([value]))
        (folder / "unit.json").write_text("{}")
        board = polars.DataFrame({"name": ["a"], "score": [value], "fit_seconds": [1.0], "latency_ms": [1.0], "bytes": [1]})
        board.write_csv(tmp_path / name / "leaderboard.csv")
    found = chaos.differences(chaos.Question(table=tmp_path / "t.csv", families=""), tmp_path / "one", tmp_path / "other")
    assert found == ["the leaderboards differ", "predictions.npy of unit key differs"]
