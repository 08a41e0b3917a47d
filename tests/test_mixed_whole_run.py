"""A table with pictures, numbers, categories and dates from end to end: what is packed reads all of them, in every form."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from PIL import Image

import cupel
from cupel.cli.main import main
from cupel.core.errors import DataError

pytestmark = pytest.mark.slow
N_ROWS = 160
FAMILIES = ("LightGBM", "Airbench + MLP", "Airbench")
BRIEFLY = {name: {"epochs": 12} for name in FAMILIES[1:]}
SETTINGS = cupel.Settings(families=FAMILIES, search="portfolio", split="stratified", n_folds=2, racing=False, space=BRIEFLY)


def drawn(tilt: float, generator: np.random.Generator) -> np.ndarray:
    """Brighter on the left or on the right."""
    across = np.linspace(-1, 1, 12)[None, :]
    return np.clip(128 + 90 * tilt * across + generator.normal(scale=20, size=(12, 12)), 0, 255).astype(np.uint8)


def made(folder: Path, n_rows: int, *, seed: int) -> Path:
    """A CSV beside its pictures; one picture is missing, one is broken."""
    generator = np.random.default_rng(seed)
    tilt, amount = generator.uniform(-1, 1, (2, n_rows))
    kind = generator.choice(["left", "right"], n_rows)
    signal = tilt + amount + np.where(kind == "left", -0.3, 0.3)
    (folder / "photos").mkdir(parents=True)
    names = [f"photos/{row:03d}.png" for row in range(n_rows)]
    for row, name in enumerate(names):
        Image.fromarray(drawn(tilt[row], generator)).save(folder / name)
    (folder / names[7]).write_bytes(b"<html>")
    table = polars.DataFrame(
        {
            "photo": [None if row == 3 else name for row, name in enumerate(names)],
            "amount": np.round(amount, 4),
            "kind": kind,
            "since": [f"2024-0{1 + row % 9}-1{row % 8}" for row in range(n_rows)],
            "answer": np.where(signal > 0, "yes", "no"),
        }
    )
    table.write_csv(folder / "table.csv")
    return folder / "table.csv"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("mixed"), N_ROWS, seed=0)


@pytest.fixture(scope="module")
def run(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return cupel.fit(source, "answer", effort="quick", out=tmp_path_factory.mktemp("run") / "run", settings=SETTINGS)


def test_all_kinds_of_families_learned_and_the_pick_reads_both(run: Any) -> None:
    done = {trial["family"] for trial in run.leaderboard.to_dicts() if trial["status"] == "done"}
    assert {"constant", "linear", *FAMILIES} <= done, run.leaderboard
    assert run.facts["pick"]["score"]["estimate"] > 0.9
    assert set(run.predictor.feature_names) == {"photo", "amount", "kind", "since"}
    assert any(finding["code"] == "foreign-pictures" for finding in run.facts["findings"])
    assert not any(finding["code"] == "columns-beside-pictures" for finding in run.facts["findings"])


def test_the_importance_of_pictures_stands_beside_that_of_numbers(run: Any) -> None:
    found = {each["name"]: each["drop"] for each in run.facts["importance"]}
    assert {"photo", "amount", "kind", "since"} == set(found)
    assert min(found["photo"], found["amount"]) > 5 * abs(found["since"])


def test_new_rows_are_predicted_in_every_form(run: Any, tmp_path: Path) -> None:
    new = made(tmp_path, 60, seed=1)
    predictor = cupel.load(run.folder / "model.cupel")
    expected = predictor.predict_proba(new)
    answers = np.array(polars.read_csv(new)["answer"].to_list())
    assert np.mean(predictor.predict(new) == answers) > 0.85
    rows = polars.read_csv(new).drop("answer").to_dicts()
    for row in rows:
        row["photo"] = row["photo"] and (tmp_path / row["photo"]).read_bytes()
    np.testing.assert_allclose(predictor.predict_proba(rows), expected, atol=1e-6)
    np.testing.assert_allclose(predictor.predict_proba(rows[11]), expected[11:12], atol=1e-5)
    with pytest.raises(DataError, match="'photo'"):
        predictor.predict([{name: cell for name, cell in row.items() if name != "photo"} for row in rows])


def test_the_command_line_predicts_and_checks(run: Any, tmp_path: Path) -> None:
    new, model = made(tmp_path, 20, seed=2), str(run.folder / "model.cupel")
    assert main(["predict", model, str(new), "-o", str(tmp_path / "out.csv")]) == 0
    with open(tmp_path / "out.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 20
    assert {"prediction", "probability_no", "probability_yes"} <= set(rows[0])
    assert main(["check", model]) == 0
    assert json.loads((run.folder / "verdict.json").read_text())["latency_ms"]["one"] > 0
    assert (run.folder / "report.html").stat().st_size > 10_000
