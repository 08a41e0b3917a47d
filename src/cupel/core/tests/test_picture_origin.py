"""Who took a picture and when is read from its EXIF, and no damage to that is ever more than silence."""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cupel.core.picture_files import Origin, origin_of

NOON = 1_588_334_400.0


def save(path: Path, *, make: object = "Canon", model: object = "EOS R5", taken: str | None = "2020:05:01 12:00:00") -> Path:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = make, model
    if taken is not None:
        exif.get_ifd(0x8769)[0x9003] = taken
    Image.fromarray(np.full((8, 8, 3), 99, np.uint8)).save(path, exif=exif)
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_camera_and_date_are_read_of_every_format_that_has_them(suffix: str, tmp_path: Path) -> None:
    assert origin_of(save(tmp_path / f"a.{suffix}")) == Origin("Canon EOS R5", NOON)


def test_a_make_that_the_model_repeats_is_said_once_and_a_date_that_is_none_is_not_known(tmp_path: Path) -> None:
    found = origin_of(save(tmp_path / "a.jpg", make="NIKON", model="Nikon D5\0\0", taken="0000:00:00 00:00:00"))
    assert found.camera == "Nikon D5"
    assert math.isnan(found.taken)
    assert len(origin_of(save(tmp_path / "b.jpg", model="x" * 5000)).camera) <= 80


def test_what_has_no_exif_or_is_no_picture_says_nothing(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "plain.png")
    (tmp_path / "text.jpg").write_text("no picture")
    os.mkfifo(tmp_path / "pipe.jpg")
    for name in ("plain.png", "text.jpg", "pipe.jpg", "absent.jpg", ".", "nul\0.jpg", "x" * 5000):
        found = origin_of(tmp_path / name)
        assert found.camera == ""
        assert math.isnan(found.taken)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_damage_anywhere_in_the_head_is_silent(suffix: str, tmp_path: Path) -> None:
    content = save(tmp_path / f"a.{suffix}").read_bytes()[:300]
    generator = np.random.default_rng(0)
    path = tmp_path / f"broken.{suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(100):
            broken = bytearray(content)
            for place in generator.integers(0, len(broken), 4).tolist():
                broken[place] = int(generator.integers(256))
            path.write_bytes(bytes(broken[: generator.integers(20, len(broken) + 1)]))
            assert isinstance(origin_of(path).camera, str)
