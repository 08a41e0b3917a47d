"""Building blocks of networks, each holding several models stacked, each able to leave as ONNX.

Only modalities build networks from them.
"""

from cupel.core.layers.activation import FUNCTIONS, Activation, ParametricActivation, emit_activation
from cupel.core.layers.category import CategoryEmbedding
from cupel.core.layers.dropout import PooledDropout
from cupel.core.layers.ensemble import Ensemble
from cupel.core.layers.linear import BatchEnsembleLinear, Linear, MemberLinear
from cupel.core.layers.network import Network, ParameterGroup, generators_for
from cupel.core.layers.numeric import PeriodicEmbedding, PiecewiseLinearEmbedding
from cupel.core.layers.scaling import MemberScale, Scale

__all__ = [
    "FUNCTIONS",
    "Activation",
    "BatchEnsembleLinear",
    "CategoryEmbedding",
    "Ensemble",
    "Linear",
    "MemberLinear",
    "MemberScale",
    "Network",
    "ParameterGroup",
    "ParametricActivation",
    "PeriodicEmbedding",
    "PiecewiseLinearEmbedding",
    "PooledDropout",
    "Scale",
    "emit_activation",
    "generators_for",
]
