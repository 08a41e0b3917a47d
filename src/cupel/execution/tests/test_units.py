import numpy as np
import pytest

from cupel.execution.units import UnitFiles, UnitStore


def files(**facts):
    return UnitFiles(
        rows=np.array([1, 3]),
        predictions=np.array([[0.25], [0.75]]),
        golden=np.array([[0.5]]),
        model=b"onnx",
        facts={"fold": 2, "seconds": 1.5, "curve": {"train_loss": [1.0, 0.5]}, **facts},
        weights={"layer": np.ones((2, 2), np.float32)},
    )


def test_a_unit_comes_back_as_it_was(tmp_path):
    store = UnitStore(tmp_path)
    store.save("k", files())
    unit = store.load("k")
    assert unit is not None
    assert unit.fold == 2
    assert unit.rows.tolist() == [1, 3]
    assert unit.predictions.tolist() == [[0.25], [0.75]]
    assert unit.curve == {"train_loss": [1.0, 0.5]}
    assert store.model("k") == b"onnx"
    assert store.array("k", "golden").tolist() == [[0.5]]


def test_a_unit_that_was_never_saved_is_not_there(tmp_path):
    assert UnitStore(tmp_path).load("k") is None


@pytest.mark.parametrize("name", ["predictions.npy", "model.onnx", "curve.json", "rows.npy", "weights.safetensors", "unit.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "delete"])
def test_a_damaged_unit_counts_as_unfinished(tmp_path, name, damage):
    store = UnitStore(tmp_path)
    store.save("k", files())
    path = tmp_path / "k" / name
    content = bytearray(path.read_bytes())
    if damage == "delete":
        path.unlink()
    else:
        path.write_bytes(bytes(content[: len(content) // 2]) if damage == "cut" else bytes([content[0] ^ 1]) + bytes(content[1:]))
    assert store.load("k") is None


def test_a_unit_that_the_deadline_cut_short_is_trained_again(tmp_path):
    store = UnitStore(tmp_path)
    store.save("k", files(cut_short=True))
    assert store.load("k") is None
