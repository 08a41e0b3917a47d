"""Networks that were trained before, on other pictures: opened from files, and what is made of them.

`pretrained` hands over the families that start from them.
"""

from cupel.modalities.image.backbones.opening import pretrained

__all__ = ["pretrained"]
