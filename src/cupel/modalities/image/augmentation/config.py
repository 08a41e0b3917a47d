"""What is done to pictures while training, as one dataclass, and presets of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from cupel.core.space import Choice, Range, When, space_of
from cupel.modalities.image.augmentation.policies import Policy, RandAugment, TrivialAugment

STRENGTHS = (
    *("translate", "rotate", "scale", "shear", "brightness", "contrast", "saturation"),
    *("blur", "cutout", "erase", "magnitude"),
)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How pictures are changed each time that they are trained on; all numbers are the strongest change, drawn uniformly.

    `flip` "alternating" mirrors each picture every other epoch. `translate` is a share of the side, `rotate` and `shear` are
    degrees, `scale` makes sides up to that share shorter, or longer by the inverse. `brightness`, `contrast` and `saturation` are
    changes of a factor of 1; `blur` is pixels. `cutout` is the side of a square that every picture loses, as a share; `erase` how
    many pictures get a rectangle of noise. `mixup` and `cutmix` are the alphas of their shares, 0 is off; with both, each
    batch takes one of them. What leaves the picture is `padding`.

    Over the last `settle` of training, pictures are only flipped and translated: the last steps then see what is predicted on.
    Source of that: He et al. 2019, arXiv:1909.09148.
    """

    flip: Annotated[str, Choice("none", "horizontal", "alternating", "both")] = "none"
    translate: Annotated[float, Range(0.0, 0.3)] = 0.0
    rotate: Annotated[float, Range(0.0, 180.0)] = 0.0
    scale: Annotated[float, Range(0.0, 0.5)] = 0.0
    shear: Annotated[float, Range(0.0, 30.0)] = 0.0
    padding: Annotated[str, Choice("reflect", "zeros")] = "reflect"
    brightness: Annotated[float, Range(0.0, 0.8)] = 0.0
    contrast: Annotated[float, Range(0.0, 0.8)] = 0.0
    saturation: Annotated[float, Range(0.0, 0.8)] = 0.0
    blur: Annotated[float, Range(0.0, 1.5)] = 0.0
    cutout: Annotated[float, Range(0.0, 0.6)] = 0.0
    erase: Annotated[float, Range(0.0, 1.0)] = 0.0
    policy: Annotated[str, Choice("none", "rand", "trivial")] = "none"
    n_operations: Annotated[int, Range(1, 3), When("policy", "rand")] = 2
    magnitude: Annotated[float, Range(0.0, 30.0), When("policy", "rand")] = 9.0
    mixup: Annotated[float, Range(0.0, 1.0)] = 0.0
    cutmix: Annotated[float, Range(0.0, 1.0)] = 0.0
    settle: Annotated[float, Range(0.0, 0.5)] = 0.0

    @property
    def interpolates(self) -> bool:
        """Whether every picture is moved by more than flips and whole pixels."""
        return bool(self.rotate or self.scale or self.shear)

    @property
    def adjusts_colour(self) -> bool:
        """Whether brightness, contrast or saturation change."""
        return bool(self.brightness or self.contrast or self.saturation)

    def times(self, factor: float) -> Augmentation:
        """Every change so many times as strong, but no stronger than is allowed; flips, mixing and the end of training stay."""
        tops = {each.name: each.domain.high for each in space_of(type(self)) if isinstance(each.domain, Range)}
        return replace(self, **{name: min(getattr(self, name) * factor, tops[name]) for name in STRENGTHS})

    def chosen_policy(self) -> Policy | None:
        """The policy, if there is one."""
        if self.policy == "rand":
            return RandAugment(self.n_operations, self.magnitude)
        return TrivialAugment() if self.policy == "trivial" else None


NONE = Augmentation()
DIGITS = Augmentation(translate=0.08, rotate=10.0, scale=0.12, shear=6.0)
"""Signs, whose mirror image would be another sign, or none."""

OBJECTS = Augmentation(flip="horizontal", translate=0.1, brightness=0.2, contrast=0.2, saturation=0.2)
"""Things as they stand, so that left may be right, but above is not below."""

STRONG = Augmentation(
    flip="horizontal", translate=0.125, scale=0.2, policy="trivial", erase=0.25, mixup=0.2, cutmix=1.0, settle=0.1
)
"""For few pictures and long training."""
