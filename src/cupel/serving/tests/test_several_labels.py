"""Packed models of several labels say which hold, and are refused where their thresholds cannot be true."""

import io
import json
import zipfile

import numpy as np
import pytest

import packed_examples as examples
from cupel import packing
from cupel.core.errors import ArtifactError
from cupel.core.task import Task, TaskKind
from cupel.serving import load

LABELS, THRESHOLDS = ("red", "round", "big"), (0.2, 0.5, 1.0)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "model.cupel"
    task = Task(kind=TaskKind.MULTILABEL, target="answer", metric="x", classes=LABELS, thresholds=THRESHOLDS)
    packing.pack(path, examples.package("multiclass", task=task))
    return path


def with_task(artifact, **fields):
    """The artifact with fields of its task replaced."""
    with zipfile.ZipFile(artifact) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(contents["manifest.json"])
    manifest["task"] = {name: value for name, value in (manifest["task"] | fields).items() if value is not ...}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**contents, "manifest.json": json.dumps(manifest).encode()}.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def test_labels_from_their_thresholds_on_are_said(artifact):
    predictor = load(artifact)
    given = predictor.predict_proba(examples.GOLDEN)
    said = predictor.predict(examples.GOLDEN)
    for row, text in zip(given, said, strict=True):
        assert text == "|".join(label for label, p, cut in zip(LABELS, row, THRESHOLDS, strict=True) if p >= cut)
    assert len(set(said)) > 2
    columns = predictor.predict_columns(examples.GOLDEN)
    assert list(columns) == ["prediction", "probability_red", "probability_round", "probability_big"]
    np.testing.assert_array_equal(columns["probability_round"], given[:, 1])
    one = {name: cells[0] for name, cells in examples.GOLDEN.items()}
    assert predictor.predict(one).tolist() == said[:1].tolist()


@pytest.mark.parametrize(
    "fields",
    [
        {"thresholds": ...},
        {"thresholds": [0.5, 0.5]},
        {"thresholds": [0.5, 0.5, 1.5]},
        {"thresholds": [0.5, 0.5, "high"]},
        {"thresholds": [0.5, 0.5, float("nan")]},
        {"classes": ["red", "red", "big"]},
        {"kind": "multiclass"},
    ],
    ids=str,
)
def test_what_cannot_be_labels_is_refused(artifact, fields):
    with pytest.raises(ArtifactError):
        load(with_task(artifact, **fields))
