"""Backbones from files: what is made of them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from safetensors.numpy import save_file

from cupel.core.errors import UsageError
from cupel.core.trunk import TRUNK, Trunk, read_trunk
from cupel.modalities.image.backbones import pretrained
from cupel.modalities.image.backbones.backbone import Backbone
from cupel.modalities.image.backbones.cupel_files import open_cupel
from cupel.modalities.image.backbones.onnx_files import open_onnx
from cupel.modalities.image.backbones.tests.making_backbones import SMALL, cupel_file, drawn, found, onnx_file

SAID = {"mean": "[0.5, 0.4, 0.3]", "std": "[0.2, 0.25, 0.3]"}


def opened(path: Path) -> Backbone:
    return open_onnx(found(path))


def pictures(n: int = 5, *, channels: int = 3, side: int = 16) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (n, channels, side, side)).astype(np.uint8)


def by_hand(pixels: np.ndarray, *, mean: Any, std: Any) -> np.ndarray:
    """Convolution, activation and mean over places of normalised pictures."""
    kernel = drawn(12, pixels.shape[1], 3, 3)
    normal = (pixels / 255 - np.reshape(mean, (-1, 1, 1))) / np.reshape(std, (-1, 1, 1))
    padded = np.pad(normal, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.maximum(np.einsum("nchwij,ocij->nohw", windows, kernel), 0).mean(axis=(2, 3))


@pytest.mark.parametrize("kind", ["logits", "probabilities", "features", "maps"])
def test_features_are_what_goes_into_the_last_layer_whatever_is_given_out(tmp_path: Path, kind: str) -> None:
    backbone = opened(onnx_file(tmp_path / "tiny.onnx", kind=kind, **SAID))
    assert (backbone.width, backbone.n_channels, backbone.size, backbone.notes) == (12, 3, (16, 16), ())
    expected = by_hand(pictures(), mean=[0.5, 0.4, 0.3], std=[0.2, 0.25, 0.3])
    assert np.abs(backbone.of(pictures()) - expected).max() < 1e-4
    assert backbone.trunk is None


def test_a_tensor_can_be_named_and_one_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "tiny.onnx", **SAID)
    assert opened(Path(f"{path}#logits")).width == 7
    assert found(f"{path}#logits").reference != found(path).reference
    with pytest.raises(UsageError, match=r"no tensor 'nothing'; its outputs are logits"):
        opened(Path(f"{path}#nothing"))


def test_bytes_go_in_as_they_are_and_channels_may_stand_last(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "tiny.onnx", element_type=TensorProto.UINT8, channels_last=True)
    backbone = opened(path)
    assert backbone.notes == ()
    assert np.abs(backbone.of(pictures()) - by_hand(pictures(), mean=0.0, std=1 / 255)).max() < 1e-2


def test_where_nothing_is_said_of_normalisation_that_is_found(tmp_path: Path) -> None:
    backbone = opened(onnx_file(tmp_path / "tiny.onnx"))
    expected = by_hand(pictures(), mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
    assert np.abs(backbone.of(pictures()) - expected).max() < 1e-4
    (finding,) = pretrained([found(onnx_file(tmp_path / "tiny.onnx"))]).findings
    assert "ImageNet's mean and deviation was assumed" in finding.what


def test_a_config_beside_the_file_says_size_and_normalisation(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "tiny.onnx", size=("h", "w"))
    assert opened(path).size is None
    config = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3], "size": {"height": 20, "width": 24}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    backbone = opened(path)
    assert (backbone.size, backbone.notes) == ((20, 24), ())
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"crop_size": 16, "do_rescale": False, "do_normalize": False}))
    assert np.abs(opened(path).of(pictures()) - by_hand(pictures(), mean=0.0, std=1 / 255)).max() < 1e-2


@pytest.mark.parametrize("opset", [11, 13, 18, 21])
def test_other_versions_of_operators_are_brought_to_ours(tmp_path: Path, opset: int) -> None:
    backbone = opened(onnx_file(tmp_path / "tiny.onnx", opset=opset, **SAID))
    assert np.abs(backbone.of(pictures()) - by_hand(pictures(), mean=[0.5, 0.4, 0.3], std=[0.2, 0.25, 0.3])).max() < 1e-4


def edited(path: Path, change: Any) -> Path:
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)
    return path


def with_two_inputs(model: Any) -> None:
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))


def with_an_unknown_operator(model: Any) -> None:
    model.graph.node[1].domain = "com.somebody"
    model.opset_import.append(helper.make_opsetid("com.somebody", 1))


def with_rows_that_are_mixed(model: Any) -> None:
    """As a normalisation that was exported while training does."""
    node = model.graph.node[3]
    model.graph.node.insert(4, helper.make_node("ReduceMean", ["flat"], ["mean"], axes=[0], keepdims=1))
    model.graph.node.insert(5, helper.make_node("Sub", ["flat", "mean"], ["centred"]))
    assert node.output[0] == "flat"
    model.graph.node[6].input[0] = "centred"


def with_chance_in_it(model: Any) -> None:
    model.graph.node.insert(4, helper.make_node("RandomNormalLike", ["flat"], ["noise"], scale=1e-12, seed=1.0))
    model.graph.node.insert(5, helper.make_node("Add", ["flat", "noise"], ["noisy"]))
    model.graph.node[6].input[0] = "noisy"


def with_one_picture_at_a_time(model: Any) -> None:
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 12], np.int64), "form"))
    model.graph.node[3].CopyFrom(helper.make_node("Reshape", ["means", "form"], ["flat"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_two_inputs, r"2 inputs \(image, mask\); expected one"),
        (with_an_unknown_operator, r"does not define \(com.somebody.Relu\)"),
        (with_rows_that_are_mixed, "otherwise beside others than alone"),
        (with_chance_in_it, "cannot be part of a packed model, since it has the operator RandomNormalLike"),
        (with_one_picture_at_a_time, "cannot take 3 pictures.*free batch axis"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_models_that_cannot_be_used_are_refused_with_what_to_do(tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        opened(edited(onnx_file(tmp_path / "tiny.onnx", **SAID), change))
    assert str(tmp_path / "tiny.onnx") in str(raised.value)


def test_what_reads_no_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="its input has 5 channels"):
        opened(onnx_file(tmp_path / "five.onnx", channels=5))
    path = onnx_file(tmp_path / "table.onnx", **SAID)
    with pytest.raises(UsageError, match="its input is float with 2 axes"):
        opened(edited(path, lambda model: [model.graph.input[0].type.tensor_type.shape.dim.pop() for _ in range(2)]))


@pytest.mark.parametrize("family", SMALL)
def test_networks_of_our_own_come_back_as_they_were_saved(tmp_path: Path, family: str) -> None:
    path = cupel_file(tmp_path / "own.safetensors", family=family)
    weights = found(path)
    backbone = open_cupel(weights)
    assert (weights.licence, backbone.size, backbone.n_channels) == ("mit", (16, 16), 3)
    assert backbone.trunk is not None
    scaling, encoder = backbone.trunk([0, 1])
    import torch

    with torch.no_grad():
        pixels = torch.from_numpy(pictures()).expand(2, -1, -1, -1, -1)
        features = encoder.eval()(scaling(pixels)).numpy()
    expected = backbone.of(pictures())
    scale = np.abs(expected).max()
    assert np.abs(features - expected).max() < 1e-4 * scale


def test_a_trunk_of_bags_or_snapshots_is_that_of_the_first(tmp_path: Path) -> None:
    weights = {f"bag_{bag}.{name}": np.full((1, 2), bag, np.float32) for bag in (0, 1) for name in ("encoder.w", "head.w")}
    facts = {"modality": "image", "family": "ResNet", "config": {}, "inputs": {}}
    trunk = Trunk.of(weights, ("encoder.",), facts=facts)
    assert list(trunk.tensors) == ["encoder.w"]
    assert trunk.tensors["encoder.w"].max() == 0
    late = {f"snapshot_{number}.encoder.w": np.full((1, 2), number, np.float32) for number in (3, 4)}
    assert Trunk.of(late, ("encoder.",), facts=facts).tensors["encoder.w"].max() == 3
    told, tensors = read_trunk(trunk.save(tmp_path / "own.safetensors"))
    assert told["family"] == "ResNet"
    assert np.array_equal(tensors["encoder.w"], trunk.tensors["encoder.w"])
    with pytest.raises(UsageError, match=r"Name it own\.safetensors"):
        trunk.save(tmp_path / "own.pt")


def changed_file(path: Path, **changes: Any) -> Path:
    facts, tensors = read_trunk(path)
    save_file(tensors, path, metadata={TRUNK: json.dumps({**facts, **changes})})
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, r"has the format '2'; expected 1"),
        ({"family": "Other"}, "a network that this version of Cupel does not have"),
        ({"family": "linear"}, "a network that this version of Cupel does not have"),
        ({"config": {"width": 16, "nonsense": 1}}, "cannot be built"),
        ({"config": {"width": 48, "n_stages": 3}}, "the weights are not those of ResNet"),
        ({"inputs": {"widths": {"numbers": 3}, "extents": {}}}, "another kind of data"),
        ({"inputs": {"widths": {"pixels": 3}, "extents": {"pixels": [16, 10**9]}}}, "that cannot be"),
    ],
    ids=str,
)
def test_a_file_of_ours_that_was_changed_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_cupel(found(changed_file(cupel_file(tmp_path / "own.safetensors"), **changes)))


def test_weights_of_another_form_are_refused(tmp_path: Path) -> None:
    path = cupel_file(tmp_path / "own.safetensors")
    facts, _ = read_trunk(path)
    save_file({"encoder.w": np.zeros((2, 3))}, path, metadata={TRUNK: json.dumps(facts)})
    with pytest.raises(UsageError, match=r"holds 'encoder.w' as float64; expected float32"):
        open_cupel(found(path))


def test_the_model_of_a_backbone_runs_alone(tmp_path: Path) -> None:
    backbone = opened(onnx_file(tmp_path / "tiny.onnx", **SAID))
    session = onnxruntime.InferenceSession(backbone.model.SerializeToString(), providers=["CPUExecutionProvider"])
    (features,) = session.run(None, {"pixels": pictures(2).astype(np.float32)})
    assert np.array_equal(features, backbone.of(pictures(2)))
