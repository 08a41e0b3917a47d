"""While tests run, the shapes written in signatures are checked."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from cupel import evaluation


def test_arrays_of_another_shape_than_declared_are_refused() -> None:
    target = np.zeros(4)
    assert evaluation.score("rmse", target, np.zeros((4, 1))) == 0
    with pytest.raises(TypeCheckError):
        evaluation.score("rmse", target, np.zeros((5, 1)))
