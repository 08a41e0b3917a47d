"""Pictures from end to end: a folder of small ones in, a packed model out that predicts them in every form."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from PIL import Image

import cupel
from cupel.cli.main import main

pytestmark = pytest.mark.slow
SIZES = ((12, 12), (12, 12), (16, 10))
N_EACH = 45
SETTINGS = cupel.Settings(families=("linear", "airbench"), search="portfolio", split="stratified", n_folds=2)


def drawn(label: str, number: int) -> np.ndarray:
    """Bars, upright or lying."""
    generator = np.random.default_rng((number, len(label)))
    height, width = SIZES[number % len(SIZES)]
    rows, columns = np.mgrid[:height, :width]
    wave = np.sin((columns if label == "upright" else rows) * 1.6 + generator.uniform(0, 6))
    noisy = 128 + 70 * wave[:, :, None] + generator.normal(scale=25, size=(height, width, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bars")
    for label in ("upright", "lying"):
        (root / label).mkdir()
        for number in range(N_EACH):
            (root / label / f"{number:02d}.png").write_bytes(png(drawn(label, number)))
    (root / "lying" / "broken.png").write_bytes(b"<html>")
    return root


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return cupel.fit(folder, effort="quick", out=tmp_path_factory.mktemp("run") / "run", settings=SETTINGS)


@pytest.fixture(scope="module")
def unseen() -> tuple[list[np.ndarray], list[str]]:
    labels = ["upright", "lying"] * 12
    return [drawn(label, 1000 + number) for number, label in enumerate(labels)], labels


def test_the_verdict_is_sure_and_says_what_cannot_be_read(run: Any) -> None:
    assert run.facts["pick"]["score"]["estimate"] > 0.85
    assert any(finding["code"] == "foreign-pictures" for finding in run.facts["findings"])
    families = {trial["family"] for trial in run.leaderboard.to_dicts() if trial["status"] == "done"}
    assert {"constant", "linear", "Airbench"} <= families


def test_a_network_and_a_classical_model_both_learned(run: Any) -> None:
    board = run.leaderboard
    for family in ("linear", "Airbench"):
        scores = board.filter(polars.col("family") == family)["score"].drop_nulls().to_list()
        assert max(scores) > 0.8, family


def test_unseen_pictures_are_told_apart_in_every_form(run: Any, unseen: Any, tmp_path: Path) -> None:
    pictures, labels = unseen
    predictor = cupel.load(run.folder / "model.cupel")
    (tmp_path / "new").mkdir()
    for number, pixels in enumerate(pictures):
        (tmp_path / "new" / f"{number:02d}.png").write_bytes(png(pixels))
    column = predictor.feature_names[0]
    table = polars.DataFrame({column: [f"new/{number:02d}.png" for number in range(len(pictures))]})
    table.write_csv(tmp_path / "new.csv")
    expected = predictor.predict_proba({column: pictures})
    assert np.mean(predictor.predict({column: pictures}) == np.array(labels)) > 0.85
    for form in (tmp_path / "new", tmp_path / "new.csv", [{column: png(pixels)} for pixels in pictures]):
        np.testing.assert_allclose(predictor.predict_proba(form), expected, atol=1e-6)
    same = [number for number, pixels in enumerate(pictures) if pixels.shape == (12, 12, 3)]
    stack = np.stack([pictures[number] for number in same])
    np.testing.assert_allclose(predictor.predict_proba(stack), expected[same], atol=1e-5)
    np.testing.assert_allclose(predictor.predict_proba(tmp_path / "new" / "02.png"), expected[2:3], atol=1e-5)


def test_the_command_line_predicts_and_checks(run: Any, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(run.folder / "model.cupel")
    assert main(["predict", model, str(folder / "upright"), "-o", str(tmp_path / "out.csv")]) == 0
    with open(tmp_path / "out.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["picture", "prediction", "probability_lying", "probability_upright"]
    assert len(rows) == N_EACH
    assert np.mean([row["prediction"] == "upright" for row in rows]) > 0.85
    assert main(["predict", model, str(folder), "-o", str(tmp_path / "all.csv")]) == 2
    assert "1 of 91 pictures cannot be read" in capsys.readouterr().err
    assert main(["check", model]) == 0


def test_the_run_leaves_what_machines_read(run: Any) -> None:
    facts = json.loads((run.folder / "verdict.json").read_text())
    assert 0 < facts["latency_ms"]["one"] < facts["latency_ms"]["thousand"]
    assert (run.folder / "report.html").stat().st_size > 10_000


def test_looking_and_planning_train_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["look", str(folder)]) == 0
    assert "12 x 12" in capsys.readouterr().out
    assert main(["plan", str(folder), "--effort", "quick"]) == 0
    assert "Airbench" in capsys.readouterr().out
