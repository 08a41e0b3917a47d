"""Pictures prepared for networks and for models of plain numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cupel.core.feeds import feeds_of, run_in_calls
from cupel.core.graph import Graph
from cupel.core.modality import GraphInput
from cupel.core.schema import Schema
from cupel.modalities.image.example import SIDE, example_pictures
from cupel.modalities.image.preparation import DESCRIPTORS, LARGEST_DESCRIBED, AsDescriptors, AsPixels, resize_for
from cupel.packing import session

TRAIN, REST = np.arange(60), np.arange(60, 96)
INPUTS = (GraphInput(name="picture", kind="pixels", columns=("picture",)),)
DATASET = example_pictures("binary")


def with_channels(channels: int) -> Any:
    """The example, its pictures grey or coloured."""
    pictures = DATASET.columns["picture"].copy()
    for row, picture in enumerate(pictures):
        pictures[row] = None if picture is None else picture[:, :, :channels]
    column = replace(DATASET.schema["picture"], channels=channels)
    schema = Schema((column, DATASET.schema["answer"]), target="answer")
    return replace(DATASET, schema=schema, columns={**DATASET.columns, "picture": pictures})


def emitted(fitted: Any, dataset: Any, rows: np.ndarray) -> np.ndarray:
    """The prepared block as the packed graph computes it, its further axes flattened."""
    graph = Graph()
    (block,) = fitted.emit(graph).values()
    graph.output_of_shape("block", graph.cast(graph.op("Flatten", block, axis=1), np.float32), np.float32, axes=("numbers",))
    opened = session(graph.model().SerializeToString())
    return run_in_calls(lambda call: opened.run(["block"], call)[0], feeds_of(dataset, rows, INPUTS))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "preparation",
    [AsPixels(), AsPixels(side=28, policy="fit"), AsPixels(side=32, policy="crop"), AsDescriptors(), AsDescriptors(thumbnail=0)],
    ids=str,
)
def test_the_graph_prepares_what_training_saw(preparation: Any, channels: int) -> None:
    dataset = with_channels(channels)
    fitted = preparation.fit(dataset, TRAIN, seed=0).fitted
    (block,) = fitted.transform(dataset, REST).blocks.values()
    given = emitted(fitted, dataset, REST)
    assert given.shape == (len(REST), np.prod(block.shape[1:]))
    limit = 0.0 if block.dtype == np.uint8 else 1e-5
    assert np.abs(given - block.reshape(len(REST), -1)).max() <= limit


def test_pixels_are_bytes_channels_first() -> None:
    prepared = AsPixels().fit(DATASET, TRAIN, seed=0)
    block = prepared.inputs.blocks["pixels"]
    assert block.shape == (60, 3, SIDE, SIDE)
    assert block.dtype == np.uint8
    assert block.flags.c_contiguous
    first = DATASET.columns["picture"][0]
    assert np.array_equal(block[0], first.transpose(2, 0, 1))


def test_missing_pictures_are_black() -> None:
    fitted = AsPixels().fit(DATASET, TRAIN, seed=0).fitted
    rows = np.flatnonzero([picture is None for picture in DATASET.columns["picture"]])
    assert len(rows) > 3
    assert not fitted.transform(DATASET, rows).blocks["pixels"].any()


def test_sizes_are_chosen_by_the_training_rows() -> None:
    small, large = np.empty(10, dtype=object), np.empty(10, dtype=object)
    for row in range(10):
        small[row], large[row] = np.zeros((20, 20, 3), np.uint8), np.zeros((90, 90, 3), np.uint8)
    dataset = replace(DATASET, columns={"picture": np.concatenate([small, large]), "answer": np.zeros(20, np.int32)})
    assert resize_for(dataset, np.arange(10), name="picture", side=0, policy="stretch").height == 20
    assert resize_for(dataset, np.arange(10, 20), name="picture", side=0, policy="stretch").height == 64
    assert resize_for(dataset, np.arange(10), name="picture", side=48, policy="fit").height == 48
    assert resize_for(dataset, np.arange(10), name="picture", side=48, policy="fit").policy == "fit"


def test_descriptors_look_at_no_more_than_they_need() -> None:
    pictures = np.empty(4, dtype=object)
    for row in range(4):
        pictures[row] = np.zeros((100, 300, 3), np.uint8)
    dataset = replace(DATASET, columns={"picture": pictures, "answer": np.zeros(4, np.int32)})
    resize = resize_for(dataset, np.arange(4), name="picture", side=0, policy="stretch", largest=LARGEST_DESCRIBED)
    assert max(resize.height, resize.width) == LARGEST_DESCRIBED
    assert resize.height < resize.width / 2


def test_descriptors_are_finite_numbers_also_of_nothing() -> None:
    fitted = AsDescriptors().fit(DATASET, TRAIN, seed=0).fitted
    found = fitted.transform(DATASET, np.arange(96)).blocks[DESCRIPTORS]
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert fitted.transform(DATASET, REST[:0]).blocks[DESCRIPTORS].shape == (0, found.shape[1])


def test_preparations_are_hashable_and_say_what_they_are() -> None:
    assert len({AsPixels(), AsPixels(), AsPixels(side=64), AsDescriptors()}) == 3
    assert "side=64" in str(AsPixels(side=64))
