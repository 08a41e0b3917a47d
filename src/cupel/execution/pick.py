"""What a run packed, kept so that it can be trained again: candidates, out-of-fold predictions, and the rows that it knows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.errors import DataError
from cupel.core.foreign_graphs import fault_of
from cupel.core.graph import Graph
from cupel.core.storage import npy, write_bytes, write_json
from cupel.core.trial import Ensemble
from cupel.core.untrusted import parsed_array, parsed_json, read_bytes

PICK, ROWS, OUT_OF_FOLD, RULE = "pick.json", "rows.npy", "out_of_fold.npy", "rule.onnx"
PICK_FILES = (PICK, ROWS, OUT_OF_FOLD, RULE)
MEMBER, SAID = "member-{}", "prediction"
"""Inputs and output of the graph of the rule, each (rows, outputs)."""
MOST_BYTES = 64 << 20
MOST_ARRAY_BYTES = 8 << 30


@dataclass(frozen=True, kw_only=True, eq=False)
class KeptMember:
    """A member of what was packed: its candidate as plain values, and the keys of its units by fold."""

    candidate: Mapping[str, Any]
    units: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class KeptPick:
    """What was packed.

    `hashes` has two numbers for each row of the data (`data.row_hashes`), `out_of_fold` its prediction for each, NaN where no
    fold judged it.
    """

    name: str
    members: tuple[KeptMember, ...]
    hashes: NDArray[np.uint64]
    out_of_fold: NDArray[np.float64]


def keep_pick(folder: Path, pick: Ensemble, *, hashes: NDArray[np.uint64]) -> None:
    """Write what was packed beside it, last the file that names the others by their sha256."""
    members = [
        {"candidate": member.candidate.to_plain(), "weight": weight, "units": [unit.key for unit in member.units]}
        for member, weight in zip(pick.members, pick.weights, strict=True)
    ]
    contents = {ROWS: npy(hashes), OUT_OF_FOLD: npy(pick.out_of_fold.astype(np.float64)), RULE: _rule_of(pick)}
    for name, content in contents.items():
        write_bytes(folder / name, content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    write_json(folder / PICK, {"name": pick.name, "members": members, "sha256": digests})


def _rule_of(pick: Ensemble) -> bytes:
    """How members' predictions become one, as a graph: with it the models of each fold can be asked alone."""
    graph = Graph()
    members = [graph.input_of_shape(MEMBER.format(n), np.float64, axes=("outputs",)) for n in range(len(pick.members))]
    graph.output_of_shape(SAID, pick.rule.emit(graph, members), np.float64, axes=("outputs",))
    content: bytes = graph.model().SerializeToString()
    return content


def read_rule(folder: Path) -> bytes | None:
    """How what a run packed makes one prediction of those of its members; None where that was not kept, or cannot be trusted."""
    try:
        rule = read_bytes(folder / RULE, most_bytes=MOST_BYTES)
    except OSError:
        return None
    return None if fault_of(rule) else rule


def read_pick(folder: Path) -> KeptPick:
    """What a run packed.

    Raises:
        DataError: nothing was kept, or it is damaged.
    """
    try:
        plain = parsed_json(read_bytes(folder / PICK, most_bytes=MOST_BYTES))
        names = (ROWS, OUT_OF_FOLD, *([RULE] if (folder / RULE).is_file() else []))
        contents = {name: read_bytes(folder / name, most_bytes=MOST_ARRAY_BYTES) for name in names}
        hashes = parsed_array(contents[ROWS], dtype=np.uint64, n_axes=2)
        predictions = parsed_array(contents[OUT_OF_FOLD], dtype=np.float64, n_axes=2)
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        are_its_own = digests.items() <= plain.get("sha256", digests).items()
        members = tuple(_member(member) for member in plain["members"])
        kept = KeptPick(name=str(plain["name"]), members=members, hashes=hashes, out_of_fold=predictions)
    except FileNotFoundError as error:
        raise DataError(
            f"{folder} does not hold what its run packed ({Path(error.filename).name} is missing); finish the run: "
            f"cupel resume {folder}."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"what the run in {folder} packed cannot be read ({error}); run `cupel resume {folder}`.") from error
    if not are_its_own or not members or hashes.shape[1] != 2 or len(hashes) != len(predictions):
        raise DataError(f"what the run in {folder} packed does not fit together; run `cupel resume {folder}`.")
    return kept


def _member(plain: Any) -> KeptMember:
    units = plain["units"]
    if not isinstance(plain["candidate"], dict) or not all(isinstance(key, str) and key.isalnum() for key in units):
        raise ValueError("a member has no candidate, or a unit no key")
    return KeptMember(candidate=plain["candidate"], units=tuple(units))
