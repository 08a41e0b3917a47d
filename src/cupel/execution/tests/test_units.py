import hashlib
import io
import json
import tracemalloc
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto

import packed_examples as examples
from cupel.core.errors import DataError
from cupel.execution.units import UnitFiles, UnitStore


def files(**facts):
    return UnitFiles(
        rows=np.array([1, 3]),
        predictions=np.array([[0.25], [0.75]]),
        golden=np.array([[0.5]]),
        model=examples.unit(2)[0],
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
    assert store.model("k") == examples.unit(2)[0]
    assert store.weights("k")["layer"].tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert store.array("k", "golden").tolist() == [[0.5]]


def test_masks_are_judged_at_fewer_points_than_the_model_says(tmp_path):
    store = UnitStore(tmp_path)
    store.save("k", replace(files(), golden=np.zeros((1, 2 * 72 * 72))))
    assert store.load("k") is not None


def test_what_a_stranger_says_of_the_stop_rows_is_kept_where_there_is_such(tmp_path):
    store = UnitStore(tmp_path)
    held = replace(files(), stop_predictions=np.array([[0.1], [0.2], [1e300]]))
    assert held.n_bytes == files().n_bytes + 24
    store.save("k", held)
    store.save("without", files())
    with_it, without = store.load("k"), store.load("without")
    assert with_it is not None
    assert with_it.stop_predictions is not None
    assert with_it.stop_predictions.tolist() == [[0.1], [0.2], [1e300]]
    assert without is not None
    assert without.stop_predictions is None
    path = tmp_path / "k" / "stop_predictions.npy"
    path.write_bytes(path.read_bytes()[:-1])
    assert store.load("k") is None
    path.unlink()
    assert store.load("k") is None


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


def planted(store, folder, *, name, content, key="k"):
    """A finished unit in which a stranger has replaced a file and made `unit.json` agree."""
    store.save(key, files())
    facts = json.loads((folder / key / "unit.json").read_text())
    if content is None:
        del facts["files"][name]
    else:
        if not name.startswith(("/", ".")):
            (folder / key / name).write_bytes(content)
        facts["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / key / "unit.json").write_text(json.dumps(facts))


def npy(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def with_weights_outside():
    model = onnx.load_from_string(examples.unit(2)[0])
    weights = model.graph.initializer[0]
    weights.data_location = TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("/etc/hostname", b""),
        ("../../secret", b""),
        ("model.pkl", b"x"),
        ("rows.npy", None),
        ("rows.npy", npy(np.array([{}, {}], dtype=object), allow_pickle=True)),
        ("rows.npy", npy(np.array([1.0, 3.0]))),
        ("rows.npy", npy(np.array([1, 2, 3]))),
        ("golden.npy", npy(np.ones((0, 1)))),
        ("predictions.npy", npy(np.ones((2, 1)))[:-8]),
        ("stop_predictions.npy", npy(np.ones((2, 1)))[:-8]),
        ("stop_predictions.npy", npy(np.ones(2))),
        ("stop_predictions.npy", npy(np.ones((2, 1), np.float32))),
        ("curve.json", b"[" * 100_000),
        ("curve.json", b"[1]"),
        ("curve.json", b'{"loss": ["x"]}'),
        ("curve.json", b'{"loss": 5}'),
        ("model.onnx", with_weights_outside()),
        ("model.onnx", b"\x18\0\0\0ORTM" + b"\0" * 100),
    ],
)
def test_a_unit_that_a_stranger_made_counts_as_unfinished(tmp_path, name, content):
    store = UnitStore(tmp_path)
    planted(store, tmp_path, name=name, content=content)
    assert store.load("k") is None


@pytest.mark.parametrize(
    "arrays",
    [
        {"golden": np.zeros((1000, 1))},
        {"predictions": np.zeros((2, 500))},
        {"stop_predictions": np.zeros((1000, 1))},
        {"rows": np.arange(1000), "predictions": np.zeros((1000, 0))},
    ],
)
def test_arrays_larger_than_the_run_can_have_are_not_read(tmp_path, monkeypatch, arrays):
    monkeypatch.setattr("cupel.execution.units.HEADER_BYTES", 128)
    store = UnitStore(tmp_path)
    store.save("k", replace(files(), **arrays))
    assert store.load("k", most_numbers=999) is None
    assert store.load("k", most_numbers=1000) is not None


def test_files_of_a_unit_are_read_one_at_a_time(tmp_path):
    store, n_bytes = UnitStore(tmp_path), 1 << 22
    zeros = np.zeros(n_bytes // 8)
    store.save("k", replace(files(), golden=zeros[:, None], weights={str(n): zeros for n in range(4)}))
    tracemalloc.start()
    assert store.load("k") is not None
    assert tracemalloc.get_traced_memory()[1] < 5.5 * n_bytes, "the weights, beside the array that was read before"
    tracemalloc.stop()


@pytest.mark.parametrize(
    "facts",
    [
        {"fold": "x"},
        {"fold": None},
        {"seconds": "x"},
        {"latency_ms": [1]},
        {"latency_ms": {"one": "x"}},
        {"files": []},
        {"files": {}},
    ],
)
def test_facts_of_another_type_count_as_unfinished(tmp_path, facts):
    store = UnitStore(tmp_path)
    store.save("k", files())
    path = tmp_path / "k" / "unit.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))
    assert store.load("k") is None


def test_a_unit_behind_a_link_is_neither_read_nor_written(tmp_path):
    inside, outside = tmp_path / "units", tmp_path / "elsewhere"
    UnitStore(outside).save("k", files())
    before = {path.name: path.read_bytes() for path in (outside / "k").iterdir()}
    inside.mkdir()
    (inside / "k").symlink_to(outside / "k")
    store = UnitStore(inside)
    assert store.load("k") is None
    with pytest.raises(DataError, match="is a link"):
        store.save("k", files(fold=1))
    assert {path.name: path.read_bytes() for path in (outside / "k").iterdir()} == before


def test_damaged_weights_are_none(tmp_path):
    store = UnitStore(tmp_path)
    store.save("k", files())
    path = tmp_path / "k" / "weights.safetensors"
    for content in (b"", b"\xff" * 8, (1 << 40).to_bytes(8, "little") + b"{}"):
        path.write_bytes(content)
        assert store.weights("k") == {}


def test_weights_that_half_precision_holds_take_half_the_bytes_and_come_back_as_they_were(tmp_path):
    drawn = np.random.default_rng(0).normal(size=(2, 40, 40)).astype(np.float32)
    weights = {"rounded": drawn[0].astype(np.float16).astype(np.float32), "odd": drawn[1], "few": np.ones(3, np.float32)}
    store, held = UnitStore(tmp_path), replace(files(), weights=weights)
    store.save("k", held)
    found = store.weights("k")
    assert all(found[name].dtype == np.float32 and np.array_equal(found[name], array) for name, array in weights.items())
    assert held.n_bytes == replace(held, weights={**weights, "rounded": drawn[0]}).n_bytes - 2 * 1600
    assert (tmp_path / "k" / "weights.safetensors").stat().st_size < (2 + 4) * 1600 + 400
