"""Tables into blocks of numbers: each step is fitted on training rows alone and can leave as ONNX.

One file per kind of step; `choices` says what can be chosen, `fitting` puts the steps together.
"""

from cupel.modalities.tabular.preparation.choices import (
    FOR_LINEAR,
    FOR_NETWORKS,
    FOR_REALMLP,
    FOR_TREES,
    SEARCHED_FOR_NETWORKS,
    TabularPreparation,
)

__all__ = ["FOR_LINEAR", "FOR_NETWORKS", "FOR_REALMLP", "FOR_TREES", "SEARCHED_FOR_NETWORKS", "TabularPreparation"]
