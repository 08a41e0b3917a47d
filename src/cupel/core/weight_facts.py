"""What a file of weights, and what lies beside it, says of its use and its licence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cupel.core.errors import UsageError
from cupel.core.licences import licence_identifier

CARDS = ("README.md", "README.markdown", "MODEL_CARD.md")
FACTS = ("config.json", "preprocessor_config.json")
LICENCE_KEYS = ("licence", "license")
MOST_CARD_BYTES = 1 << 20


def facts_inside(path: Path) -> tuple[dict[str, Any], list[Path]]:
    """What a file says of itself, and other files that hold parts of it.

    Raises:
        UsageError: it cannot be read.
    """
    return _inside_onnx(path) if path.suffix.lower() == ".onnx" else (_inside_safetensors(path), [])


def _inside_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as opened:
            return dict(opened.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error


def _inside_onnx(path: Path) -> tuple[dict[str, Any], list[Path]]:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError) as error:
        raise _unreadable(path, error) from error
    places = {
        entry.value
        for tensor in model.graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    for place in places:
        if Path(place).is_absolute() or ".." in Path(place).parts or not (path.parent / place).is_file():
            raise UsageError(
                f"{path} keeps weights in {place!r}; expected a file beside it. Put it there, or save the model as one file."
            )
    return {entry.key: entry.value for entry in model.metadata_props}, [path.parent / place for place in sorted(places)]


def _unreadable(path: Path, error: Exception) -> UsageError:
    return UsageError(
        f"{path} cannot be read as {path.suffix} ({' '.join(str(error).split())}); it is damaged, or something else."
    )


def facts_beside(file: Path) -> dict[str, Any]:
    """Settings in JSON files of the same folder, as model hubs keep them."""
    facts: dict[str, Any] = {}
    for name in FACTS:
        try:
            content = json.loads((file.parent / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(content, dict):
            facts |= {key: value for key, value in content.items() if isinstance(key, str)}
            own = content.get("pretrained_cfg")
            facts |= own if isinstance(own, dict) else {}
    return facts


def licences_of(file: Path, *, inside: Mapping[str, Any], beside: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is said about the licence, and where, each licence once."""
    cards = (file.with_suffix(".md"), *(file.parent / name for name in CARDS))
    said = [(_named_in(inside), file.name), *((_named_in(_front_matter(card)), card.name) for card in cards)]
    said.append((_named_in(beside), "config.json"))
    seen: set[str] = set()
    for licence, source in said:
        if licence and licence_identifier(licence) not in seen:
            seen.add(licence_identifier(licence))
            yield licence, source


def _named_in(facts: Mapping[str, Any]) -> str:
    """The licence; what calls itself "other" has a name of its own beside it."""
    for key in LICENCE_KEYS:
        value = facts.get(key)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, str) and value.strip():
            own = facts.get(f"{key}_name")
            return str(own).strip() if value.strip().casefold() == "other" and isinstance(own, str) else value.strip()
    return ""


def _front_matter(card: Path) -> dict[str, Any]:
    """The settings at the head of a model card, between two lines of three hyphens."""
    import yaml

    try:
        with card.open(encoding="utf-8") as stream:
            text = stream.read(MOST_CARD_BYTES)
    except (OSError, UnicodeDecodeError):
        return {}
    lines = text.splitlines()
    if not lines or lines[0].strip() != "---" or "---" not in (line.strip() for line in lines[1:]):
        return {}
    end = next(number for number, line in enumerate(lines[1:], 1) if line.strip() == "---")
    try:
        content = yaml.safe_load("\n".join(lines[1:end]))
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
