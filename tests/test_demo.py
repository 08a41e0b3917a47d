"""The demonstration's table is real, damaged as told, and the same every time."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from cupel.cli import demo


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, str]], list[dict[str, str]], list[str]]:
    table, new, truth = demo.make_tables(tmp_path_factory.mktemp("demo"))
    return read(table), read(new), truth


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_all_patients_are_there_and_fifteen_twice(tables) -> None:
    known, new, truth = tables
    assert len(known) + len(new) == 569 + 15
    assert len({row["patient"] for row in known}) == len(known) - 15
    assert len(new) == len(truth) == demo.N_HELD_BACK


def test_held_back_patients_are_not_in_the_table_and_show_no_answer(tables) -> None:
    known, new, _ = tables
    assert not {row["patient"] for row in known} & {row["patient"] for row in new}
    assert demo.TARGET in known[0]
    assert demo.TARGET not in new[0]


def test_the_damage_is_what_is_told(tables) -> None:
    known, _, _ = tables
    cells = [row[name] for row in known for name in row if name not in ("patient", "hospital", demo.TARGET)]
    assert 0.03 < sum(cell == "" for cell in cells) / len(cells) < 0.05
    assert 0.01 < sum(cell == "n/a" for cell in cells) / len(cells) < 0.03
    assert any("," in row["worst area"] for row in known)
    assert {row["worst texture"] for row in known} <= {"fine", "medium", "coarse", "", "n/a"}
    assert {row["hospital"] for row in known} == {"Wisconsin"}


def test_answers_are_untouched(tables) -> None:
    known, _, truth = tables
    answers = {row["patient"]: row[demo.TARGET] for row in known}
    assert sum(answer == "malignant" for answer in [*answers.values(), *truth]) == 212  # as published


def test_the_same_table_every_time(tables, tmp_path: Path) -> None:
    assert read(demo.make_tables(tmp_path)[0]) == tables[0]


@pytest.mark.slow
def test_the_demonstration_runs_to_its_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from cupel.cli.main import main

    assert main(["demo", "--out", str(tmp_path / "demo"), "--time", "60s"]) == 0
    shown = capfd.readouterr().out
    right = int(shown.split(" of 60 held-back patients are right")[0].split("… ")[-1])
    assert right >= 54
    assert (tmp_path / "demo" / "run" / "report.html").exists()
