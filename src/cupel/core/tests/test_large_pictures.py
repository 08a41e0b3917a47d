"""Large pictures are decoded one at a time and in bands of rows, to the same pixels as small ones."""

import io
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from cupel.core import picture_files, pixels
from cupel.core.errors import PictureError
from cupel.core.pixels import decoded

RANDOM = np.random.default_rng(0)
WITH_ALPHA = RANDOM.integers(0, 256, (61, 47, 4), np.uint8)
COLOUR = WITH_ALPHA[:, :, :3]


def written(picture: Image.Image, file_format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    picture.save(stream, file_format)
    return stream.getvalue()


KINDS = {
    "alpha": written(Image.fromarray(WITH_ALPHA)),
    "colour": written(Image.fromarray(COLOUR)),
    "palette": written(Image.fromarray(COLOUR).quantize(16)),
    "one bit": written(Image.fromarray(COLOUR).convert("1")),
    "16 bits": written(Image.fromarray(RANDOM.integers(0, 65536, (61, 47), np.uint16))),
    "floats": written(Image.fromarray(RANDOM.normal(size=(61, 47)).astype(np.float32)), "TIFF"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("most_pixels", [None, 300])
def test_bands_of_rows_change_no_pixel(monkeypatch, kind, most_pixels):
    whole = decoded(KINDS[kind], most_pixels=most_pixels)
    monkeypatch.setattr(picture_files, "BAND_PIXELS", 200)
    monkeypatch.setattr(picture_files, "LARGE_PIXELS", 0)
    assert len(list(picture_files.bands_of(61, 47))) == 16
    np.testing.assert_array_equal(decoded(KINDS[kind], most_pixels=most_pixels), whole)


def test_a_transparent_picture_is_reduced_in_little_memory(monkeypatch):
    monkeypatch.setattr(picture_files, "BAND_PIXELS", 50_000)
    large = np.full((900, 900, 4), 100, np.uint8)
    decoded(large[:9, :9], most_pixels=9)
    tracemalloc.start()
    try:
        decoded(large, most_pixels=10_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * large.nbytes


def test_of_large_pictures_one_is_decoded_at_a_time(monkeypatch):
    at_once, most, lock = 0, 0, threading.Lock()

    def counted(picture, most_pixels):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02)
        with lock:
            at_once -= 1
        return picture

    monkeypatch.setattr(pixels, "_reduced", counted)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(decoded, [KINDS["colour"]] * 8))
        assert most > 1
        most = 0
        monkeypatch.setattr(picture_files, "LARGE_PIXELS", 100)
        list(pool.map(decoded, [KINDS["colour"]] * 8))
    assert most == 1


@pytest.mark.parametrize("place", ["_reduced", "_with_channels", "raw_pixels"])
def test_what_memory_does_not_take_is_too_large(monkeypatch, place):
    def full(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(pixels, place, full)
    with pytest.raises(PictureError, match="takes more memory than is left") as caught:
        decoded(KINDS["colour"])
    assert caught.value.fault == "too-large"


def test_what_memory_does_not_take_while_it_is_decoded_is_too_large(monkeypatch):
    def full(picture):
        raise MemoryError

    monkeypatch.setattr(picture_files, "_numbers_of", full)
    with pytest.raises(PictureError, match="takes more memory than is left"):
        decoded(KINDS["colour"])
