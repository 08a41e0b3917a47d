"""Tables whose columns belong to several modalities: each part learned from alone, and all of them together.

Hands over `modality`, which the registry finds through an entry point; the modalities that it is made of it finds there too.
"""

from cupel.modalities.mixed.declaration import modality

__all__ = ["modality"]
