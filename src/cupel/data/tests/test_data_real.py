"""Findings and folds of real tables."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from cupel import data
from cupel.core.finding import Severity

pytestmark = pytest.mark.real

FOLDER = Path(os.environ.get("CUPEL_DATA", Path(__file__).parents[4] / ".." / "shared" / "data"))
TABLES = {
    "titanic/titanic": "Survived",
    "telco_churn/telco_churn": "Churn",
    "mushroom/mushroom": "type",
    "penguins/penguins": "species",
    "breast_cancer_wdbc/wdbc": "diagnosis",
    "german_credit/german_credit": "credit_risk",
    "california_housing/california_housing": "median_house_value",
    "diamonds/diamonds": "price",
    "letter/letter": "letter",
    "abalone/abalone": "Rings",
}


def looked(name: str, target: str):
    (path,) = sorted(FOLDER.glob(f"{name.split('/')[0]}/*.csv.gz"))[:1]
    dataset = data.read(str(path), target=target)
    return dataset, data.profile(dataset)


@pytest.mark.parametrize("name", TABLES)
def test_no_honest_table_is_accused_of_leaking(name):
    dataset, profile = looked(name, TABLES[name])
    assert not [finding for finding in data.judge_quality(dataset, profile) if "leak" in finding.code]
    splits = data.split(dataset)
    judged = np.bincount(np.concatenate([fold.valid for fold in splits.folds]))
    assert (judged == 1).all()


def test_the_leaks_of_compas_and_of_bike_sharing_are_found():
    dataset, profile = looked("compas/compas", "two_year_recid")
    leaks = {f.where for f in data.judge_quality(dataset, profile) if f.code == "leak" and f.severity is Severity.SERIOUS}
    assert {"is_recid", "r_offense_date", "r_charge_degree"} <= leaks
    dataset, profile = looked("bike_sharing_hour/hour", "cnt")
    assert [f.where for f in data.judge_quality(dataset, profile) if f.code == "leak"] == ["casual, registered"]


def test_profile_findings_and_folds_of_fifty_thousand_rows_take_seconds():
    dataset, _ = looked("diamonds/diamonds", "price")
    started = time.perf_counter()
    profile = data.profile(dataset)
    assert time.perf_counter() - started < 2
    data.judge_quality(dataset, profile)
    data.split(dataset)
    assert time.perf_counter() - started < 6
