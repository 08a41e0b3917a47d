"""Where a model hub keeps on this machine what was downloaded from it, and the download, where it is allowed."""

from __future__ import annotations

import os
import re
from pathlib import Path

from cupel.core.errors import MissingDependencyError, UsageError

PREFIXES = ("hf-hub:", "hf_hub:", "hub:")
HOME_OF_SHORT_NAMES = "timm"
WANTED = ("*.json", "*.md", "*.safetensors", "*.onnx", "onnx/model.onnx")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def snapshot_of(name: str, *, allow_network: bool) -> Path:
    """The folder that holds a hub's model of that name (`owner/model`; of timm's models the owner may be left out).

    Raises:
        UsageError: the name cannot be one, or it is not in the cache and no network is allowed, or the hub does not have it.
        MissingDependencyError: it would have to be downloaded, and the library for it is missing.
    """
    repository = _repository(name)
    cached = _cached(cache_folder() / f"models--{repository.replace('/', '--')}")
    if cached is not None:
        return cached
    if not allow_network:
        raise UsageError(
            f"there is no file {name!r}, and no {repository} in {cache_folder()}; expected weights that are here already. "
            f"Check the name, or let it be downloaded with --allow-network."
        )
    return _downloaded(repository)


def cache_folder() -> Path:
    """Where the hub's own library keeps its files."""
    home = os.environ.get("HF_HOME") or str(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()


def _repository(name: str) -> str:
    plain = next((name.removeprefix(prefix) for prefix in PREFIXES if name.startswith(prefix)), name)
    repository = plain if "/" in plain else f"{HOME_OF_SHORT_NAMES}/{plain}"
    if not _NAME.fullmatch(repository):
        raise UsageError(
            f"{name!r} is neither a file nor a name on a hub; expected weights.safetensors, model.onnx or owner/model."
        )
    return repository


def _cached(folder: Path) -> Path | None:
    """The snapshot that the main branch points to; else the only one there is."""
    try:
        revision = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        revision = ""
    snapshots = sorted(path for path in (folder / "snapshots").glob("*") if path.is_dir())
    return next((path for path in snapshots if path.name == revision), snapshots[0] if len(snapshots) == 1 else None)


def _downloaded(repository: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise MissingDependencyError(
            f'{repository} would have to be downloaded, and huggingface_hub is not installed. Run: pip install "cupel[timm]"'
        ) from error
    try:
        return Path(snapshot_download(repository, allow_patterns=list(WANTED)))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise UsageError(
            f"{repository} cannot be downloaded ({' '.join(str(error).split())[:200]}); check the name and the connection, or "
            f"download it yourself and name the file."
        ) from error
