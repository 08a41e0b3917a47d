"""What stands in the bytes of a picture file, as numbers, before channels are settled."""

from __future__ import annotations

import io
import math
import stat
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import PictureError
from cupel.core.pillow import silent_and_strict

if TYPE_CHECKING:
    from PIL import Image

Array = NDArray[Any]

MOST_PIXELS = 100_000_000
MOST_BYTES = 1_000_000_000
LARGE_PIXELS = 10_000_000
BAND_PIXELS = 1 << 20
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
READABLE = "JPEG, PNG, WebP, GIF, TIFF or BMP"

_OURS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")
_FOREIGN = {
    b"8BPS": "a Photoshop document",
    b"%!PS": "PostScript",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a zip archive; unpack it",
    b"\x1f\x8b": "a gzip archive; unpack it",
    b"\x00\x00\x01\x00": "an icon",
    b"\x00\x00\x00\x0cjP": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"<svg": "a drawing in SVG",
    b"<?xml": "XML",
    b"<!do": "a web page, as a failed download leaves",
    b"<html": "a web page, as a failed download leaves",
    b"version https://git-lfs": "a pointer of Git LFS; fetch the file itself with git lfs pull",
}
# All that Pillow's readers were seen to raise on damaged files; none derives from anything narrower.
_DAMAGE = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError),
    *(EOFError, RuntimeError, MemoryError, struct.error, zlib.error),
)
_ORIENTATION = 0x0112
_HEAD_BYTES = 1 << 18
"""Of a file, in which cameras write who they are; what stands further on is not looked for."""
_MAKE, _MODEL, _EXIF, _TAKEN, _CHANGED = 0x010F, 0x0110, 0x8769, 0x9003, 0x0132
_LONGEST_NAME = 80
_one_large = threading.Lock()


@dataclass(frozen=True)
class Origin:
    """What a picture says of how it came to be: the camera, "" where it says none, and when, seconds since 1970, else NaN."""

    camera: str = ""
    taken: float = math.nan


def content_of(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        PictureError: it is absent, no plain file, empty, beyond a gigabyte, or may not be read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise PictureError(f"{path} is no file; expected a picture.", fault="unreadable")
        if status.st_size > MOST_BYTES:
            raise PictureError(
                f"{path} has {status.st_size:,} bytes; pictures of up to {MOST_BYTES:,} are read.", fault="too-large"
            )
        return path.read_bytes()
    except FileNotFoundError as error:
        raise PictureError(f"{path} does not exist; check the path.", fault="unreadable") from error
    except (OSError, ValueError) as error:
        raise PictureError(
            f"{path} cannot be opened ({_first_line(error)}); check the path and its rights.", fault="unreadable"
        ) from error


def raw_pixels(content: bytes, *, name: str, indexed: bool = False, finish: Callable[[Array], Array] | None = None) -> Array:
    """The first frame of a picture, turned as its EXIF says, and what `finish` makes of it.

    Gives uint8 (H, W), (H, W, 3) or (H, W, 4), the last with alpha; uint16 (H, W) of 16-bit grey; or uint8 (H, W) of 32-bit
    grey, whose own finite range was stretched over 0 to 255. Where labels are read, `indexed`, a palette's indices (H, W) are
    given as they are, as are 32-bit whole numbers, and transparency is not looked at. `name` is what messages call it. Of a JPEG
    whose end is missing but for a marker of its end, which some tools put there, nothing tells that it is not whole.

    Of pictures of more than `LARGE_PIXELS` one is decoded and finished at a time, however many threads read: each takes up to
    eight bytes a pixel meanwhile.

    Raises:
        PictureError: there are no bytes, they are no picture of `FORMATS`, damaged, cut off, of more than `MOST_PIXELS`, or too
            large for the memory that is left.
    """
    if not content:
        raise PictureError(f"{name} has no bytes; expected a picture. Was its download interrupted?", fault="empty")
    with silent_and_strict(), ExitStack() as held:
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                _check_size(picture, name)
                held.enter_context(_its_turn(picture))
                numbers = _turned(_labels_of(picture) if indexed else _numbers_of(picture), _orientation(picture))
                picture.close()  # its pixels too, before they are finished
        except PictureError:
            raise
        except MemoryError as error:
            raise beyond_memory(name) from error
        except UnidentifiedImageError as error:
            raise _unidentified(content, name) from error
        except Image.DecompressionBombError as error:
            raise _too_large(name, "too many") from error
        except _DAMAGE as error:
            raise _damaged(error, name) from error
        return numbers if finish is None else finish(numbers)


def _its_turn(picture: Image.Image) -> AbstractContextManager[Any]:
    return _one_large if picture.width * picture.height > LARGE_PIXELS else nullcontext()


def _check_size(picture: Image.Image, name: str) -> None:
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise _too_large(name, f"{height} x {width}")
    if width < 1 or height < 1:
        raise PictureError(f"{name} says that it has {height} x {width} pixels; it is damaged.", fault="corrupt")


def _numbers_of(picture: Image.Image) -> Array:
    picture.load()
    if picture.mode in ("I", "F"):
        numbers = _stretched(np.asarray(picture))
    elif picture.mode.startswith("I;16"):
        numbers = np.asarray(picture).astype(np.uint16)
    elif picture.has_transparency_data:
        numbers = _in_mode(picture, "RGBA")
    elif picture.mode in ("1", "L"):
        numbers = _in_mode(picture, "L")
    else:
        numbers = _in_mode(picture, "RGB")
    return numbers


def _in_mode(picture: Image.Image, mode: str) -> Array:
    """The numbers of a picture in another mode; of a large one a band of rows at a time, so that few copies exist at once."""
    bands = list(bands_of(picture.height, picture.width))
    if len(bands) == 1:
        return np.asarray(picture.convert(mode))
    numbers = np.empty((picture.height, picture.width, len(mode))[: 2 if len(mode) == 1 else 3], np.uint8)
    for rows in bands:
        numbers[rows] = np.asarray(picture.crop((0, rows.start, picture.width, rows.stop)).convert(mode))
    return numbers


def bands_of(height: int, width: int, *, step: int = 1) -> Iterator[slice]:
    """Rows of a picture by and by, about `BAND_PIXELS` in each band, all but the last of a multiple of `step` rows."""
    n_rows = step * max(1, BAND_PIXELS // max(1, width * step))
    return (slice(first, min(first + n_rows, height)) for first in range(0, height, n_rows))


def _labels_of(picture: Image.Image) -> Array:
    picture.load()
    if picture.mode == "P":
        return np.asarray(picture)
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        return np.asarray(picture).astype(np.int32)
    return np.asarray(picture.convert("L" if picture.mode in ("1", "L", "LA", "La") else "RGB"))


def palette_of(content: bytes) -> bytes | None:
    """The palette (red, green, blue, ...) of a picture that has one; None of others, and of what is no picture."""
    with silent_and_strict():
        from PIL import Image

        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                palette = picture.getpalette("RGB") if picture.mode == "P" else None
        except _DAMAGE:
            return None
        except Image.DecompressionBombError:
            return None
    return None if palette is None else bytes(palette)


def _orientation(picture: Image.Image) -> int:
    """1 to 8; 1 where EXIF is absent, or too damaged to say."""
    try:
        found = picture.getexif().get(_ORIENTATION, 1)
    except _DAMAGE:
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def origin_of(path: Path) -> Origin:
    """Who took a picture and when, as its EXIF says; nothing of what is no picture, or damaged.

    Source: EXIF 2.32 (CIPA DC-008): make and model, date of the original, else of the last change.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for ever
            return Origin()
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except (OSError, ValueError):
        return Origin()
    with silent_and_strict():
        from PIL import Image

        try:
            with Image.open(io.BytesIO(head), formats=FORMATS) as picture:
                written = picture.info.get("exif")
            if not isinstance(written, bytes):
                return Origin()
            tags = Image.Exif()
            tags.load(written)
            dates = (tags.get_ifd(_EXIF).get(_TAKEN), tags.get(_CHANGED))
            return Origin(_camera(tags.get(_MAKE), tags.get(_MODEL)), next(filter(math.isfinite, map(_moment, dates)), math.nan))
        except _DAMAGE:
            return Origin()
        except Image.DecompressionBombError:
            return Origin()


def _camera(make: Any, model: Any) -> str:
    """Both as one name, without the make where the model repeats it."""
    first, second = (" ".join(part.replace("\0", " ").split()) if isinstance(part, str) else "" for part in (make, model))
    name = second if second.casefold().startswith(first.casefold()) else f"{first} {second}"
    return name.strip()[:_LONGEST_NAME]


def _moment(text: Any) -> float:
    try:
        return datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return math.nan


def _turned(pixels: Array, orientation: int) -> Array:
    """Upright pixels. Source: EXIF 2.32 (CIPA DC-008), tag 0x0112: where the first row and the first column lie."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _stretched(values: Array) -> Array:
    """Least to greatest finite value as 0 to 255; all 0 where they are equal or none is finite. What is not a number is 0."""
    bands, low, high = list(bands_of(*values.shape)), np.inf, -np.inf
    levels = np.zeros(values.shape, np.uint8)
    for rows in bands:
        halves = values[rows].astype(np.float64) / 2  # the difference of halves cannot overflow
        is_finite = np.isfinite(halves)
        low = min(low, halves.min(initial=np.inf, where=is_finite))
        high = max(high, halves.max(initial=-np.inf, where=is_finite))
    for rows in bands if low < high else ():
        halves = values[rows].astype(np.float64) / 2
        shares = (np.clip(np.where(np.isnan(halves), low, halves), low, high) - low) / (high - low)
        levels[rows] = np.rint(shares * 255)
    return levels


def _too_large(name: str, size: str) -> PictureError:
    return PictureError(
        f"{name} has {size} pixels; pictures of up to {MOST_PIXELS:,} are read. Make it smaller, or cut it into tiles.",
        fault="too-large",
    )


def beyond_memory(name: str) -> PictureError:
    """What to raise where memory does not suffice."""
    return PictureError(
        f"{name} takes more memory than is left. Make it smaller, cut it into tiles, or leave more memory.", fault="too-large"
    )


def _unidentified(content: bytes, name: str) -> PictureError:
    start = content[:32].lstrip().lower()
    for magic, what in _FOREIGN.items():
        if start.startswith(magic.lower()) or content.startswith(magic):
            return PictureError(f"{name} is {what}; expected {READABLE}.", fault="foreign")
    if content[4:8] == b"ftyp":
        return PictureError(f"{name} is HEIC, AVIF or a film; expected {READABLE}. Convert it.", fault="foreign")
    if content.startswith(_OURS) or (content[:4] == b"RIFF" and content[8:12] == b"WEBP"):
        return PictureError(f"{name} begins like a picture, but its header is damaged or cut off. Get it anew.", fault="corrupt")
    return PictureError(f"{name} is no picture; expected {READABLE}.", fault="foreign")


def _damaged(error: BaseException, name: str) -> PictureError:
    reason = _first_line(error) or type(error).__name__
    if isinstance(error, EOFError) or "truncated" in reason.lower():
        return PictureError(f"{name} is cut off: a part of its pixels is missing ({reason}). Get it anew.", fault="truncated")
    return PictureError(f"{name} is damaged and cannot be decoded ({reason}). Get it anew.", fault="corrupt")


def _first_line(error: BaseException) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200]
