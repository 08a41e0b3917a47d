"""All of it together: ranges, repeatability, memory layout, masks, and what training is told."""

from dataclasses import replace

import pytest
import torch

from cupel.core.errors import DataError, UsageError
from cupel.core.space import sample, space_of
from cupel.modalities.image.augmentation import (
    DIGITS,
    NONE,
    OBJECTS,
    STRONG,
    Augmentation,
    Augmenter,
    TrivialAugment,
    alternating_flip,
    as_float,
)
from cupel.modalities.image.augmentation.draws import Draws
from cupel.modalities.image.augmentation.geometry import Motion, compose, warp
from cupel.modalities.image.augmentation.layout import is_channels_last

PRESETS = {
    "none": NONE,
    "digits": DIGITS,
    "objects": OBJECTS,
    "strong": STRONG,
    "rand": Augmentation(flip="both", translate=0.2, policy="rand", padding="zeros", blur=1.0, cutout=0.3, rotate=20.0),
}
ALL = pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(n=16, n_channels=3, height=14, width=18, *, seed=0):
    return torch.randint(0, 256, (n, n_channels, height, width), generator=generator(seed), dtype=torch.uint8)


@ALL
@pytest.mark.parametrize("n_channels", [1, 3])
def test_pictures_stay_pictures(config, n_channels):
    pictures = drawn(n_channels=n_channels)
    before = pictures.clone()
    changed = Augmenter(config)(pictures, generator())
    assert changed.shape == pictures.shape
    assert changed.dtype == torch.float32
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert torch.equal(pictures, before)
    assert torch.equal(changed, as_float(pictures)) == (config == NONE)


@ALL
def test_floats_are_changed_as_bytes_are_and_stay_themselves(config):
    pictures = drawn()
    floats = as_float(pictures)
    torch.testing.assert_close(
        Augmenter(config)(floats, generator()), Augmenter(config)(pictures, generator()), atol=1e-6, rtol=0
    )
    assert torch.equal(floats, as_float(pictures))


@ALL
def test_the_generator_alone_decides(config):
    pictures, augmenter = drawn(), Augmenter(config)
    first = augmenter(pictures, generator(5))
    torch.manual_seed(1)
    assert torch.equal(augmenter(pictures, generator(5)), first)
    assert torch.equal(augmenter(pictures, generator(6)), first) == (config == NONE)
    state = torch.get_rng_state()
    augmenter(pictures, generator(5))
    assert torch.equal(torch.get_rng_state(), state)


@ALL
@pytest.mark.parametrize("n_channels", [1, 3])
def test_memory_comes_out_as_it_went_in(config, n_channels):
    planes = drawn(n_channels=n_channels)
    interleaved = planes.permute(0, 2, 3, 1).reshape(16 * 14 * 18 * n_channels).view(16, 14, 18, n_channels).permute(0, 3, 1, 2)
    assert is_channels_last(interleaved)
    assert not is_channels_last(planes)
    augmenter = Augmenter(config)
    from_planes, from_interleaved = augmenter(planes, generator()), augmenter(interleaved, generator())
    assert from_planes.stride() == planes.stride()
    assert from_interleaved.stride() == interleaved.stride()
    assert torch.equal(from_planes, from_interleaved)
    if config.mixup:
        mixed, _ = augmenter.mix(from_interleaved, torch.zeros(16), generator=generator(), n_classes=0)
        assert mixed.stride() == interleaved.stride()


def test_every_end_of_the_space_works():
    pictures = drawn(4, 3, 8, 8)
    for seed in range(30):
        config = sample(Augmentation, seed=seed)
        augmenter = Augmenter(config)
        changed = augmenter(pictures, generator(), rows=torch.arange(4))
        mixed, target = augmenter.mix(changed, torch.arange(4), generator=generator(), n_classes=4)
        assert torch.isfinite(mixed).all()
        torch.testing.assert_close(target.sum(dim=1), torch.ones(4))
    for dimension in space_of(Augmentation):
        for value in dimension.domain.spread(2):
            config = replace(NONE, **{dimension.name: dimension.cast(value)})
            assert Augmenter(config)(pictures, generator(), rows=torch.arange(4)).shape == pictures.shape


def test_numbers_out_of_range_are_refused():
    with pytest.raises(UsageError, match="rotate is 181"):
        Augmenter(Augmentation(rotate=181.0))


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.float16])
def test_other_types_than_bytes_and_floats_are_refused(dtype):
    with pytest.raises(DataError, match="expected uint8"):
        Augmenter(OBJECTS)(drawn().to(dtype), generator())


@pytest.mark.parametrize("policy", ["none", "rand", "trivial"])
@pytest.mark.parametrize("rotate", [0.0, 40.0])
def test_masks_go_where_their_pictures_go(policy, rotate):
    """A bright square that is its own mask still is."""
    pictures = torch.zeros(64, 1, 32, 32)
    pictures[:, :, 8:22, 6:20] = 1.0
    masks = (pictures > 0).to(torch.int32) * 5
    config = Augmentation(flip="both", translate=0.1, rotate=rotate, policy=policy, magnitude=8.0, padding="zeros")
    changed, moved = Augmenter(config).with_masks(pictures, masks, generator=generator())
    assert moved.dtype == torch.int32
    assert set(moved.unique().tolist()) == {0, 5}
    assert not torch.equal(moved, masks)
    for picture, mask in zip(changed, moved, strict=True):
        # Colours may have been changed, even inverted, but not within the square: nearly all of either side is of one value.
        inside, outside = picture[mask > 0], picture[mask == 0]
        assert ((inside - inside.median()).abs() < 0.3).float().mean() > 0.8
        assert ((outside - outside.median()).abs() < 0.3).float().mean() > 0.8
    alone = Augmenter(config)(pictures, generator())
    assert torch.equal(alone, changed)


@pytest.mark.parametrize("rotate", [0.0, 25.0])
def test_each_picture_is_moved_and_painted_as_the_policy_planned(rotate):
    pictures = drawn(40)
    changed = Augmenter(Augmentation(policy="trivial", rotate=rotate))(pictures, generator(2))
    draws = Draws(40, generator(2), pictures.device)
    plan = TrivialAugment().plan(draws)
    matrices = plan.matrices(height=14, width=18)
    if rotate:
        matrices = compose(Motion(degrees=draws.around(0, rotate)).matrices(40, pictures.device), matrices)
    moved = warp(as_float(pictures), matrices)
    torch.testing.assert_close(changed, plan.paint(moved), atol=1e-4, rtol=0)
    assert not plan.moves().all()


def test_erased_parts_keep_their_labels():
    pictures, masks = drawn(8), torch.ones(8, 1, 14, 18, dtype=torch.uint8)
    changed, moved = Augmenter(Augmentation(cutout=0.5)).with_masks(pictures, masks, generator=generator())
    assert torch.equal(moved, masks)
    assert not torch.equal(changed, as_float(pictures))


def test_the_last_part_of_training_only_flips_and_translates():
    pictures, masks = drawn(), drawn(n_channels=1, seed=3)
    augmenter = Augmenter(replace(STRONG, settle=0.1))
    changed, _ = augmenter.with_masks(pictures, masks, generator=generator(), progress=0.95)
    plain = Augmenter(Augmentation(flip="horizontal", translate=STRONG.translate))
    assert torch.equal(changed, plain(pictures, generator()))
    early = augmenter(pictures, generator(), progress=0.5)
    assert not torch.equal(early, changed)
    target = torch.arange(16)
    assert augmenter.mix(changed, target, generator=generator(), n_classes=16, progress=0.95)[1].equal(torch.eye(16))
    assert not augmenter.mix(changed, target, generator=generator(), n_classes=16, progress=0.5)[1].equal(torch.eye(16))


def test_alternating_flips_need_to_know_the_rows():
    pictures, rows = drawn(), torch.arange(100, 116)
    augmenter = Augmenter(Augmentation(flip="alternating"))
    with pytest.raises(UsageError, match="rows"):
        augmenter(pictures, generator())
    epochs = [augmenter(pictures, generator(4), epoch=epoch, rows=rows) for epoch in (0, 1)]
    is_mirrored = alternating_flip(rows, epoch=0, seed=4)
    assert torch.equal(epochs[0][is_mirrored], as_float(pictures).flip(3)[is_mirrored])
    assert torch.equal(epochs[0].flip(3), epochs[1])
    assert augmenter(pictures, generator(4), epoch=2, rows=rows).equal(epochs[0])


def test_with_both_ways_of_mixing_each_batch_takes_one():
    pictures = as_float(drawn())
    target = torch.arange(16.0)
    augmenter = Augmenter(Augmentation(mixup=1.0, cutmix=1.0))
    source = generator()
    is_cut = []
    for _ in range(40):
        mixed, _ = augmenter.mix(pictures, target, generator=source, n_classes=0)
        is_cut.append(bool(torch.isin(mixed, pictures).all()))
    assert 10 < sum(is_cut) < 30


def test_only_the_asked_directions_are_flipped():
    pictures = as_float(drawn(200))
    for flip, kinds in (("horizontal", [(), (3,)]), ("both", [(), (2,), (3,), (2, 3)])):
        changed = Augmenter(Augmentation(flip=flip))(pictures, generator())
        counts = [int((changed == pictures.flip(axes)).all(dim=(1, 2, 3)).sum()) for axes in kinds]
        assert sum(counts) == 200
        assert min(counts) > 200 / len(kinds) * 0.6
