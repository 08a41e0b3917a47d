"""Columns that name or hold pictures are recognised and decoded, and nothing is lost without a word."""

import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cupel.core.errors import DataError, PictureError, UsageError
from cupel.core.images import Images
from cupel.modalities.image.reading import picture_likeness, pictures, read_pictures, resolved_paths

GENERATOR = np.random.default_rng(0)


def png(picture):
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def random_picture(*shape):
    return GENERATOR.integers(0, 256, shape, np.uint8)


def column(*cells):
    array = np.empty(len(cells), dtype=object)
    array[:] = cells
    return array


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.jpg", "train/c.png", "train/deep/d.png", "one/same.png", "two/same.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random_picture(4, 5, 3)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("text")
    return tmp_path


@pytest.mark.parametrize(
    ("cells", "likely"),
    [
        (["a.png", "b.jpg"], 1.0),
        (["c.png", "d.png", None, ""], 1.0),
        (["c", "d"], 1.0),
        (["c", "d", "c"], 0.0),
        (["train\\c.png"], 1.0),
        (["gone.png", "lost.JPG"], 0.5),
        (["https://example.org/a.png?size=3"], 0.5),
        (["same.png"], 0.5),
        (["a.png", "lost.png", "good", "bad"], 0.375),
        (["good", "bad", "notes.txt", "train"], 0.0),
        ([None, "", float("nan")], 0.0),
        ([], 0.0),
        ([b"\x89PNG\r\n\x1a\n", b"GIF89a", b"text"], 2 / 3),
        ([{"bytes": b"\xff\xd8\xff\xe0", "path": None}, {"bytes": None, "path": "a.png"}], 1.0),
        ([np.zeros((4, 4, 3)), np.zeros(4)], 0.5),
        ([3, 4.5], 0.0),
        (["x" * 5000, "a\0b.txt"], 0.0),
    ],
)
def test_a_column_is_as_likely_one_of_pictures_as_its_cells_are(folder, cells, likely):
    assert picture_likeness(cells, folder=folder) == pytest.approx(likely)
    assert picture_likeness(column(*cells), folder=folder) == pytest.approx(likely)


def test_numbers_are_no_pictures_and_long_columns_are_sampled(folder):
    assert picture_likeness(np.arange(5.0), folder=folder) == 0
    assert picture_likeness(["a.png"] * 100_000, folder=folder) == 1
    assert picture_likeness(["a.png"], folder=folder / "nowhere") == 0.5


def test_paths_are_found_where_they_point_or_by_name_below(folder):
    absolute = str(folder / "a.png")
    cells = [absolute, " b.jpg ", "train\\c.png", "elsewhere/c.png", "d", "c", None, ""]
    found, findings = resolved_paths(cells, folder=folder)
    assert found.tolist() == [absolute, "b.jpg", "train/c.png", "train/c.png", "train/deep/d.png", "train/c.png", None, None]
    assert not findings


def test_files_that_are_not_there_are_counted_and_named(folder):
    cells = [
        "a.png",
        *(f"gone {number}.png" for number in range(7)),
        "same.png",
        "s3://bucket/a.png",
        "https://example.org/b.png",
    ]
    found, (missing, addresses) = resolved_paths(cells, folder=folder)
    assert found.tolist() == ["a.png", *[None] * 10]
    assert missing.code == "missing-files"
    assert "8 of 11" in missing.what
    assert "gone 4.png and 3 more" in missing.what
    assert addresses.code == "addresses"
    assert "2 of 11" in addresses.what


def test_cells_of_every_kind_are_decoded_in_order(folder):
    made = [random_picture(3 + number, 4, 3) for number in range(6)]
    Image.fromarray(made[0]).save(folder / "first.png")
    cells = column("first.png", png(made[1]), made[2], {"bytes": png(made[3]), "path": None}, folder / "first.png", None)
    images, findings = read_pictures(cells, folder=folder)
    assert not findings
    for found, expected in zip(images, [*made[:4], made[0]], strict=False):
        np.testing.assert_array_equal(found, expected)
    assert images.is_missing.tolist() == [False] * 5 + [True]


def test_many_pictures_keep_their_order_and_progress_is_told(tmp_path):
    made = [np.full((2, 3 + number % 5), number % 256, np.uint8) for number in range(250)]
    told = []
    images, findings = read_pictures([png(picture) for picture in made], folder=tmp_path, progress=told.append)
    assert not findings
    assert images.n_channels == 1
    for found, expected in zip(images, made, strict=True):
        np.testing.assert_array_equal(found[..., 0], expected)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert 50 <= len(told) <= 102
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cupel-pictures")]


def test_channels_are_those_of_the_whole_column(tmp_path):
    grey, colour = png(random_picture(4, 4)), png(random_picture(4, 4, 3))
    assert read_pictures([grey, grey], folder=tmp_path)[0].n_channels == 1
    images, (said,) = read_pictures([grey, colour, None], folder=tmp_path)
    assert images.n_channels == 3
    assert said.code == "grey-among-colour"
    assert "1 of 2 pictures are grey" in said.what
    assert read_pictures([grey], folder=tmp_path, n_channels=3)[0].n_channels == 3
    one, findings = read_pictures([grey, colour], folder=tmp_path, n_channels=1)
    assert (one.n_channels, findings) == (1, ())
    with pytest.raises(UsageError, match="n_channels=2"):
        read_pictures([grey], folder=tmp_path, n_channels=2)


def test_what_cannot_be_read_is_missing_with_a_finding_for_each_kind(tmp_path):
    good = png(random_picture(20, 20, 3))
    (tmp_path / "good.png").write_bytes(good)
    for number in range(7):
        (tmp_path / f"half{number}.png").write_bytes(good[:300])
    (tmp_path / "page.png").write_bytes(b"<html>not found</html>")
    cells = [
        "good.png",
        *(f"half{number}.png" for number in range(7)),
        "page.png",
        "gone.png",
        b"",
        b"text",
        np.zeros((2, 2), np.int64),
    ]
    images, findings = read_pictures(cells, folder=tmp_path)
    assert images.is_missing.tolist() == [False] + [True] * 12
    said = {each.code: each for each in findings}
    assert set(said) == {"truncated-pictures", "foreign-pictures", "unreadable-pictures", "empty-pictures", "unusable-pictures"}
    assert "7 of 13 pictures are cut off" in said["truncated-pictures"].what
    assert "half4.png and 2 more" in said["truncated-pictures"].what
    assert "half0.png is cut off" in said["truncated-pictures"].what
    assert said["foreign-pictures"].where == "page.png, row 11"
    assert "row 10" in said["empty-pictures"].where


def test_every_kind_of_fault_has_its_words():
    """`PictureError.fault` is an open text; what `decoded` raises is checked against the phrases of the findings."""
    assert PictureError.__doc__ is not None
    assert all(f'"{fault}"' in PictureError.__doc__ for fault in pictures._PHRASES)


def test_where_nothing_can_be_read_it_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"none of 2 pictures can be read. .*gone\.png does not exist"):
        read_pictures(["gone.png", None], folder=tmp_path)
    with pytest.raises(DataError, match="All cells are empty"):
        read_pictures([None, ""], folder=tmp_path)
    with pytest.raises(DataError, match="no pictures to read"):
        read_pictures([], folder=tmp_path)


def test_pictures_that_are_decoded_already_are_only_brought_to_channels(tmp_path):
    images = Images.of([random_picture(2, 2, 3), None])
    assert read_pictures(images, folder=tmp_path)[0] is images
    grey, _ = read_pictures(images, folder=tmp_path, n_channels=1)
    assert grey.n_channels == 1
    assert grey.is_missing.tolist() == [False, True]


@pytest.fixture
def n_decoded(monkeypatch):
    """How many pictures were decoded, in a list of one."""
    count = [0]
    decode = pictures.decoded

    def counted(source, **settings):
        count[0] += 1
        return decode(source, **settings)

    monkeypatch.setattr(pictures, "decoded", counted)
    return count


def test_a_cache_spares_decoding_what_has_not_changed(tmp_path, n_decoded):
    names = [f"{number}.png" for number in range(6)]
    for name in names:
        (tmp_path / name).write_bytes(png(random_picture(3, 4, 3)))
    (tmp_path / names[4]).write_bytes(b"text")
    cache = tmp_path / "cache" / "pictures"
    plain, expected = read_pictures(names, folder=tmp_path)
    n_decoded[0] = 0
    first, findings = read_pictures(names, folder=tmp_path, cache=cache)
    assert (n_decoded, findings, first.fingerprint) == ([6], expected, plain.fingerprint)
    again, findings = read_pictures(names, folder=tmp_path, cache=cache)
    assert (n_decoded, findings, again.fingerprint) == (
        [7],
        expected,
        plain.fingerprint,
    )  # the bad one, for what is wrong with it
    assert read_pictures(names, folder=tmp_path, cache=cache, n_channels=1)[0].n_channels == 1
    assert n_decoded == [13]
    assert read_pictures(names, folder=tmp_path, cache=cache, most_pixels=6)[0].sizes[0].tolist() == [2, 2]


def test_a_cache_is_made_anew_where_a_file_or_the_cache_changed(tmp_path, n_decoded):
    content = png(random_picture(3, 4, 3))
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(content)
    cache = tmp_path / "pictures"

    def read(*names):
        n_decoded[0] = 0
        images, _ = read_pictures(list(names), folder=tmp_path, cache=cache)
        return n_decoded[0], images.fingerprint

    _, both = read("a.png", "b.png")
    assert read("a.png", "b.png") == (0, both)
    os.utime(tmp_path / "a.png", ns=(1, 1))
    assert read("a.png", "b.png") == (2, both)
    assert read("b.png", "a.png") == (2, both)
    kept = cache.read_bytes()
    cache.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    assert read("b.png", "a.png") == (2, both)
    assert read("a.png")[0] == 1
    by_bytes = column(content, np.zeros((2, 2), np.uint8))
    first, _ = read_pictures(by_bytes, folder=tmp_path, cache=cache)
    n_decoded[0] = 0
    assert read_pictures(by_bytes, folder=tmp_path, cache=cache)[0].fingerprint == first.fingerprint
    assert n_decoded == [0]


def test_a_reading_that_is_interrupted_leaves_no_cache_and_no_thread(tmp_path):
    def interrupt(share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_pictures([png(random_picture(3, 3))] * 500, folder=tmp_path, cache=tmp_path / "pictures", progress=interrupt)
    assert list(tmp_path.iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cupel-pictures")]


def test_memory_holds_few_pictures_at_a_time(tmp_path, monkeypatch):
    """Decoding runs ahead of writing by a few pictures for each thread, however many there are."""
    content, ahead, most = png(random_picture(3, 3)), [0], [0]
    lock = threading.Lock()
    read = pictures._read

    def counted(cell, folder: Path, form):
        with lock:
            ahead[0] += 1
            most[0] = max(most[0], ahead[0])
        return read(cell, folder, form)

    def written(share):
        with lock:
            ahead[0] = 0

    monkeypatch.setattr(pictures, "usable_cores", lambda: 2)
    monkeypatch.setattr(pictures, "_read", counted)
    read_pictures([content] * 100, folder=tmp_path, progress=written)  # 100 pictures: told of each
    assert most[0] <= 2 * (2 * 4 + 1)
