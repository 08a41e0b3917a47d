"""Several labels from end to end: a table, and pictures with a file of labels, into packed models that say which hold."""

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
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import roc_auc_score

import cupel
from cupel.cli.main import main

pytestmark = pytest.mark.slow
LABELS = ("red", "round", "big")
N_ROWS = 300


def table(n_rows: int = N_ROWS, *, unknown: float = 0.1) -> polars.DataFrame:
    matrix, target = make_multilabel_classification(
        n_rows + 200, n_features=8, n_classes=3, n_labels=2, length=30, random_state=5
    )
    labels = target.astype(float)
    labels[np.random.default_rng(0).random(labels.shape) < unknown] = np.nan
    features = {f"x{k}": matrix[:, k] for k in range(8)}
    known = {name: [None if cell != cell else int(cell) for cell in labels[:, k]] for k, name in enumerate(LABELS)}
    return polars.DataFrame(features | known)


SETTINGS = cupel.Settings(families=("linear", "lightgbm", "extratrees", "mlp"), search="portfolio", n_folds=3, ensemble="stack")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("labels")
    table().head(N_ROWS).write_csv(folder / "things.csv")
    return cupel.fit(folder / "things.csv", "red,round,big", effort="quick", out=folder / "run", settings=SETTINGS)


def test_the_verdict_tells_of_each_label(run: Any) -> None:
    facts = run.facts
    assert facts["metric"] == "roc_auc_macro"
    assert facts["pick"]["score"]["estimate"] > facts["constant"]["score"]["estimate"] + 0.2
    assert [label["label"] for label in facts["labels"]] == list(LABELS)
    for label in facts["labels"]:
        assert label["known"] < N_ROWS
        assert label["roc_auc"]["low"] <= label["roc_auc"]["estimate"] <= label["roc_auc"]["high"]
        assert np.sum(label["confusion"]) == label["known"]
    assert "told best" in facts["words"]
    assert not facts["failures"]
    page = run.report.read_text()
    assert "Label by label" in page
    assert "Which come together" in page


def test_the_packed_model_says_which_labels_hold(run: Any, tmp_path: Path) -> None:
    new = table(unknown=0.0)[N_ROWS:]
    predictor = cupel.load(run.artifact)
    predictor.check()
    given = predictor.predict_proba(new)
    truth = new.select(LABELS).to_numpy()
    assert roc_auc_score(truth, given, average="macro") > 0.75
    assert len(predictor.task.thresholds) == 3
    new.write_csv(tmp_path / "new.csv")
    assert main(["predict", str(run.artifact), str(tmp_path / "new.csv"), "-o", str(tmp_path / "out.csv")]) == 0
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert list(rows[0]) == ["prediction", *(f"probability_{label}" for label in LABELS)]
    for row, own in zip(rows, given, strict=True):
        said = [label for label, p, cut in zip(LABELS, own, predictor.task.thresholds, strict=True) if p >= cut]
        assert row["prediction"] == "|".join(said)
        assert float(row["probability_red"]) == pytest.approx(own[0], abs=1e-6)


def test_the_same_question_goes_on_where_it_stopped(run: Any) -> None:
    again = cupel.fit(
        run.folder.parent / "things.csv", ["red", "round", "big"], effort="quick", out=run.folder, settings=SETTINGS
    )
    assert again.facts["pick"]["score"] == run.facts["pick"]["score"]
    assert main(["resume", str(run.folder), "--progress", "none"]) == 0


def picture(holds: tuple[bool, bool], seed: int) -> bytes:
    """Grey noise; brighter at the left for the first label, at the top for the second."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:12, :12]
    signal = 40.0 * holds[0] * (columns < 6) + 40.0 * holds[1] * (rows < 6)
    pixels = np.clip(100 + signal + generator.normal(scale=20, size=(12, 12)), 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_pictures_with_a_file_of_sets_are_learned(tmp_path: Path) -> None:
    lines = ["file,tags"]
    for number in range(120):
        holds = (number % 2 == 0, number % 3 == 0)
        (tmp_path / f"{number}.png").write_bytes(picture(holds, number))
        tags = [name for name, is_so in zip(("left", "top"), holds, strict=True) if is_so]
        lines.append(f"{number}.png,{'|'.join(tags) or '[]'}")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    settings = cupel.Settings(task="multilabel", families=("linear", "airbench"), search="portfolio", n_folds=2)
    run = cupel.fit(tmp_path / "labels.csv", "tags", effort="quick", out=tmp_path / "run", settings=settings)
    board = run.leaderboard
    assert {"Airbench", "linear"} <= set(board["family"])
    assert json.loads((tmp_path / "run" / "verdict.json").read_text())["pick"]["score"]["estimate"] > 0.9
    assert "Where it errs" in run.report.read_text()
    (tmp_path / "new.png").write_bytes(picture((True, False), 999))
    assert cupel.load(run.artifact).predict(tmp_path / "new.png").tolist() == ["left"]
