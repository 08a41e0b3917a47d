"""Tables of the data folder (see its MANIFEST.md) are read with the kinds and tasks that a person would give them."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from cupel import data

pytestmark = pytest.mark.real

ROOT = Path(__file__).resolve().parents[4]
FOLDER = Path(os.environ.get("CUPEL_DATA", ROOT.parent / "shared" / "data"))

# path, target: task, classes, rows, and kinds of columns that could be mistaken
TABLES = {
    ("titanic/titanic", "Survived"): (
        "binary", 2, 891,
        {"PassengerId": "identifier", "Name": "text", "Ticket": "text", "Cabin": "text", "Pclass": "number", "Age": "number",
         "Sex": "category", "Embarked": "category"},
    ),
    ("adult/train", "income"): ("binary", 2, 32561, {"workclass": "category", "age": "number", "fnlwgt": "number"}),
    ("adult/test", "income"): ("binary", 2, 16281, {"native_country": "category"}),
    ("telco_churn/telco_churn", "Churn"): (
        "binary", 2, 7043,
        {"customerID": "identifier", "TotalCharges": "number", "Partner": "boolean", "MultipleLines": "category",
         "SeniorCitizen": "number", "tenure": "number"},
    ),
    ("german_credit/german_credit", "credit_risk"): (
        "binary", 2, 1000, {"status": "category", "telephone": "boolean", "other_debtors": "category", "amount": "number"},
    ),
    ("penguins/penguins", "species"): ("multiclass", 3, 344, {"sex": "category", "island": "category", "body_mass_g": "number"}),
    ("mushroom/mushrooms", "type"): (
        "binary", 2, 8124, {"veil_type": "constant", "stalk_root": "category", "bruises": "boolean", "odor": "category"},
    ),
    ("letter/letter", "letter"): ("multiclass", 26, 20000, {"xbox": "number", "yedgex": "number"}),
    ("breast_cancer_wdbc/wdbc", "diagnosis"): ("binary", 2, 569, {"id": "identifier", "radius_mean": "number"}),
    ("compas/compas_two_years", "two_year_recid"): (
        "binary", 2, 7214,
        {"id": "identifier", "name": "text", "dob": "datetime", "c_jail_in": "datetime", "c_case_number": "identifier",
         "race": "category", "priors_count": "number", "priors_count.1": "number", "violent_recid": "constant"},
    ),
    ("california_housing/housing", "median_house_value"): (
        "regression", 0, 20640, {"total_bedrooms": "number", "ocean_proximity": "category", "housing_median_age": "number"},
    ),
    ("diamonds/diamonds", "price"): ("regression", 0, 53940, {"cut": "category", "clarity": "category", "carat": "number"}),
    ("abalone/abalone", "Rings"): ("regression", 0, 4177, {"Sex": "category", "Length": "number"}),
    ("insurance_charges/insurance", "charges"): (
        "regression", 0, 1338, {"smoker": "boolean", "region": "category", "children": "number"},
    ),
    ("wine_quality/winequality-red", "quality"): ("regression", 0, 1599, {"citric acid": "number", "pH": "number"}),
    ("wine_quality/winequality-white", "quality"): ("regression", 0, 4898, {"fixed acidity": "number"}),
    ("bike_sharing_hour/hour", "cnt"): ("regression", 0, 17379, {"instant": "identifier", "dteday": "datetime", "hr": "number"}),
    ("pima_diabetes/pima", "Outcome"): ("binary", 2, 768, {"Pregnancies": "number", "BMI": "number"}),
    ("bengaluru_house/bengaluru_house", "price"): (
        "regression", 0, 13320, {"total_sqft": "number", "size": "category", "availability": "category", "society": "category"},
    ),
    ("concrete/concrete", "strength"): ("regression", 0, 1030, {"age": "number", "water": "number"}),
    ("walmart_weekly/walmart", "Weekly_Sales"): ("regression", 0, 6435, {"Date": "datetime", "Store": "number"}),
    ("air_passengers/air_passengers", "Passengers"): ("regression", 0, 144, {"Month": "datetime"}),
    ("sms_spam/sms", "label"): ("binary", 2, 5574, {"text": "text"}),
    ("swedish_leaf/SwedishLeaf_TRAIN", "target"): ("multiclass", 15, 500, {"t0": "number"}),
}  # fmt: skip


def table(name):
    path = FOLDER / f"{name}.csv.gz"
    if not path.exists():
        pytest.skip(f"there is no {path}; set CUPEL_DATA to the folder of data sets")
    return path


def column(dataset, name):
    return dataset.columns[name]


@pytest.mark.parametrize(("name", "target"), TABLES, ids=lambda value: value)
def test_a_real_table_is_understood(name, target):
    kind, n_classes, n_rows, kinds = TABLES[name, target]
    dataset = data.read(table(name), target=target)
    assert dataset.task.kind == kind
    assert len(dataset.task.classes) == n_classes
    assert dataset.n_samples == n_rows
    assert {name: dataset.schema[name].kind.value for name in kinds} == kinds
    assert not [found for found in dataset.findings if found.code == "target-missing"]


def test_blank_charges_of_new_customers_are_missing():
    dataset = data.read(table("telco_churn/telco_churn"), target="Churn")
    assert int(np.isnan(column(dataset, "TotalCharges")).sum()) == 11
    assert dataset.task.classes == ("No", "Yes")


def test_question_marks_of_the_census_are_missing():
    dataset = data.read(table("adult/train"), target="income")
    names = ("workclass", "occupation", "native_country")
    assert sum(int((column(dataset, name) == -1).sum()) for name in names) == 4262
    assert "'?' in workclass (1836)" in next(f for f in dataset.findings if f.code == "missing-markers").what


def test_ranges_among_house_sizes_are_reported():
    dataset = data.read(table("bengaluru_house/bengaluru_house"), target="price")
    found = next(f for f in dataset.findings if f.code == "unreadable-cells")
    assert found.where == "total_sqft"
    assert "2100 - 2850" in found.what


def test_days_of_sales_are_read_day_first():
    dataset = data.read(table("walmart_weekly/walmart"), target="Weekly_Sales")
    first = np.datetime64(int(column(dataset, "Date")[0]), "s")
    assert first == np.datetime64("2010-02-05")
    assert dataset.schema["Date"].datetime_format in ("%d/%m/%y", "%d-%m-%y")


def test_a_task_that_could_be_another_is_explained():
    dataset = data.read(table("wine_quality/winequality-red"), target="quality")
    assert "3 to 8" in next(f for f in dataset.findings if f.code == "task-guessed").what
    assert data.read(table("wine_quality/winequality-red"), target="quality", task="classification").task.classes == tuple(
        "345678"
    )


def test_the_same_table_from_parquet_has_the_same_fingerprint(tmp_path):
    import polars

    for name, target in (("adult/train", "income"), ("diamonds/diamonds", "price"), ("penguins/penguins", "species")):
        path = table(name)
        polars.read_csv(path.read_bytes()).write_parquet(tmp_path / "t.parquet")
        assert data.read(path, target=target).fingerprint == data.read(tmp_path / "t.parquet", target=target).fingerprint


def test_large_real_tables_are_read_in_seconds():
    start = time.process_time()
    data.read(table("diamonds/diamonds"), target="price")
    data.read(table("adult/train"), target="income")
    assert time.process_time() - start < 5
