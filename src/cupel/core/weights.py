"""Weights that somebody trained before: which files they are, what they may be used for, and a name that cannot mean others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cupel.core.errors import UsageError
from cupel.core.finding import Finding, Severity
from cupel.core.hub import snapshot_of
from cupel.core.licences import LicenceKind, licence_identifier, licence_kind
from cupel.core.weight_facts import facts_beside, facts_inside, licences_of

FORMATS = (".safetensors", ".onnx")
PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".h5", ".keras")
IN_A_FOLDER = ("model.safetensors", "model.onnx", "onnx/model.onnx")
N_DIGITS = 12


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """One file: where it was, how large it is, and the sha256 of what it holds."""

    path: str
    n_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """Weights that a user named; the first of `files` is the one to open, others are parts of it.

    `licences` are (licence, where that is said), most telling first; empty where nothing says. `facts` is what stands in the file
    or beside it about its use: settings by name. `part` names a tensor of the file, "" is up to who opens it.
    """

    asked: str
    name: str
    files: tuple[WeightFile, ...]
    licences: tuple[tuple[str, str], ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    part: str = ""

    @property
    def path(self) -> Path:
        """The file to open."""
        return Path(self.files[0].path)

    @property
    def reference(self) -> str:
        """A name that means these weights and no others: what stands in a candidate."""
        digest = hashlib.sha256("".join(file.sha256 for file in self.files).encode() + self.part.encode()).hexdigest()
        return f"{self.name}@{digest[:N_DIGITS]}"

    @property
    def licence(self) -> str:
        """The licence; of several the one that allows least; "" where none is known."""
        forbidding = [licence for licence, _ in self.licences if licence_kind(licence) is LicenceKind.NON_COMMERCIAL]
        return next(iter([*forbidding, *(licence for licence, _ in self.licences)]), "")

    def is_used_by(self, described: Any) -> bool:
        """Whether a candidate, as plain values, starts from these weights."""
        if isinstance(described, Mapping):
            return any(map(self.is_used_by, described.values()))
        return bool(described == self.reference)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `verdict.json`."""
        return {
            "name": self.name,
            "reference": self.reference,
            "asked": self.asked,
            "licence": self.licence or None,
            "licence_kind": licence_kind(self.licence).value,
            "licence_said_by": [source for licence, source in self.licences if licence == self.licence],
            "files": [{"path": file.path, "bytes": file.n_bytes, "sha256": file.sha256} for file in self.files],
        }


def find_weights(asked: Sequence[str], *, allow_network: bool = False) -> tuple[Weights, ...]:
    """The weights that these words name, each once: a file, a folder that holds one, or a name in the local cache of a hub.

    Behind a `#` may stand the name of a tensor within the file. With `allow_network` what is in no cache is downloaded.

    Raises:
        UsageError: there is no such file, or it is of a form that is not read.
        MissingDependencyError: a download was allowed, and the library for it is missing.
    """
    found: dict[str, Weights] = {}
    names: set[str] = set()
    for words in asked:
        weights = _found(words, allow_network=allow_network)
        if weights.reference in found:
            continue
        found[weights.reference] = weights
        if weights.name in names:
            raise UsageError(
                f"two backbones are named {weights.name!r} ({', '.join(each.asked for each in found.values())}); candidates are "
                f"named after them. Rename one of the files."
            )
        names.add(weights.name)
    return tuple(found.values())


def demand_allowed(weights: Sequence[Weights], *, allowed: Sequence[str]) -> None:
    """Raise unless every licence is open, unknown, or allowed by name.

    Raises:
        UsageError: one forbids commercial use.
    """
    wanted = {licence_identifier(licence) for licence in allowed}
    for each in weights:
        kind = licence_kind(each.licence)
        if kind is LicenceKind.NON_COMMERCIAL and licence_identifier(each.licence) not in wanted:
            source = next(source for licence, source in each.licences if licence == each.licence)
            raise UsageError(
                f"the weights {each.asked!r} are under the licence {each.licence!r} ({source}), which forbids commercial use; "
                f"expected one that allows it. If yours is allowed, add --allow-licence {licence_identifier(each.licence)}."
            )


def findings_about(weights: Sequence[Weights]) -> Iterator[Finding]:
    """What people should know about the licences."""
    for each in weights:
        if licence_kind(each.licence) is LicenceKind.OPEN:
            continue
        is_known = licence_kind(each.licence) is LicenceKind.NON_COMMERCIAL
        said = f"the licence {each.licence!r}" if each.licence else "no licence, neither in the file nor beside it"
        yield Finding(
            code="weights-licence",
            severity=Severity.NOTE if is_known else Severity.WARNING,
            where=each.name,
            what=f"The weights {each.asked} come with {said}"
            + (", which forbids commercial use and was allowed." if is_known else ": what they may be used for is not known."),
            action="A model that starts from them inherits their terms; read them before you use or share it.",
        )


def _found(words: str, *, allow_network: bool) -> Weights:
    place, _, part = words.partition("#")
    path = Path(place).expanduser()
    if not place or not path.exists():
        if not place or path.suffix.lower() in (*FORMATS, *PICKLES) or place.startswith((".", "/", "~")):
            raise UsageError(
                f"there is no file {place!r}; expected weights as .safetensors or .onnx. Check the path of --backbone."
            )
        path = snapshot_of(place, allow_network=allow_network)
    file = _file_in(path, place) if path.is_dir() else path
    if file.suffix.lower() not in FORMATS:
        why = "such files can run code when they are opened" if file.suffix.lower() in PICKLES else f"this is {file.suffix!r}"
        raise UsageError(
            f"{words!r} cannot be opened: expected .safetensors or .onnx, and {why}. Convert it, for example with "
            f"safetensors.torch.save_file."
        )
    name = place.rstrip("/").rpartition("/")[2] if path.is_dir() else file.stem
    metadata, parts = facts_inside(file)
    beside = facts_beside(file)
    return Weights(
        asked=words,
        name="".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name),
        files=tuple(_digested(each) for each in (file, *parts)),
        licences=tuple(licences_of(file, inside=metadata, beside=beside)),
        facts={**beside, **metadata},
        part=part,
    )


def _file_in(folder: Path, asked: str) -> Path:
    """The one file of weights in a folder."""
    for name in IN_A_FOLDER:
        if (folder / name).is_file():
            return folder / name
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in FORMATS)
    if len(files) != 1:
        names = ", ".join(path.name for path in files[:8]) or "none"
        raise UsageError(f"{asked!r} holds {len(files)} files of weights ({names}); expected one. Name the file itself.")
    return files[0]


def _digested(path: Path) -> WeightFile:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return WeightFile(path=str(path), n_bytes=path.stat().st_size, sha256=digest)
