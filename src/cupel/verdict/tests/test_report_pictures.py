"""The report of rows that have pictures: what is shown, that it is right, safe and small."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import numpy as np
import pytest

from cupel.core.dataset import Dataset
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import ROW_KINDS, TaskKind
from cupel.core.thumbnails import Thumbnails
from cupel.evaluation import Occlusion
from cupel.verdict import Exhibits, judge, measures, report_page, telling_rows
from cupel.verdict.examples import behind_cells
from cupel.verdict.mistakes import attention_section, mistakes_section
from cupel.verdict.tests.test_verdict_report import HOSTILE, page_of, parsed, single
from cupel.verdict.tests.verdict_examples import make_dataset, make_splits, make_trials


def with_pictures(dataset: Dataset, *, side: int = 6, names: Any = None, missing: tuple[int, ...] = ()) -> Dataset:
    """The same rows, each with a picture of its own."""
    generator = np.random.default_rng(0)
    cells = np.empty(dataset.n_samples, dtype=object)
    for row in range(dataset.n_samples):
        cells[row] = None if row in missing else generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
    column = Column(name="photo", kind=ColumnKind.IMAGE, channels=3)
    schema = Schema((column, dataset.schema[dataset.schema.target or ""]), target=dataset.schema.target)
    files = names if names is not None else [f"folder/{row:04d}.png" for row in range(dataset.n_samples)]
    columns = {"photo": cells, dataset.schema.target: dataset.columns[dataset.schema.target or ""]}
    return dataclasses.replace(dataset, schema=schema, columns=columns, names={"photo": np.array(files, dtype=object)})


def example(kind: TaskKind = TaskKind.MULTICLASS, *, n_rows: int = 200, n_classes: int = 4, side: int = 6, **options: Any) -> Any:
    table = make_dataset(kind, n_rows=n_rows, n_classes=n_classes, **options)
    splits = make_splits(table)
    trials = make_trials(table, splits, n_candidates=4)
    verdict = judge(trials, None, dataset=table, splits=splits, findings=(), select=lambda rows: np.eye(3)[1])
    dataset = with_pictures(table, side=side)
    drops = np.linspace(-0.3, 0.5, 64).reshape(8, 8)
    occlusions = [Occlusion(row, 0, 0.9, drops) for row in range(3)] if verdict.task.is_classification else []
    picked = single(next(trial for trial in trials if trial.candidate.name == verdict.pick.name))
    verdict = dataclasses.replace(verdict, **measures(picked.out_of_fold, dataset=table, splits=splits))
    return dataset, trials, picked, verdict, Exhibits(thumbnails=Thumbnails.of(dataset), occlusions=occlusions)


def written(found: Any) -> str:
    dataset, trials, picked, verdict, exhibits = found
    from cupel.verdict.tests.verdict_examples import make_profile

    tabular = make_dataset(verdict.task.kind, n_rows=dataset.n_samples)
    return report_page(
        verdict,
        trials=trials,
        pick=picked,
        dataset=dataset,
        profile=make_profile(tabular),
        exhibits=exhibits,
    )


def block(page: str, name: str) -> Any:
    found = re.search(rf'<script type="application/json" id="data-{name}">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


@pytest.mark.parametrize("kind", sorted(ROW_KINDS))
def test_the_page_shows_pictures_and_needs_nothing_else(kind: TaskKind) -> None:
    found = example(kind)
    page = written(found)
    elements = parsed(page)
    sources = [attributes["src"] for tag, attributes in elements.found if tag == "img"]
    sources += [attributes["href"] for tag, attributes in elements.found if tag == "image"]
    assert len(sources) > 5
    assert all(source is not None and source.startswith("data:image/") for source in sources)
    assert not any("style" in attributes for _, attributes in elements.found)
    assert "img-src data:;" in page
    assert ('id="attention"' in page) == found[3].task.is_classification
    assert "folder/0" in page


def test_the_pictures_behind_a_cell_are_of_its_rows() -> None:
    dataset, _, picked, verdict, exhibits = example()
    rows = np.arange(dataset.n_samples)
    said, chosen = picked.out_of_fold, picked.out_of_fold.argmax(axis=1)
    behind = behind_cells(verdict.task, dataset.target, said, chosen=chosen, rows=rows, thumbnails=exhibits.thumbnails)
    places = {exhibits.thumbnails.name(row): row for row in rows.tolist()}
    for cell, shown in behind.items():
        truth, said = (int(klass) for klass in cell.split(","))
        for item in shown:
            row = places[item["name"]]
            assert (dataset.target[row], chosen[row]) == (truth, said)
            assert item["url"] == exhibits.thumbnails(row)
            assert item["said"].startswith(verdict.task.classes[said])
    for truth, said in zip(dataset.target.tolist(), chosen.tolist(), strict=True):
        assert 1 <= len(behind[f"{truth},{said}"]) <= 8


def test_rows_are_named_rightly_where_some_were_not_judged() -> None:
    dataset, trials, picked, verdict, exhibits = example()
    out_of_fold = picked.out_of_fold.copy()
    out_of_fold[:40] = np.nan
    wrong = 57
    out_of_fold[wrong] = 1e-6
    out_of_fold[wrong, (dataset.target[wrong] + 1) % 4] = 1 - 3e-6
    picked = dataclasses.replace(picked, out_of_fold=out_of_fold)
    page = written((dataset, trials, picked, verdict, exhibits))
    assert block(page, "labels")[0]["name"] == "folder/0057.png"
    first = page.index("Sure and wrong")
    assert page.index("folder/0057.png", first) < page.index("folder/01", first)
    assert not re.search(r"folder/00[0-3]\d\.png", json.dumps(block(page, "examples")))


def test_a_planted_wrong_label_heads_the_list() -> None:
    dataset, _, picked, verdict, exhibits = example(n_rows=400)
    target, given = dataset.target.copy(), picked.out_of_fold.copy()
    given[:] = 0.04
    given[np.arange(400), target] = 0.88
    target[123] = (target[123] + 1) % 4
    section = mistakes_section(verdict.task, target, given, rows=np.arange(400), thumbnails=exhibits.thumbnails)
    assert section is not None
    assert [item["name"] for item in section.data["labels"]] == ["folder/0123.png"]
    assert section.data["labels"][0]["suggested"] == verdict.task.classes[dataset.target[123]]


def test_mistakes_are_those_of_the_answers_that_are_given() -> None:
    dataset, _, _, _, exhibits = example(n_rows=400, n_classes=2, kind=TaskKind.BINARY)
    target, said = np.zeros(400, np.int64), np.full(400, 0.1)
    said[7] = 0.3
    how = {"rows": np.arange(400), "thumbnails": exhibits.thumbnails}
    told = [
        mistakes_section(dataset.task, target, np.stack([1 - said, said], axis=1), **how, yes_from=yes_from)
        for yes_from in (None, 0.2)
    ]
    assert "No row that was judged is answered wrongly" in told[0].html
    assert "1 row of 400 is answered wrongly" in told[1].html


def test_hostile_file_and_class_names_stay_text() -> None:
    found = example(classes=(f"a{HOSTILE}", f"b{HOSTILE}", "c"), n_classes=3)
    dataset = with_pictures(found[0], names=[f'"><script>alert({row})</script>' for row in range(found[0].n_samples)])
    exhibits = dataclasses.replace(found[4], thumbnails=Thumbnails.of(dataset))
    page = written((dataset, *found[1:4], exhibits))
    elements = parsed(page)
    runnable = [a for tag, a in elements.found if tag == "script" and a.get("type") != "application/json"]
    assert len(runnable) == 1
    assert not any(name.startswith("on") for _, attributes in elements.found for name in attributes)
    assert all((a["src"] or "").startswith("data:image/") for tag, a in elements.found if tag == "img")


def test_large_noisy_pictures_of_many_classes_stay_under_three_megabytes() -> None:
    page = written(example(n_rows=800, n_classes=20, side=90))
    assert len(page.encode()) < 3_000_000


def test_missing_pictures_are_passed_over() -> None:
    found = example()
    dataset = with_pictures(found[0], missing=tuple(range(0, 200, 2)))
    exhibits = dataclasses.replace(found[4], thumbnails=Thumbnails.of(dataset))
    page = written((dataset, *found[1:4], exhibits))
    parsed(page)
    shown = [item["name"] for items in block(page, "examples").values() for item in items]
    assert shown
    assert all(int(name[-5]) % 2 for name in shown)


def test_tables_have_neither_section_nor_examples() -> None:
    dataset = make_dataset(TaskKind.MULTICLASS, n_rows=100, n_classes=3)
    splits = make_splits(dataset)
    trials = make_trials(dataset, splits, n_candidates=3)
    verdict = judge(trials, None, dataset=dataset, splits=splits, findings=(), select=lambda rows: np.eye(2)[1])
    page = page_of((dataset, trials, single(trials[1]), verdict))
    assert 'data-examples"' not in page.replace('getElementById("data-examples")', "")
    assert 'id="mistakes"' not in page
    assert "Class by class" in page


def test_telling_rows_are_mistakes_and_right_answers_of_many_classes() -> None:
    generator = np.random.default_rng(0)
    target = generator.integers(0, 5, 300)
    predictions = generator.dirichlet(np.ones(5), 300)
    predictions[::3] = np.nan
    rows = telling_rows(target, predictions, n_each=4)
    is_right = predictions[rows].argmax(axis=1) == target[rows]
    assert is_right.tolist() == [False, True] * 4
    assert np.isfinite(predictions[rows]).all()
    assert len(set(predictions[rows[::2]].argmax(axis=1).tolist())) == 4
    assert telling_rows(target, np.full((300, 5), np.nan)) == []


def test_depth_is_relative_to_the_largest_change_and_faint_ones_are_left_out() -> None:
    dataset, _, _, verdict, exhibits = example()
    drops = np.zeros((8, 8))
    drops[0, 0], drops[7, 7], drops[3, 3] = 0.4, -0.2, 0.01
    exhibits = dataclasses.replace(exhibits, occlusions=[Occlusion(0, 1, 0.9, drops), Occlusion(1, 1, 0.9, np.zeros((8, 8)))])
    section = attention_section(verdict.task, dataset.target, exhibits=exhibits)
    assert section is not None
    assert section.html.count("<rect") == 2
    assert 'class="area wrong" x="0" y="0"' in section.html
    assert "falls by 0.40" in section.html
    assert "rises by 0.20" in section.html
    assert section.html.count("no single part matters") == 1
