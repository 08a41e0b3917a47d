"""Laws that every division of rows keeps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cupel.core.errors import DataError, UsageError
from cupel.core.split import Splits
from cupel.data.splitting import split
from cupel.data.tests.making_datasets import make_dataset

SLOW_DRAWS = settings(max_examples=25, deadline=None, derandomize=True)


def made(n: int, *, seed: int = 0, n_classes: int = 2, **roles):
    generator = np.random.default_rng(seed)
    target = generator.normal(size=n) if n_classes == 0 else generator.permutation(np.arange(n) % n_classes)
    columns = {"a": generator.normal(size=n), "b": generator.normal(size=n), "y": target}
    kinds = dict.fromkeys(roles.values(), "number")
    columns |= {"g": (np.arange(n) // 4).astype(float)} if "group" in roles else {}
    columns |= {"t": generator.integers(0, n // 2, n).astype(float)} if "time" in roles else {}
    return make_dataset(columns, kinds=kinds, **roles)


def assert_sound(splits: Splits, n: int) -> None:
    for index, fold in enumerate(splits.folds):
        parts = (fold.train, fold.stop, fold.valid)
        assert fold.index == index
        for rows in parts:
            assert rows.dtype == np.int64
            assert len(rows)
            assert (np.diff(rows) > 0).all()
            assert 0 <= rows[0] <= rows[-1] < n
        assert len(np.unique(np.concatenate(parts))) == sum(map(len, parts))


def assert_partition(splits: Splits, n: int, repeats: int = 1) -> None:
    judged = np.bincount(np.concatenate([fold.valid for fold in splits.folds]), minlength=n)
    assert (judged == repeats).all()


@SLOW_DRAWS
@given(
    st.integers(10, 400),
    st.sampled_from([0, 2, 3]),
    st.sampled_from(["auto", "k-fold", "stratified", "repeated"]),
    st.integers(0, 9),
)
def test_validation_parts_divide_the_rows(n, n_classes, scheme, seed):
    splits = split(made(n, seed=seed, n_classes=n_classes), scheme=scheme, seed=seed)
    assert_sound(splits, n)
    repeats = len(splits.folds) // 5
    assert_partition(splits, n, repeats)
    assert all(len(fold.train) + len(fold.stop) + len(fold.valid) == n for fold in splits.folds)


@SLOW_DRAWS
@given(st.lists(st.integers(2, 60), min_size=2, max_size=6), st.integers(2, 7), st.integers(0, 99))
def test_each_class_differs_by_one_row_at_most_between_folds(sizes, n_folds, seed):
    target = np.repeat(np.arange(len(sizes)), sizes)
    if len(target) < 10 or n_folds > max(sizes):
        return
    generator = np.random.default_rng(seed)
    dataset = make_dataset({"a": generator.normal(size=len(target)), "b": generator.normal(size=len(target)), "y": target})
    splits = split(dataset, scheme="stratified", n_folds=n_folds, seed=seed)
    counts = np.array([np.bincount(target[fold.valid], minlength=len(sizes)) for fold in splits.folds])
    assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all()
    totals = counts.sum(axis=1)
    assert totals.max() - totals.min() <= 1


@SLOW_DRAWS
@given(st.lists(st.integers(1, 30), min_size=3, max_size=40), st.integers(0, 99), st.integers(1, 2))
def test_no_group_is_in_two_parts(sizes, seed, repeats):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    n = len(groups)
    if n < 10:
        return
    generator = np.random.default_rng(seed)
    columns = {"a": generator.normal(size=n), "g": groups.astype(float), "y": generator.normal(size=n)}
    splits = split(make_dataset(columns, group="g"), seed=seed, repeats=repeats)
    assert splits.scheme == "group"
    assert_sound(splits, n)
    assert_partition(splits, n, repeats)
    assert (splits.groups == groups).all()
    for fold in splits.folds:
        assert not set(groups[fold.valid]) & set(groups[np.concatenate([fold.train, fold.stop])])
        learned = set(groups[fold.train]) | set(groups[fold.stop])
        assert len(learned) == 1 or not set(groups[fold.train]) & set(groups[fold.stop])


@SLOW_DRAWS
@given(st.integers(12, 200), st.integers(3, 40), st.integers(0, 99))
def test_future_rows_never_reach_the_training_part(n, n_moments, seed):
    generator = np.random.default_rng(seed)
    moments = generator.integers(0, n_moments, n).astype(float)
    moments[:3] = [0, 1, 2]
    dataset = make_dataset({"a": generator.normal(size=n), "t": moments, "y": generator.normal(size=n)}, time="t")
    splits = split(dataset)
    assert splits.scheme == "time"
    assert_sound(splits, n)
    for fold in splits.folds:
        assert moments[fold.train].max() < moments[fold.stop].min()
        assert moments[fold.stop].max() < moments[fold.valid].min()
    for earlier, later in zip(splits.folds, splits.folds[1:], strict=False):
        assert moments[earlier.valid].max() < moments[later.valid].min()


def test_groups_that_judge_are_kept_out_of_training_along_time_too():
    n = 300
    generator = np.random.default_rng(0)
    groups = generator.integers(0, 100, n)
    dataset = make_dataset(
        {
            "a": generator.normal(size=n),
            "g": groups.astype(float),
            "t": np.arange(n).astype(float),
            "y": generator.normal(size=n),
        },
        time="t",
        group="g",
    )
    for fold in split(dataset).folds:
        assert not set(groups[fold.valid]) & set(groups[np.concatenate([fold.train, fold.stop])])
        assert max(fold.train.max(), fold.stop.max()) < fold.valid.min()


@pytest.mark.parametrize("n_classes", [0, 3])
@pytest.mark.parametrize("n_copies", [2, 7, 30])
def test_copies_of_a_row_are_in_one_fold(n_classes, n_copies):
    generator = np.random.default_rng(1)
    source = generator.permutation(np.repeat(np.arange(60), n_copies))
    target = generator.normal(size=60)[source] if n_classes == 0 else (np.arange(60) % n_classes)[source]
    columns = {name: generator.normal(size=60)[source] for name in "abc"} | {"y": target}
    splits = split(make_dataset(columns), n_folds=5)
    assert_partition(splits, len(source), len(splits.folds) // 5)
    for fold in splits.folds:
        assert not set(source[fold.valid]) & set(source[np.concatenate([fold.train, fold.stop])])
        assert not set(source[fold.train]) & set(source[fold.stop])
        assert abs(len(fold.valid) / len(source) - 0.2) < 0.05


def test_rows_that_are_equal_since_features_are_coarse_are_no_copies():
    generator = np.random.default_rng(0)
    columns = {name: generator.integers(0, 2, 600).astype(str) for name in "abc"} | {"y": generator.integers(0, 2, 600)}
    splits = split(make_dataset(columns))
    counts = [len(fold.valid) for fold in splits.folds]
    assert max(counts) - min(counts) <= 1
    assert "equal" not in splits.reason


def test_every_class_with_a_row_outside_the_validation_part_is_trained_on():
    target = np.array(["a"] * 60 + ["b"] * 30 + ["c"] * 3 + ["d"] * 2 + ["e"])
    generator = np.random.default_rng(0)
    dataset = make_dataset({"x": generator.normal(size=96), "z": generator.normal(size=96), "y": target})
    for seed in range(10):
        for fold in split(dataset, seed=seed).folds:
            outside = set(target) - set(target[fold.valid]) | {
                c for c in "abcde" if (target == c).sum() > (target[fold.valid] == c).sum()
            }
            assert set(target[fold.train]) == outside


def test_the_stop_slice_is_an_eighth_in_proportion():
    dataset = made(4000, n_classes=4)
    for fold in split(dataset).folds:
        assert abs(len(fold.stop) / (len(fold.train) + len(fold.stop)) - 0.125) < 0.01
        shares = np.bincount(dataset.target[fold.stop]) / len(fold.stop)
        assert np.abs(shares - 0.25).max() < 0.01


def test_a_rare_class_is_in_the_stop_slice_if_it_has_three_rows_to_learn_from():
    target = np.r_[np.zeros(95, int), np.ones(5, int)]
    generator = np.random.default_rng(0)
    dataset = make_dataset({"x": generator.normal(size=100), "z": generator.normal(size=100), "y": target})
    assert all(target[fold.stop].any() for fold in split(dataset).folds)


@pytest.mark.parametrize(
    ("n", "scheme", "n_folds"),
    [
        (299, "repeated", 10),
        (300, "stratified", 5),
        (50_000, "stratified", 5),
        (50_001, "stratified", 3),
        pytest.param(500_001, "holdout", 1, marks=pytest.mark.slow),
    ],
)
def test_auto_makes_fewer_folds_of_more_rows(n, scheme, n_folds):
    splits = split(made(n))
    assert (splits.scheme, len(splits.folds)) == (scheme, n_folds)
    assert_sound(splits, n)


def test_a_holdout_takes_the_share_asked_for():
    for roles in ({}, {"group": "g"}, {"time": "t"}):
        splits = split(made(1000, **roles), scheme="holdout", holdout=0.3)
        assert splits.scheme == "holdout"
        assert len(splits.folds) == 1
        assert len(splits.folds[0].valid) == pytest.approx(300, abs=8)


def test_a_tenth_is_a_holdout_that_says_why_it_is_small():
    for roles in ({}, {"group": "g"}, {"time": "t"}):
        splits = split(made(1000, **roles), scheme="tenth")
        assert (splits.scheme, len(splits.folds)) == ("holdout", 1)
        assert len(splits.folds[0].valid) == pytest.approx(100, abs=4)
        assert "it is a tenth" in splits.reason


def test_a_regression_has_the_whole_range_in_every_fold():
    dataset = made(500, n_classes=0)
    for fold in split(dataset).folds:
        assert abs(np.median(dataset.target[fold.valid]) - np.median(dataset.target)) < 0.12
        assert abs(dataset.target[fold.valid].std() - dataset.target.std()) < 0.15


def test_the_same_seed_gives_the_same_folds_and_another_seed_others():
    dataset = made(200)
    first, again, other = split(dataset, seed=3), split(dataset, seed=3), split(dataset, seed=4)
    assert first.key == again.key
    assert len(first.key) == 16
    assert first.key != other.key
    for one, two in zip(first.folds, again.folds, strict=True):
        assert (one.train == two.train).all()
        assert (one.stop == two.stop).all()


def test_repeats_are_drawn_anew():
    splits = split(made(400), scheme="repeated", repeats=3)
    assert len(splits.folds) == 15
    assert_partition(splits, 400, 3)
    assert not (splits.folds[0].valid == splits.folds[5].valid).all()


def test_rows_without_a_group_are_one_group():
    groups = np.r_[np.full(20, np.nan), np.repeat(np.arange(20), 4)]
    dataset = make_dataset({"a": np.arange(100.0), "g": groups, "y": np.arange(100) % 2}, group="g")
    splits = split(dataset)
    assert len(set(splits.groups[:20])) == 1
    assert len(set(splits.groups)) == 21


def test_groups_named_by_text_or_category_are_kept_whole():
    names = np.repeat([f"patient {i}" for i in range(25)], 4)
    for kind in ("category", "identifier", "text"):
        dataset = make_dataset({"a": np.arange(100.0), "g": names, "y": np.arange(100) % 2}, group="g", kinds={"g": kind})
        for fold in split(dataset).folds:
            assert not set(names[fold.valid]) & set(names[fold.train])


def test_early_stretches_with_one_class_only_are_left_out():
    target = np.r_[np.zeros(120, int), np.arange(180) % 2]
    dataset = make_dataset({"a": np.arange(300.0), "t": np.arange(300.0), "y": target}, time="t")
    splits = split(dataset)
    assert 1 <= len(splits.folds) < 5
    assert "left out" in splits.reason
    assert all(len(np.unique(target[fold.train])) == 2 for fold in splits.folds)


BAD = {
    "unknown scheme": ({"scheme": "odd"}, {}, UsageError, "odd"),
    "no group": ({"scheme": "group"}, {}, UsageError, "group"),
    "no time": ({"scheme": "time"}, {}, UsageError, "order"),
    "mixing groups": ({"scheme": "k-fold"}, {"group": "g"}, UsageError, "groups of column 'g'"),
    "mixing time": ({"scheme": "stratified"}, {"time": "t"}, UsageError, "time"),
    "one fold": ({"n_folds": 1}, {}, UsageError, "1 folds"),
    "more folds than rows": ({"n_folds": 1000}, {}, UsageError, "1000 folds"),
    "more folds than groups": ({"n_folds": 20}, {"group": "g"}, UsageError, "15 groups"),
    "more folds than members": ({"n_folds": 40, "scheme": "stratified"}, {}, UsageError, "30 rows"),
    "more folds than moments": ({"n_folds": 59}, {"time": "t"}, UsageError, "different values"),
    "no repeats": ({"repeats": 0}, {}, UsageError, "repeats"),
    "repeats of time": ({"repeats": 2}, {"time": "t"}, UsageError, "repeats"),
    "holdout of all": ({"scheme": "holdout", "holdout": 1.0}, {}, UsageError, "between 0 and 1"),
    "folds of a holdout": ({"scheme": "holdout", "n_folds": 5}, {}, UsageError, "one fold"),
    "folds of a tenth": ({"scheme": "tenth", "n_folds": 5}, {}, UsageError, "one fold"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_done_is_said(name):
    asked, roles, error, words = BAD[name]
    with pytest.raises(error, match=words):
        split(made(60, **roles), **asked)


def test_tables_that_cannot_train_and_judge_are_refused():
    with pytest.raises(DataError, match="5 rows"):
        split(made(5))
    generator = np.random.default_rng(0)
    lone = make_dataset({"a": generator.normal(size=40), "b": generator.normal(size=40), "y": np.r_[1, np.zeros(39, int)]})
    with pytest.raises(DataError, match="class"):
        split(lone)
    one_group = make_dataset({"a": np.arange(40.0), "g": np.ones(40), "y": np.arange(40) % 2}, group="g")
    with pytest.raises(DataError, match="1 groups"):
        split(one_group)
    gaps = make_dataset({"a": np.arange(40.0), "t": np.r_[np.nan, np.arange(39.0)], "y": np.arange(40) % 2}, time="t")
    with pytest.raises(DataError, match="missing"):
        split(gaps)
    with pytest.raises(DataError, match="different values"):
        split(make_dataset({"a": np.arange(40.0), "t": np.arange(40.0) % 2, "y": np.arange(40) % 2}, time="t"))


@pytest.mark.parametrize(("n", "scheme", "n_ways"), [(60, "auto", 2), (400, "auto", 1), (60, "holdout", 1)])
def test_parts_number_the_fold_that_judges_a_row_in_every_way_of_dividing(n, scheme, n_ways):
    splits = split(made(n), scheme=scheme)
    assert splits.parts.shape == (n, n_ways)
    for fold in splits.folds:
        assert (splits.parts[fold.valid] == fold.index).any(axis=1).all()
    assert ((splits.parts >= 0).all(axis=1) == np.isin(np.arange(n), splits.covered)).all()


@pytest.mark.parametrize(
    ("scheme", "roles", "expected"),
    [("auto", {}, True), ("holdout", {}, False), ("auto", {"time": "t"}, False), ("auto", {"group": "g"}, True)],
)
def test_folds_teach_one_another_unless_one_is_held_out_or_later_than_the_rest(scheme, roles, expected):
    assert split(made(80, **roles), scheme=scheme).teach_one_another is expected
