"""A column of pictures behaves as a column of anything does, in memory and in a file."""

import numpy as np
import pytest

from cupel.core.errors import DataError, UsageError
from cupel.core.image_files import MAGIC, ImagesWriter, open_images
from cupel.core.images import Images

KEY = bytes(range(32))


def pictures(*, n_channels=(1, 3, 3, 1), seed=0):
    generator = np.random.default_rng(seed)
    sizes = generator.integers(1, 9, (len(n_channels), 2))
    return [generator.integers(0, 256, (*size, channels), np.uint8) for size, channels in zip(sizes, n_channels, strict=True)]


def as_seen(picture, n_channels):
    return np.repeat(picture, n_channels // picture.shape[2], axis=2)


def written(path, all_pictures, **settings):
    with ImagesWriter(path, **settings) as writer:
        for picture in all_pictures:
            writer.append(picture)
    return open_images(path)


@pytest.fixture(params=["memory", "file"])
def column(request, tmp_path):
    """Four pictures of different sizes, grey among colour, and a missing one in third place."""
    made = pictures()
    made.insert(2, None)
    return (Images.of(made) if request.param == "memory" else written(tmp_path / "pictures", made)), made


def test_each_picture_is_given_back(column):
    images, made = column
    assert len(images) == 5
    assert images.n_channels == 3
    for position, picture in enumerate(made):
        expected = np.empty((0, 0, 3), np.uint8) if picture is None else as_seen(picture, 3)
        np.testing.assert_array_equal(images[position], expected)
        np.testing.assert_array_equal(images[position - 5], expected)
        np.testing.assert_array_equal(images[np.int64(position)], expected)
    assert [picture.shape for picture in images] == [images[position].shape for position in range(5)]
    assert images.is_missing.tolist() == [False, False, True, False, False]
    assert images.sizes.tolist() == [[0, 0] if picture is None else list(picture.shape[:2]) for picture in made]
    assert images.nbytes == sum(picture.size for picture in made if picture is not None)


@pytest.mark.parametrize(
    "rows", [np.array([3, 0, 0]), [1], np.array([True, False, True, False, True]), slice(1, None, 2), [], np.array([], np.int64)]
)
def test_rows_select_as_they_select_from_any_array(column, rows):
    images, _ = column
    expected = np.arange(5)[np.asarray(rows, np.int64) if isinstance(rows, list) else rows]
    chosen = images[rows]
    assert isinstance(chosen, Images)
    assert len(chosen) == len(expected)
    assert chosen.n_channels == 3
    assert chosen.buffer is images.buffer
    for picture, position in zip(chosen, expected, strict=True):
        np.testing.assert_array_equal(picture, images[int(position)])
    np.testing.assert_array_equal(chosen.is_missing, images.is_missing[expected])


def test_a_selection_of_grey_pictures_stays_a_column_of_colour(column):
    images, made = column
    chosen = images[[0]]
    np.testing.assert_array_equal(chosen[0], as_seen(made[0], 3))
    np.testing.assert_array_equal(chosen.stacked()[0], as_seen(made[0], 3))


@pytest.mark.parametrize("rows", [5, -6, np.array([7]), np.array([True, False])])
def test_rows_that_are_not_there_are_an_index_error(column, rows):
    with pytest.raises(IndexError):
        column[0][rows]


def test_pictures_cannot_be_written_to(column):
    for position in (0, 1):
        with pytest.raises(ValueError, match="read-only"):
            column[0][position][0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        column[0][[1]].stacked()[0, 0, 0, 0] = 1


def test_the_fingerprint_is_of_the_pictures_and_their_order_alone(tmp_path):
    made = pictures()
    images = Images.of(made)
    same = written(tmp_path / "pictures", [as_seen(picture, 3) for picture in made])
    assert images.fingerprint == same.fingerprint
    assert images[[1, 2]].fingerprint == Images.of(made[1:3]).fingerprint
    assert images[[2, 1]].fingerprint != images[[1, 2]].fingerprint
    assert images.fingerprint != Images.of([*made, None]).fingerprint
    altered = [picture.copy() for picture in made]
    altered[3][-1, -1, -1] ^= 1
    assert Images.of(altered).fingerprint != images.fingerprint
    flat = np.arange(6, dtype=np.uint8)
    assert Images.of([flat.reshape(2, 3, 1)]).fingerprint != Images.of([flat.reshape(3, 2, 1)]).fingerprint


def test_pictures_of_one_size_make_an_array():
    stack = np.random.default_rng(1).integers(0, 256, (6, 4, 5, 3), np.uint8)
    images = Images.of_stack(stack)
    assert images.buffer.base is not None  # not copied
    np.testing.assert_array_equal(images.stacked(), stack)
    assert np.shares_memory(images[2:5].stacked(), stack)
    np.testing.assert_array_equal(images[[4, 1, 1]].stacked(), stack[[4, 1, 1]])
    np.testing.assert_array_equal(Images.of(stack).stacked(), stack)
    np.testing.assert_array_equal(images[3], stack[3])
    mixed = Images.of([stack[0], stack[1, :, :, :1]])
    np.testing.assert_array_equal(mixed.stacked(), np.stack([stack[0], as_seen(stack[1, :, :, :1], 3)]))
    assert Images.of_stack(stack[:0]).stacked().shape == (0, 0, 0, 3)
    with pytest.raises(DataError, match="different sizes"):
        Images.of(pictures()).stacked()
    with pytest.raises(DataError, match="different sizes"):
        Images.of([stack[0], None]).stacked()


def test_columns_of_nothing_work(tmp_path):
    for images in (Images.of([]), Images.of([None, None]), written(tmp_path / "none", []), written(tmp_path / "gaps", [None])):
        assert images.n_channels == 1
        assert images.is_missing.all()
        assert images.nbytes == 0
        assert len(images.fingerprint) == 64


@pytest.mark.parametrize(
    "picture", [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 4), np.uint8), np.zeros((2, 2, 3)), np.zeros((0, 2, 3), np.uint8)]
)
def test_what_is_no_picture_is_refused_by_its_place(picture, tmp_path):
    good = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(DataError, match="picture 1 is an array"):
        Images.of([good, picture])
    with pytest.raises(DataError, match="picture 1 is an array"):
        written(tmp_path / "pictures", [good, picture])
    assert list(tmp_path.iterdir()) == []


def test_colour_does_not_fit_into_a_column_of_grey(tmp_path):
    with pytest.raises(DataError, match="picture 1 has 3 channels"):
        Images.of(pictures(), n_channels=1)
    with pytest.raises(UsageError, match="n_channels=2"):
        Images.of(pictures(), n_channels=2)
    with pytest.raises(DataError, match="picture 1 has 3 channels"):
        written(tmp_path / "pictures", pictures(), n_channels=1)
    assert written(tmp_path / "pictures", pictures(n_channels=(1, 1)), n_channels=3).n_channels == 3


def test_a_file_is_whole_or_absent(tmp_path):
    path = tmp_path / "inner" / "pictures"
    finished = []

    def stopping():
        yield pictures()[0]
        assert path.exists() == bool(finished)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        written(path, stopping())
    assert list(path.parent.iterdir()) == []
    before = written(path, pictures())
    finished.append(path)
    with pytest.raises(RuntimeError, match="stop"):
        written(path, stopping())
    assert open_images(path).fingerprint == before.fingerprint
    written(path, pictures(seed=1))
    assert before.fingerprint == Images.of(pictures()).fingerprint  # what was mapped outlives the file's name
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_is_the_same_each_time(tmp_path):
    written(tmp_path / "a", pictures())
    written(tmp_path / "b", pictures())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_byte_of_a_file_is_guarded(tmp_path):
    path = tmp_path / "pictures"
    written(path, pictures(), key=KEY)
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :])
        with pytest.raises(DataError, match=r"pictures is (damaged|no file of decoded)"):
            open_images(path)
    for end in (*range(0, len(content), 7), len(content) - 1):
        path.write_bytes(content[:end])
        with pytest.raises(DataError, match="pictures is"):
            open_images(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(DataError, match="damaged"):
        open_images(path)


def test_only_pixels_go_unread_where_verifying_is_not_wanted(tmp_path):
    path = tmp_path / "pictures"
    images = Images.of(pictures())
    written(path, pictures())
    content = bytearray(path.read_bytes())
    content[len(MAGIC)] ^= 1
    path.write_bytes(content)
    assert open_images(path, verify=False).fingerprint != images.fingerprint
    content[len(MAGIC) + images.nbytes] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="index"):
        open_images(path, verify=False)


def test_a_key_opens_its_own_file_only(tmp_path):
    path = tmp_path / "pictures"
    written(path, pictures(), key=KEY)
    assert len(open_images(path, key=KEY)) == 4
    with pytest.raises(DataError, match="something else"):
        open_images(path, key=bytes(32))
    with pytest.raises(UsageError, match="a key of 3 bytes"):
        ImagesWriter(path, key=b"abc")


def test_places_that_cannot_be_written_or_read_are_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be written"), ImagesWriter(tmp_path / "file" / "pictures"):
        pass
    with pytest.raises(DataError, match="absent cannot be opened"):
        open_images(tmp_path / "absent")
    with pytest.raises(DataError, match="no file of decoded pictures"):
        open_images(tmp_path / "file")
