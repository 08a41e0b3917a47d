"""What leads at the end of a run: a mixture that is surely better; where only the score counts, one that is not surely worse."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cupel import conclusion
from cupel.checks.example import example_dataset
from cupel.core.settings import Settings

N_ROWS = 200


def leader(prefer: str, *, gain: float) -> str:
    """Who leads, where each answer of the mixture is nearer by so many standard deviations on average."""
    dataset = example_dataset("regression", n_samples=N_ROWS)
    generator = np.random.default_rng(0)
    target, rows = np.zeros(N_ROWS), np.arange(N_ROWS)
    nearer = generator.standard_normal(N_ROWS)
    nearer = 0.01 * ((nearer - nearer.mean()) / nearer.std() + gain)
    splits = SimpleNamespace(covered=rows, parts=np.zeros(N_ROWS, np.int64), units=None)
    problem: Any = SimpleNamespace(settings=Settings(prefer=prefer), splits=splits, target=target, task=dataset.task)
    errors = 5.0 + generator.random(N_ROWS)
    best: Any = SimpleNamespace(name="best", out_of_fold=errors[:, None])
    mixture: Any = SimpleNamespace(name="mixture", out_of_fold=(errors - nearer)[:, None])
    return str(conclusion._leader(problem, best, mixture).name)


@pytest.mark.parametrize(
    ("standard_errors", "cheapest", "best"),
    [
        (-2.0, "best", "best"),
        (-1.0, "best", "mixture"),
        (0.7, "best", "mixture"),
        (1.0, "best", "mixture"),
        (3.0, "mixture", "mixture"),
    ],
)
def test_a_mixture_has_to_be_surely_better_unless_the_score_is_all_that_counts(
    standard_errors: float, cheapest: str, best: str
) -> None:
    gain = standard_errors / np.sqrt(N_ROWS)
    assert leader("cheapest", gain=gain) == cheapest
    assert leader("best", gain=gain) == best


def test_without_a_mixture_the_best_leads() -> None:
    best: Any = SimpleNamespace(name="best")
    assert conclusion._leader(None, best, None) is best  # type: ignore[arg-type]
