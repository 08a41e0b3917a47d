"""Backbones of timm: with the library where it is installed, else with one of the same form planted in its place."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cupel.core.errors import MissingDependencyError, UsageError
from cupel.core.task import Task, TaskKind
from cupel.modalities.image.backbones import pretrained
from cupel.modalities.image.backbones.tests.making_backbones import found
from cupel.modalities.image.backbones.timm_files import open_timm

WIDTH = 10
CONFIG = {"input_size": (3, 16, 16), "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.25, 0.3), "license": "apache-2.0"}


class Planted(nn.Module):
    """As networks of timm are: named parts, statistics that run along, `num_features`, no classifier for 0 classes."""

    def __init__(self, num_classes: int = 5) -> None:
        super().__init__()
        self.num_features = WIDTH
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.layer1 = nn.Sequential(nn.Conv2d(6, WIDTH, 3, padding=1), nn.ReLU())
        self.fc = nn.Linear(WIDTH, num_classes) if num_classes else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.layer1(torch.relu(self.bn1(self.conv1(x)))).mean((2, 3)))


def planted_library() -> Any:
    library: Any = ModuleType("timm")
    library.is_model = lambda name: name == "tinynet"
    library.create_model = lambda name, pretrained, num_classes: Planted(num_classes)
    library.get_pretrained_cfg = lambda name, allow_unregistered=True: (
        SimpleNamespace(to_dict=lambda: dict(CONFIG)) if name.partition(".")[0] == "tinynet" else None
    )
    return library


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", planted_library())


def saved(path: Path, **metadata: str) -> tuple[Path, Planted]:
    torch.manual_seed(3)
    network = Planted().eval()
    with torch.no_grad():
        network.bn1.running_mean.add_(torch.randn(6) * 0.1)
        network.bn1.running_var.mul_(1.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), path, metadata=metadata or None)
    return path, network


def pictures(n: int = 4) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (n, 3, 16, 16)).astype(np.uint8)


def features_by(network: Planted) -> np.ndarray:
    mean, deviation = (torch.tensor(CONFIG[name]).view(-1, 1, 1) for name in ("mean", "std"))
    network.fc = nn.Identity()
    with torch.no_grad():
        return network((torch.from_numpy(pictures()) / 255 - mean) / deviation).numpy()


@pytest.mark.usefixtures("library")
def test_features_are_those_of_the_network_and_its_licence_is_known(tmp_path: Path) -> None:
    path, network = saved(tmp_path / "tinynet.a1.safetensors")
    backbone, weights = open_timm(found(path))
    expected = features_by(network)
    assert (backbone.width, backbone.size, backbone.n_channels) == (WIDTH, (16, 16), 3)
    assert np.abs(backbone.of(pictures()) - expected).max() < 1e-4
    assert weights.licences == (("apache-2.0", "timm"),)
    assert len(pretrained([found(path)]).families) == 4


@pytest.mark.usefixtures("library")
def test_all_of_it_is_taken_over(tmp_path: Path) -> None:
    families = pretrained([found(saved(tmp_path / "tinynet.safetensors")[0])]).families
    tuned = next(family for family in families if family.name.startswith("tuned:"))
    task = Task(kind=TaskKind.BINARY, target="y", metric="log_loss", classes=("no", "yes"))
    generator = np.random.default_rng(0)
    assert {preset.config.kept for preset in tuned.portfolio(task)} == {"all"}
    assert {tuned.space(task).sample(generator).config.kept for _ in range(20)} == {"all"}


@pytest.mark.usefixtures("library")
def test_each_stacked_copy_learns_on_its_own_and_leaves_as_onnx(tmp_path: Path) -> None:
    backbone, _ = open_timm(found(saved(tmp_path / "tinynet.safetensors")[0]))
    assert backbone.trunk is not None
    scaling, encoder = backbone.trunk([0, 1])
    pixels = torch.from_numpy(pictures()).expand(2, -1, -1, -1, -1)
    encoder.train()
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)
    encoder(scaling(pixels))[1].square().mean().backward()
    optimizer.step()
    encoder.eval()
    with torch.no_grad():
        first, second = encoder(scaling(pixels)).numpy()
    assert np.abs(second - backbone.of(pictures())).max() > 1e-3
    assert np.abs(first - backbone.of(pictures())).max() < 1e-4, "only the second copy has learned"
    assert np.abs(first - second).max() > 1e-3
    from cupel.modalities.image.backbones.backbone import begun, finished, session_of

    for model, expected in enumerate((first, second)):
        graph, given = begun(3, (16, 16))
        features = encoder.emit(graph, scaling.emit(graph, given, model=model), model=model)
        session = session_of(finished(graph, features, rank=2))
        assert np.abs(session.run(None, {"pixels": pictures().astype(np.float32)})[0] - expected).max() < 1e-4


@pytest.mark.usefixtures("library")
def test_statistics_stay_while_weights_learn(tmp_path: Path) -> None:
    backbone, _ = open_timm(found(saved(tmp_path / "tinynet.safetensors")[0]))
    assert backbone.trunk is not None
    scaling, encoder = backbone.trunk([0])
    before = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
    assert before
    pixels = scaling(torch.from_numpy(pictures())[None])
    learning = encoder.train()(pixels)
    assert torch.equal(learning, encoder.eval()(pixels))
    assert all(torch.equal(buffer, before[name]) for name, buffer in encoder.named_buffers())


@pytest.mark.usefixtures("library")
def test_what_does_not_fit_the_network_is_refused(tmp_path: Path) -> None:
    path, _ = saved(tmp_path / "unknown" / "other.safetensors")
    with pytest.raises(UsageError, match=r"which network its weights are of is not known \(other, unknown\)"):
        open_timm(found(path))
    (path.parent / "config.json").write_text('{"architecture": "tinynet"}')
    assert open_timm(found(path))[0].width == WIDTH
    save_file({"conv1.weight": torch.zeros(6, 3, 3, 3)}, tmp_path / "tinynet.safetensors")
    with pytest.raises(UsageError, match=r"lacks 6 of the weights of tinynet"):
        open_timm(found(tmp_path / "tinynet.safetensors"))
    save_file({"conv1.weight": torch.zeros(7, 3, 3, 3)}, tmp_path / "tinynet.safetensors")
    with pytest.raises(UsageError, match="other sizes than those of tinynet"):
        open_timm(found(tmp_path / "tinynet.safetensors"))


def test_where_timm_is_missing_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "cupel\[timm\]".*ONNX'):
        open_timm(found(saved(tmp_path / "tinynet.safetensors")[0]))


@pytest.mark.real
@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224", "mobilenetv3_small_050"])
def test_networks_of_the_library_itself_agree(tmp_path: Path, name: str) -> None:
    timm = pytest.importorskip("timm", exc_type=(ImportError, RuntimeError))
    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False).eval()
    save_file({key: tensor.contiguous() for key, tensor in network.state_dict().items()}, tmp_path / f"{name}.safetensors")
    backbone, _ = open_timm(found(tmp_path / f"{name}.safetensors"))
    assert backbone.trunk is not None
    scaling, encoder = backbone.trunk([0])
    height, width = backbone.size or (224, 224)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, height, width)).astype(np.uint8)
    with torch.no_grad():
        expected = encoder.eval()(scaling(torch.from_numpy(pixels)[None]))[0].numpy()
    assert np.abs(backbone.of(pixels) - expected).max() < 1e-3 * np.abs(expected).max()
