"""What happens to a batch of pictures while training."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from cupel.core.inputs import InputShape
from cupel.core.task import Task, TaskKind
from cupel.modalities.image.augmentation import Augmentation, Augmenter
from cupel.modalities.image.augmenting import AUGMENTATIONS, STRONGEST, WEAKEST, Changes
from cupel.modalities.image.models.airbench import Config, build

TASK = Task(kind=TaskKind.MULTICLASS, target="y", metric="log_loss", classes=("a", "b", "c"))
SHAPE = InputShape({"pixels": 1}, {}, {"pixels": (16, 16)})


def batch(*, n_models: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (1, 5, 1, 16, 16), generator=generator, dtype=torch.uint8).expand(n_models, -1, -1, -1, -1)
    return pixels, torch.tensor([[0, 1, 2, 1, 0]]).expand(n_models, -1)


def network(name: str, seeds: Sequence[int] = (3, 4), *, strength: float = 1.0) -> torch.nn.Module:
    built = build(
        SHAPE, n_outputs=3, task=TASK, config=Config(width=16, growth=1.0, augment=name, strength=strength), seeds=seeds
    )
    built.set_rows(torch.arange(5).expand(len(seeds), -1))
    return built


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_changed_pictures_are_pictures(name: str) -> None:
    pixels, target = batch()
    changed, wanted = network(name).changed({"pixels": pixels, "other": target}, target, n_outputs=3)
    assert changed["other"] is target
    assert changed["pixels"].shape == pixels.shape
    scaled = changed["pixels"].float() / (255 if name == "none" else 1)
    assert scaled.min() >= 0
    assert scaled.max() <= 1 + 1e-6
    assert torch.equal(changed["pixels"], pixels) == (name == "none")
    mixes = bool(AUGMENTATIONS[name].mixup or AUGMENTATIONS[name].cutmix)
    assert wanted.ndim == (3 if mixes else 2)


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name != "none"])
def test_each_model_changes_pictures_by_its_own_seed_alone(name: str) -> None:
    pixels, target = batch()
    together = network(name).changed({"pixels": pixels}, target, n_outputs=3)[0]["pixels"]
    with torch.random.fork_rng():
        torch.manual_seed(99)
        alone = network(name, seeds=(4,)).changed({"pixels": pixels[:1]}, target[:1], n_outputs=3)[0]["pixels"]
    assert torch.equal(together[1], alone[0])
    assert not torch.equal(together[0], together[1])


def test_changes_go_on_where_they_were_when_models_leave() -> None:
    pixels, target = batch()
    staying, leaving = network("shift"), network("shift")
    for each in (staying, leaving):
        each.changed({"pixels": pixels}, target, n_outputs=3)
    leaving.keep([1])
    expected = staying.changed({"pixels": pixels}, target, n_outputs=3)[0]["pixels"][1]
    assert torch.equal(leaving.changed({"pixels": pixels[:1]}, target[:1], n_outputs=3)[0]["pixels"][0], expected)


def test_mixed_classes_become_probabilities_and_values_stay_values() -> None:
    changes = Changes(Augmentation(mixup=1.0), [0, 1])
    assert changes.mixes
    pixels, target = batch()
    pictures, probabilities = changes.mixed(changes.changed(pixels), target, n_classes=3)
    assert pictures.shape == pixels.shape
    assert probabilities.shape == (2, 5, 3)
    assert torch.allclose(probabilities.sum(dim=-1), torch.ones(2, 5))
    assert ((probabilities > 0).sum(dim=-1) > 1).any()
    values = torch.tensor([[0.0, 1.0, 2.0, 3.0, 4.0]]).expand(2, -1)
    assert changes.mixed(changes.changed(pixels), values, n_classes=0)[1].shape == (2, 5)


def test_pictures_are_mirrored_every_other_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(AUGMENTATIONS, "cut", Augmentation(flip="alternating"))  # type: ignore[misc]
    pixels, target = batch()
    one = network("cut")
    seen = []
    for epoch in range(3):
        one.set_epoch(epoch)
        seen.append(one.changed({"pixels": pixels}, target, n_outputs=3)[0]["pixels"])
    assert torch.equal(seen[1], seen[0].flip(4))
    assert torch.equal(seen[2], seen[0])
    is_as_it_was = (seen[0] == pixels / 255).flatten(2).all(dim=2)
    assert is_as_it_was.any()
    assert not is_as_it_was.all()
    one.set_rows(torch.tensor([[1, 0, 2, 3, 4]]).expand(2, -1))
    exchanged = one.changed({"pixels": pixels[:, [1, 0, 2, 3, 4]]}, target, n_outputs=3)[0]["pixels"]
    assert torch.equal(exchanged, seen[2][:, [1, 0, 2, 3, 4]]), "turns belong to pictures, not to places in the batch"


def test_strength_multiplies_every_change_within_what_is_allowed() -> None:
    pixels, target = batch()
    usual, weaker = (
        network("rand", strength=s).changed({"pixels": pixels}, target, n_outputs=3)[0]["pixels"] for s in (1.0, 0.5)
    )
    assert not torch.equal(usual, weaker)
    changed = Augmentation(translate=0.2, rotate=10, mixup=0.4, flip="both", settle=0.2).times(2.0)
    assert changed == Augmentation(translate=0.3, rotate=20, mixup=0.4, flip="both", settle=0.2, magnitude=18.0)
    for preset in AUGMENTATIONS.values():
        assert preset.times(1.0) == preset
        for factor in (WEAKEST, STRONGEST):
            Augmenter(preset.times(factor))
