"""Backbones from ONNX files that others exported: pixels or normalised pictures in, features, maps, tokens or logits out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cupel.core.errors import UsageError
from cupel.core.graph import OPSET, Graph
from cupel.core.weights import Weights
from cupel.modalities.image.backbones.backbone import Backbone, begun, finished, tried

if TYPE_CHECKING:
    import onnx

STANDARD_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
ENDINGS = ("Softmax", "LogSoftmax", "Sigmoid", "Identity", "Cast")
TELLING_NAMES = ("feature", "embed", "pool", "hidden")
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures, by which nearly all published networks for colour pictures normalise."""
BRIGHTEST = 255.0


@dataclass(frozen=True, kw_only=True)
class Entry:
    """How a model wants its pictures: its input's name, channels, size (None: any), order of axes, and type."""

    name: str
    n_channels: int
    size: tuple[int, int] | None
    channels_last: bool
    element_type: int


def open_onnx(weights: Weights) -> Backbone:
    """The backbone in an ONNX file.

    Raises:
        UsageError: it is no network for pictures, or cannot be a part of a packed graph.
    """
    import onnx

    try:
        model = _standard(onnx.load(weights.path))
        entry = _entry(model, weights.facts)
        kept = _cut(model, weights.part)
        graph, pixels = begun(entry.n_channels, entry.size)
        given, notes = _as_wanted(graph, pixels, entry, facts=weights.facts)
        features = graph.inline(kept, {entry.name: given})[0]
        rank = tried(_plain(graph, features), n_channels=entry.n_channels, size=entry.size, output=features)[0].ndim
        finished_model = finished(graph, features, rank=rank, channels_last=entry.channels_last)
        found, seconds = tried(finished_model, n_channels=entry.n_channels, size=entry.size)
    except UsageError as error:
        raise UsageError(f"the backbone {weights.asked}: {error}") from error
    return Backbone(
        reference=weights.reference,
        name=weights.name,
        model=finished_model,
        width=found.shape[1],
        n_channels=entry.n_channels,
        size=entry.size,
        seconds=seconds,
        n_bytes=sum(file.n_bytes for file in weights.files),
        notes=notes,
    )


def _plain(graph: Graph, tensor: str) -> onnx.ModelProto:
    """The graph so far, with a tensor of unknown form as its output."""
    from onnx import TensorProto, helper

    unfinished = graph.unfinished()
    unfinished.graph.output.append(helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None))
    return unfinished


def _standard(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model in the version of operators that is packed, its functions resolved.

    Raises:
        UsageError: it has parts that a packed graph cannot have.
    """
    import onnx
    from onnx import inliner, version_converter

    if model.functions:
        model = inliner.inline_local_functions(model)
    foreign = sorted({f"{node.domain}.{node.op_type}" for node in model.graph.node if node.domain not in STANDARD_DOMAINS})
    if foreign:
        raise UsageError(
            f"it has operators that ONNX does not define ({', '.join(foreign[:5])}); export it with standard ones alone."
        )
    nested = sorted({node.op_type for node in model.graph.node if any(a.HasField("g") or a.graphs for a in node.attribute)})
    if nested:
        raise UsageError(
            f"it has graphs within graphs ({', '.join(nested)}); expected a plain one. Export it without branches and loops."
        )
    for node in model.graph.node:
        node.domain = "" if node.domain == "ai.onnx" else node.domain
    version = next((opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")), OPSET)
    if version == OPSET:
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except (RuntimeError, onnx.checker.ValidationError) as error:
        said = " ".join(str(error).split())[:200]
        raise UsageError(
            f"it has operators of version {version}, which cannot be brought to {OPSET} ({said}); export it with opset {OPSET}."
        ) from error


def _entry(model: onnx.ModelProto, facts: Mapping[str, Any]) -> Entry:
    from onnx import TensorProto

    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [given for given in model.graph.input if given.name not in stored]
    if len(inputs) != 1:
        raise UsageError(
            f"it has {len(inputs)} inputs ({', '.join(given.name for given in inputs)}); expected one, for pictures."
        )
    tensor = inputs[0].type.tensor_type
    axes = [axis.dim_value if axis.HasField("dim_value") and axis.dim_value > 0 else None for axis in tensor.shape.dim]
    known = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8)
    if len(axes) != 4 or tensor.elem_type not in known:
        kind = TensorProto.DataType.Name(tensor.elem_type).lower()
        raise UsageError(
            f"its input is {kind} with {len(axes)} axes; expected pictures, float or uint8 (rows, channels, height, width)."
        )
    channels_last = axes[1] not in (1, 3) and axes[3] in (1, 3)
    n_channels = axes[3] if channels_last else axes[1] or 3
    if n_channels not in (1, 3):
        raise UsageError(f"its input has {n_channels} channels; expected 1 (grey) or 3 (colour).")
    height, width = axes[1:3] if channels_last else axes[2:4]
    size = (height, width) if height and width else _size_said(facts)
    return Entry(
        name=inputs[0].name, n_channels=n_channels, size=size, channels_last=channels_last, element_type=tensor.elem_type
    )


def _size_said(facts: Mapping[str, Any]) -> tuple[int, int] | None:
    """The size of pictures as model hubs write it: [channels, height, width], {height, width}, {shortest_edge} or one number."""
    said = read_fact(facts, "input_size") or read_fact(facts, "crop_size") or read_fact(facts, "size")
    if isinstance(said, Mapping):
        said = [said.get("height", said.get("shortest_edge")), said.get("width", said.get("shortest_edge"))]
    sides = list(said[-2:]) if isinstance(said, list | tuple) else [said, said]
    if len(sides) == 2 and all(isinstance(side, int) and not isinstance(side, bool) and 0 < side <= 4096 for side in sides):
        return sides[0], sides[1]
    return None


def read_fact(facts: Mapping[str, Any], name: str) -> Any:
    """A setting; one that stands as text, as in metadata, is read as JSON."""
    value = facts.get(name)
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def normalisation_said(facts: Mapping[str, Any], *, n_channels: int) -> tuple[Sequence[float], Sequence[float]] | None:
    """Mean and deviation of each channel, of a range of 0 to 1, as model hubs write them; None where they say nothing."""
    if read_fact(facts, "do_normalize") is False:
        return [0.0] * n_channels, [1.0] * n_channels
    found = []
    for names in (("mean", "image_mean"), ("std", "image_std")):
        value = next((value for value in (read_fact(facts, name) for name in names) if value is not None), None)
        numbers = value if isinstance(value, list | tuple) else [value]
        if not numbers or not all(isinstance(each, int | float) and not isinstance(each, bool) for each in numbers):
            return None
        found.append([float(str(each)) for each in numbers] * (n_channels if len(numbers) == 1 else 1))
    mean, deviation = found
    is_whole = len(mean) == len(deviation) == n_channels and min(deviation) > 0
    return (mean, deviation) if is_whole else None


def _as_wanted(graph: Graph, pixels: str, entry: Entry, *, facts: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Pixels of 0 to 255 as the model wants its pictures, and what had to be assumed."""
    from onnx import TensorProto

    notes: tuple[str, ...] = ()
    if entry.element_type == TensorProto.UINT8:
        given = graph.cast(pixels, np.uint8)
    else:
        said = normalisation_said(facts, n_channels=entry.n_channels)
        if said is None:
            is_colour = entry.n_channels == len(MEAN)
            said = (MEAN, DEVIATION) if is_colour else ([0.0], [1.0])
            assumed = "ImageNet's mean and deviation" if is_colour else "0 to 1"
            notes = (
                f"Neither the file nor a config beside it says how pictures are to be normalised; {assumed} was assumed. "
                f"If that is wrong, put `mean` and `std` into a config.json beside it.",
            )
        top = 1.0 if read_fact(facts, "do_rescale") is False else BRIGHTEST
        mean, deviation = (np.array(each, np.float64)[:, None, None] for each in said)
        scaled = graph.op("Mul", pixels, graph.constant((1 / (top * deviation)).astype(np.float32)))
        given = graph.op("Add", scaled, graph.constant((-mean / deviation).astype(np.float32)))
        if entry.element_type == TensorProto.FLOAT16:
            given = graph.cast(given, np.float16)
    return (graph.op("Transpose", given, perm=[0, 2, 3, 1]) if entry.channels_last else given), notes


def _cut(model: onnx.ModelProto, part: str) -> onnx.ModelProto:
    """The model up to its features, and no further: what goes into the last linear layer, or the tensor that was named.

    Raises:
        UsageError: there is no such tensor.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    if part and part not in makers:
        shown = ", ".join(output.name for output in model.graph.output)
        raise UsageError(f"it has no tensor {part!r}; its outputs are {shown}. Name one of its tensors behind the #.")
    wanted = part or _features_in(model, makers)
    nodes, waiting, seen = [], [wanted], set[str]()
    while waiting:
        maker = makers.get(waiting.pop())
        if maker is not None and maker.output[0] not in seen:
            seen.add(maker.output[0])
            waiting.extend(name for name in maker.input if name)
    nodes = [node for node in model.graph.node if node.output[0] in seen]
    needed = {name for node in nodes for name in node.input}
    kept = type(model)()
    kept.CopyFrom(model)
    del kept.graph.node[:], kept.graph.output[:], kept.graph.value_info[:], kept.graph.initializer[:]
    kept.graph.node.extend(nodes)
    kept.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in needed)
    kept.graph.output.add(name=wanted)
    return kept


def _features_in(model: onnx.ModelProto, makers: Mapping[str, Any]) -> str:
    outputs = [str(output.name) for output in model.graph.output]
    telling = next((name for name in outputs if any(word in name.casefold() for word in TELLING_NAMES)), None)
    if telling is not None and telling in makers:
        return telling
    stored = {tensor.name for tensor in model.graph.initializer}
    tensor = outputs[0]
    while tensor in makers and makers[tensor].op_type in ENDINGS:
        tensor = makers[tensor].input[0]
    maker = makers.get(tensor)
    if maker is not None and maker.op_type == "Add" and len(stored.intersection(maker.input)) == 1:
        other = next(name for name in maker.input if name not in stored)
        maker = makers.get(other)
    if maker is not None and maker.op_type in ("Gemm", "MatMul") and maker.input[1] in stored and maker.input[0] in makers:
        return str(maker.input[0])
    return str(outputs[0])
