"""Pictures changed at random while training, a batch at a time, and looked at in several ways when predicting.

`Augmentation` says how, `Augmenter` does it; every operation is deterministic by the generator that it is given.
"""

from cupel.modalities.image.augmentation.augmenter import Augmenter
from cupel.modalities.image.augmentation.config import DIGITS, NONE, OBJECTS, STRONG, Augmentation
from cupel.modalities.image.augmentation.layout import as_float
from cupel.modalities.image.augmentation.policies import RandAugment, TrivialAugment
from cupel.modalities.image.augmentation.shifting import alternating_flip
from cupel.modalities.image.augmentation.views import View, views

__all__ = [
    "DIGITS",
    "NONE",
    "OBJECTS",
    "STRONG",
    "Augmentation",
    "Augmenter",
    "RandAugment",
    "TrivialAugment",
    "View",
    "alternating_flip",
    "as_float",
    "views",
]
