"""Building blocks of networks, each holding several models stacked, each able to leave as ONNX.

Only modalities build networks from them.
"""

from cupel.core.layers.network import Network, ParameterGroup

__all__ = ["Network", "ParameterGroup"]
