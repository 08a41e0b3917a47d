from __future__ import annotations

import base64
import csv
import dataclasses
import functools
import hashlib
import io
import json
import re
import time
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cupel.core.stopwatch import Spent
from cupel.core.task import ROW_KINDS, TaskKind
from cupel.core.trial import Ensemble, Status
from cupel.verdict import Exhibits, is_own_page, judge, leaderboard_csv, measures, model_card, report_page
from cupel.verdict.candidates import curves_section
from cupel.verdict.leaderboard import COLUMNS
from cupel.verdict.materials import method_section
from cupel.verdict.tests.verdict_examples import (
    always,
    constant_predictions,
    failed_trial,
    make_dataset,
    make_ensemble,
    make_findings,
    make_profile,
    make_splits,
    make_trial,
    make_trials,
)

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>$style"
VOID = {"meta", "link", "br", "img", "input", "hr"}


def single(trial: Any) -> Ensemble:
    return Ensemble(name=trial.candidate.name, members=(trial,), weights=(1.0,), out_of_fold=trial.out_of_fold)


@functools.cache
def example(kind: TaskKind, *, n_rows: int = 200, n_candidates: int = 6, n_classes: int = 4, **options: Any) -> Any:
    dataset = make_dataset(kind, n_rows=n_rows, n_classes=n_classes, **options)
    splits = make_splits(dataset)
    trials = make_trials(dataset, splits, n_candidates=n_candidates)
    ensemble = make_ensemble(trials)
    select = always(trials, ensemble)
    verdict = judge(trials, ensemble, dataset=dataset, splits=splits, findings=make_findings(), select=select, leader=ensemble)
    drops = [SimpleNamespace(name=c.name, drop=0.1, low=0.05, high=0.15) for c in dataset.schema.features]
    verdict = dataclasses.replace(verdict, **measures(ensemble.out_of_fold, dataset=dataset, splits=splits))
    return dataset, trials, ensemble, verdict.completed(spent=Spent(seconds=12.0, n_parts=1), importance=drops)


def page_of(found: Any, **options: Any) -> str:
    dataset, trials, ensemble, verdict = found
    return report_page(
        verdict,
        trials=trials,
        pick=ensemble,
        dataset=dataset,
        profile=make_profile(dataset),
        **options,
    )


class Elements(HTMLParser):
    """Checks that elements close in order, and collects their names, attributes and text of scripts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data


def parsed(page: str) -> Elements:
    elements = Elements()
    elements.feed(page)
    elements.close()
    assert elements.open == []
    return elements


@pytest.mark.parametrize("kind", sorted(ROW_KINDS))
def test_the_page_is_whole_and_needs_nothing_else(kind: TaskKind) -> None:
    exhibits = Exhibits(timeline=[(1.0, "a", 0.6), (2.0, "b", 0.7), (4.0, "c", 0.65)])
    page = page_of(example(kind), exhibits=exhibits)
    elements = parsed(page)
    for _, attributes in elements.found:
        assert "src" not in attributes
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in page
    assert "@import" not in page
    assert is_own_page(page)
    anchors = {attributes["href"] for tag, attributes in elements.found if tag == "a"}
    names = {f"#{attributes['id']}" for tag, attributes in elements.found if tag == "section"}
    assert anchors == names


def test_of_networks_that_nothing_stopped_no_such_line_is_drawn() -> None:
    _, trials, _, verdict = example(TaskKind.BINARY)
    assert "Without a blue line" not in curves_section(verdict, trials).html
    learned_all = []
    for trial in trials:
        units = [dataclasses.replace(unit, curve={**unit.curve, "stop_loss": []}) for unit in trial.units]
        learned_all.append(dataclasses.replace(trial, units=tuple(units)))
    section = curves_section(verdict, learned_all)
    assert "Without a blue line" in section.html
    assert "NaN" not in json.dumps(dict(section.data))
    assert all("train_loss" in told and "stop_loss" not in told for told in section.data["learning"].values())


@pytest.mark.parametrize("kind", sorted(ROW_KINDS))
def test_each_picture_has_its_numbers_in_the_page(kind: TaskKind) -> None:
    elements = parsed(page_of(example(kind)))
    ids = [a["id"] for tag, a in elements.found if tag == "script" and a.get("type") == "application/json"]
    blocks = dict(zip(ids, [json.loads(text) for text in elements.scripts[: len(ids)]], strict=True))
    assert {"data-leaderboard", "data-importance", "data-columns", "data-verdict", "data-learning"} <= set(blocks)
    assert blocks["data-verdict"]["metric"] == example(kind)[3].task.metric
    assert ("data-labels" in blocks) == (kind is TaskKind.MULTILABEL)
    assert ("data-residuals" in blocks) == (kind is TaskKind.REGRESSION)
    assert ("data-threshold" in blocks) == (kind is TaskKind.BINARY)


def test_answers_by_a_threshold_are_shown_by_it() -> None:
    dataset, trials, ensemble, verdict = example(TaskKind.BINARY)
    promises = {**verdict.promises, "decision": {"threshold": 0.3, "is_learned": True}, "shown_threshold": 0.1}
    often = page_of((dataset, trials, ensemble, dataclasses.replace(verdict, promises=promises)))
    elements = parsed(often)
    ids = [a["id"] for tag, a in elements.found if tag == "script" and a.get("type") == "application/json"]
    blocks = dict(zip(ids, [json.loads(text) for text in elements.scripts[: len(ids)]], strict=True))
    yes = ensemble.out_of_fold[dataset.target == 1, 1] > 0.1
    assert blocks["data-confusion"]["matrix"][1] == [int((~yes).sum()), int(yes.sum())]
    assert "yes being said above a probability of 0.1" in often
    assert 'value="10"' in often
    assert "Answers are yes above a probability of 0.1000." in often
    assert "What is packed was fitted on all rows and says yes above a probability of 0.3000." in often


@pytest.mark.parametrize("is_learned", [False, True])
def test_a_threshold_that_was_learned_from_the_rows_that_judge_it_is_told(*, is_learned: bool) -> None:
    dataset, trials, ensemble, verdict = example(TaskKind.BINARY)
    promises = {"decision": {"threshold": 0.1, "is_learned": is_learned}, "shown_threshold": 0.1}
    told = dataclasses.replace(verdict, promises=promises)
    packed = {"estimate": 0.4, "low": 0.3, "high": 0.5, "corrected": 0.0, "decided": -0.2}
    assert verdict.expected == verdict.pick.score
    assert dataclasses.replace(verdict, promises={"packed": packed}).expected.estimate == 0.4
    for shown in (page_of((dataset, trials, ensemble, told)), model_card(told, dataset)):
        assert "Answers are yes above a probability of 0.1000." in shown
        assert ("learned from the same rows" in shown) == is_learned
        assert "What is packed was fitted" not in shown
    assert "Answers are yes" not in model_card(verdict, dataset)


def test_a_card_says_what_to_expect_of_what_is_packed_and_what_it_promises() -> None:
    dataset, _, _, verdict = example(TaskKind.BINARY)
    packed = {"estimate": 0.4, "low": 0.3, "high": 0.5, "corrected": 0.0, "decided": -0.2}
    card = model_card(
        dataclasses.replace(verdict, promises={"packed": packed, "words": ["On 30 sealed rows it scores 0.41."]}), dataset
    )
    assert "Expect 0.40 (95% interval 0.30 to 0.50) of what is packed." in card
    assert "On 30 sealed rows it scores 0.41." in card
    assert "value: 0.4\n" in card


def test_the_policy_allows_this_style_and_script_alone() -> None:
    page = page_of(example(TaskKind.BINARY))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert "unsafe" not in policy[1]
    for tag in ("style", "script"):
        inline = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert inline is not None
        digest = base64.b64encode(hashlib.sha256(inline[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy[1]


@pytest.mark.parametrize("kind", sorted(ROW_KINDS))
def test_hostile_names_and_values_stay_text(kind: TaskKind) -> None:
    classes = () if kind is TaskKind.REGRESSION else (f"a{HOSTILE}", f"b{HOSTILE}", "c")[: 2 if kind is TaskKind.BINARY else 3]
    dataset, trials, ensemble, verdict = example(kind, name=HOSTILE, classes=classes)
    finding = dataclasses.replace(make_findings()[0], where=HOSTILE, what=HOSTILE, action=HOSTILE)
    named = [
        dataclasses.replace(t, candidate=dataclasses.replace(t.candidate, name=HOSTILE), reason=HOSTILE) if n > 4 else t
        for n, t in enumerate(trials)
    ]
    rows = tuple({**row, "name": HOSTILE, "reason": HOSTILE} if row["score"] is None else row for row in verdict.leaderboard)
    verdict = dataclasses.replace(verdict, findings=(finding,), leaderboard=rows, splits={"scheme": HOSTILE, "reason": HOSTILE})
    elements = parsed(page_of((dataset, named, ensemble, verdict)))
    assert not [tag for tag, _ in elements.found if tag == "img"]
    runnable = [a for tag, a in elements.found if tag == "script" and a.get("type") != "application/json"]
    assert len(runnable) == 1
    card = model_card(verdict, dataset)
    assert "<script>" not in card
    assert "<img" not in card


def test_a_run_in_which_all_but_the_constant_failed_still_gives_a_page() -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=100)
    splits = make_splits(dataset)
    trials = [make_trial("constant", "constant", constant_predictions(dataset), splits), failed_trial("net", "mlp")]
    verdict = judge(trials, None, dataset=dataset, splits=splits, findings=(), select=lambda rows: np.array([1.0]))
    page = page_of((dataset, trials, single(trials[0]), verdict))
    parsed(page)
    assert "Nothing here predicts" in page
    assert "it ran out of memory" in page


@pytest.mark.parametrize("kind", sorted(ROW_KINDS))
def test_a_holdout_with_rows_without_predictions_is_reported(kind: TaskKind) -> None:
    dataset = make_dataset(kind, n_rows=150, n_classes=3)
    splits = make_splits(dataset, holdout=True)
    trials = make_trials(dataset, splits, n_candidates=4)
    verdict = judge(trials, None, dataset=dataset, splits=splits, findings=(), select=lambda rows: np.eye(3)[1])
    picked = single(next(trial for trial in trials if trial.candidate.name == verdict.pick.name))
    verdict = dataclasses.replace(verdict, **measures(picked.out_of_fold, dataset=dataset, splits=splits))
    parsed(page_of((dataset, trials, picked, verdict)))


def test_many_classes_are_drawn() -> None:
    parsed(page_of(example(TaskKind.MULTICLASS, n_rows=400, n_classes=40)))


def test_a_hundred_candidates_stay_under_one_and_a_half_megabytes() -> None:
    dataset, trials, ensemble, verdict = example(TaskKind.BINARY)
    copies = [
        dataclasses.replace(t, candidate=dataclasses.replace(t.candidate, name=f"{t.candidate.name} {n}"))
        for n in range(20)
        for t in trials[:5]
    ]
    rows = [{**verdict.leaderboard[0], "name": trial.candidate.name} for trial in copies]
    verdict = dataclasses.replace(verdict, leaderboard=tuple(rows), n_candidates=100)
    page = page_of((dataset, copies, ensemble, verdict))
    assert len(page.encode()) < 1_500_000


def test_the_same_run_gives_the_same_page() -> None:
    pages = [page_of((d, t, e, dataclasses.replace(v, machine={}))) for d, t, e, v in [example(TaskKind.BINARY)] * 2]
    assert pages[0] == pages[1]


def test_who_gave_no_score_is_told_with_reason_remedy_and_cost() -> None:
    dataset, trials, ensemble, _ = example(TaskKind.BINARY)
    failed = dataclasses.replace(trials[-1], lost_seconds=83.0)
    reason = "it needs about 200 s and 9 s were left; give the run more time with --time."
    never = dataclasses.replace(failed_trial("late", "MLP", reason), status=Status.SKIPPED, estimated_seconds=200.0)
    verdict = judge(
        (*trials[:-1], failed, never),
        ensemble,
        dataset=dataset,
        splits=make_splits(dataset),
        findings=(),
        select=always(trials, ensemble),
        leader=ensemble,
    )
    board = page_of((dataset, trials, ensemble, verdict)).partition('id="leaderboard"')[2].partition("</section>")[0]
    gone = [re.sub(r"<[^>]+>", " ", line).split() for line in re.findall(r'<tr class="gone">.*?</tr>', board)]
    assert " ".join(gone[0]).endswith(f"failed {failed.reason} 1 min 23 s")
    assert " ".join(gone[1]).endswith(f"skipped {reason} 0 of about 3 min 20 s")
    read = {row["name"]: row for row in csv.DictReader(io.StringIO(leaderboard_csv(verdict.leaderboard)))}
    assert read[failed.candidate.name]["fit_seconds"] == "83.0"
    assert (read["late"]["fit_seconds"], read["late"]["estimated_seconds"]) == ("0.0", "200.0")


def test_every_line_of_the_leaderboard_is_as_wide_as_its_head() -> None:
    """Else sorting by a column finds no cell there."""
    board = page_of(example(TaskKind.BINARY)).partition('id="leaderboard"')[2].partition("</section>")[0]
    spans = [
        sum(int(span or 1) for span in re.findall(r'<t[dh](?: colspan="(\d+)"|[ >])', line))
        for line in re.findall(r"<tr.*?</tr>", board)
    ]
    assert set(spans) == {11}


def test_leaderboard_has_all_candidates_best_first_and_failures_last() -> None:
    _, trials, _, verdict = example(TaskKind.REGRESSION)
    rows = verdict.leaderboard
    assert len(rows) == len(trials)
    assert all(tuple(row) == COLUMNS for row in rows)
    scores = [row["score"] for row in rows if row["score"] is not None]
    assert scores == sorted(scores)
    assert rows[-1]["status"] == "failed"
    assert rows[-1]["reason"]


def test_csv_reads_back_and_no_cell_is_a_formula() -> None:
    _, _, _, verdict = example(TaskKind.BINARY)
    rows = [*verdict.leaderboard, {**verdict.leaderboard[-1], "name": '=HYPERLINK("x"),y', "reason": "-2+3\nnew line"}]
    read = list(csv.DictReader(io.StringIO(leaderboard_csv(rows))))
    assert [*read[0]] == list(COLUMNS)
    assert read[-1]["name"] == '\'=HYPERLINK("x"),y'
    assert read[-1]["reason"] == "'-2+3 new line"
    assert read[-1]["score"] == ""
    assert float(read[0]["score"]) == pytest.approx(rows[0]["score"])


@pytest.mark.parametrize("kind", sorted(ROW_KINDS))
def test_the_card_has_its_headings_and_leaves_to_people_what_only_they_know(kind: TaskKind) -> None:
    dataset, _, _, verdict = example(kind)
    card = model_card(verdict, dataset)
    for heading in ("Model Details", "Uses", "Bias, Risks, and Limitations", "Training Details", "Evaluation", "Citation"):
        assert f"## {heading}\n" in card
    assert "not given" in card
    assert card.startswith("---\nlibrary_name: cupel\n")
    assert "income" in card


@pytest.mark.slow
def test_twenty_candidates_on_twenty_thousand_rows_stay_under_fifteen_processor_seconds() -> None:
    started = time.process_time()  # others on the same cores slow this down too
    page_of(example(TaskKind.BINARY, n_rows=20_000, n_candidates=20))
    assert time.process_time() - started < 15


def test_judged_rows_of_a_single_class_give_a_page_without_the_metric() -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=100)
    assert dataset.target is not None
    dataset = dataclasses.replace(dataset, target=np.where(np.arange(100) % 5 == 0, 0, dataset.target))
    splits = make_splits(dataset, holdout=True)
    trials = make_trials(dataset, splits, n_candidates=4)
    verdict = judge(trials, None, dataset=dataset, splits=splits, findings=(), select=lambda rows: np.eye(3)[1])
    assert verdict.to_json()["pick"]["score"]["estimate"] is None
    picked = next(trial for trial in trials if trial.candidate.name == verdict.pick.name)
    parsed(page_of((dataset, trials, single(picked), verdict)))
    assert "–" in str(verdict)


def test_the_method_tells_how_the_luck_of_this_choice_was_found() -> None:
    *_, verdict = example(TaskKind.BINARY)
    mixed = dataclasses.replace(verdict, pick=dataclasses.replace(verdict.pick, members=(("a", 0.5), ("b", 0.5))))
    single = dataclasses.replace(verdict, pick=dataclasses.replace(verdict.pick, members=()))
    assert "Tsamardinos" in method_section(mixed).html
    assert "Efron" not in method_section(mixed).html
    assert "Efron" in method_section(single).html
    assert "rows left out" not in method_section(single).html
