"""Building blocks of networks, each holding several models stacked, each able to leave as ONNX.

Only modalities build networks from them.
"""

from cupel.core.layers.activation import FUNCTIONS, Activation, ParametricActivation, emit_activation
from cupel.core.layers.category import CategoryEmbedding
from cupel.core.layers.convolution import (
    HALVING,
    Convolution,
    NormedConvolution,
    Window,
    emit_largest,
    emit_pooled,
    folded,
    joined,
    unfolded,
)
from cupel.core.layers.cross import Cross
from cupel.core.layers.depth import StochasticDepth, rising_rates
from cupel.core.layers.dropout import PooledDropout
from cupel.core.layers.ensemble import Ensemble
from cupel.core.layers.hidden import HiddenLayers
from cupel.core.layers.linear import BatchEnsembleLinear, Linear, MemberLinear
from cupel.core.layers.network import Network, ParameterGroup, add_member_axis, generators_for
from cupel.core.layers.normalisation import BatchNorm, LayerNorm, MapBatchNorm, MapLayerNorm
from cupel.core.layers.numeric import LinearEmbedding, PeriodicEmbedding, PeriodicReluEmbedding, PiecewiseLinearEmbedding
from cupel.core.layers.pixels import PixelScaling
from cupel.core.layers.rounding import round_weights
from cupel.core.layers.scaling import MemberScale, Scale
from cupel.core.layers.squeeze import SqueezeExcite
from cupel.core.layers.transformer import Attention, GatedFeedForward, TransformerBlock, why_heads_differ
from cupel.core.layers.whitening import PatchWhitening

__all__ = [
    "FUNCTIONS",
    "HALVING",
    "Activation",
    "Attention",
    "BatchEnsembleLinear",
    "BatchNorm",
    "CategoryEmbedding",
    "Convolution",
    "Cross",
    "Ensemble",
    "GatedFeedForward",
    "HiddenLayers",
    "LayerNorm",
    "Linear",
    "LinearEmbedding",
    "MapBatchNorm",
    "MapLayerNorm",
    "MemberLinear",
    "MemberScale",
    "Network",
    "NormedConvolution",
    "ParameterGroup",
    "ParametricActivation",
    "PatchWhitening",
    "PeriodicEmbedding",
    "PeriodicReluEmbedding",
    "PiecewiseLinearEmbedding",
    "PixelScaling",
    "PooledDropout",
    "Scale",
    "SqueezeExcite",
    "StochasticDepth",
    "TransformerBlock",
    "Window",
    "add_member_axis",
    "emit_activation",
    "emit_largest",
    "emit_pooled",
    "folded",
    "generators_for",
    "joined",
    "rising_rates",
    "round_weights",
    "unfolded",
    "why_heads_differ",
]
