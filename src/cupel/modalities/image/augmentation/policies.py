"""Policies: random operations for each picture, without anything to be learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cupel.modalities.image.augmentation.draws import Draws
from cupel.modalities.image.augmentation.geometry import Motion, compose
from cupel.modalities.image.augmentation.operations import (
    MOVING,
    OPERATIONS,
    ROTATE,
    SHEAR_X,
    SHEAR_Y,
    TRANSLATE_X,
    TRANSLATE_Y,
    Operation,
    signed,
    strongest,
)

N_LEVELS = 30
"""Strengths go in so many steps from nothing to the strongest, as in both papers."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What is done to each picture: places in `OPERATIONS`, and strengths with their sign; what comes first is done first.

    Movements are kept apart from colours, so that all of them, and those beside the policy, are one interpolation.
    """

    operations: Int[Tensor, "turn batch"]
    strengths: Float[Tensor, "turn batch"]

    def moves(self) -> Bool[Tensor, " batch"]:
        """Which pictures are moved."""
        moving = torch.tensor(MOVING, device=self.operations.device)
        return torch.isin(self.operations, moving).any(dim=0)

    def matrices(self, *, height: int, width: int) -> Float[Tensor, "batch 2 3"]:
        """All movements of each picture as one (`Motion.matrices`)."""
        n, device = self.operations.shape[1], self.operations.device
        total = Motion().matrices(n, device)
        for operations, strengths in zip(self.operations, self.strengths, strict=True):
            motion = Motion(
                degrees=_only(ROTATE, operations, strengths),
                shear_x=_only(SHEAR_X, operations, strengths),
                shear_y=_only(SHEAR_Y, operations, strengths),
                right=_only(TRANSLATE_X, operations, strengths) * width,
                down=_only(TRANSLATE_Y, operations, strengths) * height,
            )
            total = compose(total, motion.matrices(n, device))
        return total

    def paint(self, pictures: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel height width"]:
        """Pictures with their colours changed, those of one operation at a time."""
        painted = pictures.clone()
        for operations, strengths in zip(self.operations, self.strengths, strict=True):
            for place, operation in enumerate(OPERATIONS):
                chosen = (operations == place).nonzero()[:, 0]
                if operation.paint is not None and len(chosen):
                    painted[chosen] = operation.paint(painted[chosen], strengths[chosen])
        return painted


def _only(operation: Operation, operations: Tensor, strengths: Tensor) -> Tensor:
    return torch.where(operations == OPERATIONS.index(operation), strengths, 0.0)


class Policy(Protocol):
    """What draws a plan for a batch."""

    def plan(self, draws: Draws) -> Plan:
        """Operations and strengths for each picture."""
        ...


@dataclass(frozen=True)
class RandAugment:
    """`n_operations` random operations for each picture, all of one magnitude, 0 to 30.

    Source: Cubuk et al. 2019, arXiv:1909.13719; strengths as in its code, levels 0 to 30 as in its section 4.
    """

    n_operations: int
    magnitude: float

    def plan(self, draws: Draws) -> Plan:
        """Operations drawn uniformly, with repetition; those that go both ways by a coin."""
        share = torch.full((draws.n,), self.magnitude / N_LEVELS, device=draws.device)
        return _plan([_turn(draws, share, wide=False) for _ in range(self.n_operations)])


@dataclass(frozen=True)
class TrivialAugment:
    """One random operation for each picture, with a random strength out of a wide range.

    Source: Müller and Hutter 2021, arXiv:2103.10158, algorithm 1, "wide" space of table 1; translations up to a third of the
    side, where it has 32 pixels.
    """

    def plan(self, draws: Draws) -> Plan:
        """One operation and one of 31 strengths, drawn uniformly."""
        return _plan([_turn(draws, draws.whole(0, N_LEVELS) / N_LEVELS, wide=True)])


def _plan(turns: Sequence[tuple[Tensor, Tensor]]) -> Plan:
    operations, strengths = zip(*turns, strict=True)
    return Plan(torch.stack(operations), torch.stack(strengths))


def _turn(draws: Draws, shares: Tensor, *, wide: bool) -> tuple[Tensor, Tensor]:
    """One operation for each picture, with this share of its strength, positive or negative."""
    operations = draws.whole(0, len(OPERATIONS) - 1)
    strengths = shares * strongest(wide=wide, device=draws.device)[operations]
    is_negative = signed(device=draws.device)[operations] & draws.chance(0.5)
    return operations, torch.where(is_negative, -strengths, strengths)
