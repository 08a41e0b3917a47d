"""The trunk of a trained network: what makes features, without what answers, as a file that another run can start from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import UsageError
from cupel.core.storage import write_bytes

Array = NDArray[Any]
TRUNK = "cupel-backbone"
FORMAT = 1
NEEDED = ("modality", "family", "config", "inputs")


@dataclass(frozen=True, kw_only=True, eq=False)
class Trunk:
    """Named arrays and what they are.

    `facts` holds modality, family, config, inputs (widths and extents of what it reads), and where it comes from: candidate,
    fingerprint of the data, score.
    """

    facts: Mapping[str, Any]
    tensors: Mapping[str, Array]

    @classmethod
    def of(cls, weights: Mapping[str, Array], prefixes: Sequence[str], *, facts: Mapping[str, Any]) -> Trunk:
        """What of a trained network's weights begins with one of these prefixes.

        Of several networks (bags, snapshots) that predict together, the first.
        """
        first = _first_of_several(weights)
        chosen = {name: array for name, array in first.items() if name.startswith(tuple(prefixes))}
        return cls(facts=facts, tensors=chosen)

    def save(self, path: str | Path, *, licence: str = "") -> Path:
        """Write it as one safetensors file; `licence` says under which terms others may use it. Returns the path.

        Raises:
            UsageError: the name does not end in .safetensors.
        """
        from safetensors.numpy import save

        target = Path(path)
        if target.suffix != ".safetensors":
            raise UsageError(
                f"a backbone is saved as .safetensors; {target.name!r} has another ending. Name it {target.stem}.safetensors."
            )
        metadata = {TRUNK: json.dumps({"format": FORMAT, **self.facts}, sort_keys=True)}
        if licence.strip():
            metadata["license"] = licence.strip()
        target.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(target, save({name: np.ascontiguousarray(array) for name, array in self.tensors.items()}, metadata))
        return target


def _first_of_several(weights: Mapping[str, Array]) -> dict[str, Array]:
    found = dict(weights)
    for kind in ("bag_", "snapshot_"):
        numbers = sorted({int(match[1]) for name in found if (match := re.match(rf"{kind}(\d{{1,9}})\.", name, re.ASCII))})
        if numbers:
            prefix = f"{kind}{numbers[0]}."
            found = {name.removeprefix(prefix): array for name, array in found.items() if name.startswith(prefix)}
    return found


def read_trunk(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """Facts and tensors of a file that `Trunk.save` wrote.

    Raises:
        UsageError: it is of a later format, or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as opened:
            facts = json.loads((opened.metadata() or {})[TRUNK])
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 it is no mapping
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError, TypeError) as error:
        raise UsageError(f"{path} cannot be read as a backbone ({' '.join(str(error).split())[:200]}); save it anew.") from error
    is_known = isinstance(facts, dict) and facts.get("format") == FORMAT
    if not is_known or any(name not in facts for name in NEEDED) or not isinstance(facts["config"], dict):
        shown = facts.get("format") if isinstance(facts, dict) else facts
        raise UsageError(f"{path} has the format {str(shown)[:40]!r}; expected {FORMAT}, with {', '.join(NEEDED)}. Save it anew.")
    for name, array in tensors.items():
        if array.dtype != np.float32:
            raise UsageError(f"{path} holds {name!r} as {array.dtype}; expected float32. Save it anew.")
    return facts, tensors
