from dataclasses import replace

import numpy as np
import pytest

from cupel.core.errors import UsageError
from cupel.core.form import Form
from cupel.core.split import Fold, Splits
from cupel.ensembling import METHODS, combine, cross_fitted, greedy_weights, method_named, parts_of, selector
from cupel.ensembling.evidence import is_beyond_noise
from cupel.ensembling.stacking import choose_network, choose_stack, choose_two_layers
from cupel.ensembling.tests.planted import KINDS, evidence_of, trials_of

LEARNING = {"stack": choose_stack, "network-stack": choose_network, "two-layer-stack": choose_two_layers}
COMBINING = [name for name in METHODS if name != "none"]


def rows_of(evidence):
    return np.arange(len(evidence.target))


def made_by(name, evidence):
    return combine(trials_of(evidence), evidence, rows=rows_of(evidence), method=METHODS[name])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", COMBINING)
def test_every_method_beats_its_best_member_where_errors_are_independent(name, kind):
    evidence = evidence_of(kind)
    ensemble = made_by(name, evidence)
    if ensemble is None:
        assert name in ("hard-vote", "close-vote"), "decisions alone may lose the log loss; who is surely worse is left out"
        assert kind == "binary" or (name, kind) == ("hard-vote", "multiclass")
        return
    rows = rows_of(evidence)
    assert evidence.score(ensemble.out_of_fold, rows) > evidence.scores(rows).max()
    assert sum(ensemble.weights) == pytest.approx(1)
    assert len(ensemble.members) == len(ensemble.weights) >= 2
    if kind in ("binary", "multiclass"):
        assert np.allclose(ensemble.out_of_fold.sum(axis=1), 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", METHODS)
def test_no_method_makes_an_ensemble_of_one_or_of_copies_of_one(name, kind):
    one = evidence_of(kind, n=200, noises=(1.0,))
    assert made_by(name, one) is None
    copies = replace(one, predictions=[one.predictions[0]] * 3)
    ensemble = made_by(name, copies)
    if ensemble is not None:  # what learns may recalibrate the one that there is
        assert ensemble.is_cross_fitted


def test_none_makes_no_ensemble():
    assert made_by("none", evidence_of("binary")) is None


@pytest.mark.parametrize("name", LEARNING)
@pytest.mark.parametrize("kind", KINDS)
def test_stacking_members_that_know_nothing_scores_at_chance(name, kind):
    evidence = evidence_of(kind, n=250, noises=(1.0,) * 8, signal=0.0)
    rows, target = rows_of(evidence), evidence.target
    learned = LEARNING[name](evidence, rows).rule.apply(evidence.at(rows))
    honest = cross_fitted(LEARNING[name], evidence, rows=rows)
    shares = np.bincount(target) / len(target) if evidence.form is Form.CLASSES else np.nanmean(target, axis=0)
    chance, spread = evidence.score(np.tile(shares, (250, 1)), rows), 10.0 if kind == "regression" else 0.05
    assert evidence.score(learned, rows) > evidence.score(honest, rows), "its own rows flatter it"
    assert evidence.score(honest, rows) < chance + 0.2 * spread


@pytest.mark.parametrize("choose", LEARNING.values(), ids=LEARNING)
def test_no_label_of_a_part_reaches_its_own_cross_fitted_predictions(choose):
    evidence = evidence_of("binary", n=150)
    rows, first = rows_of(evidence), evidence.parts == 0
    turned = np.where(first, 1 - evidence.target, evidence.target)
    changed = replace(evidence, target=turned)
    before, after = cross_fitted(choose, evidence, rows=rows), cross_fitted(choose, changed, rows=rows)
    assert np.array_equal(before[first], after[first])
    assert not np.allclose(before[~first], after[~first])


def tried_of(n, *, noises, families, seed=1):
    """Candidates that all err by the same, of size 1, and each by its own `noises` beside it."""
    evidence, generator = evidence_of("regression", n=n), np.random.default_rng(seed)
    common = evidence.target[:, None] + generator.normal(size=(n, 1))
    predictions = [common + noise * generator.normal(size=(n, 1)) for noise in noises]
    return replace(evidence, predictions=predictions, families=families)


def test_the_close_ones_are_two_of_each_family_and_nobody_who_is_surely_worse():
    families = ("trees", "trees", "trees", "network", "linear")
    n_members = []
    for seed in range(20):
        evidence = tried_of(2000, noises=(0.3, 0.3, 0.3, 0.3, 1.0), families=families, seed=seed)
        choice = METHODS["close-vote"].choose(evidence, rows_of(evidence))
        assert int(np.argmax(evidence.scores(rows_of(evidence)))) in choice.positions
        assert 4 not in choice.positions
        assert sum(families[position] == "trees" for position in choice.positions) <= 2
        assert choice.shares == pytest.approx([1 / len(choice.positions)] * len(choice.positions))
        n_members.append(len(choice.positions))
    assert np.mean(n_members) > 2


def test_the_mean_of_the_close_ones_counts_where_the_luckiest_looks_better():
    evidence = tried_of(400, noises=(0.0,), families=())
    lucky = evidence.predictions[0]
    close = replace(evidence, predictions=[lucky, lucky + np.where(np.arange(400)[:, None] % 2, 0.05, -0.05)])
    rows = rows_of(close)
    ensemble = made_by("close-vote", close)
    assert close.score(ensemble.out_of_fold, rows) < close.scores(rows).max()
    assert made_by("soft-vote", close) is None


def test_few_rows_do_not_say_who_is_close():
    evidence = tried_of(40, noises=(1.0, 1.0, 9.0), families=("a", "b", "c"))
    assert len(METHODS["close-vote"].choose(evidence, rows_of(evidence)).positions) == 3


def test_what_is_defined_on_too_few_blocks_proves_nobody_close():
    evidence = tried_of(2000, noises=(1.0, 1.0), families=("a", "b"))
    score = evidence.score
    undefined = replace(evidence, score=lambda said, rows: score(said, rows) if len(rows) > 1000 else float("nan"))
    assert len(METHODS["close-vote"].choose(undefined, rows_of(evidence)).positions) == 1


def test_stacking_undoes_what_a_mean_cannot():  # members that are too timid
    evidence = evidence_of("regression")
    biased = replace(evidence, predictions=[30 + 0.4 * p for p in evidence.predictions])
    rows = rows_of(biased)
    stacked, mean = made_by("stack", biased), np.mean(biased.predictions, axis=0)
    assert biased.score(stacked.out_of_fold, rows) > 0.5 * biased.score(mean, rows)


def test_auto_takes_the_simpler_of_equals_and_the_stack_where_it_is_needed():
    evidence = evidence_of("regression")
    alike = replace(evidence, predictions=[evidence.predictions[0], evidence.predictions[0] + 1e-9])
    assert made_by("auto", alike) is None
    close = tried_of(400, noises=(0.3,) * 4, families=("a", "b", "c", "d"), seed=3)
    assert not made_by("auto", close).is_cross_fitted
    assert made_by("auto", replace(evidence, predictions=[30 + 0.4 * p for p in evidence.predictions])).is_cross_fitted


def test_one_perfect_model_is_left_alone():
    evidence = evidence_of("regression", noises=(0.0, 1.0, 1.0))
    assert [name for name in METHODS if made_by(name, evidence) is not None] == []


@pytest.mark.parametrize("seed", range(10))
def test_greedy_selection_is_never_worse_than_the_best_member_on_the_rows_it_saw(seed):
    evidence = evidence_of("regression", noises=(0.2, 0.5, 2.0), seed=seed)
    rows = rows_of(evidence)
    weights = greedy_weights(evidence.predictions, evidence.score, rows)
    blended = sum(w * c for w, c in zip(weights, evidence.predictions, strict=True))
    assert weights.sum() == pytest.approx(1)
    assert evidence.score(blended, rows) >= evidence.scores(rows).max()


def test_greedy_selection_leaves_out_what_gains_no_more_than_noise():
    evidence = evidence_of("regression", n=2000, noises=(1.0,))
    generator = np.random.default_rng(1)
    shaken = [evidence.predictions[0] + 0.01 * generator.normal(size=(2000, 1)) for _ in range(6)]
    assert np.count_nonzero(greedy_weights(shaken, evidence.score, rows_of(evidence))) <= 2


def test_a_gain_counts_only_where_blocks_of_rows_agree():
    evidence = evidence_of("regression", n=400, noises=(1.0,))
    old, rows = evidence.predictions[0], rows_of(evidence)
    better = old + 0.5 * (evidence.target[:, None] - old)
    one_row = old.copy()
    one_row[7] = evidence.target[7]
    assert is_beyond_noise(better, old, score=evidence.score, rows=rows)
    assert not is_beyond_noise(old, better, score=evidence.score, rows=rows)
    assert not is_beyond_noise(old, old, score=evidence.score, rows=rows)


@pytest.mark.parametrize(("n", "most"), [(400, 5), (1000, 8), (3000, 15)])
def test_few_rows_admit_few_members(n, most):
    evidence = evidence_of("regression", n=n, noises=(1.0,) * 20)
    assert len(evidence.admitted(rows_of(evidence))) == most


@pytest.mark.parametrize(("n", "share", "most"), [(400, 2, 5), (1000, 3, 8), (3000, 5, 15)])
def test_near_copies_of_one_family_do_not_shut_others_out(n, share, most):
    evidence = evidence_of("regression", n=n, noises=(1.0,) * 40 + (2.0,) * 20)
    rows, families = rows_of(evidence), ("trees",) * 40 + tuple(f"network {number}" for number in range(20))
    admitted = replace(evidence, families=families).admitted(rows)
    assert [families[position] for position in admitted].count("trees") == share
    assert len(admitted) == most
    assert (np.diff(evidence.scores(rows)[admitted]) <= 0).all()
    assert admitted[0] == int(np.argmax(evidence.scores(rows)))
    alone = replace(evidence, families=("trees",) * 59 + ("network",)).admitted(rows)
    assert len(alone) == most
    assert 59 in alone
    assert replace(evidence, families=("trees",) * 60).admitted(rows) == evidence.admitted(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_that_errs_otherwise_joins_what_trees_have_filled(kind):
    evidence = evidence_of(kind, n=1000, noises=(1.0, 1.02))
    generator = np.random.default_rng(0)
    trees, network = evidence.predictions
    copies = [np.clip(trees + 1e-4 * generator.normal(size=trees.shape), 1e-6, None) for _ in range(30)]
    many = replace(evidence, predictions=[*copies, network])
    assert 30 not in METHODS["greedy"].choose(many, rows_of(many)).positions
    known = replace(many, families=("trees",) * 30 + ("network",))
    assert 30 in METHODS["greedy"].choose(known, rows_of(known)).positions


@pytest.mark.parametrize("name", METHODS)
def test_rows_outside_the_given_ones_do_not_matter(name):
    evidence, rows = evidence_of("binary", n=300), np.arange(150)
    other = replace(
        evidence,
        predictions=[np.where(np.arange(300)[:, None] < 150, p, 0.5) for p in evidence.predictions],
        target=np.where(np.arange(300) < 150, evidence.target, 0),
    )
    first, second = (METHODS[name].choose(given, rows) for given in (evidence, other))
    assert first.positions == second.positions
    assert first.shares == second.shares


@pytest.mark.parametrize("name", METHODS)
def test_a_selector_repeats_its_choice_as_a_combination_of_all_candidates(name):
    evidence = evidence_of("binary", n=300)
    rows = np.random.default_rng(0).integers(0, 300, 300)
    rules = [selector(evidence, method=METHODS[name], max_rows=200)(rows) for _ in range(2)]
    first, second = (rule.apply(evidence.predictions) for rule in rules)
    assert np.array_equal(first, second)
    assert first.shape == (300, 2)


def test_samples_that_no_fold_judged_stay_empty():
    evidence = evidence_of("binary", n=300)
    rows = np.arange(250)
    ensemble = combine(trials_of(evidence), evidence, rows=rows, method=METHODS["stack"])
    assert np.isfinite(ensemble.out_of_fold[rows]).all()
    assert np.isnan(ensemble.out_of_fold[250:]).all()


def fold(index, valid):
    return Fold(index=index, train=np.empty(0, np.int64), stop=np.empty(0, np.int64), valid=np.array(valid))


def test_parts_are_folds_and_a_single_fold_is_cut_into_parts():
    several = Splits(folds=(fold(0, [0, 1]), fold(1, [2, 3]), fold(2, [1, 3])), scheme="repeated", reason="", key="")
    assert parts_of(several, 5, seed=0).tolist() == [0, 0, 1, 1, -1]
    alone = Splits(folds=(fold(0, range(10, 30)),), scheme="holdout", reason="", key="")
    parts = parts_of(alone, 30, seed=0)
    assert (parts[:10] == -1).all()
    assert np.bincount(parts[10:]).tolist() == [4] * 5


def test_an_unknown_method_is_refused_by_name():
    with pytest.raises(UsageError, match="'magic' is unknown; choose none, greedy"):
        method_named("magic")


@pytest.mark.parametrize("name", ["auto", *LEARNING])
def test_one_that_is_best_by_the_metric_and_of_no_use_by_the_loss_ends_no_choice(name):
    generator = np.random.default_rng(0)
    target = generator.normal(size=2000)
    others = [(target + 0.5 * generator.normal(size=2000))[:, None] for _ in range(3)]
    often_right = target + 0.05 * generator.normal(size=2000)
    often_right[::20] += 30 * generator.normal(size=100)
    evidence = replace(
        evidence_of("regression", n=2000),
        predictions=[often_right[:, None], *others],
        target=target,
        score=lambda prediction, rows: -float(np.median(np.abs(prediction[:, 0] - target[rows]))),
    )
    choice = METHODS[name].choose(evidence, rows_of(evidence))
    assert np.isfinite(choice.rule.apply(evidence.predictions)).all()
