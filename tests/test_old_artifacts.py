import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

import writing_artifacts
from cupel.serving import load
from cupel.serving.artifact import NEWEST_FORMAT

FOLDER = Path(__file__).parent / "artifacts"
ARTIFACTS = sorted(path.stem for path in FOLDER.glob("*.cupel"))


@pytest.mark.parametrize("name", ARTIFACTS)
def test_an_old_artifact_predicts_what_it_always_did(name):
    known = json.loads((FOLDER / f"{name}.json").read_text())
    predictor = load(FOLDER / f"{name}.cupel")
    assert all(claim.holds for claim in predictor.claims())
    predicted = predictor.predict_columns(writing_artifacts.decoded(known["rows"]))
    assert list(predicted) == list(known["predicted"])
    for column, cells in known["predicted"].items():
        if isinstance(cells[0], str):
            assert predicted[column].tolist() == cells
        else:
            assert np.allclose(np.array(predicted[column].tolist(), float), cells, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", writing_artifacts.MODELS)
@pytest.mark.parametrize("number", range(1, NEWEST_FORMAT + 1))
def test_every_format_that_was_ever_written_is_here(number, name):
    assert f"format-{number}-{name}" in ARTIFACTS, "run python tests/writing_artifacts.py, and commit what it writes"


def test_nobody_has_changed_an_old_artifact():
    known = dict(reversed(line.split()) for line in (FOLDER / "SHA256SUMS").read_text().splitlines())
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.glob("format-*")}
    assert {name: found.get(name) for name in known} == known
    assert set(found) == set(known), "add the new files to SHA256SUMS: sha256sum format-* > SHA256SUMS"


def test_old_artifacts_are_of_every_kind_that_answers_otherwise():
    models = {path.stem: load(path) for path in FOLDER.glob("format-1-*.cupel")}
    assert set(models["format-1-labels"].task.thresholds) != {0.5}
    assert models["format-1-masks"].task.grid
    predicted = json.loads((FOLDER / "format-1-decided.json").read_text())["predicted"]
    assert [
        p for said, p in zip(predicted["prediction"], predicted["probability_stay"], strict=True) if said == "stay" and p < 0.5
    ]
    graph = onnx.load_from_string(zipfile.ZipFile(FOLDER / "format-1-calibrated.cupel").read("model.onnx")).graph
    assert [node.op_type for node in graph.node][-5:-1] == ["Clip", "Log", "Div", "Softmax"]
