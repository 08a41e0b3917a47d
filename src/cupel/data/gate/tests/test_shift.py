"""New rows against old ones: what changed is named, what did not is not."""

import numpy as np
import pytest

from cupel.core.errors import DataError
from cupel.core.finding import Severity
from cupel.data.gate import find_shift
from cupel.data.tests.making_datasets import make_dataset


def columns(n: int, *, seed: int, mean: float = 0.0, places=("a", "b", "c"), shares=(0.5, 0.3, 0.2)) -> dict:
    generator = np.random.default_rng(seed)
    return {
        "x": generator.normal(mean, 1, n),
        "z": generator.normal(size=n),
        "place": generator.choice(places, n, p=shares).astype(object),
    }


def old(n: int = 1500):
    return make_dataset({**columns(n, seed=0), "y": np.arange(n) % 2})


@pytest.mark.parametrize("seed", range(1, 4))
def test_rows_of_the_same_kind_have_not_shifted(seed):
    assert find_shift(old(), columns(700, seed=seed)) == []


def test_a_few_rows_of_the_same_kind_are_not_told_apart_by_chance():
    found = find_shift(old(200), columns(12, seed=8), seed=8)
    assert "shift" not in {finding.code for finding in found}


def test_a_moved_column_is_named_with_its_medians_and_the_rows_are_told_apart():
    found = {finding.code: finding for finding in find_shift(old(), columns(700, seed=1, mean=1.5))}
    assert found["shifted-column"].where == "x"
    assert found["shifted-column"].severity is Severity.WARNING
    assert "the median was" in found["shifted-column"].what
    assert "ROC-AUC" in found["shift"].what


def test_levels_never_seen_and_changed_shares_are_told():
    found = find_shift(old(), columns(700, seed=1, places=("a", "b", "d"), shares=(0.2, 0.3, 0.5)))
    codes = {finding.code: finding for finding in found}
    assert "'d'" in codes["unseen-levels"].what
    assert codes["shifted-column"].where == "place"
    assert "never seen was 0%" in codes["shifted-column"].what


def test_absent_and_unreadable_columns_are_serious():
    new = columns(200, seed=1)
    del new["z"]
    new["x"] = np.array(["1.5"] * 199 + ["broken"], dtype=object)
    codes = {finding.code: finding.severity for finding in find_shift(old(), new)}
    assert codes["absent-columns"] is Severity.SERIOUS
    assert codes["unreadable-new-cells"] is Severity.SERIOUS
    with pytest.raises(DataError, match="none of the 3 columns"):
        find_shift(old(), {"other": np.arange(5)})
