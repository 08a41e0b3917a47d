"""What is said where pictures meet an installation without Pillow, and what works without it."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

import packed_examples
import packed_pictures as examples
from cupel.cli.main import main
from cupel.core import registry
from cupel.core.errors import MissingDependencyError
from cupel.core.pixels import data_url, decoded
from cupel.data import read
from cupel.serving import load

ADVICE = r'pip install "cupel\[images\]"'


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return examples.packed(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for label in ("cat", "dog"):
        examples.written(tmp_path / "animals" / label, examples.pictures()[:4])
    return tmp_path / "animals"


@pytest.fixture
def without_pillow(model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once everything is made, Pillow is gone."""
    honest = builtins.__import__

    def refusing(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "PIL":
            raise ModuleNotFoundError("No module named 'PIL'", name="PIL")
        return honest(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refusing)


@pytest.mark.usefixtures("without_pillow")
def test_learning_from_files_says_what_to_install(folder: Path) -> None:
    with pytest.raises(MissingDependencyError, match=ADVICE):
        read(folder, readers=registry.readers())


@pytest.mark.usefixtures("without_pillow")
def test_predicting_files_says_what_to_install(model: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictor = load(model)
    for rows in (folder, {"photo": b"\x89PNG"}, {"photo": str(folder / "cat" / "00.png")}):
        with pytest.raises(MissingDependencyError, match=ADVICE):
            predictor.predict(rows)
    assert main(["predict", str(model), str(folder)]) == 2
    assert 'pip install "cupel[images]"' in capsys.readouterr().err


@pytest.mark.usefixtures("without_pillow")
def test_packing_says_what_to_install() -> None:
    with pytest.raises(MissingDependencyError, match=ADVICE):
        data_url(examples.picture(9))


@pytest.mark.usefixtures("without_pillow")
def test_arrays_are_predicted_without_it(model: Path) -> None:
    cells = examples.pictures()[:-1]
    np.testing.assert_allclose(load(model).predict_proba({"photo": cells}), examples.predicted(cells), atol=1e-6)
    assert decoded(cells[0]).shape == (8, 8, 3)


@pytest.mark.usefixtures("without_pillow")
def test_tables_never_need_it(tmp_path: Path) -> None:
    predictor = load(packed_examples.packed(tmp_path, "binary"))
    assert len(predictor.predict(packed_examples.RAW)) == 6
    path = tmp_path / "table.csv"
    polars.DataFrame({"a": range(20), "name": [f"file{n}.txt" for n in range(20)], "y": ["u", "v"] * 10}).write_csv(path)
    assert read(path, target="y", readers=registry.readers()).n_samples == 20
