"""Graphs that read pixels: exported, combined, timed, packed and proved in a clean process."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest

import packed_pictures as examples
from cupel import packing
from cupel.core.combination import WeightedMean
from cupel.core.errors import ParityError
from cupel.core.feeds import pictures_as_cells
from cupel.serving import load


def feeds():
    cells = np.empty(len(examples.SIZES) + 1, dtype=object)
    cells[:] = examples.pictures()
    return {"photo": pictures_as_cells(cells, channels=3)}


def axes_of(model):
    (declared,) = onnx.load_from_string(model).graph.input
    shape = [axis.dim_param or axis.dim_value for axis in declared.type.tensor_type.shape.dim]
    return declared.name, declared.type.tensor_type.elem_type, shape


def test_a_unit_declares_pixels_with_free_sizes():
    assert axes_of(examples.unit()) == ("photo", onnx.TensorProto.UINT8, ["rows", "height", "width", "channels"])


def test_a_unit_predicts_pictures_of_several_sizes_as_in_numpy():
    assert packing.parity(examples.unit(), feeds(), examples.predicted(examples.pictures())) < 1e-6


def test_units_on_pictures_combine_into_their_weighted_mean():
    shifts, weights = (0.0, 0.1, -0.2), (0.5, 0.3, 0.2)
    combined = packing.combine([[examples.unit(shift)] for shift in shifts], WeightedMean(weights))
    assert axes_of(combined) == axes_of(examples.unit())
    parts = [weight * examples.predicted(examples.pictures(), shift) for weight, shift in zip(weights, shifts, strict=True)]
    assert packing.parity(combined, feeds(), sum(parts)) < 1e-6
    again = packing.combine([[combined], [combined]], WeightedMean((0.5, 0.5)))
    assert packing.parity(again, feeds(), sum(parts)) < 1e-6


def test_latency_of_pictures_of_several_sizes_is_measured():
    found = packing.measure_latency(examples.unit(), feeds(), seconds=0.05)
    assert 0 < found["one"] < found["thousand"]


def test_a_packed_model_of_pictures_is_proved_and_predicts_in_a_clean_process(tmp_path):
    path = examples.packed(tmp_path)
    examples.written(tmp_path / "photos", examples.pictures())
    code = (
        "import json, sys; from cupel.serving import load; model = load(sys.argv[1]);"
        "print(json.dumps([model.predict_proba(sys.argv[2]).tolist(), 'torch' in sys.modules, 'onnx' in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "photos")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    given, has_torch, has_onnx = json.loads(done.stdout)
    np.testing.assert_allclose(given, examples.predicted(examples.pictures()[:-1]), atol=1e-6)
    assert not has_torch
    assert not has_onnx


@pytest.mark.parametrize("channels", [1, 3])
def test_golden_pictures_are_kept_exactly(tmp_path, channels):
    differences = load(examples.packed(tmp_path, channels=channels)).check()
    assert max(differences.values()) < 1e-6


def test_a_model_that_predicts_pictures_otherwise_is_not_packed(tmp_path):
    with pytest.raises(ParityError, match="golden row"):
        examples.packed(tmp_path, model=examples.unit(0.05))
    assert not list(tmp_path.iterdir())
