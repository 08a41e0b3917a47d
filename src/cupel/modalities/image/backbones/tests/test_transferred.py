"""What of a pretrained encoder learns, when, and how fast."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cupel.core.layers import MapBatchNorm
from cupel.core.task import Task, TaskKind
from cupel.modalities.image.backbones import pretrained
from cupel.modalities.image.backbones.cupel_files import CupelTrunk, open_cupel
from cupel.modalities.image.backbones.tests.making_backbones import SMALL, cupel_file, found
from cupel.modalities.image.backbones.transferred import TransferredEncoder, stages_of
from cupel.modalities.image.models import families as own_families

TASK = Task(kind=TaskKind.BINARY, target="y", metric="log_loss", classes=("no", "yes"))


def encoder_of(tmp_path: Path, family: str = "ResNet", *, is_gradual: bool = True) -> TransferredEncoder:
    trunk = open_cupel(found(cupel_file(tmp_path / "own.safetensors", family=family))).trunk
    assert trunk is not None
    return TransferredEncoder(trunk([0])[1], rate_decay=0.5, is_gradual=is_gradual)


def learning(encoder: TransferredEncoder) -> list[bool]:
    return [all(parameter.requires_grad for parameter in stage) for stage in encoder.stages]


@pytest.mark.parametrize("family", SMALL)
def test_stages_hold_every_parameter_once_and_rates_fall_towards_the_input(tmp_path: Path, family: str) -> None:
    encoder = encoder_of(tmp_path, family)
    held = [parameter for stage in encoder.stages for parameter in stage]
    assert len(held) == len({id(parameter) for parameter in held}) == len(list(encoder.parameters()))
    assert len(encoder.stages) >= 2
    factors = encoder.rate_factors()
    rates = [factors[stage[0]] for stage in encoder.stages]
    assert rates == sorted(rates)
    assert rates[-1] == 0.5
    assert rates[0] == 0.5 ** len(rates)


@pytest.mark.parametrize("family", SMALL)
def test_of_half_the_first_stages_are_taken_over_and_the_last_begin_anew(tmp_path: Path, family: str) -> None:
    backbone = open_cupel(found(cupel_file(tmp_path / "own.safetensors", family=family)))
    trunk = backbone.trunk
    assert isinstance(trunk, CupelTrunk)
    (scaling, half), (known, whole) = trunk([0, 1], kept="half"), trunk([0, 1])
    anew = trunk._network([0, 1]).encoder.state_dict()
    stages = stages_of(half)
    first = {name for stage in stages[: len(stages) // 2] for name in stage}
    begun, saved, learned = half.state_dict(), whole.state_dict(), dict(half.named_parameters())
    assert first
    parts = {name.rsplit(".", 1)[0] for name in first}
    kept = {name for name in begun if name in first or name.rsplit(".", 1)[0] in parts}
    assert all(torch.equal(begun[name], saved[name]) for name in kept)
    assert all(torch.equal(begun[name], anew[name]) for name in begun.keys() - kept)
    assert not all(torch.equal(begun[name], saved[name]) for name in learned.keys() - first)
    assert torch.equal(scaling.mean, known.mean)


def test_half_of_a_network_of_cupels_own_is_what_is_tried_first(tmp_path: Path) -> None:
    families = {family.name: family for family in pretrained([found(cupel_file(tmp_path / "own.safetensors"))]).families}
    first, *others = families["tuned:own"].portfolio(TASK)
    assert (first.config.kept, first.place) == ("half", 0)
    assert {preset.config.kept for preset in others} == {"all"}
    usual = next(family for family in own_families() if family.name == "ResNet").portfolio(TASK)[0].recipe
    assert usual is not None
    assert first.recipe.learning_rate == usual.learning_rate
    generator = np.random.default_rng(0)
    drawn = {families["tuned:own"].space(TASK).sample(generator).config.kept for _ in range(20)}
    assert drawn == {"all", "half"}


def test_stages_join_from_the_last_to_the_first(tmp_path: Path) -> None:
    encoder = encoder_of(tmp_path)
    seen = []
    for fraction in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.9):
        encoder.set_progress(fraction)
        now = learning(encoder)
        assert now == sorted(now), "those near the output learn first"
        seen.append(sum(now))
    assert seen[0] == 0
    assert seen == sorted(seen)
    assert seen[-2] == seen[-1] == len(encoder.stages)


def test_at_once_all_learn_from_the_beginning(tmp_path: Path) -> None:
    encoder = encoder_of(tmp_path, is_gradual=False)
    encoder.set_progress(0.0)
    assert all(learning(encoder))


def test_what_does_not_learn_keeps_its_statistics(tmp_path: Path) -> None:
    encoder = encoder_of(tmp_path)
    encoder.set_progress(0.3)
    encoder.train()
    layers = [module for module in encoder.modules() if isinstance(module, MapBatchNorm)]
    frozen = [not any(parameter.requires_grad for parameter in layer.parameters()) for layer in layers]
    assert any(frozen)
    assert not all(frozen)
    before = [layer.mean.clone() for layer in layers]
    encoder(torch.rand(8, 3, 16, 16) * 3)
    kept = [torch.equal(layer.mean, mean) for layer, mean in zip(layers, before, strict=True)]
    assert kept == frozen
    assert isinstance(encoder.inner, nn.Module)
