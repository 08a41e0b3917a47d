"""Pictures of every kind are read as they look; what cannot be read says why."""

import io
import logging
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from cupel.core import pillow
from cupel.core.errors import DataError, PictureError, UsageError
from cupel.core.picture_files import MOST_BYTES
from cupel.core.pixels import decoded, is_grey

GENERATOR = np.random.default_rng(0)
COLOUR = GENERATOR.integers(0, 256, (13, 17, 3), np.uint8)
GREY = GENERATOR.integers(0, 256, (13, 17), np.uint8)
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")


def smooth(height, width):
    across = np.linspace(0, 255, width)[None, :, None] * np.array([1.0, 0.6, 0.2])
    return np.rint(across + np.linspace(0, 40, height)[:, None, None]).clip(0, 255).astype(np.uint8)


def written(picture, file_format, **settings):
    stream = io.BytesIO()
    (Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture).save(stream, file_format, **settings)
    return stream.getvalue()


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP"])
def test_formats_without_loss_give_back_every_pixel(file_format):
    np.testing.assert_array_equal(decoded(written(COLOUR, file_format)), COLOUR)
    np.testing.assert_array_equal(decoded(written(GREY, file_format)), GREY[:, :, None])


@pytest.mark.parametrize(("file_format", "settings"), [("JPEG", {"quality": 95}), ("WEBP", {"quality": 95}), ("GIF", {})])
def test_formats_with_loss_give_back_nearly_every_pixel(file_format, settings):
    picture = smooth(40, 60)
    found = decoded(written(picture, file_format, **settings))
    assert found.shape == picture.shape
    assert np.abs(found.astype(int) - picture).mean() < 12


def test_a_path_and_its_bytes_give_the_same(tmp_path):
    path = tmp_path / "a picture.png"
    path.write_bytes(written(COLOUR, "PNG"))
    np.testing.assert_array_equal(decoded(path), decoded(path.read_bytes()))
    np.testing.assert_array_equal(decoded(str(path)), COLOUR)


def test_channels_are_as_asked_for():
    assert decoded(written(GREY, "PNG")).shape == (13, 17, 1)
    repeated = decoded(written(GREY, "PNG"), n_channels=3)
    np.testing.assert_array_equal(repeated, np.repeat(GREY[:, :, None], 3, axis=2))
    one = decoded(written(COLOUR, "PNG"), n_channels=1)
    np.testing.assert_array_equal(one[:, :, 0], np.asarray(Image.fromarray(COLOUR).convert("L")))
    with pytest.raises(UsageError, match="n_channels=4"):
        decoded(written(COLOUR, "PNG"), n_channels=4)


def test_grey_that_was_stored_as_colour_is_grey_and_survives_the_way_there_and_back():
    as_colour = np.repeat(GREY[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(decoded(written(as_colour, "PNG")), GREY[:, :, None])
    np.testing.assert_array_equal(decoded(written(as_colour, "PNG"), n_channels=1), GREY[:, :, None])
    almost = np.repeat(np.repeat(as_colour, 8, axis=0), 8, axis=1)
    almost[101, 77, 2] ^= 1
    assert not is_grey(almost)
    assert decoded(written(almost, "PNG")).shape[2] == 3


def test_sixteen_bits_are_scaled_and_not_clipped():
    values = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    expected = np.array([[0, 0, 1, 1, 128, 255]], np.uint8)[:, :, None]
    for file_format in ("PNG", "TIFF"):
        np.testing.assert_array_equal(decoded(written(values, file_format)), expected)
    np.testing.assert_array_equal(decoded(values), expected)
    np.testing.assert_array_equal(decoded(values.astype(">u2")), expected)
    big_endian = Image.frombytes("I;16B", (6, 1), values.astype(">u2").tobytes())
    np.testing.assert_array_equal(decoded(written(big_endian, "TIFF")), expected)


def test_thirty_two_bits_are_scaled_by_their_own_range():
    floats = np.array([[-2.0, 0.0, 3.0]], np.float32)
    np.testing.assert_array_equal(decoded(written(floats, "TIFF"))[0, :, 0], [0, 102, 255])
    whole = np.array([[-(2**31), 0, 2**31 - 1]], np.int32)
    np.testing.assert_array_equal(decoded(written(whole, "TIFF"))[0, :, 0], [0, 128, 255])
    gaps = np.array([[np.nan, 0.0, 1.0, np.inf, -np.inf]], np.float32)
    np.testing.assert_array_equal(decoded(written(gaps, "TIFF"))[0, :, 0], [0, 0, 255, 255, 0])
    for flat in (np.full((2, 2), 7.0, np.float32), np.full((2, 2), np.nan, np.float32)):
        np.testing.assert_array_equal(decoded(written(flat, "TIFF")), np.zeros((2, 2, 1)))


def test_one_bit_becomes_black_and_white():
    picture = Image.fromarray(GREY).convert("1")
    expected = np.asarray(picture).astype(np.uint8)[:, :, None] * 255
    assert 0 < expected.mean() < 255
    for file_format in ("PNG", "TIFF", "BMP"):
        np.testing.assert_array_equal(decoded(written(picture, file_format)), expected)


def test_palettes_are_looked_up():
    picture = Image.fromarray(COLOUR).quantize(16)
    np.testing.assert_array_equal(decoded(written(picture, "PNG")), np.asarray(picture.convert("RGB")))
    grey = Image.fromarray(GREY).convert("P")
    np.testing.assert_array_equal(decoded(written(grey, "PNG")), GREY[:, :, None])


@pytest.mark.parametrize(("alpha", "expected"), [(255, 100), (0, 255), (128, 177)])
def test_what_is_transparent_is_laid_on_white(alpha, expected):
    grey = np.full((2, 2, 1), 100, np.uint8)
    opacity = np.full((2, 2, 1), alpha, np.uint8)
    for picture in (np.concatenate([grey, opacity], axis=2), np.concatenate([grey, grey, grey, opacity], axis=2)):
        np.testing.assert_array_equal(decoded(written(picture, "PNG")), np.full((2, 2, 1), expected))
    np.testing.assert_array_equal(decoded(np.concatenate([grey, grey, grey, opacity], axis=2)), np.full((2, 2, 1), expected))


def test_transparent_places_of_palettes_and_keyed_colours_are_white():
    palette = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("P")
    palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    for transparency, expected in ((1, [[10, 20, 30], [255, 255, 255], [70, 80, 90]]), (b"\xff\x80\x00", None)):
        found = decoded(written(palette, "PNG", transparency=transparency))[0]
        expected = expected or [[10, 20, 30], [147, 152, 157], [255, 255, 255]]
        np.testing.assert_array_equal(found, expected)
    keyed = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    np.testing.assert_array_equal(decoded(written(keyed, "PNG", transparency=(1, 2, 3)))[0], [[255, 255, 255], [4, 5, 6]])
    np.testing.assert_array_equal(decoded(written(palette, "GIF", transparency=2))[0, 2], [255, 255, 255])


def test_inks_and_other_colour_spaces_become_red_green_and_blue():
    inks = Image.fromarray(COLOUR).convert("CMYK")
    np.testing.assert_array_equal(decoded(written(inks, "TIFF")), COLOUR)
    video = Image.fromarray(smooth(16, 16)).convert("YCbCr")
    found = decoded(written(video, "TIFF"))
    assert np.abs(found.astype(int) - smooth(16, 16)).max() <= 3
    assert np.abs(decoded(written(inks.resize((32, 32)), "JPEG", quality=95)).astype(int).mean() - COLOUR.mean()) < 12


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_pictures_are_turned_as_exif_says(orientation, file_format):
    picture = Image.fromarray(smooth(20, 33))
    exif = picture.getexif()
    exif[0x0112] = orientation
    content = written(picture, file_format, exif=exif, **({"lossless": True} if file_format == "WEBP" else {}))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    assert expected.shape[:2] == ((33, 20) if orientation > 4 else (20, 33))
    np.testing.assert_array_equal(decoded(content), expected)


def test_damaged_exif_and_unknown_orientations_turn_nothing():
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"
    np.testing.assert_array_equal(decoded(written(COLOUR, "PNG", exif=exif)), COLOUR)
    picture = Image.fromarray(COLOUR)
    tags = picture.getexif()
    tags[0x0112] = 77
    np.testing.assert_array_equal(decoded(written(picture, "PNG", exif=tags)), COLOUR)


def test_of_several_frames_the_first_is_read():
    frames = [Image.fromarray(np.full((4, 5), level, np.uint8)) for level in (10, 200, 90)]
    for file_format in ("GIF", "TIFF", "PNG", "WEBP", "MPO"):
        settings = {"lossless": True} if file_format == "WEBP" else {}
        content = written(frames[0], file_format, save_all=True, append_images=frames[1:], **settings)
        assert abs(int(decoded(content).mean()) - 10) <= 1, file_format


@pytest.mark.parametrize(
    ("most_pixels", "size"), [(10_000, (7, 10)), (70, (7, 10)), (69, (4, 5)), (20, (4, 5)), (19, (3, 4)), (1, (1, 1))]
)
def test_large_pictures_become_smaller_by_whole_numbers(most_pixels, size):
    picture = GENERATOR.integers(0, 256, (7, 10, 3), np.uint8)
    found = decoded(picture, most_pixels=most_pixels)
    assert found.shape == (*size, 3)
    step = -(-10 // size[1])
    for row, column in np.ndindex(size):
        part = picture[row * step : (row + 1) * step, column * step : (column + 1) * step]
        np.testing.assert_array_equal(found[row, column], np.floor(part.mean(axis=(0, 1)) + 0.5))
    np.testing.assert_array_equal(decoded(written(picture, "PNG"), most_pixels=most_pixels), found)
    with pytest.raises(UsageError, match="most_pixels=0"):
        decoded(picture, most_pixels=0)


def test_arrays_are_pictures_too():
    np.testing.assert_array_equal(decoded(GREY), GREY[:, :, None])
    np.testing.assert_array_equal(decoded(COLOUR), COLOUR)
    np.testing.assert_array_equal(decoded(np.array([[0.0, 0.5, 1.0]]))[0, :, 0], [0, 128, 255])
    np.testing.assert_array_equal(decoded(np.array([[True, False]]))[0, :, 0], [255, 0])
    np.testing.assert_array_equal(decoded(GREY[:, :, None], n_channels=3), np.repeat(GREY[:, :, None], 3, axis=2))
    assert decoded(COLOUR[::2, ::-1]).flags.c_contiguous


def test_what_is_given_back_is_not_the_callers_own():
    mine = COLOUR.copy()
    decoded(mine)[:] = 0
    decoded(mine[:, :, :1])[:] = 0
    np.testing.assert_array_equal(mine, COLOUR)
    assert decoded(written(COLOUR, "PNG")).flags.writeable


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((3, 5, 7), np.uint8), "3 x 5 x 7 is no picture"),
        (np.zeros(5, np.uint8), "shape 5 is no picture"),
        (np.zeros((0, 5), np.uint8), "no pixels"),
        (np.zeros((2, 2), np.int64), "array of int64"),
        (np.array([["a"]]), "array of <U1"),
        (np.full((2, 2), 1.5), "1.5 to 1.5"),
        (np.full((2, 2), -0.1), "-0.1"),
        (np.array([[0.0, np.nan]]), "nan"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(array, said):
    with pytest.raises(PictureError, match=said) as caught:
        decoded(array)
    assert caught.value.fault in ("unusable", "empty")


def png_of(width, height):
    """A few bytes that say they are a large picture."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(10_001, 10_000), (14_000, 10_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_from_its_header(size):
    with pytest.raises(PictureError, match=r"pixels; pictures of up to 100,000,000") as caught:
        decoded(png_of(*size))
    assert caught.value.fault == "too-large"


def test_a_picture_of_the_greatest_size_is_not_called_too_large():
    with pytest.raises(PictureError, match=r"cut off|damaged"):  # its pixels are missing, which shows once they are decoded
        decoded(png_of(9_500, 10_000))


def test_files_that_are_none_are_named(tmp_path):
    with pytest.raises(PictureError, match=r"nowhere\.png does not exist"):
        decoded(tmp_path / "nowhere.png")
    with pytest.raises(PictureError, match="is no file"):
        decoded(tmp_path)
    with pytest.raises(PictureError, match="is no file"):
        decoded("/dev/zero")
    with pytest.raises(PictureError, match="cannot be opened"):
        decoded("a\0b.png")
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(PictureError, match=r"empty.jpg has no bytes") as caught:
        decoded(tmp_path / "empty.jpg")
    assert caught.value.fault == "empty"
    with (tmp_path / "huge.tif").open("wb") as stream:
        stream.truncate(MOST_BYTES + 1)
    with pytest.raises(PictureError, match="1,000,000,001 bytes") as caught:
        decoded(tmp_path / "huge.tif")
    assert isinstance(caught.value, DataError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("content", "said", "fault"),
    [
        (b"name,age\nada,36\n", "is no picture", "foreign"),
        (b"  <!DOCTYPE html><html>404", "web page", "foreign"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG", "foreign"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript", "foreign"),
        (b"8BPS" + bytes(100), "Photoshop", "foreign"),
        (b"\0\0\0\x20ftypheic" + bytes(50), "HEIC", "foreign"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS", "foreign"),
        (b"\x89PNG\r\n", "header is damaged", "corrupt"),
        (b"\xff\xd8\xff\xe0", "header is damaged", "corrupt"),
        (bytes(1000), "is no picture", "foreign"),
        (b"P6 2 2 255 " + bytes(12), "is no picture", "foreign"),  # PPM, which Pillow would open
    ],
)
def test_what_is_no_picture_is_called_what_it_is(content, said, fault):
    with pytest.raises(PictureError, match=said) as caught:
        decoded(content)
    assert caught.value.fault == fault


def test_formats_off_the_list_are_refused_though_pillow_reads_them():
    for file_format in ("PPM", "ICO", "TGA", "PCX", "SGI"):
        with pytest.raises(PictureError) as caught:
            decoded(written(COLOUR, file_format))
        assert caught.value.fault == "foreign", file_format


VARIANTS = [
    *[(file_format, {}) for file_format in FORMATS],
    ("JPEG", {"progressive": True}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ("WEBP", {"lossless": True}),
]


@pytest.mark.parametrize(("file_format", "settings"), VARIANTS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_half_a_picture_is_an_error_and_never_grey(file_format, settings, share, capfd):
    content = written(GENERATOR.integers(0, 256, (64, 64, 3), np.uint8), file_format, **settings)
    with pytest.raises(PictureError, match=r"cut off|damaged") as caught:
        decoded(content[: int(len(content) * share)])
    assert caught.value.fault in ("truncated", "corrupt")
    assert capfd.readouterr() == ("", "")


def test_half_a_picture_is_an_error_even_where_the_user_told_pillow_otherwise(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    content = written(GENERATOR.integers(0, 256, (64, 64, 3), np.uint8), "JPEG")
    assert np.asarray(Image.open(io.BytesIO(content[: len(content) // 2]))).shape == (64, 64, 3)  # as Pillow then does
    with pytest.raises(PictureError, match="cut off"):
        decoded(content[: len(content) // 2])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


@pytest.mark.parametrize(("file_format", "settings"), VARIANTS)
def test_no_damage_crashes_warns_or_prints(file_format, settings, capfd):
    generator = np.random.default_rng(len(file_format))
    whole = written(generator.integers(0, 256, (24, 24, 3), np.uint8), file_format, **settings)
    n_refused = 0
    for _ in range(60):
        content = bytearray(whole)
        for place in generator.integers(0, min(len(content), 400 if generator.random() < 0.5 else len(content)), 3):
            content[place] = generator.integers(0, 256)
        try:
            assert decoded(bytes(content)).ndim == 3
        except PictureError:
            n_refused += 1
    assert n_refused
    assert capfd.readouterr() == ("", "")


def settings_of_others():
    level = logging.getLogger("PIL").level
    return ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS, list(warnings.filters), level


def test_what_pillow_logs_as_an_error_is_not_printed(caplog):
    content = bytearray(written(COLOUR, "TIFF"))
    tag = content.index(struct.pack("<HHI", 277, 3, 1))  # samples per pixel
    content[tag + 8 : tag + 10] = struct.pack("<H", 2048)
    with pytest.raises(PictureError, match="damaged"):
        decoded(bytes(content))
    assert not caplog.records
    with pytest.raises(OSError, match="cannot identify"), Image.open(io.BytesIO(content)):
        pass
    assert caplog.records


def test_settings_of_pillow_and_warnings_are_as_they_were():
    before = settings_of_others()
    decoded(written(COLOUR, "PNG"))
    with pytest.raises(PictureError):
        decoded(png_of(12_000, 10_000))
    assert before == settings_of_others()


def test_warnings_of_others_still_come_through_while_pictures_are_read():
    with pillow.silent_and_strict(), pytest.warns(UserWarning, match="mine"):
        warnings.warn("mine", UserWarning, stacklevel=1)


def test_the_last_thread_that_leaves_puts_settings_back(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with pillow.silent_and_strict():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=stay)
    thread.start()
    inside.wait(10)
    with pillow.silent_and_strict():
        pass
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    leave.set()
    thread.join()
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_nothing_is_loaded_before_a_picture_is_read():
    names = ("PIL", "torch", "jaxtyping")
    code = f"import sys, cupel.core.pixels, cupel.core.image_files; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_many_threads_read_alike():
    contents = [written(GENERATOR.integers(0, 256, (20, 20, 3), np.uint8), "PNG") for _ in range(40)]
    contents += [content[:200] for content in contents[:10]]

    def read(content):
        try:
            return decoded(content).tobytes()
        except PictureError as error:
            return error.fault

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, contents)) == [read(content) for content in contents]
