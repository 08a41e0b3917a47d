"""Opens `model.cupel`: nothing in it is executed, nothing is written, and every byte is checked before it is used."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cupel.core.errors import ArtifactError

NEWEST_FORMAT = 1
MEMBERS = frozenset({"model.onnx", "schema.json", "golden.json", "facts.json", "card.md"})
MAX_BYTES = {
    "manifest.json": 16 << 20,
    "schema.json": 256 << 20,
    "golden.json": 256 << 20,
    "facts.json": 64 << 20,
    "card.md": 16 << 20,
}
MAX_MODEL_BYTES = 2 << 30
MAX_RATIO = 200
MIN_SUSPICIOUS_BYTES = 64 << 20


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


def open_artifact(path: Path) -> Artifact:
    """Read an artifact whole and check it: members, sizes, format and the sha256 of what is then used.

    Raises:
        ArtifactError: it is missing, damaged, hostile, or of a newer format.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path)
            manifest = _parsed(_read(archive, members["manifest.json"], path), "manifest.json", path)
            _check_manifest(manifest, members, path)
            contents = {name: _read(archive, members[name], path) for name in sorted(MEMBERS)}
    except FileNotFoundError as error:
        raise ArtifactError(f"there is no file {path}; name the model.cupel that `cupel fit` wrote.") from error
    except IsADirectoryError as error:
        raise ArtifactError(f"{path} is a folder; name the model.cupel file itself.") from error
    except PermissionError as error:
        raise ArtifactError(f"{path} may not be read; mend its permissions.") from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(f"{path} is damaged or not a packed model ({error}); copy it again or pack it anew.") from error
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != manifest["files"][name]["sha256"]:
            raise ArtifactError(f"{path} is damaged: {name} does not have the sha256 of the manifest. Copy it again.")
    return Artifact(path, manifest, contents)


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Exactly the members of an artifact, as plain files of bounded size."""
    infos = archive.infolist()
    names = [info.filename for info in infos]
    expected = MEMBERS | {"manifest.json"}
    if len(infos) != len(expected) or set(names) != expected:
        strange = sorted(set(names) - expected)[:3] or sorted(expected - set(names))[:3] or ["one twice"]
        raise ArtifactError(
            f"{path} does not hold exactly the files of a packed model ({', '.join(map(repr, strange))}); it is refused."
        )
    for info in infos:
        _check_member(info, path)
    return dict(zip(names, infos, strict=True))


def _check_member(info: zipfile.ZipInfo, path: Path) -> None:
    kind = (info.external_attr >> 28) & 0xF
    limit = MAX_BYTES.get(info.filename, MAX_MODEL_BYTES)
    is_bomb = info.file_size > MIN_SUSPICIOUS_BYTES and info.file_size > MAX_RATIO * max(info.compress_size, 1)
    if kind not in (0, 8) or info.is_dir() or info.flag_bits & 1:
        raise ArtifactError(f"{path}: {info.filename} is a link, a folder or encrypted; only plain files are read.")
    if info.file_size > limit or is_bomb:
        raise ArtifactError(f"{path}: {info.filename} claims {info.file_size} bytes from {info.compress_size}; that is refused.")


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> bytes:
    with archive.open(info) as stream:
        content = stream.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise ArtifactError(f"{path}: {info.filename} has another size than it claims; it is refused.")
    return content


def _check_manifest(manifest: Any, members: Mapping[str, zipfile.ZipInfo], path: Path) -> None:
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise ArtifactError(f"{path}: the manifest has no format number; it is not a packed model of Cupel.")
    if manifest["format"] > NEWEST_FORMAT:
        raise ArtifactError(
            f"{path} has format {manifest['format']}, written by Cupel {manifest.get('cupel')}; this Cupel reads up to "
            f"{NEWEST_FORMAT}. Upgrade it: pip install -U cupel."
        )
    files = manifest.get("files")
    if not isinstance(files, dict) or set(files) != MEMBERS:
        raise ArtifactError(f"{path}: the manifest does not list the files that are there; it is refused.")
    for name, facts in files.items():
        if (
            not isinstance(facts, dict)
            or facts.get("bytes") != members[name].file_size
            or not isinstance(facts.get("sha256"), str)
        ):
            raise ArtifactError(f"{path}: the manifest and {name} do not agree; the file is damaged. Copy it again.")


def _parsed(content: bytes, name: str, path: Path) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: {name} is not readable JSON; the file is damaged.") from error
