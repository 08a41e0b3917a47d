from __future__ import annotations

import dataclasses
import functools
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cupel import evaluation
from cupel.core.errors import DataError
from cupel.core.stopwatch import Spent
from cupel.core.task import ROW_KINDS, TaskKind
from cupel.core.trial import Ensemble, Status
from cupel.verdict import Verdict, judge, measures
from cupel.verdict.court import Select, open_court, predictions_by
from cupel.verdict.judge import _champions, _margin, _simplest
from cupel.verdict.label_evidence import labels_section
from cupel.verdict.tests.verdict_examples import (
    always,
    constant_predictions,
    failed_trial,
    make_dataset,
    make_ensemble,
    make_findings,
    make_splits,
    make_trial,
    make_trials,
    predictions,
)
from cupel.verdict.verdict import Contender, Score
from cupel.verdict.words import margin_words

NAMES = {
    *("metric", "higher_is_better", "pick", "best_single", "ensemble", "best_classical", "constant", "naive_score", "optimism"),
    *("tied", "findings", "failures", "n_candidates", "seconds", "latency_ms", "bytes"),
}
KINDS = (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.REGRESSION)


@functools.cache
def verdict_on(kind: TaskKind, *, n_rows: int = 200, with_ensemble: bool = True, **options: object) -> Verdict:
    dataset = make_dataset(kind, n_rows=n_rows, n_classes=4)
    splits = make_splits(dataset)
    trials = make_trials(dataset, splits, n_candidates=6, **options)
    ensemble = make_ensemble(trials)
    return judge(
        trials,
        ensemble if with_ensemble else None,
        dataset=dataset,
        splits=splits,
        findings=make_findings(),
        select=always(trials, ensemble),
    )


def test_an_ensemble_is_told_with_its_gain_over_the_best_single_and_what_that_costs() -> None:
    verdict = verdict_on(TaskKind.BINARY)
    margin, single, mixed = verdict.margin_over_single, verdict.best_single, verdict.ensemble
    assert margin is not None
    assert mixed is not None
    assert margin.against == single.name
    assert margin.estimate == pytest.approx(mixed.score.estimate - single.score.estimate)
    assert f"over {single.name} alone" in " ".join(str(verdict).split())
    assert "times slower" in str(verdict) or mixed.latency_one < 1.5 * single.latency_one
    assert verdict_on(TaskKind.BINARY, with_ensemble=False).margin_over_single is None


def test_an_ensemble_that_is_not_packed_is_not_flattered_by_what_choosing_took_off_the_single() -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=200, n_classes=4)
    splits = make_splits(dataset)
    trials = make_trials(dataset, splits, n_candidates=6)
    ensemble = make_ensemble(trials)
    name = verdict_on(TaskKind.BINARY).best_single.name
    best = next(trial for trial in trials if trial.candidate.name == name)
    assert best.out_of_fold is not None
    pick = Ensemble(name=name, members=(best,), weights=(1.0,), out_of_fold=best.out_of_fold)
    select = always(trials, ensemble)
    verdict = judge(trials, ensemble, dataset=dataset, splits=splits, findings=make_findings(), select=select, leader=pick)
    single, mixed, margin = verdict.best_single, verdict.ensemble, verdict.margin_over_single
    assert mixed is not None
    assert margin is not None
    assert single.score.estimate < single.measured
    assert margin.estimate == pytest.approx(mixed.measured - single.measured)


@pytest.mark.parametrize("kind", KINDS)
def test_json_has_the_names_that_machines_read(kind: TaskKind) -> None:
    facts = json.loads(json.dumps(verdict_on(kind).completed(spent=Spent(seconds=3.0, n_parts=1)).to_json(), allow_nan=False))
    assert set(facts) >= NAMES
    for contender in ("pick", "best_single", "ensemble", "best_classical", "constant"):
        assert {"name", "family", "score"} <= set(facts[contender])
        assert set(facts[contender]["score"]) == {"estimate", "low", "high"}
    assert set(facts["latency_ms"]) == {"one", "thousand"}
    assert facts["failures"][0]["reason"].startswith("it ran out of memory")
    assert facts["words"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_run_gives_the_same_words_and_numbers(kind: TaskKind) -> None:
    first, second = verdict_on(kind), verdict_on.__wrapped__(kind)
    assert str(first) == str(second)
    first_facts, second_facts = first.to_json(), second.to_json()
    for facts in (first_facts, second_facts):
        facts.pop("machine")
    assert first_facts == second_facts


def test_of_a_run_that_was_gone_on_with_all_its_time_is_told_and_in_how_many_parts() -> None:
    verdict = verdict_on(TaskKind.BINARY)
    words = [" ".join(str(verdict.completed(spent=Spent(seconds=190.0, n_parts=n))).split()) for n in (1, 3)]
    assert "the whole run took 3 min 10 s." in words[0]
    assert "the whole run took 3 min 10 s in 3 parts." in words[1]
    assert verdict.completed(spent=Spent(seconds=190.0, n_parts=3)).to_json()["n_parts"] == 3


@pytest.mark.parametrize("kind", KINDS)
def test_words_fit_a_terminal(kind: TaskKind) -> None:
    lines = str(verdict_on(kind).completed(spent=Spent(seconds=61.0, n_parts=1))).splitlines()
    assert len(lines) <= 25
    assert max(len(line) for line in lines) <= 92


@pytest.mark.parametrize("kind", KINDS)
def test_margins_agree_with_the_scores_shown(kind: TaskKind) -> None:
    verdict = verdict_on(kind)
    sign = 1 if verdict.higher_is_better else -1
    assert verdict.margin_over_constant is not None
    assert verdict.constant is not None
    difference = sign * (verdict.pick.score.estimate - verdict.constant.score.estimate)
    assert verdict.margin_over_constant.estimate == pytest.approx(difference)
    assert verdict.margin_over_constant.is_significant


@pytest.mark.parametrize("kind", KINDS)
def test_the_reported_score_never_looks_better_than_the_measured_one(kind: TaskKind) -> None:
    verdict = verdict_on(kind, with_ensemble=False, step=0.0)
    sign = 1 if verdict.higher_is_better else -1
    assert sign * verdict.pick.score.estimate <= sign * verdict.naive_score
    assert verdict.optimism >= 0


def test_luck_of_choosing_among_equals_is_taken_off() -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=200)
    splits = make_splits(dataset)
    trials = [make_trial(f"guess {n}", "mlp", predictions(dataset, skill=0.0, seed=n), splits, is_deep=True) for n in range(20)]
    verdict = judge(trials, None, dataset=dataset, splits=splits, findings=(), select=lambda rows: np.full(20, 1 / 20))
    assert verdict.optimism > 0.01
    assert "luck of choosing" in str(verdict)


def test_equal_candidates_are_tied_and_the_faster_is_named() -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=300)
    splits = make_splits(dataset)
    answer = predictions(dataset, skill=0.5, seed=1)
    slow = make_trial("slow", "mlp", answer, splits, is_deep=True)
    quick = dataclasses.replace(make_trial("quick", "linear", answer, splits), latency_ms={"one": 0.001, "thousand": 0.1})
    verdict = judge([slow, quick], None, dataset=dataset, splits=splits, findings=(), select=lambda rows: np.array([1.0, 0.0]))
    assert verdict.tied == ("quick",)
    assert verdict.simplest is not None
    assert verdict.simplest.name == "quick"
    assert "times faster" in str(verdict)
    assert "tie" in verdict.worth_it


@pytest.mark.parametrize(
    ("pick", "others", "simplest"),
    [
        ((9.0, 900), {"small": (1.0, 10), "fast": (0.5, 90)}, "small"),  # the smallest, though another is measured faster
        ((9.0, 900), {"small but slow": (90.0, 10), "middling": (8.0, 90)}, "middling"),
        ((9.0, 900), {"small but slow": (90.0, 10)}, "pick"),
        ((9.0, 900), {"much the same": (8.0, 800)}, "pick"),
        ((9.0, 900), {"as large, and fast": (1.0, 900)}, "as large, and fast"),
        ((9.0, 900), {"fast and larger": (1.0, 9000)}, "pick"),
        ((float("nan"), 900), {"small": (float("nan"), 10), "smaller": (float("nan"), 9)}, "smaller"),
    ],
)
def test_simpler_is_the_smallest_of_the_tied_that_costs_nothing_else(
    pick: tuple[float, int], others: dict[str, tuple[float, int]], simplest: str
) -> None:
    def contender(name: str, cost: tuple[float, int]) -> Contender:
        score, (latency, n_bytes) = Score(estimate=0.8, low=0.7, high=0.9), cost
        latencies = {"one": latency}
        return Contender(
            name=name, family="f", score=score, measured=0.8, is_deep=False, latency_ms=latencies, n_bytes=1000 * n_bytes
        )

    found = _simplest(contender("pick", pick), [contender(name, cost) for name, cost in others.items()])
    assert found.name == simplest


def test_deep_learning_that_loses_is_said_to_lose() -> None:
    dataset = make_dataset(TaskKind.REGRESSION, n_rows=300)
    splits = make_splits(dataset)
    good = make_trial("trees", "lightgbm", predictions(dataset, skill=0.95, seed=1), splits)
    bad = make_trial("net", "mlp", predictions(dataset, skill=0.3, seed=2), splits, is_deep=True)
    verdict = judge([bad, good], None, dataset=dataset, splits=splits, findings=(), select=lambda rows: np.array([0.0, 1.0]))
    assert verdict.pick.name == "trees"
    assert verdict.worth_it.startswith("It does not pay here")
    assert verdict.margin_over_classical is None


def test_a_run_in_which_all_but_the_constant_failed_is_judged() -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=100)
    splits = make_splits(dataset)
    trials = [make_trial("constant", "constant", constant_predictions(dataset), splits), failed_trial("net", "mlp")]
    verdict = judge(trials, None, dataset=dataset, splits=splits, findings=(), select=lambda rows: np.array([1.0]))
    assert verdict.pick.name == "constant"
    assert verdict.margin_over_constant is None
    assert verdict.best_classical is None
    assert "Nothing beats always giving the same answer" in str(verdict)
    assert [failure.name for failure in verdict.failures] == ["net"]


def test_the_kind_of_which_more_were_tried_is_not_favoured() -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=200)
    splits = make_splits(dataset)
    nets = [make_trial(f"net {n}", "mlp", predictions(dataset, skill=0.0, seed=n), splits, is_deep=True) for n in range(15)]
    court = open_court(nets, dataset=dataset, splits=splits)
    mean = np.mean([court.measured(trial.out_of_fold) for trial in nets])
    tree = make_trial("trees", "lightgbm", court.best.out_of_fold, splits)
    nets = [trial for trial in nets if trial.candidate.name != court.best.name]
    verdict = judge([tree, *nets], None, dataset=dataset, splits=splits, findings=(), select=lambda rows: np.eye(15)[0])
    deep, classical = verdict.best_deep, verdict.best_classical
    assert verdict.pick.name == "trees"
    assert deep is not None
    assert classical is not None
    assert deep.score.estimate < deep.measured
    assert deep.score.estimate == pytest.approx(mean, abs=0.03)
    assert classical.score.estimate < classical.measured  # the best of all, as the pick


def test_the_sentence_on_deep_learning_takes_each_kinds_own_luck_off() -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=200)
    splits = make_splits(dataset)
    nets = [make_trial(f"net {n}", "mlp", predictions(dataset, skill=0.0, seed=n), splits, is_deep=True) for n in range(15)]
    court = open_court(nets, dataset=dataset, splits=splits)
    tree = make_trial("trees", "lightgbm", court.best.out_of_fold, splits)
    rest = [trial for trial in nets if trial.candidate.name != court.best.name]
    court = open_court([tree, *rest], dataset=dataset, splits=splits)
    scores = {trial.candidate.name: court.standing(trial.candidate.name) for trial in court.trials}
    champions = _champions(court, scores)
    deep, classical = champions["best_deep"], champions["best_classical"]
    assert deep is not None
    assert classical is not None
    assert classical.score.estimate == pytest.approx(classical.measured)  # there was no other to choose from
    assert deep.score.estimate < deep.measured - 0.01
    verdict = judge([tree, *rest], None, dataset=dataset, splits=splits, findings=(), select=lambda rows: np.eye(15)[0])
    margin = _margin(court, deep, predictions_by(deep.name, court), classical)
    assert margin is not None
    assert f"differs from trees by {margin_words(margin)}" in verdict.worth_it


def test_a_mixture_that_did_not_learn_is_judged_as_packed_however_few_rows_its_choice_looks_at() -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=1000)
    splits = make_splits(dataset)
    trials = [trial for trial in make_trials(dataset, splits, n_candidates=6) if trial.out_of_fold is not None]
    mixture, n_seen = make_ensemble(trials), 40

    def looking_at_few() -> Select:
        generator = np.random.default_rng(0)

        def select(rows: np.ndarray) -> np.ndarray:
            seen = generator.choice(rows, n_seen, replace=False)
            scores = [evaluation.score("roc_auc", dataset.target[seen], trial.out_of_fold[seen]) for trial in trials]
            return np.eye(len(trials))[int(np.argmax(scores))]

        return select

    court = open_court(trials, dataset=dataset, splits=splits)
    said = mixture.out_of_fold
    expected = court.corrected(looking_at_few(), court.interval(said), final=said, looks_at=n_seen)
    found = judge(
        trials,
        mixture,
        dataset=dataset,
        splits=splits,
        findings=(),
        select=looking_at_few(),
        leader=mixture,
        looks_at=n_seen,
    )
    assert found.pick.name == mixture.name
    assert found.pick.score.estimate == pytest.approx(expected.estimate)
    assert found.pick.score.estimate < found.pick.measured


def test_skipped_candidates_are_no_failures() -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=100)
    splits = make_splits(dataset)
    skipped = dataclasses.replace(failed_trial("late", "mlp", "the time was up."), status=Status.SKIPPED)
    trials = [make_trial("constant", "constant", constant_predictions(dataset), splits), skipped]
    verdict = judge(trials, None, dataset=dataset, splits=splits, findings=(), select=lambda rows: np.array([1.0]))
    assert verdict.failures == ()
    assert "1 candidate skipped" in str(verdict)
    assert verdict.n_candidates == 1


def test_rows_without_predictions_count_nowhere() -> None:
    dataset = make_dataset(TaskKind.REGRESSION, n_rows=200)
    splits = make_splits(dataset, holdout=True)
    trials = make_trials(dataset, splits, n_candidates=4)
    verdict = judge(trials, None, dataset=dataset, splits=splits, findings=(), select=lambda rows: np.eye(3)[1])
    assert verdict.n_judged == 40
    assert np.isfinite(verdict.pick.score.estimate)


def test_a_candidate_without_most_predictions_is_a_failure_with_its_reason() -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=100)
    splits = make_splits(dataset)
    answer = predictions(dataset, skill=0.5, seed=1)
    partial = answer.copy()
    partial[10:] = np.nan
    trials = [
        make_trial("partial", "mlp", partial, splits, is_deep=True),
        make_trial("whole", "linear", answer, splits),
    ]
    verdict = judge(trials, None, dataset=dataset, splits=splits, findings=(), select=lambda rows: np.array([0.5, 0.5]))
    assert verdict.n_judged == 100
    assert verdict.failures[0].reason == "it has predictions for 10 of 100 rows."


def test_what_was_packed_is_the_pick_even_where_another_scores_better() -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=200)
    splits = make_splits(dataset)
    trials = make_trials(dataset, splits, n_candidates=5)
    second = trials[2]
    assert second.out_of_fold is not None
    pick = Ensemble(name=second.candidate.name, members=(second,), weights=(1.0,), out_of_fold=second.out_of_fold)
    ensemble = make_ensemble(trials)
    verdict = judge(trials, ensemble, dataset=dataset, splits=splits, findings=(), select=always(trials, ensemble), leader=pick)
    assert verdict.pick.name == second.candidate.name
    assert verdict.ensemble is not None
    assert verdict.ensemble.name == "ensemble of 3"


@pytest.mark.parametrize(("share", "is_deep"), [(0.04, False), (0.6, True)])
def test_a_mixture_speaks_for_deep_learning_where_most_of_it_is_deep(share: float, is_deep: bool) -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=400)
    splits = make_splits(dataset)
    said = [predictions(dataset, skill=0.7, seed=seed) for seed in (1, 2)]
    trials = [make_trial("trees", "lightgbm", said[0], splits), make_trial("net", "mlp", said[1], splits, is_deep=True)]
    weights = (1 - share, share)
    blended = weights[0] * said[0] + weights[1] * said[1]
    mixture = Ensemble(name="both", members=tuple(trials), weights=weights, out_of_fold=blended)
    select = always(trials, mixture)
    found = judge(trials, mixture, dataset=dataset, splits=splits, findings=(), select=select, leader=mixture)
    assert found.pick.is_deep is is_deep
    assert ("both" in found.worth_it) is is_deep


def test_whole_groups_are_resampled() -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=300)
    groups = np.repeat(np.arange(10), 30)
    trials = make_trials(dataset, make_splits(dataset), n_candidates=4)
    select = always(trials, make_ensemble(trials, n_members=2))
    single, grouped = (
        judge(trials, None, dataset=dataset, splits=make_splits(dataset, groups=g), findings=(), select=select)
        for g in (None, groups)
    )
    assert single.pick.score.estimate == pytest.approx(grouped.pick.score.estimate, abs=0.02)
    assert single.pick.score.low != grouped.pick.score.low


def test_every_metric_counts_a_group_once() -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=300)
    groups = np.repeat(np.arange(10), 30)
    splits = make_splits(dataset, groups=groups)
    together = open_court(make_trials(dataset, splits, n_candidates=4), dataset=dataset, splits=splits)
    said = together.leader.out_of_fold
    singly, whole = (
        measures(said, dataset=dataset, splits=s)["metrics"] for s in (make_splits(dataset), make_splits(dataset, groups=groups))
    )
    for name in ("roc_auc", "log_loss", "brier"):
        assert whole[name].estimate == pytest.approx(singly[name].estimate)
        assert (whole[name].low, whole[name].high) != (singly[name].low, singly[name].high)
    headline, own = together.interval(said), whole[together.metric.name]
    assert own.half_width == pytest.approx(headline.half_width, rel=0.25)


def test_nothing_usable_is_refused() -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=100)
    with pytest.raises(DataError, match="nothing to judge"):
        judge(
            [failed_trial("net", "mlp")],
            None,
            dataset=dataset,
            splits=make_splits(dataset),
            findings=(),
            select=lambda rows: np.empty(0),
        )


def test_deep_learning_does_not_pay_by_a_margin_that_is_a_tie_among_many() -> None:
    from cupel.verdict.verdict import Contender, Margin, Score
    from cupel.verdict.words import worth_it_words

    score = Score(estimate=0.9, low=0.88, high=0.92)
    deep = Contender(name="net", family="net", score=score, measured=0.9, is_deep=True)
    trees = Contender(name="trees", family="trees", score=score, measured=0.89, is_deep=False)
    margin = Margin(against="trees", estimate=0.003, low=0.0001, high=0.007)
    alone = worth_it_words(deep, margin, classical=trees, metric="ROC-AUC")
    tied = worth_it_words(deep, margin, classical=trees, metric="ROC-AUC", is_tied=True)
    assert alone.startswith("It pays here")
    assert tied.startswith("No sure proof")
    assert "tie" in tied


@pytest.mark.parametrize(("holdout", "is_wider"), [(False, True), (True, False)])
def test_scores_of_folds_that_taught_one_another_have_wider_intervals(holdout: bool, is_wider: bool) -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=400)
    splits = make_splits(dataset, holdout=holdout)
    found = {f"guess {k}": predictions(dataset, skill=0.0, seed=k) for k in range(3)} | {
        "constant": constant_predictions(dataset)
    }
    trials = [make_trial(name, name.split()[0], said, splits) for name, said in found.items()]
    court = open_court(trials, dataset=dataset, splits=splits)
    own, name = court.interval(found["guess 0"]), "guess 0"
    plain = evaluation.interval(court.metric, court.target, court.seen(found[name]), n_resamples=1000)
    factor = evaluation.STRETCH if is_wider else 1
    assert (court.comparison.widening > 1) is is_wider
    assert own.half_width == pytest.approx(factor * (plain.high - plain.low) / 2, rel=0.02)
    assert court.standing(name).half_width == pytest.approx(own.half_width, rel=0.15)
    told = measures(found[name], dataset=dataset, splits=splits)["metrics"]
    assert told["roc_auc"].half_width == pytest.approx(own.half_width, rel=0.15)
    reach = max(factor, court.comparison.widening)
    margin = court.paired(found[name], found["constant"])
    assert margin.high - margin.low == pytest.approx(reach * 2 * own.half_width / factor, rel=0.1)


@pytest.mark.parametrize(("holdout", "factor"), [(False, evaluation.STRETCH), (True, 1.0)])
def test_margins_of_models_that_find_something_reach_as_far_as_scores(*, holdout: bool, factor: float) -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=1000)
    splits = make_splits(dataset, holdout=holdout)
    found = {f"net {k}": predictions(dataset, skill=0.5 + 0.1 * k, seed=k) for k in range(2)} | {
        "constant": constant_predictions(dataset)
    }
    trials = [make_trial(name, name.split()[0], said, splits) for name, said in found.items()]
    court = open_court(trials, dataset=dataset, splits=splits)
    assert court.comparison.widening < 1.15
    first, second = (court.seen(found[f"net {k}"]) for k in range(2))
    plain = evaluation.paired_difference(court.metric, court.target, first, second, n_resamples=1000)
    margin = court.paired(found["net 0"], found["net 1"])
    assert margin.high - margin.low == pytest.approx(factor * (plain.high - plain.low), rel=0.02)
    assert margin.p_value >= plain.p_value


def test_parts_of_the_folds_are_what_ranks_are_compared_within() -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=400)
    splits = make_splits(dataset)
    trial = make_trial("net", "mlp", predictions(dataset, skill=0.3, seed=1), splits)
    court = open_court([trial], dataset=dataset, splits=splits)
    within = evaluation.METRICS["roc_auc"].within(splits.parts)
    assert court.measured(trial.out_of_fold) == evaluation.score(within, dataset.target, trial.out_of_fold)
    told = measures(trial.out_of_fold, dataset=dataset, splits=splits)["metrics"]
    assert told["roc_auc"].estimate == court.measured(trial.out_of_fold)


@pytest.mark.parametrize("kind", sorted(ROW_KINDS))
def test_measures_are_every_metric_that_fits(kind: TaskKind) -> None:
    dataset = make_dataset(kind, n_rows=120)
    found = measures(predictions(dataset, skill=0.5, seed=1), dataset=dataset, splits=make_splits(dataset))
    assert list(found["metrics"]) == [metric.name for metric in evaluation.fitting(kind)]
    for name, score in found["metrics"].items():
        metric = evaluation.METRICS[name]
        assert score.low <= score.high
        assert max(metric.sign * score.low, metric.sign * score.high) <= metric.sign * metric.perfect
    assert bool(found["labels"]) == (kind is TaskKind.MULTILABEL)


def test_measures_of_answers_are_those_of_the_threshold_from_which_it_is_yes() -> None:
    dataset = make_dataset(TaskKind.BINARY, n_rows=300)
    splits, said = make_splits(dataset), predictions(dataset, skill=1.0, seed=1)
    plain, often = (measures(said, dataset=dataset, splits=splits, yes_from=t)["metrics"] for t in (None, 0.1))
    assert often["recall"].estimate == pytest.approx((said[dataset.target == 1, 1] > 0.1).mean())
    assert plain["recall"].estimate == pytest.approx((said[dataset.target == 1, 1] > 0.5).mean())
    assert often["recall"].estimate > plain["recall"].estimate
    for name in ("roc_auc", "log_loss", "brier"):
        assert often[name] == plain[name]


@pytest.mark.parametrize("metric", ["roc_auc_macro", "f1_macro"])
def test_measures_of_labels_are_those_of_what_the_packed_model_would_say(metric: str) -> None:
    dataset = make_dataset(TaskKind.MULTILABEL, n_rows=300)
    assert dataset.task is not None
    dataset = dataclasses.replace(dataset, task=dataclasses.replace(dataset.task, metric=metric))
    splits, said = make_splits(dataset), predictions(dataset, skill=0.3, seed=1) / 3
    found = measures(said, dataset=dataset, splits=splits)
    thresholds = evaluation.thresholds_for(metric, dataset.target, said)
    packed = evaluation.score("f1_macro", dataset.target, (said >= thresholds).astype(float))
    assert found["metrics"]["f1_macro"].estimate == pytest.approx(packed, abs=0.05)
    by_label = np.nanmean([label.said.f1 for label in found["labels"]])
    assert found["metrics"]["f1_macro"].estimate == pytest.approx(by_label)
    verdict: Any = SimpleNamespace(task=dataset.task, labels=found["labels"], labels_by_name=dict)
    page = labels_section(verdict, dataset.target, said)
    assert ("one half on" in page.html) == (metric == "f1_macro")
    assert ("best F1" in page.html) == (metric == "roc_auc_macro")
