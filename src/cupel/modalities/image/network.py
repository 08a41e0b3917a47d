"""What all networks on pictures have in common: pixels in, an encoder that makes features of them, a head that answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from cupel.core.errors import TrainingError
from cupel.core.graph import Graph
from cupel.core.inputs import InputShape
from cupel.core.layers import (
    Linear,
    Network,
    ParameterGroup,
    PixelScaling,
    PooledDropout,
    add_member_axis,
)
from cupel.modalities.image.augmentation import NONE, Augmentation, View
from cupel.modalities.image.augmenting import Changes
from cupel.modalities.image.growing import Growing

PIXELS = "pixels"
TRUNK = ("scaling.", "encoder.")
"""Beginnings of the names of what makes features."""
MOST_PIXELS_AT_ONCE = 1 << 18
"""Of one channel, where no gradients are kept: what is stored of them between layers stays within some hundred megabytes."""
MOST_VALUES_TO_BEGIN_WITH = 1 << 24


class Encoder(nn.Module):
    """Features of pictures, (M, B, width), for a head, or to be joined with what is known from elsewhere.

    Where every pixel is answered for, the features are maps instead: those of all models side by side, (B, M * width, H, W).
    """

    width: int

    def forward(self, maps: Float[Tensor, "row side height width"]) -> Float[Tensor, ...]:
        """From normalised pixels, the channels of all models side by side."""
        raise NotImplementedError

    def initialise(self, maps: Float[Tensor, "row side height width"]) -> None:
        """Set weights that depend on data; most encoders need none."""

    def set_progress(self, fraction: float) -> None:
        """Told before every epoch how much of training is done, 0 to 1."""

    def rate_factors(self) -> Mapping[nn.Parameter, float]:
        """Factors on the learning rates of some of its parameters; most encoders have none."""
        return {}

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same of one model: (rows, channels, height, width) in, (rows, width) out, or maps."""
        raise NotImplementedError


class Head(nn.Module):
    """Answers from features, (M, B, output)."""

    def forward(self, features: Float[Tensor, ...]) -> Float[Tensor, "model row output"]:
        """Logits or values."""
        raise NotImplementedError

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same of one model: what the encoder gives in, (rows, output) out."""
        raise NotImplementedError


class LinearHead(Head):
    """Answers from features: dropout, a linear layer, and a constant factor on what it says."""

    def __init__(
        self, sizes: tuple[int, int], generators: list[torch.Generator], *, dropout: PooledDropout, factor: float = 1.0
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.output = Linear(sizes, generators)
        self.factor = factor

    def forward(self, features: Float[Tensor, "model row feature"]) -> Float[Tensor, "model row output"]:
        """Logits or values."""
        outputs: Tensor = self.output(self.dropout(features))
        return outputs if self.factor == 1 else outputs * self.factor

    def emit(self, graph: Graph, x: str, *, model: int) -> str:
        """The same from plain operators; dropout is off."""
        weight, bias = (graph.constant(p[model].detach().cpu().numpy()) for p in (self.output.weight, self.output.bias))
        return graph.op("Gemm", x, weight, bias, alpha=float(self.factor), beta=float(self.factor))


class ImageNetwork(Network):
    """Pixels, an encoder, a head.

    `augment` is what happens to the pictures of a training batch before anything else. `scaling` is
    given where what pixels are normalised by is known. With `views` a picture is looked at in each of them, but
    in training and where its epochs are judged, and answers are their weighted mean.
    """

    def __init__(
        self,
        shape: InputShape,
        encoder: Encoder,
        *,
        head: Head,
        seeds: Sequence[int],
        augment: Augmentation = NONE,
        views: Sequence[View] = (),
        scaling: PixelScaling | None = None,
    ) -> None:
        super().__init__()
        self._views = tuple(views)
        self.n_looks = max(1, len(self._views))
        self._growing = Growing(1.0)
        self._changes = None if augment == NONE else Changes(augment, seeds)
        self.n_models = len(seeds)
        self.scaling = PixelScaling(shape.widths[PIXELS], n_models=self.n_models) if scaling is None else scaling
        self.encoder = encoder
        self.head = head

    def initialise(self, blocks: Mapping[str, Tensor]) -> None:
        """Statistics of the pixels, and what of the encoder depends on data."""
        pixels = blocks[PIXELS]
        few = pixels[:, : max(1, MOST_VALUES_TO_BEGIN_WITH // pixels[:, 0].numel())]
        self.scaling.initialise(few)
        with torch.no_grad():
            self.encoder.initialise(self.scaling(few))

    def grow_from(self, first_side: float) -> ImageNetwork:
        """The network, whose training begins with pictures of this share of their sides (see `Growing`), but for masks."""
        self._growing = Growing(first_side)
        return self

    def set_progress(self, fraction: float) -> None:
        """Tell the encoder, and who changes the pictures."""
        self.encoder.set_progress(fraction)
        self._growing.set_progress(fraction)
        if self._changes is not None:
            self._changes.progress = fraction

    def set_epoch(self, number: int) -> None:
        """Tell who changes the pictures."""
        if self._changes is not None:
            self._changes.epoch = number

    def set_rows(self, rows: Tensor) -> None:
        """Tell who changes the pictures."""
        if self._changes is not None:
            self._changes.rows = rows

    def changed(
        self, blocks: Mapping[str, Tensor], target: Shaped[Tensor, "model batch ..."], *, n_outputs: int
    ) -> tuple[dict[str, Tensor], Shaped[Tensor, "model batch ..."]]:
        """Augmented pictures, small at first; where they are mixed with one another, targets are too; masks are moved along."""
        if self._changes is None:
            return {**blocks, PIXELS: self._growing.reduced(blocks[PIXELS])}, target
        if target.ndim == 4:
            pixels, target = self._changes.changed_with_masks(blocks[PIXELS], target)
            return {**blocks, PIXELS: pixels}, target
        pixels = self._changes.changed(blocks[PIXELS])
        if self._changes.mixes:
            pixels, target = self._changes.mixed(pixels, target, n_classes=0 if target.is_floating_point() else n_outputs)
        return {**blocks, PIXELS: self._growing.reduced(pixels)}, target

    def keep_generators(self, models: Sequence[int]) -> None:
        """As of any network, and of the changes."""
        super().keep_generators(models)
        if self._changes is not None:
            self._changes.keep(models)

    def features(self, blocks: Mapping[str, Tensor]) -> Float[Tensor, ...]:
        """What the encoder makes of the pictures: the place to join them with features of other blocks."""
        features: Tensor = self.encoder(self.scaling(blocks[PIXELS]))
        return features

    def forward(self, blocks: Mapping[str, Tensor]) -> Float[Tensor, "model 1 batch output"]:
        """Logits or values; a few pictures at a time where no gradients are kept."""
        if torch.is_grad_enabled():
            return self._outputs(blocks)
        return torch.cat([self._outputs(part) for part in self._parts(blocks)], dim=2)

    def judged(self, blocks: Mapping[str, Tensor]) -> Float[Tensor, "model 1 batch output"]:
        """Of one view."""
        return torch.cat([self._outputs_of_one(part) for part in self._parts(blocks)], dim=2)

    def _outputs(self, blocks: Mapping[str, Tensor]) -> Tensor:
        if self.training or not self._views:
            return self._outputs_of_one(blocks)
        pixels = blocks[PIXELS]
        pictures = pixels.flatten(0, 1)
        seen = [{**blocks, PIXELS: view(pictures).reshape(*pixels.shape[:2], *pixels.shape[2:])} for view in self._views]
        weighted = [view.weight * self._outputs_of_one(each) for view, each in zip(self._views, seen, strict=True)]
        return torch.stack(weighted).sum(dim=0)

    def _outputs_of_one(self, blocks: Mapping[str, Tensor]) -> Tensor:
        outputs: Tensor = self.head(self.features(blocks))
        return outputs[:, None]

    def _parts(self, blocks: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
        n_models, n_rows, _, height, width = blocks[PIXELS].shape
        size = max(1, MOST_PIXELS_AT_ONCE // (n_models * height * width))
        for start in range(0, max(n_rows, 1), size):
            yield {name: block[:, start : start + size] for name, block in blocks.items()}

    @torch.no_grad()
    def renew_statistics(self, blocks: Mapping[str, Tensor]) -> None:
        """The same as of any network, pooled over parts of the rows: all at once would not fit into memory.

        The variance of all rows is the mean of the variances within parts and the variance of their means. Layers that do not
        learn yet keep their statistics, as they do while training.
        """
        self.eval()
        layers = [layer for layer in self.normalisations() if any(parameter.requires_grad for parameter in layer.parameters())]
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.train()
            layer.momentum = 1.0
        sizes, found = [], []
        for part in self._parts(blocks):
            self._outputs_of_one(part)
            sizes.append(part[PIXELS].shape[1])
            found.append([(layer.mean.clone(), layer.variance.clone()) for layer in layers])
        for layer, momentum, of_parts in zip(layers, momenta, zip(*found, strict=True), strict=True):
            layer.eval()
            layer.momentum = momentum
            means, variances = (torch.stack(each) for each in zip(*of_parts, strict=True))
            shares = means.new_tensor(sizes).div(sum(sizes)).view(-1, 1, 1)
            layer.mean.copy_((shares * means).sum(dim=0))
            layer.variance.copy_((shares * (variances + (means - layer.mean).square())).sum(dim=0))

    def parameter_groups(self) -> list[ParameterGroup]:
        """As of any network, divided by the rates at which parts of the encoder learn."""
        factors = self.encoder.rate_factors()
        return [part for group in super().parameter_groups() for part in _by_rate(group, factors)]

    def emit(self, graph: Graph, blocks: Mapping[str, str], *, model: int) -> str:
        """The same from plain operators."""
        if not self._views:
            return add_member_axis(graph, self._emit_one(graph, blocks, model=model))
        weighted = []
        for view in self._views:
            seen = {**blocks, PIXELS: view.emit(graph, blocks[PIXELS])}
            outputs = self._emit_one(graph, seen, model=model)
            weighted.append(graph.op("Mul", outputs, graph.constant(view.weight, np.float32)))
        return add_member_axis(graph, graph.op("Sum", *weighted))

    def _emit_one(self, graph: Graph, blocks: Mapping[str, str], *, model: int) -> str:
        return self.head.emit(graph, self.emit_features(graph, blocks, model=model), model=model)

    def emit_features(self, graph: Graph, blocks: Mapping[str, str], *, model: int) -> str:
        """`features` from plain operators, (rows, feature)."""
        return self.encoder.emit(graph, self.scaling.emit(graph, blocks[PIXELS], model=model), model=model)


def _by_rate(group: ParameterGroup, factors: Mapping[nn.Parameter, float]) -> Iterator[ParameterGroup]:
    parts: dict[float, list[nn.Parameter]] = {}
    for parameter in group.parameters:
        parts.setdefault(factors.get(parameter, 1.0), []).append(parameter)
    for factor, own in parts.items():
        yield ParameterGroup(tuple(own), learning_rate_factor=factor, weight_decay_factor=group.weight_decay_factor)


def size_of_pictures(shape: InputShape, *, least: int, name: str) -> tuple[int, int]:
    """Height and width of the pictures that a network is built for.

    Raises:
        TrainingError: they are smaller than the network can look at.
    """
    height, width = shape.extents[PIXELS]
    if min(height, width) < least:
        raise TrainingError(
            f"the pictures are {height} × {width} pixels (height × width); {name} with this configuration needs at least "
            f"{least} × {least}. Prepare them larger, or choose fewer stages."
        )
    return height, width
