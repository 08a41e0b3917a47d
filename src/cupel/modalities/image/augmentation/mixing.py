"""Two pictures as one, and two answers with it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from cupel.core.errors import UsageError
from cupel.modalities.image.augmentation.boxes import Boxes
from cupel.modalities.image.augmentation.draws import Draws


@dataclass(frozen=True, eq=False)
class Mixed:
    """Mixed pictures, the answers of both that are in each, and the share of the first.

    Targets are class indices (int64), values (float), or labels (float, of two axes), which are mixed as values are.
    """

    pictures: Float[Tensor, "batch channel height width"]
    first: Shaped[Tensor, "batch ..."]
    second: Shaped[Tensor, "batch ..."]
    share: Float[Tensor, " batch"]

    def target(self, n_classes: int) -> Float[Tensor, "batch ..."]:
        """Probabilities of the classes, (batch, classes); of values and labels (`n_classes` 0) their weighted mean.

        A label that is unknown in one of two pictures is unknown in their mixture.

        Raises:
            UsageError: classes are asked for, but targets are values, or the other way round.
        """
        if bool(n_classes) == self.first.is_floating_point():
            raise UsageError(
                f"n_classes is {n_classes} and targets are {self.first.dtype}; expected 0 for values, and the number of classes "
                f"for class indices."
            )
        if n_classes == 0:
            share = self.share.to(self.first.dtype)
            return torch.lerp(self.second, self.first, share if self.first.ndim == 1 else share[:, None])
        both = [functional.one_hot(indices, n_classes).to(self.share.dtype) for indices in (self.first, self.second)]
        return torch.lerp(both[1], both[0], self.share[:, None])


def mix_up(
    pictures: Float[Tensor, "batch channel height width"],
    target: Shaped[Tensor, "batch ..."],
    *,
    draws: Draws,
    alpha: float,
) -> Mixed:
    """Each picture blended with another of the batch; the shares are drawn from Beta(alpha, alpha), one for each picture.

    Source: Zhang et al. 2017, arXiv:1710.09412, eq. 1 (there one share for the batch).
    """
    partners, share = draws.order(), beta(draws, alpha)
    blended = torch.lerp(pictures[partners], pictures, share[:, None, None, None])
    return Mixed(blended, target, target[partners], share)


def cut_mix(
    pictures: Float[Tensor, "batch channel height width"],
    target: Shaped[Tensor, "batch ..."],
    *,
    draws: Draws,
    alpha: float,
) -> Mixed:
    """Each picture with a rectangle out of another of the batch, at the same place; shares are those of the pixels.

    Source: Yun et al. 2019, arXiv:1905.04899, section 3.1 (there one rectangle for the batch).
    """
    height, width = pictures.shape[2:]
    partners = draws.order()
    boxes = Boxes.around_points(draws, (1 - beta(draws, alpha)).sqrt(), height=height, width=width)
    return Mixed(torch.where(boxes.cover(), pictures[partners], pictures), target, target[partners], 1 - boxes.shares())


def unmixed(pictures: Float[Tensor, "batch channel height width"], target: Shaped[Tensor, "batch ..."]) -> Mixed:
    """Pictures as they are, in the same form."""
    return Mixed(pictures, target, target, torch.ones(len(pictures), device=pictures.device))


def beta(draws: Draws, alpha: float) -> Float[Tensor, " batch"]:
    """Numbers from Beta(alpha, alpha), by the inverse of its distribution: PyTorch's own sampler takes no generator."""
    from scipy.special import betaincinv

    shares = draws.uniform(0, 1).cpu().double().numpy()
    return torch.from_numpy(betaincinv(alpha, alpha, shares)).to(device=draws.device, dtype=torch.float32)
