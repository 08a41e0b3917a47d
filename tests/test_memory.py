"""A table that would not fit into memory: what is too large is left out, the rest is tried."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cupel
from cupel.cli.main import main
from cupel.core import machine, processes, registry
from cupel.core.inputs import InputShape
from cupel.core.task import Task, TaskKind
from cupel.execution.guard import BYTES_OF_PROCESSES
from cupel.modalities.tabular import modality

TASK = Task(kind=TaskKind.BINARY, target="y", metric="roc_auc", classes=("no", "yes"))
N_ROWS, N_COLUMNS = 120, 150


def memory_of(name: str, *, n_rows: int, n_columns: int) -> float:
    """What one unit of the family's first preset is estimated to take."""
    family = registry.family_named(modality, name)
    preset = family.portfolio(TASK)[0]
    shape = InputShape({"numeric": n_columns, "binary": 0, "codes": 0}, {"codes": ()})
    return float(family.cost(n_rows, shape, preset.config, preset.recipe, TASK).memory_bytes)


def test_attention_over_many_columns_is_known_to_be_huge() -> None:
    assert memory_of("FT-Transformer", n_rows=2_000, n_columns=10_000) > 1e12
    assert memory_of("FT-Transformer", n_rows=15_000, n_columns=20) < 2e8


def test_voters_over_many_columns_are_known_to_be_large_and_many_rows_are_not() -> None:
    assert memory_of("ModernNCA", n_rows=20_000, n_columns=10_000) > 5e9
    assert memory_of("ModernNCA", n_rows=2_000_000, n_columns=20) < 1e9


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    table = generator.normal(size=(N_ROWS, N_COLUMNS))
    answers = np.where(table[:, 0] + 0.3 * generator.normal(size=N_ROWS) > 0, "yes", "no")
    lines = [",".join([*(f"c{column}" for column in range(N_COLUMNS)), "y"])]
    lines += [",".join([*(f"{cell:.4f}" for cell in row), answer]) for row, answer in zip(table, answers, strict=True)]
    path = tmp_path / "wide.csv"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(autouse=True)
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "usable_memory_bytes", lambda: 400_000_000)


def test_a_candidate_too_large_for_the_machine_is_a_line_with_a_remedy(wide: Path, tmp_path: Path) -> None:
    settings = cupel.Settings(families=("linear", "FT-Transformer"), n_folds=3)
    run = cupel.fit(wide, "y", effort="quick", out=tmp_path / "run", settings=settings)
    lines = {row["family"]: row for row in run.leaderboard.iter_rows(named=True)}
    assert lines["linear"]["status"] == "done"
    assert lines["FT-Transformer"]["status"] == "skipped"
    assert "GB of memory" in lines["FT-Transformer"]["reason"]
    assert "skipped" in run.verdict


def test_the_plan_says_what_would_not_fit(wide: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(wide), "--target", "y", "--families", "linear,FT-Transformer", "--effort", "quick"]) == 0
    shown = capsys.readouterr().out
    rows = {line.split()[0]: line for line in shown.splitlines() if "MB" in line}
    assert "too large" in rows["FT-Transformer-1"]
    assert "too large" not in rows["linear-1"]
    assert "300 MB that a candidate may take" in " ".join(shown.split())
    assert "What the search adds after these" in shown  # of ten three are planned


def test_the_plan_of_a_run_with_less_memory_is_held_to_that(
    wide: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(processes, "memory_bytes", lambda pid: 0)
    asked = ["--families", "linear,FT-Transformer", "--search", "portfolio", "--memory", "850MB"]
    assert main(["plan", str(wide), "--target", "y", *asked]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{(850 - BYTES_OF_PROCESSES / 1e6) * 0.75:.0f} MB that a candidate may take" in shown
    assert "What the search adds" not in shown
