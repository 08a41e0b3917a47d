"""The range test finds a rate of the right size, alone for each model, and leaves no trace."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from cupel.core.layers import Network
from cupel.core.recipe import Recipe
from cupel.training.range_test import NARROWEST, WIDEST, rate_factors


class Bowl(Network):
    """A quadratic of a given steepness for each model."""

    def __init__(self, steepness: list[float]) -> None:
        super().__init__()
        self.n_models = len(steepness)
        self.weight = nn.Parameter(torch.ones(len(steepness), 4))
        self.register_buffer("steepness", torch.tensor(steepness)[:, None])

    def forward(self, blocks: Mapping[str, Tensor]) -> Tensor:
        raise AssertionError("asked for losses only")

    def losses(self) -> Tensor:
        return (self.steepness * self.weight.square()).mean(dim=1)


def found(steepness: list[float], *, rate: float = 0.1) -> list[float]:
    bowl = Bowl(steepness)
    return rate_factors(bowl, Recipe(optimizer="sgd", learning_rate=rate, momentum=0.0, nesterov=False), losses=bowl.losses)


def test_the_steeper_the_loss_the_lower_the_rate() -> None:
    gentle, steep = found([0.5, 50.0])
    assert gentle > steep
    assert NARROWEST <= steep < 0.5
    assert gentle <= WIDEST


def test_a_model_finds_the_same_beside_others_as_alone() -> None:
    assert found([3.0, 0.2]) == [found([3.0])[0], found([0.2])[0]]


def test_nothing_is_left_of_the_steps() -> None:
    bowl = Bowl([1.0])
    rate_factors(bowl, Recipe(optimizer="adamw", learning_rate=0.1), losses=bowl.losses)
    assert torch.equal(bowl.weight, torch.ones(1, 4))


def test_where_nothing_is_learned_or_time_is_up_the_recipe_stays() -> None:
    assert found([0.0]) == [1.0]
    bowl = Bowl([1.0, 2.0])
    assert rate_factors(bowl, Recipe(), losses=bowl.losses, is_over=lambda: True) == [1.0, 1.0]


def test_losses_that_overflow_are_no_reason_to_stop() -> None:
    assert found([1e4], rate=1.0) == [1.0] or found([1e4], rate=1.0)[0] == pytest.approx(NARROWEST)
