"""Transfer from end to end: a network is trained, its features saved, and another run starts from them and from an ONNX file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from PIL import Image

import cupel
from cupel.cli.main import main
from cupel.core.errors import UsageError
from cupel.modalities.image.backbones.tests.making_backbones import onnx_file

pytestmark = pytest.mark.slow
QUICK = {"search": "portfolio", "split": "stratified", "n_folds": 2, "racing": False}
SPACE = {"*": {"epochs": 2, "views": "one"}}


def drawn(label: str, number: int, *, channels: int) -> np.ndarray:
    """Bars, upright or lying."""
    generator = np.random.default_rng((number, len(label)))
    rows, columns = np.mgrid[:12, :12]
    wave = np.sin((columns if label == "upright" else rows) * 1.6 + generator.uniform(0, 6))
    noisy = 128 + 70 * wave[:, :, None] + generator.normal(scale=25, size=(12, 12, channels))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def folder_of(root: Path, *, n_each: int, channels: int) -> Path:
    for label in ("upright", "lying"):
        (root / label).mkdir(parents=True)
        for number in range(n_each):
            stream = io.BytesIO()
            Image.fromarray(drawn(label, number, channels=channels).squeeze()).save(stream, "PNG")
            (root / label / f"{number:02d}.png").write_bytes(stream.getvalue())
    return root


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = folder_of(tmp_path_factory.mktemp("first") / "bars", n_each=40, channels=1)
    settings = cupel.Settings(families=("linear", "airbench"), space={"*": {"epochs": 12}}, **QUICK)
    return cupel.fit(folder, effort="quick", out=tmp_path_factory.mktemp("run") / "run", settings=settings)


@pytest.fixture(scope="module")
def own(first: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "bars.safetensors"
    assert main(["backbone", str(first.folder), "-o", str(path), "--licence", "cc0-1.0"]) == 0
    return path


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_file(tmp_path_factory.mktemp("foreign") / "tiny.onnx", width=32, license="cc-by-nc-4.0")


@pytest.fixture(scope="module")
def second(own: Path, foreign: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = folder_of(tmp_path_factory.mktemp("second") / "bars", n_each=25, channels=3)
    families = ("linear", "probe:bars", "head:bars", "tuned:bars", "boosted:bars", "probe:tiny")
    settings = cupel.Settings(
        families=families, backbones=(str(own), str(foreign)), allow_licences=("cc-by-nc-4.0",), space=SPACE, **QUICK
    )
    return cupel.fit(folder, effort="quick", out=tmp_path_factory.mktemp("run") / "run", settings=settings)


def test_every_way_to_start_from_a_backbone_gives_a_model(second: Any) -> None:
    board = second.leaderboard
    reasons = board.filter(polars.col("status") != "done").select("name", "status", "reason").to_dicts()
    families = set(board.filter(polars.col("status") == "done")["family"].to_list())
    assert {"probe:bars", "head:bars", "tuned:bars", "boosted:bars", "probe:tiny"} <= families, reasons


def test_what_was_learned_helps(second: Any) -> None:
    scores = second.leaderboard.filter(polars.col("family") == "probe:bars")["score"].to_list()
    assert max(scores) > 0.7


def test_the_verdict_lists_every_file_with_hash_licence_and_users(second: Any, own: Path) -> None:
    weights = {each["name"]: each for each in second.facts["weights"]}
    assert weights["bars"]["licence"] == "cc0-1.0"
    assert len(weights["bars"]["files"][0]["sha256"]) == 64
    assert any(name.startswith("tuned:bars") for name in weights["bars"]["candidates"])
    assert weights["tiny"]["licence_kind"] == "non-commercial"
    assert {finding["code"] for finding in second.facts["findings"]} >= {"weights-licence", "backbone-assumption"}
    assert "Weights" in second.verdict
    page = second.report.read_text()
    assert "Pretrained weights" in page
    assert weights["bars"]["files"][0]["sha256"] in page


def test_features_were_computed_once_and_stand_in_the_run_folder(second: Any) -> None:
    known = [np.load(path) for path in (second.folder / "cache").glob("features-*.known.npy")]
    assert len(known) == 2
    assert all(each.all() for each in known)


def test_the_packed_model_needs_nothing_else(second: Any) -> None:
    labels = ["upright", "lying"] * 4
    pictures = [drawn(label, 900 + number, channels=3) for number, label in enumerate(labels)]
    predictor = cupel.load(second.artifact)
    assert (
        np.mean([str(said) == label for said, label in zip(predictor.predict({"picture": pictures}), labels, strict=True)]) > 0.8
    )


def test_what_is_forbidden_is_refused_before_a_folder_is_made(foreign: Path, tmp_path: Path, capsys: Any) -> None:
    folder = folder_of(tmp_path / "bars", n_each=4, channels=3)
    assert main(["fit", str(folder), "--backbone", str(foreign), "--out", str(tmp_path / "run")]) == 2
    assert "forbids commercial use" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_can_be_planned_from_a_backbone_and_tables_take_none(own: Path, tmp_path: Path, capsys: Any) -> None:
    folder = folder_of(tmp_path / "bars", n_each=12, channels=3)
    assert main(["plan", str(folder), "--backbone", str(own), "--effort", "quick"]) == 0
    assert "probe:bars-1" in capsys.readouterr().out
    table = tmp_path / "table.csv"
    table.write_text("a,b,y\n" + "".join(f"{n},{n % 7},{n % 2}\n" for n in range(60)))
    assert main(["fit", str(table), "--target", "y", "--backbone", str(own), "--out", str(tmp_path / "run")]) == 2
    assert "start from no pretrained weights" in capsys.readouterr().err


def test_where_no_network_was_trained_there_is_nothing_to_save(second: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a candidate that is trained from scratch"):
        second.save_backbone(tmp_path / "none.safetensors")
