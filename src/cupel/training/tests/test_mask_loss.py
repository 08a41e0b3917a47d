"""The loss of masks, by hand; and a network that learns them in the one loop."""

from __future__ import annotations

import math

import numpy as np
import onnxruntime
import pytest
import torch

from cupel import training
from cupel.core.family import UnitData
from cupel.core.graph import Graph
from cupel.core.inputs import Inputs
from cupel.core.masks import VOID
from cupel.core.recipe import Recipe
from cupel.core.task import Task, TaskKind
from cupel.modalities.image.models import unet
from cupel.training.loss import balancing_weights, judged_losses, sample_losses

SIDE = 16
TASK = Task(kind=TaskKind.SEGMENTATION, target="mask", metric="dice", classes=("0", "1"), grid=(SIDE, SIDE))


def logits(probability: float, *, shape: tuple[int, int] = (2, 2)) -> torch.Tensor:
    """Of class 1 everywhere, (1, 1, 1, 2 * height * width)."""
    pair = torch.tensor([math.log(1 - probability), math.log(probability)])
    return pair[:, None].expand(2, shape[0] * shape[1]).reshape(1, 1, 1, -1)


def test_it_is_cross_entropy_and_one_minus_dice_over_the_classes_there_are() -> None:
    target = torch.tensor([[[[1, 1], [0, 0]]]], dtype=torch.uint8)
    dice_of_1 = 2 * 2 * 0.8 / (4 * 0.64 + 2)
    dice_of_0 = 2 * 2 * 0.2 / (4 * 0.04 + 2)
    entropy = -(math.log(0.8) + math.log(0.2)) / 2
    expected = entropy + 1 - (dice_of_1 + dice_of_0) / 2
    assert sample_losses(logits(0.8), target).item() == pytest.approx(expected, abs=1e-6)
    assert judged_losses(logits(0.8), target).item() == pytest.approx(expected, abs=1e-6)


def test_a_class_that_a_picture_lacks_and_void_count_nothing() -> None:
    target = torch.tensor([[[[1, 1], [VOID, VOID]]]], dtype=torch.uint8)
    expected = -math.log(0.8) + 1 - 2 * 2 * 0.8 / (2 * 0.64 + 2)
    assert sample_losses(logits(0.8), target).item() == pytest.approx(expected, abs=1e-6)
    nothing = torch.full_like(target, VOID)
    assert sample_losses(logits(0.8), nothing).item() == 0


def test_weights_of_classes_are_those_of_pixels() -> None:
    target = torch.tensor([[[1, 0], [0, 0]], [[0, 0], [VOID, VOID]]], dtype=torch.uint8)
    weights = balancing_weights([target], 2)
    assert weights[0].tolist() == pytest.approx([6 / (2 * 5), 6 / 2])
    one = torch.tensor([[[[1, 1], [1, 1]]]], dtype=torch.uint8)
    weighted = sample_losses(logits(0.8), one, class_weights=weights) - sample_losses(logits(0.8), one)
    assert weighted.item() == pytest.approx(-2 * math.log(0.8), abs=1e-6)


def unit() -> UnitData:
    """The bright side of a slanted line."""
    generator = np.random.default_rng(0)
    down, across = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    angles = generator.uniform(0, 2 * np.pi, 30)[:, None, None]
    masks = (down * np.cos(angles) + across * np.sin(angles) > 0).astype(np.uint8)
    pixels = np.where(masks == 1, 170, 80) + generator.normal(scale=15, size=masks.shape)
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)[:, None]
    masks[:, 0] = VOID
    parts = [slice(16), slice(16, 22), slice(22, 30)]
    train, stop, valid = (Inputs({"pixels": pixels[rows]}, {}) for rows in parts)
    return UnitData(0, 3, train, masks[parts[0]], stop, masks[parts[1]], valid)


def test_a_network_learns_masks_and_leaves_as_onnx() -> None:
    own = unit()
    config = unet.Config(width=8, depth=1, augment="upright")
    recipe = Recipe(learning_rate=1e-2, epochs=12, batch_size=8, schedule="cosine")
    (fitted,) = training.fit(unet.spec, [own], config=config, recipe=recipe, task=TASK, threads=1)
    truth = own.valid.blocks["pixels"][:, 0] > 125
    said = fitted.predictions.reshape(-1, 2, SIDE, SIDE)
    assert np.abs(said.sum(axis=1) - 1).max() < 1e-9
    assert (said.argmax(axis=1) == truth).mean() > 0.9
    graph = Graph()
    flat = graph.input("x", np.uint8, width=SIDE * SIDE)
    maps = graph.op("Reshape", flat, graph.constant(np.array([-1, 1, SIDE, SIDE], np.int64)))
    graph.output("y", fitted.model.emit(graph, {"pixels": maps}), np.float64, width=TASK.n_outputs)
    session = onnxruntime.InferenceSession(graph.model().SerializeToString(), providers=["CPUExecutionProvider"])
    given = session.run(None, {"x": own.valid.blocks["pixels"].reshape(8, -1)})[0]
    assert np.abs(given - fitted.predictions).max() < 1e-5


def test_snapshots_of_masks_are_chosen_by_their_stop_rows() -> None:
    config = unet.Config(width=8, depth=1, augment="none")
    recipe = Recipe(learning_rate=1e-2, epochs=4, batch_size=8, schedule="cosine", snapshots=2)
    (fitted,) = training.fit(unet.spec, [unit()], config=config, recipe=recipe, task=TASK, threads=1)
    assert np.isfinite(fitted.predictions).all()
