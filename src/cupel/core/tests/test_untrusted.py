import io
import os
import tracemalloc

import numpy as np
import pytest

from cupel.core.errors import DataError
from cupel.core.untrusted import parsed_array, parsed_json, read_bytes


def npy(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def claiming(header):
    """An .npy file with this header and eight bytes of content."""
    padded = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + len(padded).to_bytes(2, "little") + padded + b"\0" * 8


def test_an_array_comes_back_as_it_was_and_can_be_changed():
    array = np.arange(6.0).reshape(2, 3)
    read = parsed_array(npy(array), dtype=np.float64, n_axes=2)
    assert (read == array).all()
    read[0, 0] = 5


@pytest.mark.parametrize(
    "content",
    [
        npy(np.array([{}], dtype=object), allow_pickle=True),
        npy(np.ones(3, np.float32)),
        npy(np.ones((3, 1))),
        npy(np.asfortranarray(np.ones((2, 2)))),
        npy(np.ones(3))[:-1],
        npy(np.ones(3)) + b"\0",
        b"",
        b"\x93NUMPY\2\0",
        claiming("{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,)}"),
        claiming("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"),
        claiming("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"),
        claiming("{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}").replace(b"(True,)", b"('a',) "),
        claiming("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}"),
        claiming("(" * 110),
        claiming("__import__('os').system('touch /tmp/never')"),
    ],
)
def test_an_array_that_is_not_what_was_expected_is_refused(content):
    with pytest.raises(ValueError):  # noqa: PT011 what is wrong differs
        parsed_array(content, dtype=np.float64, n_axes=1)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"NaN", b'{"a": 1, "a": 2}', b"\xff", b"", b"9" * 5000, b"{"])
def test_strange_json_is_refused(content):
    with pytest.raises(ValueError):  # noqa: PT011 what is wrong differs
        parsed_json(content)


def test_a_file_is_read_only_where_it_is_one_and_small_enough(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345678")
    assert read_bytes(path, most_bytes=8) == b"12345678"
    with pytest.raises(ValueError, match="8 bytes, more than the 7"):
        read_bytes(path, most_bytes=7)
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(ValueError, match="is a link"):
        read_bytes(tmp_path / "link", most_bytes=8)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="no regular file"):
        read_bytes(tmp_path / "pipe", most_bytes=8)
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "absent", most_bytes=8)


def test_a_small_file_asks_for_no_more_memory_than_it_has(tmp_path):
    path = tmp_path / "small"
    path.write_bytes(b"content")
    tracemalloc.start()
    assert read_bytes(path, most_bytes=1 << 40) == b"content"
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_sparse_file_takes_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("cupel.core.untrusted.machine.usable_memory_bytes", lambda: 1 << 30)
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, (1 << 28) + 1)
    with pytest.raises(DataError, match="268,435,457 bytes, more than a quarter of the 1,073,741,824"):
        read_bytes(path, most_bytes=8 << 30)
    monkeypatch.setattr("cupel.core.untrusted.machine.usable_memory_bytes", lambda: 0)
    path.write_bytes(b"honest")
    assert read_bytes(path, most_bytes=8 << 30) == b"honest"
