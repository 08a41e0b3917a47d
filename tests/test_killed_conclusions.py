"""Runs that are killed while they conclude: each is gone on with to the end that it would have had."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

import cupel
from cupel.core.errors import DataError

pytestmark = pytest.mark.slow
CONCLUDING = """
import importlib, os, signal, sys
import cupel

table, out, module, name, last, seal = sys.argv[1:]
place = importlib.import_module(module)
true = getattr(place, name)

def killed_at_it(*given, **named):
    if not last or any(str(value).endswith(last) for value in given):
        os.kill(os.getpid(), signal.SIGKILL)
    return true(*given, **named)

setattr(place, name, killed_at_it)
settings = cupel.Settings(families=("linear",), n_folds=3, seal=float(seal))
cupel.fit(table, "y", effort="quick", out=out, settings=settings, progress="none")
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "table.csv"
    a, b = np.random.default_rng(0).normal(size=(2, 300))
    polars.DataFrame({"a": a, "b": b, "y": np.where(a + b > 0, "yes", "no")}).write_csv(path)
    return path


def killed(table: Path, out: Path, at: str, *, last: str = "", seal: float = 0.0) -> None:
    """A run that is killed when it calls a function, where an argument ends as `last` says."""
    module, _, name = at.rpartition(".")
    command = [sys.executable, "-c", CONCLUDING, str(table), str(out), module, name, last, str(seal)]
    code = subprocess.run(command, check=False, timeout=300, capture_output=True, text=True)
    assert code.returncode == -signal.SIGKILL, code.stderr


def left_alone(table: Path, out: Path, **settings: Any) -> cupel.Run:
    """A run that nobody disturbs."""
    asked = cupel.Settings(families=("linear",), n_folds=3, **settings)
    return cupel.fit(table, "y", effort="quick", out=out, settings=asked, progress="none")


def test_a_run_killed_while_it_packs_is_gone_on_with_and_leaves_nothing_behind(table: Path, tmp_path: Path) -> None:
    killed(table, tmp_path / "run", "cupel.packing.pack.move")
    assert list((tmp_path / "run").glob(".model.cupel.*/model.cupel"))
    run, whole = cupel.resume(tmp_path / "run", progress="none"), left_alone(table, tmp_path / "whole")
    assert not list((tmp_path / "run").glob(".model.cupel.*"))
    assert run.facts["pick"]["score"] == whole.facts["pick"]["score"]
    rows = polars.read_csv(table).drop("y")
    assert np.array_equal(run.predictor.predict_proba(rows), whole.predictor.predict_proba(rows))


def test_a_run_killed_when_it_had_opened_sealed_rows_says_what_it_would_have_said(table: Path, tmp_path: Path) -> None:
    killed(table, tmp_path / "run", "cupel.packing.pack.move", seal=0.2)
    run, whole = cupel.resume(tmp_path / "run", progress="none"), left_alone(table, tmp_path / "whole", seal=0.2)
    assert run.facts["promises"]["sealed"] == whole.facts["promises"]["sealed"]
    assert "opened once" in run.verdict


def test_a_finished_run_killed_between_its_new_model_and_its_new_verdict_says_so_until_it_is_gone_on_with(
    table: Path, tmp_path: Path
) -> None:
    run = left_alone(table, tmp_path / "run")
    killed(table, tmp_path / "run", "cupel.conclusion.write_json", last="verdict.json")
    with pytest.raises(DataError, match="another model than model"):
        cupel.refit(tmp_path / "run", table, progress="none")
    again = cupel.resume(tmp_path / "run", progress="none")
    assert again.facts["pick"]["score"] == run.facts["pick"]["score"]
    assert cupel.refit(tmp_path / "run", table, progress="none").comparison.before is not None
