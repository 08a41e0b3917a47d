"""Which pictures are the same, to the last pixel or to the eye."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, UInt64
from numpy.typing import NDArray

from cupel.core.images import Images
from cupel.core.pixels import digest_of
from cupel.modalities.image.reading.batches import equal_sized, grey_levels

Array = NDArray[Any]

SIDE = 32
MOST_BITS = 3
LEAST_CORRELATION = 0.98
LEAST_DEVIATION = 2.0
_BAND_BITS = 16
_INNER_BITS = 12
_MOST_NEIGHBOURS = 200


def exact_copies(images: Images) -> Int64[Array, " picture"]:
    """A number for each picture, shape (N,): equal for those of equal size and pixels; a missing one is like no other."""
    return numbered(digests(images))


def digests(images: Images) -> list[bytes | None]:
    """16 bytes for each picture, equal for those of equal size and pixels; None for a missing one."""
    pairs = zip(images, images.is_missing.tolist(), strict=True)
    return [None if is_missing else digest_of(picture) for picture, is_missing in pairs]


def numbered(found: Sequence[bytes | None]) -> Int64[Array, " picture"]:
    """A number for each digest, counted from 0 by first appearance, equal for equal ones; None is like no other."""
    numbers: dict[bytes | int, int] = {}
    keys = (row if digest is None else digest for row, digest in enumerate(found))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def thumbnails(images: Images) -> Float32[Array, "picture 32 32"]:
    """Grey pictures of 32 x 32, each cell the mean of the part that it covers, from 0 to 255; NaN where one is missing."""
    small = np.full((len(images), SIDE, SIDE), np.nan, np.float32)
    for rows, pixels in equal_sized(images):
        across, down = _shares(pixels.shape[2]), _shares(pixels.shape[1])
        small[rows] = down @ (grey_levels(pixels) @ across.T)
    return small


def perceptual_hashes(small: Float32[Array, "picture 32 32"]) -> UInt64[Array, " picture"]:
    """64 bits a picture, of which few change when it is compressed, scaled or made brighter.

    Bits say which of 8 x 8 low frequencies of the cosine transform, the constant ones left out, are above their median.
    Source: Zauner 2010, Implementation and benchmarking of perceptual image hash functions (thesis, Hagenberg), section 3.2.1.
    """
    position = np.arange(SIDE)
    waves = np.cos(np.pi * (2 * position + 1) * np.arange(1, 9)[:, None] / (2 * SIDE)).astype(np.float32)  # (8, 32)
    frequencies = (waves @ np.nan_to_num(small) @ waves.T).reshape(len(small), 64)
    bits = frequencies > np.median(frequencies, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").reshape(-1).astype(np.uint64)


def near_copies(small: Float32[Array, "picture 32 32"]) -> Int64[Array, " picture"]:
    """A number for each picture, shape (N,), equal for those that look the same, directly or through others.

    Two look the same if at most 3 bits of their perceptual hashes differ and their thumbnails correlate by 0.98 or more: the
    hashes alone also meet where pictures are only alike. Blank and missing pictures are like no other.
    """
    groups = np.arange(len(small), dtype=np.int64)
    centred = small.reshape(len(small), SIDE * SIDE)
    centred = centred - centred.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1)
    seen = np.flatnonzero(norms >= LEAST_DEVIATION * SIDE)  # False where NaN
    first, second = close_pairs(perceptual_hashes(small[seen]))
    first, second = seen[first], seen[second]
    step = 4096
    alike = [
        np.einsum("ij,ij->i", centred[a], centred[b]) >= LEAST_CORRELATION * norms[a] * norms[b]
        for a, b in ((first[start : start + step], second[start : start + step]) for start in range(0, len(first), step))
    ]
    is_alike = np.concatenate(alike) if alike else np.zeros(0, bool)
    return _joined(groups, first[is_alike], second[is_alike])


def close_pairs(hashes: UInt64[Array, " picture"]) -> tuple[Int64[Array, " pair"], Int64[Array, " pair"]]:
    """All pairs of positions whose hashes differ in at most 3 bits, without comparing all with all.

    Of four bands of 16 bits one is then equal; of the other 48 bits, in four bands of 12, one more. So pairs are sought among
    those that share 28 bits, in each of 16 ways. Where more than 200 share them, only neighbours in that order are compared.
    Source: Manku, Jain and Das Sarma 2007, Detecting near-duplicates for web crawling, doi:10.1145/1242572.1242592, section
    3.
    """
    distinct, inverse = np.unique(hashes, return_inverse=True)
    pairs = [_equal_pairs(inverse.reshape(-1))]
    keepers = np.zeros(len(distinct), np.int64)  # one position for each distinct hash
    keepers[inverse.reshape(-1)] = np.arange(len(hashes))
    for band in range(64 // _BAND_BITS):
        outer = (distinct >> np.uint64(band * _BAND_BITS)) & np.uint64((1 << _BAND_BITS) - 1)
        above = distinct >> np.uint64(min((band + 1) * _BAND_BITS, 63))
        above = above if band < 3 else np.zeros_like(distinct)
        below = distinct & np.uint64((1 << (band * _BAND_BITS)) - 1)
        rest = (above << np.uint64(band * _BAND_BITS)) | below  # the other 48 bits
        for inner in range(48 // _INNER_BITS):
            part = (rest >> np.uint64(inner * _INNER_BITS)) & np.uint64((1 << _INNER_BITS) - 1)
            pairs.append(keepers[_within(distinct, (outer << np.uint64(_INNER_BITS)) | part)])
    both = np.sort(np.concatenate(pairs, axis=1), axis=0)
    both = np.unique(both, axis=1)
    return both[0], both[1]


def _within(distinct: UInt64[Array, " hash"], keys: UInt64[Array, " hash"]) -> Int64[Array, "2 pair"]:
    """Pairs, shape (2, pairs), that share a key and differ in at most 3 bits."""
    order = np.argsort(keys, kind="stable")
    sorted_keys, sorted_hashes = keys[order], distinct[order]
    found = [np.zeros((2, 0), np.int64)]
    for shift in range(1, min(_MOST_NEIGHBOURS, len(keys) - 1) + 1):
        together = np.flatnonzero(sorted_keys[shift:] == sorted_keys[:-shift])
        if len(together) == 0:
            break
        differing = np.bitwise_count(sorted_hashes[together] ^ sorted_hashes[together + shift])
        close = together[differing <= MOST_BITS]
        found.append(np.stack([order[close], order[close + shift]]))
    return np.concatenate(found, axis=1)


def _equal_pairs(kinds: Int64[Array, " picture"]) -> Int64[Array, "2 pair"]:
    """Each position with the next of its kind, shape (2, pairs)."""
    order = np.argsort(kinds, kind="stable")
    same = np.flatnonzero(kinds[order][1:] == kinds[order][:-1])
    return np.stack([order[same], order[same + 1]])


def _joined(
    groups: Int64[Array, " picture"], first: Int64[Array, " pair"], second: Int64[Array, " pair"]
) -> Int64[Array, " picture"]:
    """Numbers such that each pair has one, counted from 0 by first appearance: least numbers spread until nothing changes."""
    while True:
        least = np.minimum(groups[first], groups[second])
        before = groups.copy()
        np.minimum.at(groups, first, least)
        np.minimum.at(groups, second, least)
        groups = groups[groups]
        if np.array_equal(groups, before):
            return np.unique(groups, return_inverse=True)[1].reshape(-1).astype(np.int64)


def joined(*numberings: Int64[Array, " picture"]) -> Int64[Array, " picture"]:
    """A number for each picture, equal for those that share one in any of the numberings, directly or through others."""
    first, second = np.concatenate([_equal_pairs(numbers) for numbers in numberings], axis=1)
    return _joined(np.arange(len(numberings[0]), dtype=np.int64), first, second)


def _shares(n_pixels: int) -> Float32[Array, "32 pixel"]:
    """How much of each of 32 equal parts of a line each pixel fills, shape (32, pixels), rows summing to 1."""
    edges = np.linspace(0, n_pixels, SIDE + 1)
    starts, ends = edges[:-1, None], edges[1:, None]
    pixel = np.arange(n_pixels)[None, :]
    covered = np.clip(np.minimum(ends, pixel + 1) - np.maximum(starts, pixel), 0, None)
    return np.asarray(covered / covered.sum(axis=1, keepdims=True), np.float32)
