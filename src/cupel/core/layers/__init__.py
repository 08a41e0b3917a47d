"""Building blocks of networks, each holding several models stacked, each able to leave as ONNX.

Only modalities build networks from them.
"""

from cupel.core.layers.activation import FUNCTIONS, Activation, ParametricActivation, emit_activation
from cupel.core.layers.category import CategoryEmbedding
from cupel.core.layers.cross import Cross
from cupel.core.layers.dropout import PooledDropout
from cupel.core.layers.ensemble import Ensemble
from cupel.core.layers.hidden import HiddenLayers
from cupel.core.layers.linear import BatchEnsembleLinear, Linear, MemberLinear
from cupel.core.layers.network import Network, ParameterGroup, add_member_axis, generators_for
from cupel.core.layers.normalisation import BatchNorm, LayerNorm
from cupel.core.layers.numeric import LinearEmbedding, PeriodicEmbedding, PeriodicReluEmbedding, PiecewiseLinearEmbedding
from cupel.core.layers.scaling import MemberScale, Scale
from cupel.core.layers.transformer import Attention, GatedFeedForward, TransformerBlock

__all__ = [
    "FUNCTIONS",
    "Activation",
    "Attention",
    "BatchEnsembleLinear",
    "BatchNorm",
    "CategoryEmbedding",
    "Cross",
    "Ensemble",
    "GatedFeedForward",
    "HiddenLayers",
    "LayerNorm",
    "Linear",
    "LinearEmbedding",
    "MemberLinear",
    "MemberScale",
    "Network",
    "ParameterGroup",
    "ParametricActivation",
    "PeriodicEmbedding",
    "PeriodicReluEmbedding",
    "PiecewiseLinearEmbedding",
    "PooledDropout",
    "Scale",
    "TransformerBlock",
    "add_member_axis",
    "emit_activation",
    "generators_for",
]
