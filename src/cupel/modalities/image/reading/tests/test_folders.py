"""Folders of pictures are read as the people who made them meant them."""

import os

import numpy as np
import pytest
from PIL import Image

from cupel.core.errors import DataError
from cupel.core.finding import Finding
from cupel.core.picture_folders import find_pictures
from cupel.modalities.image.reading import (
    is_source_of_pictures,
    read_class_folders,
    read_flat_folder,
    read_mask_folders,
    read_source,
)


def place(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if path.lower().endswith((".png", ".jpg")):
            Image.fromarray(np.full((2, 2), len(path), np.uint8)).save(folder / path)
        else:
            (folder / path).write_bytes(b"text")
    return folder


def rows(table, *names):
    return list(zip(*(table.columns[name].tolist() for name in names), strict=True))


def finding(table, code) -> Finding:
    (found,) = [each for each in table.findings if each.code == code]
    return found


def test_the_folder_is_the_label_however_deep_the_picture_lies(tmp_path):
    place(tmp_path, "dog/b.png", "cat/deep/deeper/x.png", "cat/a.PNG", "dog/a.jpg")
    table = read_source(tmp_path)
    assert rows(table, "picture", "label") == [
        ("cat/a.PNG", "cat"),
        ("cat/deep/deeper/x.png", "cat"),
        ("dog/a.jpg", "dog"),
        ("dog/b.png", "dog"),
    ]
    assert (table.folder, table.target, table.pictures, table.n_rows) == (tmp_path, "label", ("picture",), 4)
    assert table.findings == ()
    assert is_source_of_pictures(tmp_path)


def test_what_is_no_picture_is_counted_and_named(tmp_path):
    place(tmp_path, "cat/a.png", "dog/a.png", "cat/Thumbs.db", "dog/.hidden.png", "dog/notes.txt", "README.md", ".git/x.png")
    place(tmp_path, "__MACOSX/cat/._a.png", "cat/film.mp4")
    table = read_class_folders(tmp_path)
    assert rows(table, "picture") == [("cat/a.png",), ("dog/a.png",)]
    said = finding(table, "skipped-files")
    assert "7 passed over" in said.what
    for name in (".git", "README.md", "__MACOSX", "cat/Thumbs.db", "cat/film.mp4", "and 2 more"):
        assert name in said.what


def test_pictures_beside_classes_and_folders_without_pictures_are_told(tmp_path):
    place(tmp_path, "cat/a.png", "dog/a.png", "loose.png", "docs/readme.txt")
    table = read_class_folders(tmp_path)
    assert sorted(set(table.columns["label"])) == ["cat", "dog"]
    assert "1 file, loose.png" in finding(table, "pictures-without-class").what
    assert "docs" in finding(table, "empty-folders").what


@pytest.mark.parametrize(
    ("train", "others"), [("train", ["test", "val"]), ("Training", ["Validation"]), ("seg_train", ["seg_pred"])]
)
def test_of_named_parts_the_one_for_training_is_read(tmp_path, train, others):
    for part in (train, *others):
        place(tmp_path, f"{part}/cat/{part}.png", f"{part}/dog/{part}.png", f"{part}/dog/2.png")
    place(tmp_path, "docs/readme.txt")
    table = read_source(tmp_path)
    assert rows(table, "picture") == [(f"cat/{train}.png",), ("dog/2.png",), (f"dog/{train}.png",)]
    assert table.folder == tmp_path / train
    said = finding(table, "named-splits")
    assert all(f"'{part}' (3 pictures)" in said.what for part in (train, *others))
    assert train in said.action


def test_a_train_beside_a_bus_is_a_class(tmp_path):
    place(tmp_path, "train/a.png", "bus/a.png", "car/inner/a.png")
    assert sorted(set(read_source(tmp_path).columns["label"])) == ["bus", "car", "train"]


def test_parts_are_known_though_some_have_no_classes_and_a_picture_stands_beside_them(tmp_path):
    place(tmp_path, "train/cat/a.png", "train/dog/a.png", "test/1.png", "test/2.png", "logo.png")
    table = read_source(tmp_path)
    assert table.folder == tmp_path / "train"
    assert "'test' (2 pictures)" in finding(table, "named-splits").what
    place(tmp_path / "flat", "train/a.png", "test/a.png")
    with pytest.raises(DataError, match="train holds 1 picture and no folders"):
        read_source(tmp_path / "flat")


def test_folders_that_hold_one_folder_are_stepped_into(tmp_path):
    place(tmp_path, "archive/flowers/rose/a.png", "archive/flowers/tulip/a.png", "__MACOSX/x.png")
    assert read_source(tmp_path).folder == tmp_path / "archive" / "flowers"


def test_parts_of_which_none_is_for_training_are_refused(tmp_path):
    place(tmp_path, "test/cat/a.png", "test/dog/a.png", "val/cat/a.png", "val/dog/a.png")
    with pytest.raises(DataError, match="divided into test, val, of which none is for training"):
        read_source(tmp_path)


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ([], "no pictures"),
        (["a.txt"], "no pictures"),
        (["a.png", "b.png"], "2 pictures and no folders"),
        (["a.png", "labels.CSV", "notes.txt"], r"If .*labels\.CSV is that table, give it in place of the folder"),
        (["cat/a.png"], "one folder of pictures, 'cat'"),
        (["cat/a.png", "dog/a.txt"], "one folder of pictures, 'cat'"),
    ],
)
def test_folders_without_two_classes_say_what_they_hold(tmp_path, paths, said):
    place(tmp_path, *paths)
    with pytest.raises(DataError, match=said):
        read_source(tmp_path)


def test_a_flat_folder_has_pictures_and_no_labels(tmp_path):
    place(tmp_path, "b.png", "inner/a.png", "x.txt")
    table = read_flat_folder(tmp_path)
    assert rows(table, "picture") == [("b.png",), ("inner/a.png",)]
    assert table.target is None
    assert "x.txt" in finding(table, "skipped-files").what
    place(tmp_path / "other", "x.txt")
    with pytest.raises(DataError, match=r"holds no picture.*x\.txt"):
        read_flat_folder(tmp_path / "other")


def test_links_are_followed_once(tmp_path):
    place(tmp_path / "real", "a.png")
    place(tmp_path / "set", "dog/a.png")
    (tmp_path / "set" / "cat").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "again").symlink_to(tmp_path / "real")
    assert rows(read_source(tmp_path / "set"), "picture") == [("cat/a.png",), ("dog/a.png",)]
    (tmp_path / "set" / "dog" / "broken.png").symlink_to(tmp_path / "nowhere.png")
    assert find_pictures(tmp_path / "set" / "dog").skipped == ("broken.png",)


def test_folders_that_cannot_be_listed_are_named(tmp_path):
    with pytest.raises(DataError, match="nowhere does not exist"):
        read_source(tmp_path / "nowhere")
    with pytest.raises(DataError, match="nowhere cannot be listed"):
        read_class_folders(tmp_path / "nowhere")
    (tmp_path / "a.csv").write_text("a\n")
    with pytest.raises(DataError, match="is no folder"):
        read_source(tmp_path / "a.csv")
    assert not is_source_of_pictures(tmp_path / "a.csv")


@pytest.mark.parametrize(
    "names", [("images", "masks"), ("image", "label"), ("JPEGImages", "SegmentationClass"), ("train/imgs", "train/gt")]
)
def test_pictures_and_masks_of_one_name_are_pairs(tmp_path, names):
    pictures, masks = names
    place(tmp_path, *(f"{pictures}/{name}.jpg" for name in ("b", "a", "inner/c")))
    place(tmp_path, f"{masks}/a.png", f"{masks}/b_mask.png", f"{masks}/inner/c.png")
    table = read_source(tmp_path)
    pictures, masks = (name.rpartition("/")[2] for name in names)
    assert rows(table, "picture", "mask") == [
        (f"{pictures}/a.jpg", f"{masks}/a.png"),
        (f"{pictures}/b.jpg", f"{masks}/b_mask.png"),
        (f"{pictures}/inner/c.jpg", f"{masks}/inner/c.png"),
    ]
    assert (table.target, table.pictures) == ("mask", ("picture", "mask"))
    assert not table.findings


def test_pictures_without_mask_and_masks_without_picture_are_told(tmp_path):
    place(tmp_path, "images/a.jpg", "images/b.jpg", "images/x.txt", "masks/b.png", "masks/c.png", "masks/d.png")
    table = read_mask_folders(tmp_path)
    assert rows(table, "picture", "mask") == [("images/b.jpg", "masks/b.png")]
    unpaired = [each.what for each in table.findings if each.code == "unpaired-files"]
    assert len(unpaired) == 2
    assert "In 'images'" in unpaired[0]
    assert "1 file, a.jpg" in unpaired[0]
    assert "In 'masks'" in unpaired[1]
    assert "2 files, c.png, d.png" in unpaired[1]
    assert "x.txt" in finding(table, "skipped-files").what


def test_divisions_within_pictures_and_masks_are_kept_to(tmp_path):
    place(tmp_path, *(f"{kind}/{part}/{part}.png" for kind in ("images", "masks") for part in ("train", "val")))
    table = read_source(tmp_path)
    assert rows(table, "picture", "mask") == [("images/train/train.png", "masks/train/train.png")]
    assert [said.code for said in table.findings] == ["named-splits"]


def test_two_pictures_of_one_name_do_not_share_a_mask(tmp_path):
    place(tmp_path, "images/a.jpg", "images/a.png", "masks/a.png")
    table = read_mask_folders(tmp_path)
    assert rows(table, "picture") == [("images/a.jpg",)]
    assert "a.png" in finding(table, "unpaired-files").what


def test_folders_called_image_and_label_that_share_no_name_are_classes(tmp_path):
    place(tmp_path, "image/a.jpg", "label/b.png")
    assert read_source(tmp_path).target == "label"
    with pytest.raises(DataError, match=r"no picture in .* has a mask"):
        read_mask_folders(tmp_path)
    with pytest.raises(DataError, match="no folder 'images' beside"):
        read_mask_folders(tmp_path / "image")


def test_the_same_folder_elsewhere_gives_the_same_table(tmp_path):
    for name in ("one", "two"):
        place(tmp_path / name, "dog/b.png", "cat/a.png", "dog/a.png")
    os.utime(tmp_path / "two" / "dog" / "b.png", (0, 0))
    one, two = read_source(tmp_path / "one"), read_source(tmp_path / "two")
    assert rows(one, "picture", "label") == rows(two, "picture", "label")
