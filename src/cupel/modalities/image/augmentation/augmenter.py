"""Changes batches of pictures as an `Augmentation` says."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from cupel.core.errors import UsageError
from cupel.core.space import check
from cupel.modalities.image.augmentation.colour import adjust_colour
from cupel.modalities.image.augmentation.config import Augmentation
from cupel.modalities.image.augmentation.draws import Draws
from cupel.modalities.image.augmentation.erasing import cut_out, erase
from cupel.modalities.image.augmentation.filtering import blur
from cupel.modalities.image.augmentation.geometry import Motion, compose, warp
from cupel.modalities.image.augmentation.layout import as_float, laid_out_like
from cupel.modalities.image.augmentation.mixing import cut_mix, mix_up, unmixed
from cupel.modalities.image.augmentation.policies import Plan
from cupel.modalities.image.augmentation.shifting import alternating_flip, shift


class Augmenter:
    """Draws from the generator that a call is given, and from nothing else; keeps no state.

    Inside, pictures lie in planes: there the operations are up to ten times as fast as on channels-last memory. They come out as
    they came in.
    """

    def __init__(self, config: Augmentation) -> None:
        check(config)
        self.config = config
        self._policy = config.chosen_policy()

    def __call__(
        self,
        pictures: Shaped[Tensor, "batch channel height width"],
        generator: torch.Generator,
        *,
        progress: float = 0.0,
        epoch: int = 0,
        rows: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch channel height width"]:
        """Pictures, bytes or floats 0 to 1, as changed floats 0 to 1 of the same shape and memory layout.

        `progress` is the share of training that is done. `epoch` and `rows` (the pictures' numbers in the training set) tell
        an alternating flip whose turn it is.

        Raises:
            UsageError: flips alternate, but rows are not given.
            DataError: pictures are neither uint8 nor float32.
        """
        return self._changed([pictures], generator, progress, epoch, rows)[0]

    def with_masks(
        self,
        pictures: Shaped[Tensor, "batch channel height width"],
        masks: Shaped[Tensor, "batch label height width"],
        *,
        generator: torch.Generator,
        progress: float = 0.0,
        epoch: int = 0,
        rows: Int[Tensor, " batch"] | None = None,
    ) -> tuple[Float[Tensor, "batch channel height width"], Shaped[Tensor, "batch label height width"]]:
        """The same, and label maps (any element type) that are moved along; their values stay among those that there were.

        Where padding is zeros, labels outside of the picture are 0. What is erased in a picture keeps its label.
        """
        changed, moved = self._changed([pictures, masks], generator, progress, epoch, rows)
        return changed, moved

    def mix(
        self,
        pictures: Float[Tensor, "batch channel height width"],
        target: Shaped[Tensor, "batch ..."],
        *,
        generator: torch.Generator,
        n_classes: int,
        progress: float = 0.0,
    ) -> tuple[Float[Tensor, "batch channel height width"], Float[Tensor, "batch ..."]]:
        """Pictures mixed with one another, and their targets: probabilities (batch, classes); values, labels (`n_classes` 0).

        Without mixing, or in the last part of training, the same of unmixed pictures.
        """
        config = self.config
        draws = Draws(len(pictures), generator, pictures.device)
        mixed = unmixed(pictures, target)
        if not self._is_settled(progress) and (config.mixup or config.cutmix):
            takes_first = draws.is_first() if config.mixup and config.cutmix else bool(config.mixup)
            function, alpha = (mix_up, config.mixup) if takes_first else (cut_mix, config.cutmix)
            mixed = function(pictures, target, draws=draws, alpha=alpha)
        return laid_out_like(mixed.pictures, pictures), mixed.target(n_classes)

    def _is_settled(self, progress: float) -> bool:
        return self.config.settle > 0 and progress >= 1 - self.config.settle

    def _changed(
        self, maps: Sequence[Tensor], generator: torch.Generator, progress: float, epoch: int, rows: Tensor | None
    ) -> list[Tensor]:
        """Pictures, and masks if they stand behind them."""
        draws = Draws(len(maps[0]), generator, maps[0].device)
        is_settled = self._is_settled(progress)
        plan = None if is_settled or self._policy is None else self._policy.plan(draws)
        mirrored = self._mirrored(draws, epoch, rows)
        upturned = draws.chance(0.5) if self.config.flip == "both" else None
        if self.config.interpolates and not is_settled:
            moved = self._warped(maps, draws, Motion(mirrored=mirrored, upturned=upturned), plan)
        else:
            moved = self._shifted(maps, draws, Motion(mirrored=mirrored, upturned=upturned), plan)
        painted = moved[0] if is_settled else self._painted(moved[0], draws, plan)
        return [laid_out_like(result, given) for result, given in zip([painted, *moved[1:]], maps, strict=True)]

    def _mirrored(self, draws: Draws, epoch: int, rows: Tensor | None) -> Bool[Tensor, " batch"] | None:
        if self.config.flip == "none":
            return None
        if self.config.flip != "alternating":
            return draws.chance(0.5)
        if rows is None:
            raise UsageError("flip is 'alternating' and rows are not given; give the pictures' numbers in the training set.")
        return alternating_flip(rows.to(draws.device), epoch=epoch, seed=draws.generator.initial_seed())

    def _shifted(self, maps: Sequence[Tensor], draws: Draws, flips: Motion, plan: Plan | None) -> list[Tensor]:
        """Flipped and moved by whole pixels, which costs a third of an interpolation; what a policy moves is interpolated."""
        config = self.config
        height, width = maps[0].shape[2:]
        down, right = (self._steps(draws, side) for side in (height, width))
        moved = list(maps)
        if not (down is None and right is None and flips.mirrored is None and flips.upturned is None):
            moved = [
                shift(each, down=down, right=right, mirrored=flips.mirrored, upturned=flips.upturned, padding=config.padding)
                for each in maps
            ]
        moved[0] = as_float(moved[0].contiguous())
        if plan is None:
            return moved
        chosen = plan.moves().nonzero()[:, 0]
        matrices = plan.matrices(height=height, width=width)[chosen]
        return [self._with_some_warped(each, chosen, matrices, is_mask=place > 0) for place, each in enumerate(moved)]

    def _steps(self, draws: Draws, side: int) -> Tensor | None:
        most = round(self.config.translate * side)
        return draws.whole(-most, most) if most else None

    def _with_some_warped(self, each: Tensor, chosen: Tensor, matrices: Tensor, *, is_mask: bool) -> Tensor:
        if not len(chosen):
            return each
        moved = each.clone()
        moved[chosen] = warp(each[chosen], matrices, padding=self.config.padding, nearest=is_mask)
        return moved

    def _warped(self, maps: Sequence[Tensor], draws: Draws, flips: Motion, plan: Plan | None) -> list[Tensor]:
        """All movements as one interpolation."""
        config = self.config
        height, width = maps[0].shape[2:]
        slope = math.tan(math.radians(config.shear))
        longer = -math.log(1 - config.scale)
        motion = Motion(
            mirrored=flips.mirrored,
            upturned=flips.upturned,
            zoom=draws.around(0, longer).exp() if config.scale else None,
            shear_x=draws.around(0, slope) if config.shear else None,
            shear_y=draws.around(0, slope) if config.shear else None,
            degrees=draws.around(0, config.rotate) if config.rotate else None,
            right=draws.around(0, config.translate * width) if config.translate else None,
            down=draws.around(0, config.translate * height) if config.translate else None,
        )
        matrices = motion.matrices(draws.n, draws.device)
        if plan is not None:
            matrices = compose(matrices, plan.matrices(height=height, width=width))
        pictures = warp(as_float(maps[0]), matrices, padding=config.padding)
        return [pictures, *(warp(mask, matrices, padding=config.padding, nearest=True) for mask in maps[1:])]

    def _painted(self, pictures: Tensor, draws: Draws, plan: Plan | None) -> Tensor:
        """Colours changed, then parts taken away."""
        config = self.config
        if plan is not None:
            pictures = plan.paint(pictures)
        if config.adjusts_colour:
            pictures = adjust_colour(
                pictures,
                brightness=draws.around(1, config.brightness) if config.brightness else None,
                contrast=draws.around(1, config.contrast) if config.contrast else None,
                saturation=draws.around(1, config.saturation) if config.saturation else None,
            )
        if config.blur:
            pictures = blur(pictures, draws.uniform(0, config.blur))
        if config.cutout:
            pictures = cut_out(pictures, draws, side_share=config.cutout)
        return erase(pictures, draws, probability=config.erase) if config.erase else pictures
