"""The second output of a model of masks: what the first says, in each picture's own size."""

from __future__ import annotations

import numpy as np
import pytest

from cupel.checks.bench import Bench
from cupel.core import registry
from cupel.core.feeds import feeds_of
from cupel.modalities.image.example_masks import GRID, example_masks
from cupel.modalities.image.models import pixelwise
from cupel.packing import export_unit, maps, measure_latency, run, session, with_maps


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(pixelwise.GREY_LEVELS, example_masks(), registry.modality_named("image"))


@pytest.fixture(scope="module")
def models(bench: Bench) -> tuple[bytes, bytes]:
    prepared, _, fitted = bench.fitted
    inputs = tuple(bench.modality.graph_inputs(bench.dataset.schema))
    exported = export_unit(prepared.fitted, fitted.model, inputs, n_outputs=bench.task.n_outputs).SerializeToString()
    return exported, with_maps(exported, bench.task, inputs=inputs)


def rows_of_size(bench: Bench, size: tuple[int, int]) -> np.ndarray:
    pictures = bench.dataset.columns["picture"].tolist()
    return np.array([row for row, each in enumerate(pictures) if each is not None and each.shape[:2] == size])


def test_predictions_stay_as_they_were(bench: Bench, models: tuple[bytes, bytes]) -> None:
    inputs = tuple(bench.modality.graph_inputs(bench.dataset.schema))
    feeds = feeds_of(bench.dataset, np.arange(20), inputs)
    plain, both = (run(session(model), feeds) for model in models)
    assert np.array_equal(plain, both)


def test_maps_of_pictures_as_large_as_the_grid_are_what_is_predicted(bench: Bench, models: tuple[bytes, bytes]) -> None:
    inputs = tuple(bench.modality.graph_inputs(bench.dataset.schema))
    row = rows_of_size(bench, GRID)[:1]
    feeds = feeds_of(bench.dataset, row, inputs)
    opened = session(models[1])
    expected = run(opened, feeds).reshape(2, *GRID)
    assert np.abs(maps(opened, feeds) - expected).max() < 1e-6


@pytest.mark.parametrize("size", [(40, 28), (20, 50)])
def test_maps_have_the_size_of_the_picture_and_sum_to_one(
    bench: Bench, models: tuple[bytes, bytes], size: tuple[int, int]
) -> None:
    inputs = tuple(bench.modality.graph_inputs(bench.dataset.schema))
    row = rows_of_size(bench, size)[:1]
    found = maps(session(models[1]), feeds_of(bench.dataset, row, inputs))
    assert found.shape == (2, *size)
    assert np.abs(found.sum(axis=0) - 1).max() < 1e-5
    truth = bench.dataset.columns["answer"][row[0]][:, 1:, 0]
    assert (found.argmax(axis=0)[:, 1:] == truth).mean() > 0.9


def test_a_thousand_masks_are_not_run_to_know_how_long_they_take(bench: Bench, models: tuple[bytes, bytes]) -> None:
    inputs = tuple(bench.modality.graph_inputs(bench.dataset.schema))
    found = measure_latency(models[1], feeds_of(bench.dataset, np.arange(4), inputs), seconds=0.05)
    assert 0 < found["one"] < found["thousand"]
