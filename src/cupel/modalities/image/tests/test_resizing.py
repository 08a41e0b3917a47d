"""Resizing: against Pillow, against itself in a graph, and by what must pass unchanged."""

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from cupel.core.errors import DataError, UsageError
from cupel.core.graph import Graph
from cupel.modalities.image.augmentation.layout import as_float
from cupel.modalities.image.resizing import Resize, declare_pictures, resized
from cupel.modalities.image.sizing import working_size


def noise(height, width, n_channels=3, *, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, n_channels), dtype=np.uint8)


def by_pillow(picture, height, width, box=None):
    image = Image.fromarray(picture if picture.shape[2] == 3 else picture[:, :, 0])
    done = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box=box))
    return done.reshape(height, width, -1)


def difference(given, expected):
    assert given.shape == expected.shape
    return np.abs(given.astype(int) - expected.astype(int)).max()


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("size", [(100, 140), (300, 47), (20, 31), (65, 64), (1, 1), (1, 90)])
def test_stretching_is_pillows(size, n_channels):
    picture = noise(*size, n_channels)
    given = resized([picture], Resize(height=48, width=64, n_channels=n_channels))[0]
    assert difference(given, by_pillow(picture, 48, 64)) <= 1


@pytest.mark.parametrize("policy", ["stretch", "fit", "crop"])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_what_has_the_right_size_passes_unchanged(policy, n_channels):
    pictures = [noise(28, 33, n_channels, seed=seed) for seed in range(3)]
    given = resized(pictures, Resize(height=28, width=33, n_channels=n_channels, policy=policy))
    assert given.dtype == np.uint8
    assert np.array_equal(given, np.stack(pictures))


@pytest.mark.parametrize(("height", "width"), [(100, 40), (40, 100), (77, 90), (8, 5), (64, 47), (1, 500)])
def test_fitting_keeps_the_whole_picture_between_black_bars(height, width):
    picture = np.maximum(noise(height, width), 1)
    given = resized([picture], Resize(height=48, width=64, n_channels=3, policy="fit"))[0]
    scale = min(48 / height, 64 / width)
    tall, wide = max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))
    top, left = (48 - tall) // 2, (64 - wide) // 2
    inside = given[top : top + tall, left : left + wide]
    assert difference(inside, by_pillow(picture, tall, wide)) <= 1
    assert given.astype(int).sum() == inside.astype(int).sum()


@pytest.mark.parametrize(("height", "width"), [(100, 40), (40, 100), (77, 90), (8, 5), (1, 500)])
def test_cropping_keeps_the_middle(height, width):
    picture = noise(height, width)
    given = resized([picture], Resize(height=48, width=64, n_channels=3, policy="crop"))[0]
    tall = min(height, max(1, int(width * 48 / 64 + 0.5)))
    wide = min(width, max(1, int(height * 64 / 48 + 0.5)))
    top, left = (height - tall) // 2, (width - wide) // 2
    middle = np.ascontiguousarray(picture[top : top + tall, left : left + wide])
    assert difference(given, by_pillow(middle, 48, 64)) <= 1


def test_grey_becomes_colour_and_colour_grey():
    grey, colour = noise(20, 30, 1), noise(20, 30, 3)
    wide = resized([grey, colour], Resize(height=20, width=30, n_channels=3))
    assert np.array_equal(wide[0], np.repeat(grey, 3, axis=2))
    assert np.array_equal(wide[1], colour)
    narrow = resized([grey, colour], Resize(height=20, width=30, n_channels=1))
    assert np.array_equal(narrow[0], grey)
    expected = np.asarray(Image.fromarray(colour).convert("L"))[:, :, None]
    assert difference(narrow[1], expected) <= 1


@pytest.mark.parametrize("policy", ["stretch", "fit", "crop"])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_what_is_stored_is_what_a_packed_graph_computes(policy, n_channels):
    resize = Resize(height=24, width=20, n_channels=n_channels, policy=policy)
    graph = Graph()
    graph.output_of_shape("pixels", resize.emit(graph, declare_pictures(graph, "photo")), np.float32, axes=("c", "h", "w"))
    session = onnxruntime.InferenceSession(graph.model().SerializeToString(), providers=["CPUExecutionProvider"])
    for seed, size in enumerate(((50, 70), (24, 20), (9, 100))):
        for given_channels in (1, 3):
            pictures = [noise(*size, given_channels, seed=seed + place) for place in range(3)]
            packed = session.run(["pixels"], {"photo": np.stack(pictures)})[0]
            stored = torch.from_numpy(resized(pictures, resize)).permute(0, 3, 1, 2)
            assert np.array_equal(as_float(stored).numpy(), packed)


def test_pictures_of_many_sizes_keep_their_places():
    sizes = [(30, 40), (12, 12), (30, 40), (50, 10), (12, 12)]
    pictures = [noise(*size, seed=seed) for seed, size in enumerate(sizes)]
    resize = Resize(height=16, width=16, n_channels=3)
    together = resized(pictures, resize)
    for picture, given in zip(pictures, together, strict=True):
        assert np.array_equal(resized([picture], resize)[0], given)


def test_no_pictures_are_no_pictures():
    assert resized([], Resize(height=5, width=6, n_channels=1)).shape == (0, 5, 6, 1)


@pytest.mark.parametrize(
    "picture",
    [np.zeros((0, 0, 3), np.uint8), np.zeros((5, 5), np.uint8), np.zeros((5, 5, 4), np.uint8), np.zeros((5, 5, 3), np.float32)],
    ids=["empty", "flat", "alpha", "float"],
)
def test_what_is_no_picture_is_named(picture):
    with pytest.raises(DataError, match="picture 2 is"):
        resized([noise(4, 4), picture], Resize(height=5, width=6, n_channels=3))


@pytest.mark.parametrize("wrong", [{"height": 0}, {"n_channels": 4}, {"policy": "squeeze"}])
def test_impossible_settings_are_refused(wrong):
    settings = {"height": 8, "width": 8, "n_channels": 3, **wrong}
    with pytest.raises(UsageError):
        Resize(**settings)


def test_small_pictures_keep_their_size():
    assert working_size(np.full((100, 2), 28)) == (28, 28)
    assert working_size(np.array([[64, 64], [64, 64], [0, 0]])) == (64, 64)
    assert working_size(np.array([[8, 60], [8, 60]])) == (8, 60)


def test_large_pictures_become_as_small_as_the_budget_says():
    sizes = np.array([[240, 320]] * 3670)
    assert working_size(sizes) == (128, 128)
    assert working_size(sizes, pixels_per_epoch=1e9) == (224, 224)
    assert working_size(sizes, pixels_per_epoch=1e6) == (64, 64)
    assert working_size(np.array([[100, 100]] * 50)) == (96, 96)
    assert working_size(np.array([[66, 66]] * 50)) == (64, 64)


def test_long_pictures_stay_long():
    height, width = working_size(np.array([[1000, 250]] * 200))
    assert height == 4 * width
    assert height % 8 == width % 8 == 0
    assert abs(height * width / 224**2 - 1) < 0.1


def test_without_any_picture_there_is_no_size():
    with pytest.raises(DataError, match="none of 2"):
        working_size(np.zeros((2, 2), np.int64))
