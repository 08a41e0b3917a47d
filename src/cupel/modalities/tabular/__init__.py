"""Tables: preparation of numbers and categories, and the families that learn from them.

Hands over `modality`, which the registry finds through an entry point.
"""

from cupel.modalities.tabular.declaration import modality

__all__ = ["modality"]
