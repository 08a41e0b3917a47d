"""What is found in data that were made faulty on purpose, and that nothing is found in honest ones."""

import numpy as np
import pytest

from cupel.core.finding import Finding, Severity
from cupel.core.fix import FixKind
from cupel.data.duplicates import find_duplicates
from cupel.data.profiling import profile
from cupel.data.quality import judge_quality
from cupel.data.tests.making_datasets import make_dataset

N = 600


def honest(n: int = N, *, seed: int = 0, n_classes: int = 2) -> dict:
    generator = np.random.default_rng(seed)
    signal = generator.normal(size=n)
    target = signal if n_classes == 0 else np.digitize(signal, np.quantile(signal, np.arange(1, n_classes) / n_classes))
    columns = {f"x{i}": signal + (i + 1) * generator.normal(size=n) for i in range(5)}
    return {**columns, "c": generator.choice(["red", "green", "blue"], n), "y": target}


def findings_of(columns: dict, **options) -> tuple[Finding, ...]:
    dataset = make_dataset(columns, **options)
    return judge_quality(dataset, profile(dataset))


def found(columns: dict, code: str, **options) -> list[Finding]:
    return [finding for finding in findings_of(columns, **options) if finding.code == code]


@pytest.mark.parametrize("n_classes", [0, 2, 4])
def test_nothing_is_found_in_honest_data(n_classes):
    assert findings_of(honest(n_classes=n_classes)) == ()


@pytest.mark.parametrize("n_classes", [0, 2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_a_strong_honest_predictor_is_no_leak(n_classes, seed):
    columns = honest(seed=seed, n_classes=n_classes)
    noise = np.random.default_rng(seed + 100).normal(size=N)
    columns["strong"] = columns["y"] + (0.05 if n_classes == 0 else 0.25) * noise
    assert not found(columns, "leak")
    assert not found(columns, "possible-leak")


LEAKS = {
    "copied classes": lambda y, noise: np.array(["no", "yes"])[y],
    "a number on either side": lambda y, noise: y + 0.4 * np.tanh(noise),
    "absence": lambda y, noise: np.where(y == 1, noise, np.nan),
    "a category filled in afterwards": lambda y, noise: np.where(y == 1, np.where(noise > 0, "paid", "late"), ""),
    "codes": lambda y, noise: 10.0 * (1 - y),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_column_that_gives_the_classes_away_is_found(name):
    columns = honest()
    columns["later"] = LEAKS[name](columns["y"], np.random.default_rng(1).normal(size=N))
    (leak,) = found(columns, "leak")
    assert leak.severity is Severity.SERIOUS
    assert leak.where == "later"
    assert "--drop later" in leak.action
    assert (leak.fix.kind, leak.fix.columns, leak.probability) == (FixKind.DROP_COLUMN, ("later",), 0.999)


def test_a_leak_of_many_classes_and_of_rare_ones_is_found():
    columns = honest(n_classes=6)
    columns["later"] = columns["y"] * 10.0
    assert [leak.where for leak in found(columns, "leak")] == ["later"]
    generator = np.random.default_rng(0)
    rare = (generator.random(3000) < 0.01).astype(int)
    columns = {"a": generator.normal(size=3000), "later": rare + generator.uniform(-0.4, 0.4, 3000), "y": rare}
    assert [leak.where for leak in found(columns, "leak")] == ["later"]


def test_a_one_sided_leak_is_found_where_the_others_cannot_tell():
    columns = honest(2000)
    generator = np.random.default_rng(2)
    arrested = (columns["y"] == 1) | (generator.random(2000) < 0.1)
    columns["arrest"] = np.where(arrested, generator.normal(size=2000), np.nan)
    columns["charge"] = np.where(arrested & (generator.random(2000) < 0.6), "A", "")
    (leak,) = found(columns, "leak")
    assert leak.where == "arrest"
    assert "without exception" in leak.what
    (companion,) = found(columns, "possible-leak")
    assert (companion.where, companion.fix.columns, companion.probability) == ("charge", ("charge",), 0.99)
    assert "--drop charge" in companion.action


def test_a_value_that_settles_the_class_is_no_leak_where_other_columns_tell_as_much():
    generator = np.random.default_rng(0)
    signal = generator.normal(size=1000)
    columns = {
        "a": signal,
        "b": signal + 0.01 * generator.normal(size=1000),
        "odour": np.where(signal > 0.9, "foul", generator.choice(["none", "sweet"], 1000)),
        "y": (signal + 0.1 * generator.normal(size=1000) > 0).astype(int),
    }
    assert not [finding for finding in findings_of(columns) if "leak" in finding.code and "odour" in finding.where]
    alone = {name: columns[name] for name in ("odour", "y")} | {"noise": generator.normal(size=1000)}
    assert [finding.where for finding in found(alone, "possible-leak")] == ["odour"]


def test_a_monotone_leak_of_a_number_is_found_however_skewed():
    columns = honest(n_classes=0)
    columns["later"] = np.exp(3 * columns["y"])
    assert [leak.where for leak in found(columns, "leak")] == ["later"]


def test_a_target_made_of_other_columns_is_found_with_its_formula():
    generator = np.random.default_rng(0)
    casual, registered = generator.gamma(2, 20, N).round(), generator.gamma(3, 40, N).round()
    columns = {"casual": casual, "registered": registered, "hour": generator.normal(size=N), "y": casual + registered}
    (leak,) = found(columns, "leak")
    assert leak.where == "casual, registered"
    assert leak.fix.columns == ("casual", "registered")
    assert "y = casual + registered" in leak.what


def test_copies_do_not_make_every_column_a_leak():
    columns = {name: np.tile(cells, 3) for name, cells in honest(200).items()}
    assert not found(columns, "leak")
    (duplicates,) = found(columns, "duplicate-rows")
    assert "400 of 600 rows (66.7%)" in duplicates.what
    assert duplicates.severity is Severity.WARNING
    assert "same fold" in duplicates.action


def test_contradicting_rows_are_counted():
    columns = {name: np.concatenate([cells, cells[:50]]) for name, cells in honest().items()}
    columns["y"][N:] = 1 - columns["y"][N:]
    (finding,) = found(columns, "contradicting-rows")
    assert finding.what.startswith("100 of 650 rows")


def test_equal_rows_of_coarse_features_are_expected():
    generator = np.random.default_rng(0)
    columns = {name: generator.integers(0, 3, N).astype(str) for name in "abc"} | {"y": generator.integers(0, 2, N)}
    (finding,) = found(columns, "duplicate-rows")
    assert finding.severity is Severity.NOTE
    assert "to be expected" in finding.action
    assert find_duplicates(make_dataset(columns)).n_twins == 0


def test_rows_are_equal_where_the_same_cells_are_missing_and_zero_has_no_sign():
    columns = {"a": [0.0, -0.0, np.nan, np.nan] + [5.0] * 8, "b": np.r_[1, 1, 2, 2, np.arange(8)] + 0.5, "y": [0, 1] * 6}
    assert (
        find_duplicates(make_dataset(columns)).patterns[[0, 2]].tolist()
        == find_duplicates(make_dataset(columns)).patterns[[1, 3]].tolist()
    )


def test_columns_that_are_not_used_are_named_by_kind():
    columns = honest()
    columns |= {"k": ["same"] * N, "i": [f"u{i}" for i in range(N)], "t": [f"text number {i}" for i in range(N)]}
    findings = findings_of(columns, kinds={"k": "constant", "i": "identifier", "t": "text"})
    assert {finding.code: finding.where for finding in findings} == {
        "constant-column": "k",
        "identifier-column": "i",
        "text-column": "t",
    }
    assert all(finding.action.startswith("Not used.") for finding in findings)


def test_columns_that_tell_the_same_are_found_also_under_other_names_for_the_levels():
    columns = honest()
    columns["copy"] = columns["x0"].copy()
    columns["farbe"] = np.array([{"red": "rot", "green": "grün", "blue": "blau"}[cell] for cell in columns["c"]])
    columns["number"] = np.array([{"red": 7.0, "green": 1.0, "blue": 3.0}[cell] for cell in columns["c"]])
    assert {finding.where for finding in found(columns, "identical-columns")} == {"x0, copy", "c, farbe, number"}


def test_all_distinct_columns_are_not_taken_for_the_same():
    columns = honest()
    columns["other"] = np.random.default_rng(9).permutation(N).astype(float)
    assert not found(columns, "identical-columns")


def test_rare_classes_and_imbalance_are_told_with_their_numbers():
    generator = np.random.default_rng(0)
    columns = {"a": generator.normal(size=N), "b": generator.normal(size=N), "y": np.r_[np.zeros(N - 4, int), np.ones(4, int)]}
    codes = {finding.code: finding for finding in findings_of(columns)}
    assert "'1' 4" in codes["rare-classes"].what
    assert codes["imbalance"].severity is Severity.WARNING
    assert "4 of 600 rows (0.7%)" in codes["imbalance"].what


def test_missing_cells_and_many_levels_are_told():
    generator = np.random.default_rng(0)
    columns = honest()
    columns["half"] = np.where(generator.random(N) < 0.5, np.nan, columns["x0"])
    columns["empty"] = np.where(generator.random(N) < 0.97, np.nan, columns["x1"])
    columns["city"] = np.array([f"city {i}" for i in generator.integers(0, 200, N)])
    codes = {finding.code: finding for finding in findings_of(columns)}
    assert codes["missing-cells"].where == "half"
    assert codes["mostly-missing"].where == "empty"
    assert codes["many-levels"].where == "city"


def test_extreme_and_skewed_targets_are_told():
    columns = honest(n_classes=0)
    columns["y"] = np.exp(1.5 * np.random.default_rng(3).normal(size=N))
    assert found(columns, "skewed-target") or found(columns, "extreme-targets")
    columns["y"] = np.random.default_rng(3).normal(size=N)
    columns["y"][7] = 1e6
    (finding,) = found(columns, "extreme-targets")
    assert "1e+06" in finding.what
    assert finding.severity is Severity.WARNING


def test_few_rows_and_more_columns_than_rows_are_told():
    generator = np.random.default_rng(0)
    columns = {f"x{i}": generator.normal(size=40) for i in range(60)} | {"y": np.arange(40) % 2}
    codes = {finding.code: finding.severity for finding in findings_of(columns)}
    assert codes["few-rows"] is Severity.SERIOUS
    assert codes["more-columns-than-rows"] is Severity.WARNING


def test_dates_and_repeated_identifiers_ask_for_honest_folds():
    columns = honest()
    columns["day"] = 1e9 + 86400.0 * np.arange(N)
    columns["patient"] = [f"p{i // 3}" for i in range(N)]
    findings = findings_of(columns, kinds={"day": "datetime", "patient": "identifier"})
    actions = {finding.code: finding.action for finding in findings}
    assert "--order day" in actions["dates-not-ordered"]
    assert "--group patient" in actions["repeated-identifier"]
    (repeated,) = [finding for finding in findings if finding.code == "repeated-identifier"]
    assert repeated.fix.command == "--group patient"


def test_findings_made_while_reading_stand_first_and_are_not_repeated():
    from dataclasses import replace

    dataset = make_dataset({**honest(), "k": ["same"] * N}, kinds={"k": "constant"})
    told = Finding(code="constant-column", severity=Severity.NOTE, where="k", what="Said before.", action="Not used.")
    first = Finding(code="encoding", severity=Severity.NOTE, where="file", what="Latin-1.", action="Read as such.")
    findings = judge_quality(replace(dataset, findings=(first, told)), profile(dataset))
    assert findings == (first, told)


def test_a_table_without_a_target_is_judged_too():
    columns = {"a": np.arange(300.0), "k": ["same"] * 300}
    assert {finding.code for finding in findings_of(columns, target=None, kinds={"k": "constant"})} == {"constant-column"}
