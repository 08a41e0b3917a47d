"""Features are computed once for each picture, and kept."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cupel.core.budget import Deadline
from cupel.core.cache import Cache
from cupel.core.candidate import Candidate, plain
from cupel.core.errors import DataError, StorageError, TrainingError
from cupel.core.restoring import restored
from cupel.modalities.image.backbones.backbone import Backbone
from cupel.modalities.image.backbones.features import features_of
from cupel.modalities.image.backbones.onnx_files import open_onnx
from cupel.modalities.image.backbones.preparations import AsFeatures
from cupel.modalities.image.backbones.tests.making_backbones import found, onnx_file
from cupel.modalities.image.example import example_pictures
from cupel.modalities.image.resizing import Resize

RESIZE = Resize(height=16, width=16, n_channels=3)


class Counting(Backbone):
    """Counts the pictures that it is shown."""

    n_seen = 0

    def of(self, pixels: np.ndarray) -> np.ndarray:
        object.__setattr__(self, "n_seen", self.n_seen + len(pixels))
        return super().of(pixels)


@pytest.fixture
def backbone(tmp_path: Path) -> Counting:
    opened = open_onnx(found(onnx_file(tmp_path / "tiny.onnx", mean="[0.5]", std="[0.5]")))
    return Counting(**vars(opened))


def test_every_row_is_computed_once_and_found_again_by_the_next(tmp_path: Path, backbone: Counting) -> None:
    dataset = example_pictures("multiclass", n_samples=40)
    kept = replace(dataset, cache=Cache(tmp_path / "cache", Deadline()))
    rows = np.array([7, 3, 30, 3])
    expected = features_of(dataset, rows, column="picture", resize=RESIZE, backbone=backbone)
    assert backbone.n_seen == 4
    for _ in range(2):
        assert np.array_equal(features_of(kept, rows, column="picture", resize=RESIZE, backbone=backbone), expected)
        assert backbone.n_seen == 7
    features_of(kept, np.arange(40), column="picture", resize=RESIZE, backbone=backbone)
    assert backbone.n_seen == 44
    features_of(replace(kept, fingerprint="other"), rows[:1], column="picture", resize=RESIZE, backbone=backbone)
    features_of(kept, rows[:1], column="picture", resize=replace(RESIZE, policy="crop"), backbone=backbone)
    assert backbone.n_seen == 46


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"x" * 4000])
def test_a_damaged_file_is_begun_anew(tmp_path: Path, backbone: Counting, damage: bytes) -> None:
    dataset = replace(example_pictures("binary", n_samples=20), cache=Cache(tmp_path / "cache", Deadline()))
    expected = features_of(dataset, np.arange(20), column="picture", resize=RESIZE, backbone=backbone)
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(damage)
    assert np.array_equal(features_of(dataset, np.arange(20), column="picture", resize=RESIZE, backbone=backbone), expected)


def test_features_are_begun_anew_with_what_tells_of_them(tmp_path: Path, backbone: Counting) -> None:
    dataset = replace(example_pictures("binary", n_samples=20), cache=Cache(tmp_path / "cache", Deadline()))
    expected = features_of(dataset, np.arange(20), column="picture", resize=RESIZE, backbone=backbone)
    next(path for path in (tmp_path / "cache").iterdir() if "known" not in path.name).unlink()
    assert np.array_equal(features_of(dataset, np.arange(20), column="picture", resize=RESIZE, backbone=backbone), expected)


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_what_a_link_leads_to_is_left_alone(tmp_path: Path, backbone: Counting, link: Callable[[Path, Path], None]) -> None:
    dataset = replace(example_pictures("binary", n_samples=20), cache=Cache(tmp_path / "cache", Deadline()))
    expected = features_of(dataset, np.arange(20), column="picture", resize=RESIZE, backbone=backbone)
    victim = tmp_path / "victim"
    for path in (tmp_path / "cache").iterdir():
        victim.write_bytes(b"precious")
        path.unlink()
        link(victim, path)
        assert np.array_equal(features_of(dataset, np.arange(20), column="picture", resize=RESIZE, backbone=backbone), expected)
        assert victim.read_bytes() == b"precious"
        assert not path.is_symlink()


def test_a_full_disk_is_an_error_and_no_signal(tmp_path: Path, backbone: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = replace(example_pictures("binary", n_samples=20), cache=Cache(tmp_path / "cache", Deadline()))

    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    sync = os.fsync
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match="free some space"):
        features_of(dataset, np.arange(5), column="picture", resize=RESIZE, backbone=backbone)
    monkeypatch.setattr(os, "fsync", sync)
    features_of(dataset, np.arange(5), column="picture", resize=RESIZE, backbone=backbone)
    assert backbone.n_seen == 10


def test_features_stop_when_half_of_the_time_is_over(tmp_path: Path, backbone: Counting) -> None:
    dataset = replace(example_pictures("binary", n_samples=20), cache=Cache(tmp_path / "cache", Deadline(0)))
    with pytest.raises(TrainingError, match=r"features of 0 of 20 pictures.*cupel resume"):
        features_of(dataset, np.arange(20), column="picture", resize=RESIZE, backbone=backbone)


def test_the_preparation_foresees_its_shape_and_is_named_by_the_weights(backbone: Counting) -> None:
    dataset = example_pictures("binary")
    preparation = AsFeatures(backbone=backbone.reference, opened=backbone)
    assert preparation.shape_of(dataset).widths == {"features": 12}
    assert backbone.n_seen == 0
    inputs = preparation.fit(dataset, np.arange(60), seed=0).inputs
    assert np.abs(inputs.blocks["features"].mean(axis=0)).max() < 1e-3
    assert plain(preparation) == {"backbone": backbone.reference, "policy": "stretch"}
    candidate = Candidate(name="a", modality="image", family="f", config=None, preparation=preparation)
    json.dumps(candidate.to_plain())
    other = replace(preparation, opened=replace(backbone, name="moved"))
    assert hash(other) == hash(preparation)
    assert other == preparation
    assert restored(AsFeatures, plain(preparation), what="it", like=other) == preparation
    with pytest.raises(DataError, match=r"starts from the weights b@1, and those that were given are tiny@"):
        replace(preparation, backbone="b@1")
