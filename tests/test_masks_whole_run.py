"""Masks from end to end: pictures and masks in, a packed model out that gives a mask for any picture."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars
import pytest
from PIL import Image

import cupel
from cupel.cli.main import main
from cupel.core.errors import UsageError
from cupel.serving.artifact import open_artifact

pytestmark = pytest.mark.slow
SIZES = ((24, 32), (24, 32), (36, 24))
N = 24
SETTINGS = cupel.Settings(
    families=("grey levels", "pixel trees", "U-Net"),
    search="portfolio",
    split="k-fold",
    n_folds=2,
    space={"U-Net": {"width": 8, "depth": 1, "epochs": 8, "augment": "none"}, "pixel trees": {"max_rounds": 20}},
)


def drawn(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Bright discs on a dark ground, and where they are."""
    generator = np.random.default_rng(number)
    height, width = SIZES[number % len(SIZES)]
    down, across = np.mgrid[:height, :width]
    mask = np.zeros((height, width), bool)
    for _ in range(2):
        centre = generator.uniform(4, height - 4), generator.uniform(4, width - 4)
        mask |= np.hypot(down - centre[0], across - centre[1]) < generator.uniform(4, 8)
    levels = np.where(mask, 170, 90) + generator.normal(scale=18, size=mask.shape)
    return np.clip(levels, 0, 255).astype(np.uint8), (mask * 255).astype(np.uint8)


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return float(2 * ((first > 0) & (second > 0)).sum() / ((first > 0).sum() + (second > 0).sum()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("discs")
    for name in ("images", "masks"):
        (root / name).mkdir()
    for number in range(N):
        picture, mask = drawn(number)
        Image.fromarray(picture).save(root / "images" / f"{number:02d}.png")
        Image.fromarray(mask).save(root / "masks" / f"{number:02d}.png")
    return root


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return cupel.fit(folder, "mask", effort="quick", out=tmp_path_factory.mktemp("run") / "run", settings=SETTINGS)


@pytest.fixture(scope="module")
def predictor(run: Any) -> Any:
    return cupel.load(run.folder / "model.cupel")


def test_the_verdict_is_sure_and_every_family_learned(run: Any) -> None:
    facts = run.facts
    assert facts["metric"] == "dice"
    assert facts["pick"]["score"]["estimate"] > 0.9
    assert facts["constant"]["score"]["estimate"] < 0.6
    done = {trial["family"]: trial["score"] for trial in run.leaderboard.to_dicts() if trial["status"] == "done"}
    assert done["grey levels"] > 0.8
    assert done["pixel trees"] > 0.9
    assert done["U-Net"] > done["constant"]
    named = {each["name"]: each for each in facts["class_overlaps"]}
    assert set(named) == {"0", "255"}
    assert named["255"]["iou"]["low"] <= named["255"]["iou"]["estimate"] <= named["255"]["iou"]["high"]
    assert named["255"]["dice"]["estimate"] > 0.85
    assert {"iou", "foreground_dice", "pixel_accuracy"} <= set(facts["metrics"])


def test_masks_have_the_size_and_the_labels_that_masks_of_training_had(predictor: Any) -> None:
    pictures = [drawn(1000 + number) for number in range(6)]
    masks = predictor.predict({"picture": [picture for picture, _ in pictures]})
    for said, (picture, truth) in zip(masks, pictures, strict=True):
        assert said.shape == picture.shape
        assert said.dtype == np.uint8
        assert set(np.unique(said)) <= {0, 255}
        assert dice(said, truth) > 0.8
    maps = predictor.predict_proba({"picture": [pictures[0][0]]})[0]
    assert maps.shape == (2, *pictures[0][0].shape)
    assert np.abs(maps.sum(axis=0) - 1).max() < 1e-5


def test_a_large_picture_gets_a_mask_of_its_own_size(predictor: Any) -> None:
    picture, truth = drawn(3)
    large = np.kron(picture, np.ones((40, 30), np.uint8))
    (said,) = predictor.predict({"picture": [large]})
    assert said.shape == large.shape
    assert large.size > 512 * 512
    assert dice(said, np.kron(truth, np.ones((40, 30), np.uint8))) > 0.6


def test_files_of_any_form_are_predicted_as_their_pixels_are(predictor: Any, tmp_path: Path) -> None:
    picture, _ = drawn(2000)
    Image.fromarray(picture).save(tmp_path / "a.png")
    Image.fromarray(picture).save(tmp_path / "b.jpg", quality=95)
    decoded = np.asarray(Image.open(tmp_path / "b.jpg").convert("L"))
    expected = predictor.predict_proba({"picture": [picture, decoded]})
    polars.DataFrame({"picture": ["a.png", "b.jpg"]}).write_csv(tmp_path / "rows.csv")
    for form in (tmp_path, tmp_path / "rows.csv", [{"picture": (tmp_path / name).read_bytes()} for name in ("a.png", "b.jpg")]):
        for said, wanted in zip(predictor.predict_proba(form), expected, strict=True):
            np.testing.assert_allclose(said, wanted, atol=1e-5)
    assert predictor.predict([{"picture": None}])[0] is None


def test_the_graph_alone_gives_maps_in_the_size_of_the_picture(run: Any, predictor: Any) -> None:
    model = open_artifact(run.folder / "model.cupel").contents["model.onnx"]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    picture, _ = drawn(3000)
    prediction, maps = session.run(["prediction", "maps"], {"picture": picture[None, :, :, None]})
    assert prediction.shape == (1, predictor.task.n_outputs)
    np.testing.assert_allclose(maps[0], predictor.predict_proba({"picture": [picture]})[0], atol=1e-6)


def test_the_command_line_writes_a_mask_for_each_picture(
    run: Any, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(run.folder / "model.cupel")
    (tmp_path / "new" / "more").mkdir(parents=True)
    for number in range(3):
        Image.fromarray(drawn(4000 + number)[0]).save(tmp_path / "new" / ("more" if number else "") / f"{number}.png")
    assert main(["predict", model, str(tmp_path / "new"), "-o", str(tmp_path / "out")]) == 0
    with open(tmp_path / "out" / "masks.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["picture", "prediction", "share_0", "share_255"]
    assert len(rows) == 3
    for row in rows:
        mask = np.asarray(Image.open(row["prediction"]))
        assert mask.shape == np.asarray(Image.open(row["picture"])).shape
        assert float(row["share_255"]) == pytest.approx((mask == 255).mean())
    assert (tmp_path / "out" / "more" / "1.png").exists()
    (tmp_path / "new" / "broken.png").write_bytes(b"<html>")
    assert main(["predict", model, str(tmp_path / "new"), "-o", str(tmp_path / "again")]) == 2
    assert "broken.png" in capsys.readouterr().err
    for out, said in (
        (None, "name a folder"),
        (str(tmp_path / "masks.csv"), "name a folder"),
        (str(tmp_path / "new"), "replace"),
    ):
        assert main(["predict", model, str(tmp_path / "new"), *([] if out is None else ["-o", out])]) == 2
        assert said in capsys.readouterr().err
    assert main(["check", model]) == 0


def test_the_report_shows_overlays_and_scores_of_classes(run: Any) -> None:
    page = (run.folder / "report.html").read_text()
    for words in ("How well it finds each class", "Worst", "Middling", "Best", "predicted", "Share of pixels"):
        assert words in page
    assert page.count('class="gallery masks"') == 9
    assert json.loads((run.folder / "verdict.json").read_text())["task"]["grid"] == [24, 32]


def test_looking_shows_masks_and_planning_trains_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["look", str(folder), "--html", str(tmp_path / "look.html")]) == 0
    said = capsys.readouterr().out
    assert "segmentation" in said
    assert "255" in said
    assert "data:image" in (tmp_path / "look.html").read_text()
    assert main(["plan", str(folder), "--effort", "quick"]) == 0
    said = capsys.readouterr().out
    assert "U-Net" in said
    assert "Airbench" not in said


def test_ensembles_that_are_no_mean_are_refused_before_any_work(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not serve masks"):
        cupel.fit(folder, "mask", out=tmp_path / "run", settings=cupel.Settings(ensemble="stack"))
    assert not (tmp_path / "run").exists()


def test_asking_another_task_of_masks_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds masks"):
        cupel.fit(folder, "mask", out=tmp_path / "run", settings=cupel.Settings(task="regression"))
