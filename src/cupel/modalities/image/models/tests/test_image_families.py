"""Promises of every family of networks on pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from cupel.core import space
from cupel.core.errors import TrainingError
from cupel.core.family import Family
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs, InputShape
from cupel.core.layers import Network
from cupel.core.space import Choice
from cupel.core.task import Task, TaskKind
from cupel.modalities.image.models import MODELS, families
from cupel.modalities.image.models.vit import sines

FOLDER = "cupel.modalities.image.models"
MASKS = Task(kind=TaskKind.SEGMENTATION, target="y", metric="dice", classes=("a", "b", "c"), grid=(32, 32))
FAMILIES = {name: import_module(f"{FOLDER}.{name}").spec for name in MODELS}
TASK = Task(kind=TaskKind.MULTICLASS, target="y", metric="log_loss", classes=("a", "b", "c"))
SEEDS = (5, 8)
SIZES = [(1, 8, 8), (3, 17, 23), (1, 28, 28), (3, 33, 40)]
SMALL: dict[str, dict[str, Any]] = {
    "airbench": {"width": 16, "growth": 1.5},
    "resnet": {"width": 16, "n_stages": 2},
    "convnext": {"width": 16, "depth": 1},
    "mobilenet": {"width": 8, "depth": 1, "squeeze": True},
    "vit": {"width": 64, "depth": 2, "n_heads": 2},
    "unet": {"width": 8, "depth": 2},
}
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("airbench", {"depth": 3, "n_groups": 3, "stem": "full", "activation": "silu"}),
    ("resnet", {"block": "bottleneck", "depth": 2}),
    ("convnext", {"n_stages": 3, "kernel": 3}),
    ("mobilenet", {"squeeze": False, "kernel": 5, "activation": "silu"}),
    ("vit", {"stem": "shifted-patch", "position": "sine"}),
    ("vit", {"stem": "patch", "is_local": False}),
    ("resnet", {"augment": "objects", "views": "all"}),
    ("unet", {"depth": 1}),
]


def shape_of(channels: int, height: int, width: int) -> InputShape:
    return InputShape({"pixels": channels}, {}, {"pixels": (height, width)})


def pictures(size: tuple[int, int, int], *, n_models: int = 1, n_rows: int = 6) -> dict[str, Tensor]:
    drawn = torch.randint(0, 256, (n_models, n_rows, *size), generator=torch.Generator().manual_seed(0))
    return {"pixels": drawn.to(torch.uint8)}


def built(name: str, size: tuple[int, int, int], *, seeds: tuple[int, ...] = SEEDS[:1], **config: Any) -> Network:
    family = FAMILIES[name]
    chosen = family.config(**{**SMALL[name], **config})
    network: Network = family.build(shape_of(*size), n_outputs=3, task=TASK, config=chosen, seeds=seeds)
    network.initialise(pictures(size, n_models=len(seeds), n_rows=20))
    return network


def shaken(network: Network) -> Network:
    """Away from where it starts, with statistics of normalisations that are no accident."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape[1:], generator=generator) * 0.1)
        for layer in network.normalisations():
            layer.mean.add_(torch.randn(layer.mean.shape[1:], generator=generator) * 0.2)
            layer.variance.mul_(torch.rand(layer.variance.shape[1:], generator=generator) + 0.5)
    return network.eval()


def by_graph(network: Network, pixels: np.ndarray, *, model: int) -> np.ndarray:
    graph = Graph()
    flat = graph.input("x", pixels.dtype, width=pixels[0].size)
    given = graph.op("Reshape", flat, graph.constant(np.array([-1, *pixels.shape[1:]], np.int64)))
    graph.output("y", network.emit(graph, {"pixels": given}, model=model), np.float32, width=1)
    packed = graph.model()
    packed.graph.output[0].type.tensor_type.ClearField("shape")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(packed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": pixels.reshape(len(pixels), -1)})[0]


def must_leave_as_onnx(network: Network, size: tuple[int, int, int]) -> None:
    blocks = pictures(size, n_models=network.n_models)
    with torch.no_grad():
        expected = shaken(network)(blocks).numpy()
    for model in range(network.n_models):
        given = by_graph(network, blocks["pixels"][model].numpy(), model=model)
        assert given.shape == expected[model].shape
        assert np.abs(given - expected[model]).max() <= 1e-5 * max(1.0, np.abs(expected[model]).max())


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_network_leaves_as_onnx_at_any_size(name: str, size: tuple[int, int, int]) -> None:
    must_leave_as_onnx(built(name, size), size)


@pytest.mark.parametrize(("name", "config"), OTHERS, ids=str)
def test_other_configurations_leave_as_onnx_too(name: str, config: dict[str, Any]) -> None:
    must_leave_as_onnx(built(name, (3, 13, 16), seeds=SEEDS, **config), (3, 13, 16))


@pytest.mark.parametrize("name", ["resnet", "convnext"])
def test_large_pictures_go_through_a_coarser_stem(name: str) -> None:
    must_leave_as_onnx(built(name, (3, 66, 71)), (3, 66, 71))


@pytest.mark.parametrize("name", FAMILIES)
def test_each_of_two_models_is_what_it_is_alone(name: str) -> None:
    size = (3, 17, 12)
    together, alone = built(name, size, seeds=SEEDS), built(name, size, seeds=SEEDS[1:])
    blocks = pictures(size, n_models=2)
    for own, whole in zip(alone.parameters(), together.parameters(), strict=True):
        if not whole.equal(whole.detach().clone().zero_()):
            assert own.shape[1:] == whole.shape[1:]
    alone.load_state_dict({key: tensor[1:] for key, tensor in shaken(together).state_dict().items()})
    with torch.no_grad():
        expected = together(blocks)
        found = alone.eval()({"pixels": blocks["pixels"][1:]})
    assert torch.allclose(found[0], expected[1], atol=1e-4)
    assert not torch.allclose(expected[0], expected[1], atol=1e-2)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_seed_starts_the_same_whatever_the_global_state(name: str) -> None:
    size = (1, 12, 12)
    first = built(name, size)
    with torch.random.fork_rng():
        torch.manual_seed(99)
        again, other = built(name, size), built(name, size, seeds=(77,))
    stacked = built(name, size, seeds=(77, 5))
    for key, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[key])
        if not key.startswith(("encoder.whitening", "scaling")):  # the pictures of a second model are others
            assert torch.equal(tensor[0], stacked.state_dict()[key][1])
    assert any(not torch.equal(tensor, other.state_dict()[key]) for key, tensor in first.state_dict().items())


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_goes_on_with_some_of_its_models(name: str) -> None:
    size = (3, 12, 17)
    network = shaken(built(name, size, seeds=SEEDS))
    pixels = pictures(size, n_models=2)["pixels"]
    with torch.no_grad():
        before = network({"pixels": pixels})
        network.keep([1])
        assert torch.allclose(network({"pixels": pixels[1:]})[0], before[1], atol=1e-4)
    network.train()
    network({"pixels": pixels[1:]}).sum().backward()
    assert all(parameter.grad is not None and len(parameter.grad) == 1 for parameter in network.parameters())


@pytest.mark.parametrize("name", FAMILIES)
def test_gradients_reach_every_parameter(name: str) -> None:
    size = (1, 16, 16)
    network, blocks = built(name, size), pictures(size)
    network.train()
    moved: set[str] = set()
    for _ in range(3):  # what begins at zero passes nothing on until it has moved
        network.zero_grad()
        outputs = network(blocks)
        (outputs * torch.linspace(0.5, 1.5, outputs.numel()).reshape(outputs.shape) - 1).square().mean().backward()
        moved |= {key for key, p in network.named_parameters() if p.grad is not None and p.grad.any()}
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.sub_(0.01 * (0.0 if parameter.grad is None else parameter.grad))
    assert not {key for key, _ in network.named_parameters()} - moved


@pytest.mark.parametrize("name", FAMILIES)
def test_no_row_changes_another(name: str) -> None:
    size = (1, 13, 13)
    network, pixels = shaken(built(name, size)), pictures(size)["pixels"]
    with torch.no_grad():
        together = network({"pixels": pixels})
        assert torch.allclose(network({"pixels": pixels[:, 2:3]})[:, :, 0], together[:, :, 2], atol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_bytes_and_floats_are_the_same_pictures(name: str) -> None:
    size = (1, 12, 12)
    network, pixels = shaken(built(name, size)), pictures(size)["pixels"]
    with torch.no_grad():
        assert torch.allclose(network({"pixels": pixels}), network({"pixels": pixels / 255}), atol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_pictures_that_are_too_small_are_refused_with_their_size(name: str) -> None:
    for size in [(3, 2, 40), (1, 40, 1)]:
        with pytest.raises(TrainingError, match=rf"{size[1]} × {size[2]} pixels"):
            built(name, size)
        with pytest.raises(TrainingError, match="at least"):
            FAMILIES[name].cost(1000, shape_of(*size), FAMILIES[name].config(), None, TASK)


def ends(config: type) -> Iterator[dict[str, Any]]:
    for dimension in space.space_of(config):
        domain = dimension.domain
        values = domain.options if isinstance(domain, Choice) else (dimension.cast(domain.low), dimension.cast(domain.high))
        for value in values:
            yield {dimension.name: value}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_end_of_every_range_builds_and_costs_something(name: str) -> None:
    family: Family = FAMILIES[name]
    size = (3, 32, 32)
    for values in ends(family.config):
        config = family.config(**{**SMALL[name], **values})
        space.check(config)
        network = family.build(shape_of(*size), n_outputs=3, task=TASK, config=config, seeds=SEEDS[:1])
        assert sum(parameter.numel() for parameter in network.parameters()) < 3e7
        with torch.no_grad():
            outputs = network.eval()(pictures(size, n_rows=2))
        assert outputs.shape[:3] == (1, 1, 2)
        assert outputs.isfinite().all()
        cost = family.cost(1000, shape_of(*size), config, None, TASK)
        assert 0 < cost.seconds < np.inf
        assert 0 < cost.memory_bytes < np.inf


@pytest.mark.parametrize("name", FAMILIES)
def test_costs_grow_with_rows_pictures_and_width(name: str) -> None:
    family: Family = FAMILIES[name]
    task = MASKS if TaskKind.SEGMENTATION in family.tasks else TASK
    wide = dataclasses.replace(family.config(), width=64)
    recipe = family.portfolio(task)[0].recipe

    def cost(n_train: int, side: int, config: Any) -> tuple[float, float]:
        found = family.cost(n_train, shape_of(3, side, side), config, recipe, task)
        return found.seconds, found.memory_bytes

    narrow = dataclasses.replace(family.config(), width={"convnext": 16, "mobilenet": 8}.get(name, 64 if name == "vit" else 16))
    if name == "vit":
        wide = dataclasses.replace(wide, width=128)
    plain = cost(2000, 32, narrow)
    for larger in (cost(20_000, 32, narrow), cost(2000, 64, narrow), cost(2000, 32, wide)):
        assert larger[0] > plain[0]
        assert larger[1] > plain[1]


@pytest.mark.parametrize("name", FAMILIES)
def test_presets_are_in_range_and_spaces_can_be_drawn_from(name: str) -> None:
    family: Family = FAMILIES[name]
    task = MASKS if TaskKind.SEGMENTATION in family.tasks else TASK
    for preset in family.portfolio(task):
        space.check(preset.config)
        assert preset.recipe is not None
    declared = family.space(task)
    drawn = [declared.sample(np.random.default_rng(seed)) for seed in range(5)]
    assert len(set(drawn)) == 5
    for preset in drawn:
        space.check(preset.config)
        assert declared.preset(declared.values_of(preset)) == preset


def test_families_have_names_of_their_own_and_sources() -> None:
    found = families()
    networks = [family for family in found if family.is_deep]
    assert len({family.name for family in found}) == len(found)
    assert len(networks) == len(MODELS)
    assert all("arXiv" in family.source and family.build is not None for family in networks)


def test_masks_are_flattened_class_by_class_and_row_by_row() -> None:
    network = built("unet", (1, 12, 17)).eval()
    with torch.no_grad():
        for parameter in network.head.parameters():
            parameter.zero_()
        network.head.output.bias.copy_(torch.tensor([[1.0, 2.0, 3.0]]))
        outputs = network(pictures((1, 12, 17), n_rows=2))
    assert outputs.shape == (1, 1, 2, 3 * 12 * 17)
    assert torch.equal(outputs.view(2, 3, 12, 17)[:, 2], torch.full((2, 12, 17), 3.0))


def test_a_mask_follows_a_shifted_picture() -> None:
    network = shaken(built("unet", (1, 48, 48), depth=1))
    pixels = torch.zeros(1, 1, 1, 48, 48)
    pixels[0, 0, 0, 20:23, 20:23] = 1.0
    with torch.no_grad():
        here = network({"pixels": pixels}).view(3, 48, 48)
        there = network({"pixels": pixels.roll((4, 2), dims=(3, 4))}).view(3, 48, 48)
    assert torch.allclose(there[:, 20:28, 18:26], here[:, 16:24, 16:24], atol=1e-4)
    assert not torch.allclose(there[:, 16:24, 16:24], here[:, 16:24, 16:24], atol=1e-2)


def test_sines_tell_every_place_from_every_other() -> None:
    places = sines((5, 7), width=64)
    assert places.shape == (35, 64)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(35) * 100
    assert distances.min() > 0.5


def test_extents_of_pixels_are_what_a_network_is_built_for() -> None:
    inputs = Inputs({"pixels": np.zeros((4, 3, 9, 11), np.uint8), "numeric": np.zeros((4, 2), np.float32)}, {})
    shape = InputShape.covering([inputs, inputs])
    assert shape.widths == {"pixels": 3, "numeric": 2}
    assert shape.extents == {"pixels": (9, 11)}


def test_longer_networks_are_ever_cheaper_and_seven_minutes_are_enough_for_one_with_a_full_stem():
    family, shape = FAMILIES["airbench"], shape_of(1, 28, 28)
    base = family.portfolio(TASK)[1]
    assert family.longer is not None
    presets = family.longer(base)
    assert all(preset.recipe.learns_all(10**7) for preset in presets), "nothing stops what follows the clock"
    seconds = [family.cost(47_250, shape, each.config, each.recipe, TASK).seconds for each in presets]
    assert seconds == sorted(seconds, reverse=True)
    assert any(0.45 * each <= 420.0 and preset.config.stem == "full" for each, preset in zip(seconds, presets, strict=True))
    for preset in presets:
        assert preset.recipe is not None
        assert base.recipe is not None
        assert (preset.config.augment, preset.config.views) == (base.config.augment, "all")
        assert preset.recipe.pace(47_250).n_epochs == 2 * base.recipe.pace(47_250).n_epochs
        assert preset.recipe.learning_rate <= base.recipe.learning_rate
