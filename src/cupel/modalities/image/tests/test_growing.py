"""Pictures that are small when training begins and whole when it ends."""

from __future__ import annotations

import pytest
import torch

from cupel.core.family import Cost
from cupel.core.inputs import InputShape
from cupel.core.task import Task, TaskKind
from cupel.modalities.image.growing import WHOLE_FROM, Growing, cost_of_growing, side_at
from cupel.modalities.image.models import airbench, resnet

TASK = Task(kind=TaskKind.BINARY, target="answer", metric="roc_auc", classes=("a", "b"))


def test_pictures_grow_and_are_whole_before_the_end() -> None:
    growing, pixels = Growing(0.5), torch.zeros(2, 3, 1, 64, 48)
    sizes = []
    for fraction in (0.0, 0.2, 0.4, WHOLE_FROM, 1.0):
        growing.set_progress(fraction)
        sizes.append(tuple(growing.reduced(pixels).shape[3:]))
    assert sizes[0] == (32, 24)
    assert sizes == sorted(sizes)
    assert sizes[-2:] == [(64, 48)] * 2


def test_what_is_whole_is_not_touched_and_bytes_become_shares() -> None:
    growing = Growing(0.5)
    bytes_ = torch.full((1, 2, 3, 32, 32), 51, dtype=torch.uint8)
    torch.testing.assert_close(growing.reduced(bytes_), torch.full((1, 2, 3, 16, 16), 0.2))
    growing.set_progress(1.0)
    assert growing.reduced(bytes_) is bytes_


def test_small_pictures_stay_as_they_are() -> None:
    assert [side_at(side, 0.5) for side in (8, 15, 16, 20, 28, 32, 100)] == [8, 15, 16, 16, 16, 16, 48]
    pixels = torch.rand(1, 2, 1, 12, 12)
    assert Growing(0.5).reduced(pixels) is pixels


def test_a_step_costs_less_and_memory_does_not() -> None:
    whole = Cost(seconds=10.0, memory_bytes=7.0)
    assert cost_of_growing(whole, 1.0, size=(64, 64)) == whole
    less = cost_of_growing(whole, 0.5, size=(64, 64))
    assert 0.5 < less.seconds / whole.seconds < 0.8
    assert less.memory_bytes == whole.memory_bytes
    assert cost_of_growing(whole, 0.5, size=(12, 12)) == whole


@pytest.mark.parametrize("family", [airbench, resnet])
@pytest.mark.parametrize("side", [16, 28, 33, 48])
def test_networks_learn_from_reduced_pictures(family: object, side: int) -> None:
    spec, config = family.spec, family.Config(first_side=0.5)  # type: ignore[attr-defined]
    shape = InputShape({"pixels": 1}, {}, {"pixels": (side, side)})
    network = spec.build(shape, n_outputs=2, task=TASK, config=config, seeds=[0])
    blocks = {"pixels": (torch.rand(1, 6, 1, side, side, generator=torch.Generator().manual_seed(0)) * 255).byte()}
    network.initialise(blocks)
    network.train()
    target = torch.zeros(1, 6, dtype=torch.int64)
    for fraction in (0.0, 0.35, 1.0):
        network.set_progress(fraction)
        changed, _ = network.changed(blocks, target, n_outputs=2)
        assert changed["pixels"].shape[-1] == (max(16, 4 * round(side / 8)) if fraction == 0 else changed["pixels"].shape[-1])
        outputs = network(changed)
        assert outputs.shape == (1, 1, 6, 2)
        assert torch.isfinite(outputs).all()
