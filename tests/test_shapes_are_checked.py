"""The promise of conftest.py: under test, a shape written in a signature is held."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from cupel.evaluation.comparison import likely_scores


def test_a_wrong_shape_is_noticed():
    with pytest.raises(TypeCheckError, match="likely_scores"):
        likely_scores(np.zeros((2, 2)), np.zeros(2))
