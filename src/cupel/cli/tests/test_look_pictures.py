"""What `cupel look` shows of a folder of pictures."""

from __future__ import annotations

import argparse
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cupel.cli import look
from cupel.cli.look_page import page_of
from cupel.core.settings import Settings

HOSTILE = "<img src=x onerror=alert(1)>"


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))


def save(folder: Path, name: str, *, seed: int, contrast: float = 1.0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rough = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(rough).resize((20, 20), Image.Resampling.BICUBIC))
    Image.fromarray((smooth * contrast).astype(np.uint8)).save(folder / name)


def make_folder(root: Path, *, classes: tuple[str, ...] = ("cat", "dog"), n_each: int = 25) -> Path:
    for number, label in enumerate(classes):
        for seed in range(n_each):
            save(root / label, f"{seed}.png", seed=1000 * number + seed)
    return root


def looked(folder: Path) -> look.Look:
    return look.look(str(folder), None, settings=Settings())


def images_of(page: str) -> list[dict[str, str | None]]:
    elements = Elements()
    elements.feed(page)
    return [attributes for tag, attributes in elements.found if tag == "img"]


def test_sizes_brightness_and_copies_are_told_and_pictures_shown(tmp_path: Path, capsys: Any) -> None:
    folder = make_folder(tmp_path / "pets")
    save(folder / "cat", "again.png", seed=3)
    parser = argparse.ArgumentParser()
    look.add_arguments(parser)
    arguments = parser.parse_args([str(folder), "--html", str(tmp_path / "page.html")])
    assert arguments.run(arguments) == 0
    told = capsys.readouterr().out
    for words in (
        "all 20 x 20",
        "51, coloured",
        "of 255",
        "2 pictures equal another",
        "cat/3.png = cat/again.png",
        "2 rows that",
    ):
        assert words in " ".join(told.split()), words
    page = (tmp_path / "page.html").read_text()
    images = images_of(page)
    assert len(images) == 24
    assert all((image["src"] or "").startswith("data:image/") for image in images)
    assert {(image["alt"] or "").split("/")[0] for image in images} == {"cat", "dog"}
    assert "img-src data:;" in page


def test_machines_are_told_too(tmp_path: Path) -> None:
    found = looked(make_folder(tmp_path))
    assert json.loads(json.dumps(found.to_json()))["facts"]["sizes"] == "all 20 x 20"


def test_copies_are_not_divided_between_folds(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    for seed in range(20):
        save(folder / "cat", f"near {seed}.png", seed=seed, contrast=0.9)
    found = looked(folder)
    assert found.splits is not None
    names = found.dataset.names["picture"].tolist()
    for fold in found.splits.folds:
        judged = {names[row] for row in fold.valid.tolist()}
        for seed in range(20):
            assert (f"cat/{seed}.png" in judged) == (f"cat/near {seed}.png" in judged)


def test_hostile_names_do_nothing(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, classes=("cat", HOSTILE), n_each=12)
    save(folder / "cat", f'"{HOSTILE}.png', seed=77)
    page = page_of(looked(folder))
    images = images_of(page)
    assert all((image["src"] or "").startswith("data:image/") for image in images)
    assert not any("onerror" in image for image in images)
    assert "&lt;img src=x" in page
    assert "<script" not in page


def test_many_classes_of_noise_stay_under_two_megabytes(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    columns = {"photo": np.empty(600, dtype=object), "kind": np.array([f"class {row % 60}" for row in range(600)], dtype=object)}
    for row in range(600):
        columns["photo"][row] = generator.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    page = page_of(look.look(columns, "kind", settings=Settings()))
    assert len(page.encode()) < 2_000_000
    assert len(images_of(page)) > 200
    assert re.search(r"… \d+ more classes|class 59", page)


@pytest.mark.parametrize("target", [None, "x"])
def test_without_classes_there_is_one_sheet(target: str | None) -> None:
    generator = np.random.default_rng(0)
    columns = {"photo": np.empty(60, dtype=object), "x": generator.normal(size=60)}
    for row in range(60):
        columns["photo"][row] = generator.integers(0, 256, (9, 9, 1), dtype=np.uint8)
    page = page_of(look.look(columns, target, settings=Settings()))
    assert len(images_of(page)) == 48
    assert page.count('class="sheet"') == 1


def test_new_pictures_are_compared_with_the_old(tmp_path: Path) -> None:
    folder, new = make_folder(tmp_path / "old"), tmp_path / "new"
    for seed in range(50):
        save(new, f"{seed}.png", seed=5000 + seed, contrast=0.4)
    found = look.look(str(folder), None, settings=Settings(), against=str(new)).findings
    assert "picture: brightness" in {finding.where for finding in found if finding.code == "shifted-column"}
