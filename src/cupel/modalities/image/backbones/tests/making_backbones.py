"""Tiny pretrained networks, made on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from cupel.core.inputs import InputShape
from cupel.core.trunk import Trunk
from cupel.core.weights import Weights, find_weights
from cupel.modalities.image.backbones.cupel_files import ANY_TASK
from cupel.modalities.image.models import families
from cupel.modalities.image.network import TRUNK

SMALL = {
    "Airbench": {"width": 16, "growth": 1.5},
    "ResNet": {"width": 32, "n_stages": 3},
    "ConvNeXt": {"width": 16, "depth": 1},
    "MobileNet": {"width": 8, "depth": 1},
    "ViT": {"width": 64, "depth": 2, "n_heads": 2},
}
N_CLASSES = 7


def found(path: Path | str) -> Weights:
    (weights,) = find_weights([str(path)])
    return weights


def drawn(*shape: int, seed: int = 0, scale: float = 0.3) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=scale, size=shape).astype(np.float32)


def onnx_file(
    path: Path,
    *,
    channels: int = 3,
    size: tuple[Any, Any] = (16, 16),
    width: int = 12,
    kind: str = "logits",
    element_type: int = TensorProto.FLOAT,
    channels_last: bool = False,
    opset: int = 17,
    batch: int | str = "batch",
    **metadata: str,
) -> Path:
    """Convolution, activation, pooling and a linear layer; `kind` says which of them is the output."""
    stored = [
        numpy_helper.from_array(drawn(width, channels, 3, 3), "kernel"),
        numpy_helper.from_array(drawn(width, N_CLASSES, seed=1), "weight"),
        numpy_helper.from_array(drawn(N_CLASSES, seed=2), "bias"),
    ]
    nodes = []
    given = "image"
    if element_type == TensorProto.UINT8:
        nodes.append(helper.make_node("Cast", [given], ["floats"], to=TensorProto.FLOAT))
        given = "floats"
    if channels_last:
        nodes.append(helper.make_node("Transpose", [given], ["planes"], perm=[0, 3, 1, 2]))
        given = "planes"
    nodes += [
        helper.make_node("Conv", [given, "kernel"], ["convolved"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["convolved"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    output = {"logits": "logits", "probabilities": "probabilities", "maps": "maps", "features": "flat"}[kind]
    axes = [batch, *size, channels] if channels_last else [batch, channels, *size]
    ends = [
        helper.make_tensor_value_info("image", element_type, axes),
        helper.make_tensor_value_info(output, TensorProto.FLOAT, None),
    ]
    graph = helper.make_graph(nodes, "tiny", ends[:1], ends[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def cupel_file(path: Path, *, family: str = "ResNet", size: tuple[int, int, int] = (3, 16, 16), licence: str = "mit") -> Path:
    """A network of Cupel's own, away from where it starts."""
    spec = next(each for each in families() if each.name == family)
    channels, height, width = size
    shape = InputShape({"pixels": channels}, {}, {"pixels": (height, width)})
    config = spec.config(**SMALL[family])
    network = spec.build(shape, n_outputs=1, task=ANY_TASK, config=config, seeds=[3])
    generator = torch.Generator().manual_seed(1)
    network.initialise({"pixels": torch.randint(0, 256, (1, 8, *size), generator=generator).to(torch.uint8)})
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    facts = {
        "modality": "image",
        "family": family,
        "config": {**SMALL[family]},
        "inputs": {"widths": {"pixels": channels}, "extents": {"pixels": [height, width]}},
    }
    weights = {name: tensor[0].numpy() for name, tensor in network.state_dict().items()}
    return Trunk.of(weights, TRUNK, facts=facts).save(path, licence=licence)
