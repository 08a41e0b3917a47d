"""Archives of arrays are read whatever their layout, and told apart from what is not one."""

import gzip
import struct

import numpy as np
import pytest

from cupel.core import machine, npz_files
from cupel.core.errors import DataError
from cupel.core.idx_files import read_idx
from cupel.core.picture_stacks import stacked_pictures
from cupel.modalities.image.reading import read_npz, read_source
from cupel.modalities.image.reading.archives import PAIRS

GENERATOR = np.random.default_rng(0)
GREY = GENERATOR.integers(0, 256, (5, 6, 7), np.uint8)
COLOUR = GENERATOR.integers(0, 256, (5, 6, 7, 3), np.uint8)
LABELS = np.array([0, 1, 2, 1, 0])


def saved(tmp_path, **arrays):
    path = tmp_path / "archive.npz"
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("names", PAIRS)
def test_pictures_and_labels_are_found_by_name(tmp_path, names):
    for spelled in (names, tuple(name.upper() for name in names)):
        table = read_source(saved(tmp_path, other=np.zeros(3), **dict(zip(spelled, (GREY, LABELS), strict=True))))
        np.testing.assert_array_equal(table.columns["picture"].stacked(), GREY[..., None])
        np.testing.assert_array_equal(table.columns["label"], LABELS)


def test_pictures_and_labels_are_found_by_shape_where_names_say_nothing(tmp_path):
    table = read_npz(saved(tmp_path, faces=GREY, who=LABELS, faces_test=GREY, who_test=LABELS, note=np.array(3)))
    np.testing.assert_array_equal(table.columns["label"], LABELS)
    with pytest.raises(DataError, match="holds the arrays faces, who, whom; expected"):
        read_npz(saved(tmp_path, faces=GREY, who=LABELS, whom=LABELS))
    with pytest.raises(DataError, match="expected pictures and labels"):
        read_npz(saved(tmp_path, table=np.zeros((3, 4)), y=LABELS))


def test_parts_for_testing_are_left_out_and_told(tmp_path):
    path = saved(tmp_path, x_test=COLOUR[:2], y_test=LABELS[:2], x_train=COLOUR, y_train=LABELS[:, None])
    table = read_npz(path)
    assert table.n_rows == 5
    np.testing.assert_array_equal(table.columns["label"], LABELS)
    (said,) = table.findings
    assert said.code == "named-splits"
    assert "x_test, y_test" in said.what


@pytest.mark.parametrize(
    ("shape", "seen"),
    [
        ((5, 6, 7), (6, 7, 1)),
        ((5, 6, 7, 1), (6, 7, 1)),
        ((5, 6, 7, 3), (6, 7, 3)),
        ((5, 1, 6, 7), (6, 7, 1)),
        ((5, 3, 6, 7), (6, 7, 3)),
        ((5, 3, 6, 3), (3, 6, 3)),
        ((5, 3, 3, 3), (3, 3, 3)),
        ((5, 4, 4, 3), (4, 4, 3)),
        ((5, 3, 4, 4), (4, 4, 3)),
    ],
)
def test_channels_are_found_last_or_second(shape, seen):
    array = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    pixels, _, _ = stacked_pictures(array, name="array")
    assert pixels.shape == (5, *seen)
    assert pixels.flags.c_contiguous
    is_second = len(shape) == 4 and shape[3] != seen[2]
    np.testing.assert_array_equal(pixels, np.moveaxis(array, 1, 3) if is_second else array.reshape(pixels.shape))


def test_alpha_is_laid_on_white_and_grey_in_three_channels_is_grey():
    with_alpha = np.concatenate([COLOUR, np.zeros_like(COLOUR[..., :1])], axis=3)
    assert (stacked_pictures(with_alpha, name="array")[0] == 255).all()
    pixels, _, _ = stacked_pictures(np.repeat(GREY[..., None], 3, axis=3), name="array")
    np.testing.assert_array_equal(pixels, GREY[..., None])


def test_numbers_of_any_kind_become_levels_as_they_were_meant():
    def levels(array):
        return stacked_pictures(np.asarray(array).reshape(1, 1, -1), name="array")[0].reshape(-1).tolist()

    assert levels([0.0, 0.5, 1.0]) == [0, 128, 255]
    assert levels(np.array([0, 1, 0.2], np.float32)) == [0, 255, 51]
    assert levels([0.0, 127.6, 255.0]) == [0, 128, 255]
    assert levels(np.array([0, 3, 16], np.int64)) == [0, 3, 16]
    assert levels(np.array([0, 255], np.uint16)) == [0, 255]
    assert levels(np.array([0, 257, 65535], np.uint16)) == [0, 1, 255]
    assert levels([True, False]) == [255, 0]


def test_a_choice_of_scale_is_told():
    codes = [
        [said.code for said in stacked_pictures(array.reshape(1, 1, -1), name="array")[2]]
        for array in (np.array([0.0, 1.0]), np.array([0.0, 200.0]), np.array([0, 3000]), np.array([0, 200]))
    ]
    assert codes == [[], ["float-levels"], ["sixteen-bit-levels"], []]


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((3, 64)), r"shape \(3, 64\)"),
        (np.zeros((3, 5, 6, 7)), "expected 1, 3 or 4 channels"),
        (np.zeros((0, 5, 6)), "no pixels"),
        (np.full((1, 2, 2), -0.5), "from -0.5 to -0.5"),
        (np.full((1, 2, 2), np.nan), "Undo any normalisation"),
        (np.full((1, 2, 2), 1e6), "up to 1000000.0"),
        (np.full((1, 2, 2), 70000), "up to 70000"),
        (np.full((1, 2, 2), "a"), "<U1"),
    ],
)
def test_arrays_that_hold_no_pictures_are_refused(tmp_path, array, said):
    with pytest.raises((DataError, TypeError), match=said):
        read_npz(saved(tmp_path, images=array, labels=np.zeros(len(array))))


def test_labels_of_any_form_are_one_for_each_picture(tmp_path):
    one_hot = np.eye(3)[LABELS]
    np.testing.assert_array_equal(read_npz(saved(tmp_path, images=GREY, labels=one_hot)).columns["label"], LABELS)
    for texts in (np.array(list("abcba")), np.array(list("abcba")).astype("S1")):
        assert read_npz(saved(tmp_path, images=GREY, labels=texts)).columns["label"].tolist() == list("abcba")
    for labels in (LABELS[:4], np.zeros((5, 2)), np.array(3)):
        with pytest.raises(DataError, match="expected one label for each"):
            read_npz(saved(tmp_path, images=GREY, labels=labels))


def test_archives_are_never_unpickled_and_damaged_ones_are_named(tmp_path):
    objects = np.array([{"a": 1}] * 5, dtype=object)
    with pytest.raises(DataError, match="without objects"):
        read_npz(saved(tmp_path, images=GREY, labels=objects))
    path = saved(tmp_path, images=GREY, labels=LABELS)
    content = path.read_bytes()
    for damaged in (b"", b"text", content[:100], content[: len(content) // 2], content[:60] + b"\xff" * 40 + content[100:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"archive\.npz cannot be read"):
            read_npz(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_npz(tmp_path / "nowhere.npz")
    with path.open("wb") as stream:
        np.save(stream, GREY)
    with pytest.raises(DataError, match="one array alone"):
        read_npz(path)


def test_arrays_that_memory_cannot_hold_are_refused_from_their_headers(tmp_path, monkeypatch):
    path = saved(tmp_path, images=GREY, labels=LABELS, huge=np.zeros((3, 3)))
    monkeypatch.setattr(machine, "usable_memory_bytes", lambda: 249)
    with pytest.raises(DataError, match=r"'images' in .* shape \(5, 6, 7\) of uint8, .* GB of memory are left"):
        read_npz(path)
    monkeypatch.setattr(machine, "usable_memory_bytes", lambda: 250)
    assert read_npz(path).n_rows == 5
    claims = struct.pack(">BBBB3I", 0, 0, 8, 3, 50_000, 1000, 1000)
    (tmp_path / "a-idx3-ubyte.gz").write_bytes(gzip.compress(claims + bytes(1000)))
    with pytest.raises(DataError, match=r"shape \(50000, 1000, 1000\) of uint8, 50\.0 GB"):
        read_idx(tmp_path / "a-idx3-ubyte.gz")
    (tmp_path / "a-idx3-ubyte").write_bytes(idx_of(GREY) + bytes(300))
    with pytest.raises(DataError, match="holds more"):
        read_idx(tmp_path / "a-idx3-ubyte")


def test_only_the_arrays_that_are_read_are_unpacked(tmp_path, monkeypatch):
    path, unpacked = saved(tmp_path, faces=GREY, who=LABELS, faces_test=GREY, note=np.zeros(9)), []
    read_array = npz_files.npy.read_array
    monkeypatch.setattr(npz_files.npy, "read_array", lambda *a, **o: unpacked.append(1) or read_array(*a, **o))
    read_npz(path)
    assert len(unpacked) == 2


def idx_of(array, *, code=0x08, dtype=">u1"):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape) + array.astype(dtype).tobytes()


@pytest.mark.parametrize(("code", "dtype"), [(8, "u1"), (9, "i1"), (11, "i2"), (12, "i4"), (13, "f4"), (14, "f8")])
def test_idx_holds_arrays_of_each_type(tmp_path, code, dtype):
    array = np.arange(24).reshape(2, 3, 4)
    for name, pack in (("a-idx3", bytes), ("a-idx3.gz", gzip.compress)):
        (tmp_path / name).write_bytes(pack(idx_of(array, code=code, dtype=f">{dtype}")))
        found = read_idx(tmp_path / name)
        np.testing.assert_array_equal(found, array)
        assert found.dtype == np.dtype(dtype)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "begins with"),
        (b"\0\0\x08", "begins with 00 00 08"),
        (b"\0\0\x07\x01\0\0\0\1a", "begins with"),
        (b"\0\0\x08\0a", "begins with"),
        (b"\0\0\x08\x02\0\0\0\1", "ends within its header"),
        (idx_of(GREY)[:-1], "210 bytes follow its header, and holds 209"),
        (idx_of(GREY) + b"a", "holds more"),
        (struct.pack(">BBBB3I", 0, 0, 8, 3, *[2**32 - 1] * 3) + b"abc", "holds 3"),
        (gzip.compress(idx_of(GREY))[:-20], "cannot be read"),
        (b"\x1f\x8btext", "cannot be read"),
    ],
)
def test_damaged_idx_files_are_refused(tmp_path, content, said):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_idx(path)


def test_of_idx_files_in_a_folder_the_training_pair_is_read(tmp_path):
    for part, size in (("train", 5), ("t10k", 2)):
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_of(GREY[:size])))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx_of(LABELS[:size]))
    table = read_source(tmp_path)
    np.testing.assert_array_equal(table.columns["picture"].stacked(), GREY[..., None])
    np.testing.assert_array_equal(table.columns["label"], LABELS)
    (said,) = table.findings
    assert "train-images-idx3-ubyte.gz, t10k-images-idx3-ubyte.gz" in said.what
    by_file = read_source(tmp_path / "t10k-labels-idx1-ubyte")
    assert by_file.n_rows == 2
    (tmp_path / "t10k-images-idx3-ubyte.gz").rename(tmp_path / "other-train-images-idx3-ubyte.gz")
    (tmp_path / "t10k-labels-idx1-ubyte").rename(tmp_path / "other-train-labels-idx1-ubyte")
    with pytest.raises(DataError, match="2 are for training"):
        read_source(tmp_path)


def test_idx_files_without_partner_or_of_other_lengths_are_refused(tmp_path):
    (tmp_path / "images-idx3-ubyte").write_bytes(idx_of(GREY))
    with pytest.raises(DataError, match="has no partner"):
        read_source(tmp_path / "images-idx3-ubyte")
    (tmp_path / "labels-idx1-ubyte").write_bytes(idx_of(LABELS[:4]))
    with pytest.raises(DataError, match="a label for each"):
        read_source(tmp_path)
