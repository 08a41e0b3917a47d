"""What the mean of several models gains, from two of them."""

from __future__ import annotations

import numpy as np
import pytest

from cupel.evaluation import METRICS, gain_of_mean

N_ROWS, N_MODELS = 4000, 5


def models(seed: int, *, correlation: float = 0.0) -> tuple[np.ndarray, list[np.ndarray]]:
    """Truth, and models that err by chance, a part of it together."""
    generator = np.random.default_rng(seed)
    truth, shared = generator.normal(size=(2, N_ROWS))
    own = generator.normal(size=(N_MODELS, N_ROWS))
    return truth, [(truth + np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * each)[:, None] for each in own]


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_two_of_them_show_what_the_mean_of_all_gains(correlation: float) -> None:
    metric = METRICS["rmse"]
    truth, said = models(0, correlation=correlation)
    found = gain_of_mean(metric, truth, said=(said[0], said[1]), together=(said[0] + said[1]) / 2, n_models=N_MODELS)
    errors = [np.sqrt(((each[:, 0] - truth) ** 2).mean()) for each in (*said, np.mean(said, axis=0))]
    gained = np.mean(errors[:-1]) - errors[-1]
    assert found.low < gained < found.high
    assert found.estimate == pytest.approx(gained, rel=0.1)


def test_models_that_say_the_same_gain_nothing() -> None:
    truth, said = models(1)
    found = gain_of_mean(METRICS["rmse"], truth, said=(said[0], said[0]), together=said[0], n_models=N_MODELS)
    assert (found.estimate, found.low, found.high) == (0.0, 0.0, 0.0)


def test_a_gain_is_positive_whatever_the_metric_s_sense() -> None:
    truth, said = models(2)
    is_yes = (truth > 0).astype(np.int64)
    chances = [np.hstack([1 - p, p]) for p in (1 / (1 + np.exp(-each)) for each in said)]
    for name in ("roc_auc", "log_loss"):
        found = gain_of_mean(
            METRICS[name], is_yes, said=(chances[0], chances[1]), together=(chances[0] + chances[1]) / 2, n_models=N_MODELS
        )
        assert found.low > 0
