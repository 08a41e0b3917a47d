"""Opens `model.cupel`: nothing in it is executed, nothing is written, and every byte is checked before it is used."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cupel.core.errors import ArtifactError
from cupel.core.untrusted import parsed_json

NEWEST_FORMAT = 1
MEMBERS = frozenset({"model.onnx", "schema.json", "golden.json", "facts.json", "card.md"})
MAX_BYTES = {
    "manifest.json": 16 << 20,
    "schema.json": 128 << 20,
    "golden.json": 128 << 20,
    "facts.json": 64 << 20,
    "card.md": 16 << 20,
    "model.onnx": 2 << 30,
}
MAX_RATIO = 200
MIN_SUSPICIOUS_BYTES = 8 << 20
MOST_PARSED_BYTES = 512 << 20
"""Enough for four million levels."""
BYTES_TO_PARSE = {b"{": 240, b"[": 64, b'"': 50, b",": 32}
"""What each character of JSON stands for in memory, at most: a file of 1.4 MB may hold 90 million empty lists."""
_LOCAL_HEADER_BYTES = 30
_END_RECORD = struct.Struct("<4s8sLLH")  # signature, counts, size and start of the directory, size of the comment
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
    OverflowError,
)


@dataclass(frozen=True, eq=False)
class Artifact:
    """The checked content of an artifact."""

    path: Path
    manifest: Mapping[str, Any]
    contents: Mapping[str, bytes]

    def json(self, name: str) -> Any:
        """A member read as JSON.

        Raises:
            ArtifactError: it is not JSON.
        """
        return _parsed(self.contents[name], name, self.path)

    def text(self, name: str) -> str:
        """A member read as UTF-8.

        Raises:
            ArtifactError: it is not UTF-8.
        """
        try:
            return self.contents[name].decode()
        except UnicodeDecodeError as error:
            raise ArtifactError(f"{self.path}: {name} is not UTF-8 ({error.reason}); the file is damaged.") from error


def open_artifact(source: Path | bytes) -> Artifact:
    """Read an artifact, a file or its bytes, whole and check it: members, sizes, format and the sha256 of what is then used.

    Raises:
        ArtifactError: it is missing, damaged, hostile, or of a newer format.
    """
    if isinstance(source, bytes):
        return _read_all(io.BytesIO(source), Path("the packed model"))
    try:
        # Not blocking: to open a pipe in the place of a file would wait for ever.
        descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ArtifactError(f"there is no file {source}; name the model.cupel that `cupel fit` wrote.") from error
    except PermissionError as error:
        raise ArtifactError(f"{source} may not be read; mend its permissions.") from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{str(source)!r} cannot be opened ({error}); check the path.") from error
    try:
        _check_kind(os.fstat(descriptor).st_mode, source)
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return _read_all(stream, source)
    finally:
        os.close(descriptor)


def _check_kind(mode: int, path: Path) -> None:
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise ArtifactError(f"{path} is {what}; name the model.cupel file itself.")


def _read_all(stream: IO[bytes], path: Path) -> Artifact:
    try:
        with zipfile.ZipFile(stream) as archive:
            members = _members(archive, path)
            _check_layout(archive, stream, path)
            manifest = _parsed(_read(archive, members["manifest.json"], path), "manifest.json", path)
            _check_manifest(manifest, members, path)
            contents = {name: _read(archive, members[name], path) for name in sorted(MEMBERS)}
    except ArtifactError:
        raise
    except _UNREADABLE as error:
        raise ArtifactError(f"{path} is damaged or not a packed model ({error}); copy it again or pack it anew.") from error
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != manifest["files"][name]["sha256"]:
            raise ArtifactError(f"{path} is damaged: {name} does not have the sha256 of the manifest. Copy it again.")
    return Artifact(path, manifest, contents)


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Exactly the members of an artifact, as plain files of bounded size."""
    infos = archive.infolist()
    names = [info.orig_filename for info in infos]  # zipfile cuts `filename` at a null byte and turns separators
    expected = MEMBERS | {"manifest.json"}
    if len(infos) != len(expected) or set(names) != expected:
        strange = sorted(set(names) - expected)[:3] or sorted(expected - set(names))[:3] or ["one twice"]
        raise ArtifactError(
            f"{path} does not hold exactly the files of a packed model ({', '.join(map(repr, strange))}); it is refused."
        )
    for info in infos:
        _check_member(info, path)
    return dict(zip(names, infos, strict=True))


def _check_layout(archive: zipfile.ZipFile, stream: IO[bytes], path: Path) -> None:
    """Members follow one another from the first byte on, then the directory, then nothing: every reader sees the same file."""
    end = 0
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.header_offset != end:
            raise ArtifactError(f"{path}: {info.filename} overlaps another member or follows foreign bytes; it is refused.")
        end += _LOCAL_HEADER_BYTES + len(info.filename) + info.compress_size
    stream.seek(-_END_RECORD.size, os.SEEK_END)
    start = stream.tell()
    signature, _, directory_bytes, directory_start, comment_bytes = _END_RECORD.unpack(stream.read(_END_RECORD.size))
    if signature != b"PK\5\6" or comment_bytes or directory_start != end or directory_start + directory_bytes != start:
        raise ArtifactError(f"{path} holds bytes beside its members; it is refused. Copy it again, or pack the model anew.")


def _check_member(info: zipfile.ZipInfo, path: Path) -> None:
    mode = info.external_attr >> 16
    is_plain = stat.S_IFMT(mode) in (0, stat.S_IFREG) and not info.is_dir() and not info.flag_bits & ~0x0800
    if not is_plain or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.extra:
        raise ArtifactError(f"{path}: {info.filename} is a link, a folder, encrypted or packed strangely; it is refused.")
    is_bomb = info.file_size > MIN_SUSPICIOUS_BYTES and info.file_size > MAX_RATIO * max(info.compress_size, 1)
    if info.file_size > MAX_BYTES[info.filename] or is_bomb:
        raise ArtifactError(f"{path}: {info.filename} claims {info.file_size} bytes from {info.compress_size}; that is refused.")


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> bytes:
    with archive.open(info) as stream:
        content = stream.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise ArtifactError(f"{path}: {info.filename} has another size than it claims; it is refused.")
    return content


def _check_manifest(manifest: Any, members: Mapping[str, zipfile.ZipInfo], path: Path) -> None:
    number = manifest.get("format") if isinstance(manifest, dict) else None
    if type(number) is not int or number < 1:
        raise ArtifactError(f"{path}: the manifest has no format number; it is not a packed model of Cupel.")
    if number > NEWEST_FORMAT:
        raise ArtifactError(
            f"{path} has format {number}, written by Cupel {str(manifest.get('cupel'))[:20]}; this Cupel reads up to "
            f"{NEWEST_FORMAT}. Upgrade it: pip install -U cupel."
        )
    files = manifest.get("files")
    if not isinstance(files, dict) or set(files) != MEMBERS:
        raise ArtifactError(f"{path}: the manifest does not list the files that are there; it is refused.")
    for name, facts in files.items():
        is_stated = isinstance(facts, dict) and isinstance(facts.get("sha256"), str) and _SHA256.fullmatch(facts["sha256"])
        if not is_stated or type(facts.get("bytes")) is not int or facts["bytes"] != members[name].file_size:
            raise ArtifactError(f"{path}: the manifest and {name} do not agree; the file is damaged. Copy it again.")


def _parsed(content: bytes, name: str, path: Path) -> Any:
    n_bytes = 2 * len(content) + sum(size * content.count(mark) for mark, size in BYTES_TO_PARSE.items())
    if n_bytes > MOST_PARSED_BYTES:
        raise ArtifactError(
            f"{path}: {name} would take about {n_bytes / 1e6:,.0f} MB of memory, more than {MOST_PARSED_BYTES / 1e6:,.0f} MB; it "
            f"is refused."
        )
    try:
        return parsed_json(content)
    except ValueError as error:
        raise ArtifactError(f"{path}: {name} is not readable JSON ({str(error)[:100]}); the file is damaged.") from error
