"""Augmentation as a part of a network: what happens to a batch before it is looked at, while training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from cupel.modalities.image.augmentation import DIGITS, NONE, OBJECTS, STRONG, Augmentation, Augmenter, View, views

AUGMENTATIONS: Mapping[str, Augmentation] = {
    "none": NONE,
    "shift": Augmentation(translate=0.08, padding="zeros"),
    "digits": DIGITS,
    "objects": OBJECTS,
    "strong": STRONG,
    "cut": Augmentation(flip="alternating", translate=0.0625, padding="zeros", cutout=0.25),
    "rand": Augmentation(flip="horizontal", translate=0.0625, policy="rand", blur=0.5, settle=0.1),
    "upright": Augmentation(flip="horizontal", translate=0.1, rotate=8.0, scale=0.25, brightness=0.2, contrast=0.2),
    "turned": Augmentation(flip="both", translate=0.1, rotate=90.0, scale=0.25, brightness=0.2, contrast=0.2),
}
"""By name, so that a config can say which. "shift" is right for signs and for things; "cut" and "rand" are for things as they
stand: 2 of 32 pixels, and a square that is lost, or two random operations. "upright" and "turned" are for masks, whose pictures
are few: things as they stand, and things without above and below, as under a microscope."""
SEED_STEP = 104_729
CHANGING = tuple(name for name in AUGMENTATIONS if name != "none")
WEAKEST, STRONGEST = 0.5, 2.0
"""What changes are at least and at most multiplied by."""
VIEWS = ("one", "all")
"""What a trained network looks at: a picture as it is, or also as training has changed it (test-time augmentation)."""


def views_of(which: str, *, augment: str) -> tuple[View, ...]:
    """The views of `VIEWS` for a network that is trained on pictures changed so; none where a picture is looked at as it is."""
    seen = views(AUGMENTATIONS[augment]) if which == "all" else ()
    return seen if len(seen) > 1 else ()


def n_views_of(config: Any) -> int:
    """How often a network of this config looks at each picture that it predicts for."""
    return max(1, len(views_of(config.views, augment=config.augment)))


def augmentation_of(config: Any) -> Augmentation:
    """What a config that has `augment` and `strength` names."""
    return AUGMENTATIONS[config.augment].times(config.strength)


class Changes:
    """Changes batches of each stacked model by its own random numbers; `rows` (M, B) are those of the batch."""

    def __init__(self, augmentation: Augmentation, seeds: Sequence[int]) -> None:
        self.augmentation = augmentation
        self._augmenter = Augmenter(self.augmentation)
        self._generators = [torch.Generator().manual_seed(seed + SEED_STEP) for seed in seeds]
        self.progress, self.epoch = 0.0, 0
        self.rows: Tensor | None = None

    @property
    def mixes(self) -> bool:
        """Whether pictures are mixed with one another, and their targets with them."""
        return bool(self.augmentation.mixup or self.augmentation.cutmix)

    def keep(self, models: Sequence[int]) -> None:
        """Go on with some of the models."""
        self._generators = [self._generators[model] for model in models]
        self.rows = None

    def changed(self, pixels: Tensor) -> Tensor:
        """Pictures (M, B, C, H, W), bytes or floats 0 to 1, as changed floats 0 to 1."""
        batches = zip(pixels, self._generators, self._rows_of(pixels), strict=True)
        return torch.stack(
            [
                self._augmenter(own, generator, rows=rows, progress=self.progress, epoch=self.epoch)
                for own, generator, rows in batches
            ]
        )

    def changed_with_masks(self, pixels: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """The same, and masks (M, B, H, W) moved along."""
        batches = zip(pixels, masks, self._generators, self._rows_of(pixels), strict=True)
        found = [
            self._augmenter.with_masks(
                own, labels[:, None], generator=generator, rows=rows, progress=self.progress, epoch=self.epoch
            )
            for own, labels, generator, rows in batches
        ]
        return torch.stack([pictures for pictures, _ in found]), torch.stack([labels[:, 0] for _, labels in found])

    def _rows_of(self, pixels: Tensor) -> Sequence[Tensor | None]:
        return [None] * len(pixels) if self.rows is None else list(self.rows)

    def mixed(self, pixels: Tensor, target: Tensor, *, n_classes: int) -> tuple[Tensor, Tensor]:
        """Pictures and targets (M, B) mixed; targets become probabilities (M, B, classes), where there are classes."""
        found = [
            self._augmenter.mix(own, wanted, generator=generator, n_classes=n_classes, progress=self.progress)
            for own, wanted, generator in zip(pixels, target, self._generators, strict=True)
        ]
        return torch.stack([pictures for pictures, _ in found]), torch.stack([wanted for _, wanted in found])
