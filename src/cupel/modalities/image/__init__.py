"""Pictures: reading them from folders, files and archives, bringing them to one size, and the networks that learn from them.

Hands over `modality`, which the registry finds through an entry point.
"""

from cupel.modalities.image.declaration import modality

__all__ = ["modality"]
