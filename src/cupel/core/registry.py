"""Finds modalities through entry points: ours exactly as a third party's."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Sequence
from importlib.metadata import entry_points

from cupel.core.errors import UsageError
from cupel.core.family import Family
from cupel.core.modality import Modality, Reader
from cupel.core.schema import Schema

GROUP = "cupel.modalities"


@functools.cache
def modalities() -> tuple[Modality, ...]:
    """Every installed modality, sorted by name."""
    found = [point.load() for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)]
    return tuple(found)


def load_families() -> threading.Thread:
    """Import what families are made of, PyTorch among it, meanwhile: reading the data waits for none of it.

    What cannot be imported is told by whoever asks for it next. The interpreter waits for it before it ends: a library that
    is half loaded then can crash.
    """

    def load() -> None:
        with contextlib.suppress(ImportError):
            for modality in modalities():
                modality.families()

    thread = threading.Thread(target=load, name="loading families")
    thread.start()
    return thread


def readers() -> tuple[Reader, ...]:
    """Readers of all modalities that have one."""
    return tuple(modality.reader for modality in modalities() if modality.reader is not None)


def recognise(schema: Schema) -> Modality:
    """The modality that fits these columns best.

    Raises:
        UsageError: none of the installed modalities can read them.
    """
    best = max(modalities(), key=lambda modality: modality.recognises(schema), default=None)
    if best is None or best.recognises(schema) <= 0:
        kinds = sorted({column.kind.value for column in schema.columns})
        raise UsageError(
            f"no installed modality can learn from these columns (kinds: {', '.join(kinds)}). "
            f"Installed are: {', '.join(m.name for m in modalities()) or 'none'}. "
            f"Install one that fits, or override column kinds."
        )
    return best if best.for_schema is None else best.for_schema(schema)


def modality_named(name: str) -> Modality:
    """The installed modality of that name.

    Raises:
        UsageError: it is not installed.
    """
    for modality in modalities():
        if modality.name == name:
            return modality
    raise UsageError(f"modality {name!r} is not installed; installed are {', '.join(m.name for m in modalities()) or 'none'}.")


def family_named(modality: Modality, name: str, *, others: Sequence[Family] = ()) -> Family:
    """The family of that name within a modality, or among `others`.

    Raises:
        UsageError: there is none; names those there are.
    """
    families = (*modality.families(), *others)
    for family in families:
        if family.name.lower() == name.lower():
            return family
    known = ", ".join(family.name for family in families)
    raise UsageError(f"there is no family {name!r} for {modality.name} data; choose from {known}.")
