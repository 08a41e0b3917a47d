"""What `cupel plan` says of candidates that could not be trained, and of how much memory each may take."""

from pathlib import Path

import numpy as np
import pytest

import cupel
from cupel import pipeline, planning
from cupel.cli.main import main
from cupel.core.budget import Budget, Effort
from cupel.core.limits import Limits
from cupel.problem import understand

RATES = "RealMLP: {learning_rate: 1e-2}\n"
ALL_LACK_A_CELL = "'*': {missing: drop-rows}\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Every row lacks a number."""
    generator, path = np.random.default_rng(0), tmp_path / "table.csv"
    numbers = generator.normal(size=(60, 2))
    rows = [f",{b:.4f},{a + b:.4f}" if row % 2 else f"{a:.4f},,{a + b:.4f}" for row, (a, b) in enumerate(numbers)]
    path.write_text("\n".join(["a,b,y", *rows]))
    return path


def planned(table: Path, ranges: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    (table.parent / "ranges.yaml").write_text(ranges)
    asked = ["plan", str(table), "--target", "y", "--space", str(table.parent / "ranges.yaml"), "--families", "LightGBM,RealMLP"]
    code = main(asked)
    return code, " ".join(capsys.readouterr().out.split())


def test_who_would_fail_is_in_the_plan_with_the_reason_once(table, capsys):
    code, told = planned(table, RATES + ALL_LACK_A_CELL, capsys)
    assert code == 0
    assert told.count("would fail") > told.count("All would fail") == 1
    assert "have no missing cell. Fill missing numbers instead of deleting rows." in told


def test_where_nothing_would_fail_nothing_is_said_of_it(table, capsys):
    code, told = planned(table, RATES, capsys)
    assert (code, "would fail" in told) == (0, False)


def test_some_that_would_fail_are_named(table):
    settings = cupel.Settings(families=("LightGBM", "RealMLP"), space={"RealMLP": {"missing": "drop-rows"}})
    steps = planning.plan(understand(str(table), "y", settings=settings), effort="quick")
    assert {step.family.name for step in steps if step.fault} == {"RealMLP"}
    assert {bool(step.cost.seconds) for step in steps if step.fault} == {False}


def test_of_those_trained_side_by_side_each_may_take_its_part_of_the_memory(table, monkeypatch):
    problem = understand(str(table), "y", settings=cupel.Settings())
    monkeypatch.setattr(pipeline.execution.Guard, "memory_bytes", lambda self: 40e9)
    alone = pipeline.memory_for_candidates(problem, Budget(Effort.STANDARD, None), limits=Limits())
    monkeypatch.setattr(pipeline, "n_lanes_for", lambda *given, **named: 2)
    assert pipeline.memory_for_candidates(problem, Budget(Effort.OPEN, 300.0), limits=Limits()) == pytest.approx(alone / 2)
