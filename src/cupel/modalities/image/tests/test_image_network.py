"""What all networks on pictures have in common, on the smallest of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from cupel.core.inputs import InputShape
from cupel.core.layers import MapBatchNorm
from cupel.core.task import Task, TaskKind
from cupel.modalities.image import network as module
from cupel.modalities.image.augmenting import n_views_of, views_of
from cupel.modalities.image.models import airbench
from cupel.modalities.image.network import ImageNetwork

TASK = Task(kind=TaskKind.BINARY, target="y", metric="log_loss", classes=("a", "b"))
SHAPE = InputShape({"pixels": 1}, {}, {"pixels": (12, 12)})


def network(seeds: tuple[int, ...] = (3,), *, augment: str = "none") -> ImageNetwork:
    config = airbench.Config(width=16, growth=1.0, bias_rate=64.0, augment=augment)
    built = airbench.build(SHAPE, n_outputs=2, task=TASK, config=config, seeds=seeds)
    assert isinstance(built, ImageNetwork)
    built.initialise(pictures(len(seeds), n_rows=30))
    return built


def pictures(n_models: int = 1, *, n_rows: int = 8) -> dict[str, Tensor]:
    drawn = torch.randint(0, 256, (n_models, n_rows, 1, 12, 12), generator=torch.Generator().manual_seed(1))
    return {"pixels": drawn.to(torch.uint8)}


def test_features_stand_apart_from_the_head() -> None:
    one = network((3, 4)).eval()
    blocks = pictures(2)
    features = one.features(blocks)
    assert features.shape == (2, 8, one.encoder.width)
    assert torch.allclose(one.head(features)[:, None], one(blocks), atol=1e-6)


def test_a_batch_is_changed_by_what_the_config_names_and_by_the_seed() -> None:
    blocks, target = pictures(), torch.zeros(1, 8, dtype=torch.int64)
    plain, said = network().changed(blocks, target, n_outputs=2)
    assert torch.equal(plain["pixels"], blocks["pixels"])
    assert torch.equal(said, target)
    first, again = (network(augment="digits").changed(blocks, target, n_outputs=2)[0]["pixels"] for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == blocks["pixels"].shape
    assert not torch.allclose(first, blocks["pixels"] / 255, atol=1e-2)
    assert not torch.equal(first, network((9,), augment="digits").changed(blocks, target, n_outputs=2)[0]["pixels"])


def test_mixed_pictures_have_probabilities_for_targets() -> None:
    target = torch.tensor([[0, 1] * 4])
    pixels, said = network(augment="strong").changed(pictures(), target, n_outputs=2)
    assert said.shape == (1, 8, 2)
    assert torch.allclose(said.sum(dim=-1), torch.ones(1, 8))
    assert pixels["pixels"].shape == (1, 8, 1, 12, 12)


def test_a_few_at_a_time_are_what_all_at_once_are(monkeypatch: pytest.MonkeyPatch) -> None:
    one, blocks = network((3, 4)), pictures(2, n_rows=11)
    with torch.no_grad():
        expected = one.eval()(blocks)
        monkeypatch.setattr(module, "MOST_PIXELS_AT_ONCE", 2 * 144 * 3)
        assert torch.allclose(one(blocks), expected, atol=1e-5)
        assert one({"pixels": blocks["pixels"][:, :0]}).shape == (2, 1, 0, 2)


def test_renewed_statistics_are_those_of_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    one, blocks = network(), pictures(n_rows=10)
    blocks["pixels"] = blocks["pixels"] // 2 + 12 * torch.arange(10, dtype=torch.uint8).view(-1, 1, 1, 1)  # brighter and brighter
    first = one.encoder.groups[0].layers[0].norm
    one.renew_statistics(blocks)
    whole = [first.mean.clone(), first.variance.clone()]
    monkeypatch.setattr(module, "MOST_PIXELS_AT_ONCE", 144 * 4)
    one.renew_statistics(blocks)
    assert torch.allclose(first.mean, whole[0], atol=1e-5)
    assert torch.allclose(first.variance, whole[1], rtol=0.02)
    assert not one.training
    assert {layer.momentum for layer in one.normalisations()} == {0.4}


def test_what_does_not_learn_keeps_its_statistics_when_they_are_renewed() -> None:
    one, blocks = network(), pictures(n_rows=10)
    frozen, learning = (group.layers[0].norm for group in list(one.encoder.groups)[:2])
    frozen.bias.requires_grad_(False)
    before = [layer.mean.clone() for layer in (frozen, learning)]
    one.renew_statistics(blocks)
    assert torch.equal(frozen.mean, before[0])
    assert not torch.equal(learning.mean, before[1])


def test_biases_of_normalisations_learn_faster_and_nothing_is_lost() -> None:
    one = network()
    groups = one.parameter_groups()
    listed = [id(parameter) for group in groups for parameter in group.parameters]
    assert sorted(listed) == sorted(id(parameter) for parameter in one.parameters())
    fast = [group for group in groups if group.learning_rate_factor == 64]
    biases = {id(layer.bias) for layer in one.normalisations() if isinstance(layer, MapBatchNorm)}
    assert len(fast) == 1
    assert {id(parameter) for parameter in fast[0].parameters} == biases
    assert fast[0].weight_decay_factor == 0


def test_biases_of_the_whitening_learn_at_first_only() -> None:
    one, blocks = network(), pictures()
    bias = one.encoder.whitening.bias
    one.train()
    for fraction, learns in [(0.0, True), (0.5, False), (0.0, True)]:
        one.set_progress(fraction)
        one.zero_grad()
        one(blocks).square().sum().backward()
        assert (bias.grad is not None) is learns


def test_a_group_begins_by_passing_on_what_it_is_given() -> None:
    plan = airbench.GroupPlan((8, 8), 2, (3, 3))
    group = airbench.Group(plan, [torch.Generator().manual_seed(0)], activation="relu").eval()
    x = torch.rand(2, 8, 3, 3, generator=torch.Generator().manual_seed(1))
    assert not plan.pools
    assert torch.allclose(group(x), x, atol=1e-4)


def test_it_learns_which_half_is_bright() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 2, (64,), generator=generator)
    pixels = torch.rand(64, 1, 12, 12, generator=generator) * 0.6
    pixels[target == 0, :, :6] += 0.4
    pixels[target == 1, :, 6:] += 0.4
    blocks = {"pixels": pixels[None]}
    one = network()
    one.initialise(blocks)
    one.train()
    for _ in range(25):
        one.zero_grad()
        torch.nn.functional.cross_entropy(one(blocks)[0, 0], target).backward()
        with torch.no_grad():
            for parameter in one.parameters():
                parameter.sub_(0.005 * parameter.grad.sign())
    one.renew_statistics(blocks)
    with torch.no_grad():
        assert (one(blocks)[0, 0].argmax(dim=1) == target).float().mean() > 0.95


def test_statistics_of_pixels_come_from_the_pictures() -> None:
    one, pixels = network(), pictures(n_rows=30)["pixels"]
    values = pixels.double().numpy() / 255
    assert one.scaling.mean.numpy() == pytest.approx(np.array([[values.mean()]]), abs=1e-5)
    assert one.scaling.deviation.numpy() == pytest.approx(np.array([[values.std()]]), abs=1e-5)


def test_with_all_views_a_picture_is_looked_at_as_training_has_changed_it() -> None:
    config = airbench.Config(width=16, growth=1.0, augment="objects", views="all")
    several = airbench.build(SHAPE, n_outputs=2, task=TASK, config=config, seeds=(3, 4))
    assert isinstance(several, ImageNetwork)
    blocks = pictures(2)
    several.initialise(blocks)
    for layer in several.normalisations():
        layer.mean.add_(0.1)
    several.eval()
    seen = views_of("all", augment="objects")
    one = [several.head(several.features({"pixels": torch.stack([view(own) for own in blocks["pixels"]])})) for view in seen]
    expected = torch.stack([view.weight * outputs for view, outputs in zip(seen, one, strict=True)]).sum(dim=0)
    assert torch.allclose(several(blocks)[:, 0], expected, atol=1e-5)
    mirrored = {"pixels": blocks["pixels"].flip(4)}
    assert not torch.allclose(several.head(several.features(blocks)), several.head(several.features(mirrored)), atol=1e-4)
    with torch.no_grad():
        plain = several.head(several.features(blocks))
        assert torch.allclose(several.judged(blocks)[:, 0], plain, atol=1e-5), "epochs are compared by one look"
    several.train()
    with torch.no_grad():
        assert several(blocks).shape == (2, 1, 8, 2)


def test_further_views_cost_what_they_take() -> None:
    one, several = (
        airbench.cost(1000, SHAPE, airbench.Config(augment="objects", views=views), None, TASK).seconds
        for views in ("one", "all")
    )
    assert one < several < 1.5 * one
    assert n_views_of(airbench.Config(augment="none", views="all")) == 1


def test_there_are_no_other_views_where_training_changes_nothing() -> None:
    assert views_of("all", augment="none") == views_of("one", augment="objects") == ()
    assert sum(view.weight for view in views_of("all", augment="shift")) == pytest.approx(1)


def test_rates_of_encoder_and_of_biases_go_into_groups() -> None:
    class Slow(airbench.Airbench):
        def rate_factors(self) -> dict[torch.nn.Parameter, float]:
            return dict.fromkeys(self.parameters(), 0.5)

    fast = network()
    factors = {group.learning_rate_factor for group in fast.parameter_groups()}
    assert factors == {1.0, 64.0}
    fast.encoder.__class__ = Slow
    groups = fast.parameter_groups()
    assert {group.learning_rate_factor for group in groups} == {1.0, 0.5}
    parameters = [parameter for group in groups for parameter in group.parameters]
    assert len(parameters) == len({id(parameter) for parameter in parameters}) == len(list(fast.parameters()))
