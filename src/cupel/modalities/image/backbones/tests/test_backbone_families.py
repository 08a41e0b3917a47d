"""What starts from a backbone keeps the promises of every family."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from cupel.checks import FAMILY_CHECKS, Bench, bench_for
from cupel.core.task import ROW_KINDS, TaskKind
from cupel.modalities.image.backbones import pretrained
from cupel.modalities.image.backbones.tests.making_backbones import cupel_file, found, onnx_file
from cupel.modalities.image.example import example_pictures

KINDS = sorted(ROW_KINDS)
PLACES = {"probe": 0, "head": 1, "tuned": 2, "boosted": -1}


@cache
def family_of(method: str) -> Any:
    folder = Path(mkdtemp())
    path = (
        cupel_file(folder / "own.safetensors")
        if method == "tuned"
        else onnx_file(folder / "tiny.onnx", width=64, mean="[0.5]", std="[0.5]")
    )
    return pretrained([found(path)]).families[PLACES[method]]


def cases() -> Iterator[Any]:
    for number, method in enumerate(PLACES):
        for kind in KINDS:
            is_fast = method != "tuned" and kind is KINDS[number % 3]
            yield pytest.param(method, kind, id=f"{method}-{kind.value}", marks=() if is_fast else pytest.mark.slow)


@cache
def bench_of(method: str, kind: TaskKind) -> Bench:
    return bench_for(family_of(method), kind, dataset=example_pictures(kind))


@pytest.mark.parametrize("check", FAMILY_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(("method", "kind"), list(cases()))
def test_what_starts_from_a_backbone_keeps_every_promise(method: str, kind: TaskKind, check: Callable[[Bench], None]) -> None:
    check(bench_of(method, kind))


def test_names_tell_the_method_and_the_backbone() -> None:
    assert {method: family_of(method).name for method in PLACES} == {
        "probe": "probe:tiny",
        "head": "head:tiny",
        "tuned": "tuned:own",
        "boosted": "boosted:tiny",
    }
