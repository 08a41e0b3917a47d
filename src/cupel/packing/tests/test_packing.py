import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import cupel
import packed_examples as examples
from cupel import packing
from cupel.core.combination import WeightedMean
from cupel.core.errors import InterruptedRunError, OutOfMemoryError, ParityError
from cupel.core.modality import GraphInput
from cupel.serving import load

PACK = sys.modules["cupel.packing.pack"]
KINDS = ("binary", "multiclass", "regression")


def shape_of(declared):
    return declared.type.tensor_type.elem_type, [d.dim_param or d.dim_value for d in declared.type.tensor_type.shape.dim]


def test_a_unit_declares_the_inputs_and_one_output():
    model = onnx.load_from_string(examples.unit(3)[0])
    assert {given.name: shape_of(given) for given in model.graph.input} == {
        "number": (onnx.TensorProto.DOUBLE, ["rows", 4]),
        "category": (onnx.TensorProto.STRING, ["rows", 2]),
    }
    assert [(given.name, shape_of(given)) for given in model.graph.output] == [
        ("prediction", (onnx.TensorProto.DOUBLE, ["rows", 3]))
    ]


@pytest.mark.parametrize("n_outputs", [1, 2, 5])
def test_a_unit_predicts_in_onnx_what_it_predicts_in_numpy(n_outputs):
    model, expected = examples.unit(n_outputs)
    assert packing.parity(model, examples.golden_feeds(), expected) < 1e-12


def test_a_graph_that_takes_too_much_is_an_error_of_its_own(monkeypatch):
    monkeypatch.setattr("cupel.core.graph_sessions.bytes_for_a_graph", lambda: 1 << 20)
    feeds = examples.golden_feeds()
    many = {name: np.resize(cells, (1 << 15, cells.shape[1])) for name, cells in feeds.items()}
    with pytest.raises(OutOfMemoryError, match=r"a model's graph fails on these rows .*smaller than requested"):
        packing.run(packing.session(examples.unit(2)[0]), many)


def test_units_combine_into_their_weighted_mean():
    units = [examples.unit(3, seed) for seed in range(4)]
    weights = (0.4, 0.3, 0.2, 0.1)
    combined = packing.combine([[model] for model, _ in units], WeightedMean(weights))
    expected = sum(weight * predicted for weight, (_, predicted) in zip(weights, units, strict=True))
    assert packing.parity(combined, examples.golden_feeds(), expected) < 1e-12


def test_combining_one_unit_adds_nothing():
    model, expected = examples.unit(2)
    combined = packing.combine([[model]], WeightedMean((1.0,)))
    assert packing.parity(combined, examples.golden_feeds(), expected) == packing.parity(model, examples.golden_feeds(), expected)
    assert not [node for node in onnx.load_from_string(combined).graph.node if node.op_type == "Mul"]


def test_what_units_share_is_stored_once():
    model, _ = examples.unit(2)
    single = onnx.load_from_string(packing.combine([[model]], WeightedMean((1.0,))))
    double = onnx.load_from_string(packing.combine([[model], [model]], WeightedMean((0.5, 0.5))))
    assert len(double.graph.initializer) == len(single.graph.initializer) + 1  # the weight


def test_a_combined_model_can_be_combined_again():
    units = [examples.unit(2, seed) for seed in range(2)]
    pair = packing.combine([[model for model, _ in units]], WeightedMean((1.0,)))
    again = packing.combine([[pair], [pair]], WeightedMean((0.5, 0.5)))
    expected = np.mean([predicted for _, predicted in units], axis=0)
    assert packing.parity(again, examples.golden_feeds(), expected) < 1e-12


def test_a_member_is_the_mean_of_its_folds_whatever_the_weights():
    units = [examples.unit(2, seed) for seed in range(3)]
    models, predicted = [model for model, _ in units], [prediction for _, prediction in units]
    combined = packing.combine([models[:2], models[2:]], WeightedMean((0.7, 0.3)))
    expected = 0.7 * (predicted[0] + predicted[1]) / 2 + 0.3 * predicted[2]
    assert packing.parity(combined, examples.golden_feeds(), expected) < 1e-12


def test_a_difference_is_refused_with_its_size_and_row():
    model, expected = examples.unit(2)
    wrong = expected.copy()
    wrong[4, 1] += 0.01
    with pytest.raises(ParityError, match=r"0.01 in golden row 5"):
        packing.parity(model, examples.golden_feeds(), wrong)
    with pytest.raises(ParityError, match="shape"):
        packing.parity(model, examples.golden_feeds(), expected[:, :1])
    wrong[2] = np.nan
    with pytest.raises(ParityError, match="golden row 3"):
        packing.parity(model, examples.golden_feeds(), wrong)


def test_differences_are_measured_against_the_spread_of_the_target():
    model, expected = examples.unit(1, scale=5000.0)
    packing.parity(model, examples.golden_feeds(), expected + 0.1, scale=5000.0)
    with pytest.raises(ParityError):
        packing.parity(model, examples.golden_feeds(), expected + 0.1, scale=1.0)


def test_latency_is_measured_for_one_row_and_a_thousand_in_bounded_time():
    import time

    started = time.perf_counter()
    latency = packing.measure_latency(examples.unit(2)[0], examples.golden_feeds(), seconds=0.1)
    assert time.perf_counter() - started < 1.0
    assert 0 < latency["one"] < latency["thousand"]


@pytest.mark.parametrize(("one", "another"), [(0.0001, 0.000002), (0.01, 0.009), (0.08, 0.16), (2.0, 2.0), (0.6, 0.01)])
def test_of_a_slow_model_no_more_rows_are_run_than_tell_how_long_a_thousand_take(one, another, monkeypatch):
    taken = []

    def seconds_of(opened, feeds):
        taken.append(one + another * (len(next(iter(feeds.values()))) - 1))
        return taken[-1]

    monkeypatch.setattr("cupel.packing.export._seconds_of_a_run", seconds_of)
    latency = packing.measure_latency(examples.unit(2)[0], examples.golden_feeds(), seconds=0.0)
    assert latency["one"] == pytest.approx(1000 * one)
    assert latency["thousand"] == pytest.approx(1000 * (one + 999 * another), rel=0.3)
    assert sum(taken) < 1.5 + 5 * one


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_model_loads_and_predicts_what_was_trained(tmp_path, kind):
    package = examples.package(kind)
    path = tmp_path / "model.cupel"
    assert packing.pack(path, package) == path.stat().st_size
    assert max(packing.prove(path).values()) < 1e-9
    columns = load(path).predict_columns(examples.GOLDEN)
    values = np.stack([cells for name, cells in columns.items() if kind == "regression" or name != "prediction"], axis=1)
    np.testing.assert_allclose(values, package.expected, rtol=1e-9, atol=1e-9)
    assert [entry.name for entry in path.parent.iterdir()] == ["model.cupel"]


def test_the_archive_holds_what_the_manifest_lists(tmp_path):
    path = examples.packed(tmp_path)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        manifest = json.loads(archive.read("manifest.json"))
    assert names[0] == "manifest.json"
    assert set(names[1:]) == set(manifest["files"]) == {"model.onnx", "schema.json", "golden.json", "facts.json", "card.md"}
    assert manifest["format"] == 1
    assert manifest["task"]["classes"] == ["stay", "leave"]
    assert [given["name"] for given in manifest["inputs"]] == ["number", "category"]


def test_a_model_that_is_not_the_trained_one_is_refused_and_leaves_no_file(tmp_path):
    package = examples.package()
    wrong = np.asarray(package.expected).copy()
    wrong[5] = wrong[5, ::-1]
    with pytest.raises(ParityError, match=r"golden row 6: the trained model's predictions and the packed model's differ"):
        packing.pack(tmp_path / "model.cupel", examples.package(expected=wrong))
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_the_artifact_that_was_there(tmp_path):
    path = examples.packed(tmp_path)
    before = path.read_bytes()
    with pytest.raises(ParityError):
        packing.pack(path, examples.package(model=b"no graph"))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def centred_over_rows(model):
    """The model with the mean over all rows taken off: rows influence one another."""
    changed = onnx.load_from_string(model)
    mean = helper.make_node("ReduceMean", ["prediction_raw"], ["mean"], keepdims=1)
    mean.input.append("axes")
    changed.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0], np.int64), "axes"))
    last = changed.graph.node[-1]
    last.output[0] = "prediction_raw"
    changed.graph.node.extend([mean, helper.make_node("Sub", ["prediction_raw", "mean"], ["prediction"])])
    return changed.SerializeToString()


def test_a_model_whose_rows_influence_one_another_is_refused(tmp_path):
    package = examples.package("regression")
    model = centred_over_rows(package.model)
    expected = np.asarray(package.expected) - np.asarray(package.expected).mean(axis=0)
    with pytest.raises(ParityError, match="rows predicted one by one and together differ"):
        packing.pack(tmp_path / "model.cupel", examples.package("regression", model=model, expected=expected))
    assert list(tmp_path.iterdir()) == []


def test_a_check_that_does_not_end_is_a_refusal(tmp_path, monkeypatch):
    monkeypatch.setattr(PACK, "MAX_SECONDS", 0.01)
    with pytest.raises(ParityError, match="took more than"):
        examples.packed(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_check_that_a_stranger_ended_is_done_again(tmp_path, monkeypatch):
    mark = str(tmp_path / "mark")
    kill_once = f"""
if not os.path.exists({mark!r}):
    open({mark!r}, "w").close()
    os.kill(os.getpid(), 9)
"""
    monkeypatch.setattr(PACK, "_CHECK", kill_once + PACK._CHECK)
    assert examples.packed(tmp_path).exists()


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_a_check_that_is_always_ended_from_outside_blames_no_model(tmp_path, monkeypatch, name):
    monkeypatch.setattr(PACK, "_CHECK", f"import signal; os.kill(os.getpid(), signal.{name})")
    with pytest.raises(InterruptedRunError, match=rf"ended from outside 5 times in a row \({name}\).*`cupel resume`, packs it"):
        examples.packed(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_check_that_crashes_is_a_refusal(tmp_path, monkeypatch):
    monkeypatch.setattr(PACK, "_CHECK", "import signal; os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(ParityError, match="exit code -11"):
        examples.packed(tmp_path)


def test_weights_that_shrink_to_nothing_are_stored_and_still_load(tmp_path):
    package = examples.package(card="0" * (10 << 20))
    path = tmp_path / "model.cupel"
    packing.pack(path, package)
    assert path.stat().st_size > 10 << 20
    assert len(load(path).card) == 10 << 20


def test_what_json_cannot_say_becomes_null(tmp_path):
    predictor = load(examples.packed(tmp_path, facts={"seconds": float("nan"), "scores": (1.0, float("inf"))}))
    assert predictor.facts == {"seconds": None, "scores": [1.0, None]}


def test_an_input_that_no_member_reads_need_not_be_brought():
    inputs = (*examples.INPUTS, GraphInput(name="photo", kind="pixels", columns=("photo",)))
    exported = packing.export_unit(examples.Preparation(), examples.Linear(2), inputs, n_outputs=2).SerializeToString()
    assert "photo" in {given.name for given in onnx.load_from_string(exported).graph.input}
    combined = packing.combine([[exported], [examples.unit(2)[0]]], WeightedMean((0.5, 0.5)))
    assert packing.inputs_of(combined, inputs) == examples.INPUTS
    assert packing.run(packing.session(combined), examples.golden_feeds()).shape == (len(examples.golden_feeds()["number"]), 2)


def test_a_model_is_proved_where_packages_are_on_pythonpath_alone(tmp_path):
    """As where they are installed for one user, or in a folder: an isolated process does not see them by itself."""
    path = examples.packed(tmp_path)
    roots = [str(Path(module.__file__).parents[1]) for module in (cupel, np)]
    code = (
        "import sys; from pathlib import Path; from cupel import packing; print(max(packing.prove(Path(sys.argv[1])).values()))"
    )
    bare = [sys._base_executable, "-s", "-c", code, str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(roots)}
    done = subprocess.run(bare, capture_output=True, text=True, env=environment, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e-9
