"""Names that say which pictures are of one thing are found, and names that only begin alike are not."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from cupel.core.dataset import Dataset
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import Task, TaskKind
from cupel.data.sentinel import find_hidden_leaks
from cupel.data.sentinel.picture_groups import find_picture_groups

N_THINGS, N_EACH = 40, 4
THINGS = np.repeat(np.arange(N_THINGS), N_EACH)
LABELS = np.random.default_rng(5).integers(0, 2, N_THINGS)
CLASSES = ("healthy", "ill")


def pictures(names: list[str], *, alike: bool = True, by_class: bool = False, n_channels: int = 3) -> Dataset:
    """Noise upon a ground that each thing has, each class, or each picture."""
    generator = np.random.default_rng(0)
    target = LABELS[THINGS]
    grounds = generator.integers(60, 180, (len(THINGS), n_channels))
    of = THINGS if alike else target if by_class else np.arange(len(THINGS))
    cells = np.empty(len(THINGS), dtype=object)
    for row in range(len(THINGS)):
        cells[row] = np.clip(grounds[of[row]] + generator.integers(-20, 20, (6, 5, n_channels)), 0, 255).astype(np.uint8)
    columns = (
        Column(name="photo", kind=ColumnKind.IMAGE, channels=n_channels),
        Column(name="state", kind=ColumnKind.CATEGORY, levels=CLASSES),
    )
    return Dataset(
        Schema(columns, target="state"),
        {"photo": cells, "state": target.astype(np.int32)},
        "f",
        task=Task(kind=TaskKind.BINARY, target="state", metric="roc_auc", classes=CLASSES),
        target=target,
        names={"photo": np.array(names, dtype=object)},
    )


def named(form: str) -> list[str]:
    each = np.tile(np.arange(N_EACH), N_THINGS)
    return [
        form.format(thing=thing, letter="abcd"[place], number=place, label=CLASSES[LABELS[thing]], row=row)
        for row, (thing, place) in enumerate(zip(THINGS.tolist(), each.tolist(), strict=True))
    ]


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("patient_{thing}_{letter}.png", "'patient_0'"),
        ("{label}/patient_{thing}_{letter}.png", "'patient_0'"),
        ("{label}/scan {thing:03d}/slice-{number}.png", "'scan 000'"),
        ("p{thing}left{number}.png", "'p0'"),
        ("{label}\\p{thing}{letter}.jpg", "'p0'"),
    ],
)
@pytest.mark.parametrize("n_channels", [1, 3])
def test_names_of_one_thing_ask_for_groups(form: str, shown: str, n_channels: int) -> None:
    (finding,) = find_picture_groups(pictures(named(form), n_channels=n_channels))
    assert (finding.code, finding.where, finding.fix) == ("group-leak", "photo", None)
    assert shown in finding.what
    assert "--group" in finding.action
    assert finding.probability > 0.99


@pytest.mark.parametrize("form", ["img_{row:04d}.png", "{label}/{row}.png", "{label}_{row}.png", "{row:x}.png"])
def test_names_that_number_the_pictures_ask_for_none(form: str) -> None:
    assert find_picture_groups(pictures(named(form))) == []


@pytest.mark.parametrize("by_class", [True, False])
def test_beginnings_under_which_pictures_are_no_more_alike_than_in_a_class_ask_for_none(by_class: bool) -> None:
    assert find_picture_groups(pictures(named("patient_{thing}_{letter}.png"), alike=False, by_class=by_class)) == []


def test_groups_that_were_named_are_not_asked_for_again_and_the_sentinel_tells_of_others() -> None:
    dataset = pictures(named("patient_{thing}_{letter}.png"))
    assert "group-leak" in {finding.code for finding in find_hidden_leaks(dataset, [])}
    schema: Any = dataclasses.replace(dataset.schema, group="state")
    assert find_picture_groups(dataclasses.replace(dataset, schema=schema)) == []
    nameless = dataclasses.replace(dataset, names={"photo": np.full(len(THINGS), None)})
    assert find_picture_groups(nameless) == []
