"""The families that learn from pictures, one file each; a new one adds its file and one word to `MODELS`."""

from __future__ import annotations

from importlib import import_module

from cupel.core.family import Family

MODELS = ("airbench", "resnet", "convnext", "mobilenet", "vit", "unet")
"""Networks in the order in which they are tried; trees on descriptors come after the first. U-Net answers for pixels."""

__all__ = ["MODELS", "families"]


def families() -> tuple[Family, ...]:
    """Every family, imported on first use: looking at data needs no training library."""
    classical = import_module(f"{__name__}.classical")
    pixelwise = import_module(f"{__name__}.pixelwise")
    first, *others = (import_module(f"{__name__}.{name}").spec for name in MODELS)
    return (classical.CONSTANT, pixelwise.GREY_LEVELS, pixelwise.TREES, classical.LINEAR, first, classical.BOOSTED, *others)
