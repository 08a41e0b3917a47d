"""What the modality says of itself, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np

from cupel.core import registry
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.modalities.image import modality
from cupel.modalities.image.example import example_pictures

PICTURE = Column(name="photo", kind=ColumnKind.IMAGE, channels=3)
NUMBER = Column(name="size", kind=ColumnKind.NUMBER)
ANSWER = Column(name="answer", kind=ColumnKind.CATEGORY, levels=("a", "b"))


def test_data_with_pictures_are_its_own_and_tables_are_not() -> None:
    assert registry.recognise(Schema((PICTURE, ANSWER), target="answer")).name == "image"
    assert 0 < modality.recognises(Schema((PICTURE, NUMBER, ANSWER), target="answer")) < 1
    assert registry.recognise(Schema((NUMBER, ANSWER), target="answer")).name == "tabular"
    assert modality.recognises(Schema((NUMBER, PICTURE), target="photo")) == 0


def test_graphs_read_one_column_of_pictures() -> None:
    (declared,) = modality.graph_inputs(Schema((NUMBER, PICTURE, ANSWER), target="answer"))
    assert (declared.name, declared.kind, declared.columns) == ("photo", "pixels", ("photo",))


def test_a_column_without_any_picture_is_refused() -> None:
    dataset = example_pictures("binary", n_samples=12)
    nothing = replace(dataset, columns={**dataset.columns, "picture": np.full(12, None, dtype=object)})
    assert "not one picture in column 'picture' can be read" in (modality.unusable(nothing) or "")


def test_looking_at_pictures_needs_no_training_library() -> None:
    code = (
        "import sys; from cupel.modalities.image import modality; modality.reader.opens('.');"
        "print([name for name in ('torch', 'sklearn', 'lightgbm', 'onnx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_example_is_hard_in_the_ways_it_says() -> None:
    dataset = example_pictures("multiclass")
    shapes = [None if picture is None else picture.shape for picture in dataset.columns["picture"]]
    training, last = shapes[:72], shapes[72:]
    assert None in training
    assert None in last
    assert len(set(training) - {None}) == 2
    assert set(last) - set(training)
    assert set(np.unique(dataset.target)) == {0, 1, 2}
    assert not np.array_equal(example_pictures("binary", seed=1).target, example_pictures("binary").target)
