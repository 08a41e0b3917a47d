"""Backbones of timm: weights from a file, the network they belong to from the library."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cupel.core.errors import MissingDependencyError, UsageError
from cupel.core.family import Cost
from cupel.core.graph import OPSET, Graph
from cupel.core.layers import PixelScaling
from cupel.core.recipe import Recipe
from cupel.core.task import Task
from cupel.core.weights import Weights
from cupel.modalities.image.backbones.backbone import Backbone, begun, finished, tried
from cupel.modalities.image.backbones.cupel_files import KnownScaling
from cupel.modalities.image.backbones.onnx_files import DEVIATION, MEAN, normalisation_said, read_fact
from cupel.modalities.image.network import Encoder

DEFAULT_SIDE = 224
UNNAMED = (".", "/")
"""A dot stands in names of parameters and not of attributes; what takes its place stands in neither."""


def open_timm(weights: Weights) -> tuple[Backbone, Weights]:
    """The backbone in a file of weights by timm's names, and the weights with the licence that timm knows.

    Raises:
        MissingDependencyError: timm is not installed, or does not work here.
        UsageError: which network it is cannot be told, or the weights are not its.
    """
    library = _timm(weights)
    try:
        name = _architecture(weights, library)
        settings = _settings(library, name, weights)
        trunk = TimmTrunk(_network(library, name, weights), settings)
        model = _model(trunk)
        found, seconds = tried(model, n_channels=settings.n_channels, size=settings.size)
    except UsageError as error:
        raise UsageError(f"the backbone {weights.asked}: {error}") from error
    known = weights if weights.licences or not settings.licence else replace(weights, licences=((settings.licence, "timm"),))
    backbone = Backbone(
        reference=weights.reference,
        name=weights.name,
        model=model,
        width=found.shape[1],
        n_channels=settings.n_channels,
        size=settings.size,
        seconds=seconds,
        n_bytes=sum(file.n_bytes for file in weights.files),
        trunk=trunk,
    )
    return backbone, known


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a network of timm wants its pictures, and the licence of its published weights, "" where none is known."""

    n_channels: int
    size: tuple[int, int]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    licence: str


def _timm(weights: Weights) -> ModuleType:
    try:
        import timm
    except (ImportError, RuntimeError) as error:
        said = " ".join(str(error).split())[:200]
        raise MissingDependencyError(
            f"{weights.asked} holds weights of a network that timm builds, and timm cannot be used here ({said}). "
            f'Run: pip install "cupel[timm]", and torchvision from the same index as torch; or export the network as ONNX.'
        ) from error
    library: ModuleType = timm
    return library


def _architecture(weights: Weights, library: ModuleType) -> str:
    """The network's name: from the file or the config beside it, else from the file's own name."""
    said = [weights.facts.get(key) for key in ("architecture", "model_name", "timm_architecture")]
    names = [name for name in (*said, weights.name, weights.path.parent.name) if isinstance(name, str) and name]
    for name in names:
        plain = name.removeprefix("timm/").partition(".")[0]
        if library.is_model(plain):
            return plain
    raise UsageError(
        f"which network its weights are of is not known ({', '.join(names[:3])}); expected one of timm's. Name the file so, "
        f'such as resnet18.safetensors, or put {{"architecture": "resnet18"}} into a config.json beside it.'
    )


def _settings(library: ModuleType, name: str, weights: Weights) -> Settings:
    config = library.get_pretrained_cfg(weights.name, allow_unregistered=True) or library.get_pretrained_cfg(name)
    known: Mapping[str, Any] = {} if config is None else config.to_dict()
    facts = {**known, **weights.facts}
    said = read_fact(facts, "input_size")
    channels, height, width = (
        said if isinstance(said, list | tuple) and len(said) == 3 else (len(MEAN), DEFAULT_SIDE, DEFAULT_SIDE)
    )
    mean, deviation = normalisation_said(facts, n_channels=channels) or (MEAN, DEVIATION)
    licence = known.get("license")
    return Settings(
        n_channels=channels,
        size=(height, width),
        mean=tuple(mean),
        deviation=tuple(deviation),
        licence=licence if isinstance(licence, str) else "",
    )


def _network(library: ModuleType, name: str, weights: Weights) -> nn.Module:
    """The network without what answers, with the file's weights in it."""
    from safetensors.torch import load_file

    tensors = load_file(weights.path)
    with torch.random.fork_rng(devices=[]):  # it draws weights that the file's take the place of
        network: nn.Module = library.create_model(name, pretrained=False, num_classes=0)
    try:
        missing, _ = network.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise UsageError(f"its weights have other sizes than those of {name} ({' '.join(str(error).split())[:200]}).") from error
    if missing:
        shown = ", ".join(missing[:3])
        raise UsageError(f"it lacks {len(missing)} of the weights of {name} ({shown}, …); expected them by timm's names.")
    return network.eval()


@dataclass(frozen=True, eq=False)
class TimmTrunk:
    """Builds copies of a network whose weights are there."""

    network: nn.Module
    settings: Settings

    @property
    def head_factor(self) -> float:
        """One: none of it begins anew."""
        return 1.0

    def usual_recipe(self, task: Task) -> Recipe | None:
        """None: what pretraining on millions of pictures has taught is kept."""
        del task
        return None

    def cost(self, n_train: int, *, recipe: Recipe, task: Task) -> Cost | None:
        """Its form says nothing of that."""
        del n_train, recipe, task
        return None

    def __call__(self, seeds: Sequence[int], *, kept: str = "all") -> tuple[PixelScaling, Encoder]:
        """Scaling and encoder."""
        assert kept == "all", "a part of it cannot begin anew"
        scaling = KnownScaling(self.settings.n_channels, n_models=len(seeds))
        scaling.mean.copy_(torch.tensor(self.settings.mean))
        scaling.deviation.copy_(torch.tensor(self.settings.deviation))
        scaling.unit.fill_(1 / 255)
        return scaling, TimmEncoder(
            self.network, n_models=len(seeds), size=self.settings.size, n_channels=self.settings.n_channels
        )


class TimmEncoder(Encoder):
    """A network of another library as an encoder: as many sets of its weights as there are models, each named as there.

    The network itself is only the form that sets of weights are put into. Statistics of its batch normalisations stay those that
    its weights came with: they are of far more pictures than there are here, and so they belong to averages of weights and to
    parts that do not learn yet as well.
    """

    def __init__(self, network: nn.Module, *, n_models: int, size: tuple[int, int], n_channels: int) -> None:
        super().__init__()
        self._form = (network,)  # in a tuple, so that its parameters are not this one's
        self._n_channels, self._size = n_channels, size
        for name, parameter in network.named_parameters():
            stacked = parameter.detach().expand(n_models, *parameter.shape).clone()
            self.register_parameter(name.replace(*UNNAMED), nn.Parameter(stacked))
        for name, buffer in network.named_buffers():
            self.register_buffer(name.replace(*UNNAMED), buffer.expand(n_models, *buffer.shape).clone())
        self.width = int(str(network.num_features))

    def tensors_of(self, model: int) -> dict[str, Tensor]:
        """One model's parameters and buffers, by the names that the network has for them."""
        named = [*self.named_parameters(), *self.named_buffers()]
        return {name.replace(UNNAMED[1], UNNAMED[0]): tensor[model] for name, tensor in named}

    def forward(self, maps: Float[Tensor, "row side height width"]) -> Float[Tensor, "model row feature"]:
        """Features of each model's pictures."""
        form = self._form[0].train(self.training)
        for module in form.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        pictures = unfolded_maps(maps, n_channels=self._n_channels)
        found = [torch.func.functional_call(form, self.tensors_of(m), own.contiguous()) for m, own in enumerate(pictures)]
        return torch.stack(found)

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same as PyTorch exports it."""
        form = self._form[0].eval()
        kept = {name: tensor.clone() for name, tensor in form.state_dict().items()}
        try:
            form.load_state_dict({name: tensor.detach() for name, tensor in self.tensors_of(model).items()}, strict=False)
            exported = _exported(form, n_channels=self._n_channels, size=self._size)
        finally:
            form.load_state_dict(kept)
        return graph.inline(exported, {exported.graph.input[0].name: x})[0]


def unfolded_maps(maps: Tensor, *, n_channels: int) -> Tensor:
    """(B, M * C, H, W) as (M, B, C, H, W)."""
    n_rows, _, height, width = maps.shape
    return maps.reshape(n_rows, -1, n_channels, height, width).transpose(0, 1)


def _exported(network: nn.Module, *, n_channels: int, size: tuple[int, int]) -> Any:
    import onnx

    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further library says that there is a newer one
        torch.onnx.export(
            network.cpu(),
            (torch.zeros(2, n_channels, *size),),
            stream,  # type: ignore[arg-type]  # its older exporter, used here, writes into streams
            input_names=["x"],
            output_names=["y"],
            dynamic_axes={"x": {0: "rows"}, "y": {0: "rows"}},
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load_from_string(stream.getvalue())


def _model(trunk: TimmTrunk) -> Any:
    scaling, encoder = trunk([0])
    encoder.eval()
    graph, pixels = begun(trunk.settings.n_channels, trunk.settings.size)
    features = encoder.emit(graph, scaling.emit(graph, pixels, model=0), model=0)
    return finished(graph, features, rank=2)
