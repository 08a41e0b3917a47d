import numpy as np
import pytest

from cupel.core.candidate import Candidate
from cupel.core.trial import Status, Trial
from cupel.ensembling import choose_weights, combine, greedy_weights, selector

TARGET = np.random.default_rng(0).normal(size=400)
ROWS = np.arange(400)


def score(predictions, rows):
    return -float(np.mean((predictions[:, 0] - TARGET[rows]) ** 2))


def noisy(scale, seed):
    return (TARGET + np.random.default_rng(seed).normal(size=400) * scale)[:, None]


def trial(name, predictions):
    candidate = Candidate(name=name, modality="m", family="f", config=None, preparation=None)
    status = Status.FAILED if predictions is None else Status.DONE
    return Trial(candidate=candidate, is_deep=False, is_baseline=False, status=status, out_of_fold=predictions)


def test_a_mixture_of_independent_errors_beats_its_best_member():
    candidates = [noisy(0.5, seed) for seed in range(4)]
    weights = greedy_weights(candidates, score, ROWS)
    blended = sum(w * c for w, c in zip(weights, candidates, strict=True))
    assert weights.sum() == pytest.approx(1)
    assert score(blended, ROWS) > max(score(candidate, ROWS) for candidate in candidates)


@pytest.mark.parametrize("seed", range(10))
def test_greedy_selection_is_never_worse_than_the_best_member_on_the_rows_it_saw(seed):
    candidates = [noisy(scale, seed * 10 + i) for i, scale in enumerate((0.2, 0.5, 2.0))]
    weights = greedy_weights(candidates, score, ROWS)
    blended = sum(w * c for w, c in zip(weights, candidates, strict=True))
    assert score(blended, ROWS) >= max(score(candidate, ROWS) for candidate in candidates)


def test_no_ensemble_is_made_where_one_model_is_perfect():
    assert combine([trial("exact", TARGET[:, None]), trial("noisy", noisy(1, 1))], score, ROWS) is None


def test_failed_trials_take_no_part():
    ensemble = combine([trial("broken", None), trial("a", noisy(0.5, 1)), trial("b", noisy(0.5, 2))], score, ROWS)
    assert ensemble is not None
    assert {member.candidate.name for member in ensemble.members} == {"a", "b"}
    assert sum(ensemble.weights) == pytest.approx(1)


def test_few_rows_admit_few_members():
    candidates = [noisy(0.5, seed) for seed in range(20)]
    assert np.count_nonzero(choose_weights(candidates, score, ROWS)) <= 5


def test_rows_outside_the_given_ones_do_not_matter():
    candidates = [noisy(0.5, seed) for seed in range(3)]
    changed = [candidate.copy() for candidate in candidates]
    for candidate in changed:
        candidate[200:] = 99.0
    rows = np.arange(200)
    assert np.array_equal(choose_weights(candidates, score, rows), choose_weights(changed, score, rows))


def test_a_selector_gives_weights_that_sum_to_one():
    select = selector([noisy(0.5, 1), noisy(0.5, 2)], score, max_rows=50, seed=0)
    assert select(ROWS).sum() == pytest.approx(1)
