"""Fix plans: written, edited, applied; refused where they do not fit."""

from dataclasses import replace

import numpy as np
import pytest

from cupel.core.errors import DataError, UsageError
from cupel.core.finding import Finding, Severity
from cupel.core.fix import Fix, FixKind
from cupel.core.mending import Mending
from cupel.core.schema import ColumnKind
from cupel.data.fixes import FixPlan, data_key, mended, plain_plan
from cupel.data.shuffling import shuffled
from cupel.data.tests.making_datasets import make_dataset

CITIES = ["NY", "ny", "LA", "NY", "ny", "LA", "", "NY"]


def dataset():
    columns = {"city": CITIES, "x": [1.0, 2.0, 1500.0, 3.0, -1.0, 2.0, 5.0, np.nan], "y": np.array(["a", "b"] * 4)}
    return make_dataset(columns)


def finding(fix: Fix) -> Finding:
    return Finding(code="some", severity=Severity.NOTE, where="city", what="Something.", action="Nothing.", fix=fix)


MERGE = Fix(kind=FixKind.MEND_CELLS, columns=("city",), mending=Mending(spellings=(("ny", "NY"),)), is_safe=True)
SCALE = Fix(kind=FixKind.MEND_CELLS, columns=("x",), mending=Mending(scales=((1000.0, 2000.0, 0.001),), low=0.0))
ROWS = Fix(kind=FixKind.LEAVE_OUT_ROWS, rows=(2, 5))


def plan_of(*fixes: Fix, data=None) -> dict:
    return plain_plan([finding(fix) for fix in fixes], dataset() if data is None else data)


def test_a_plan_says_what_it_would_do_and_applies_only_what_is_marked():
    plain = plan_of(MERGE, SCALE, ROWS)
    assert [entry["apply"] for entry in plain["fixes"]] == [True, False, False]
    assert FixPlan.of(plain).fixes == (Fix(kind=MERGE.kind, columns=MERGE.columns, mending=MERGE.mending),)
    for entry in plain["fixes"]:
        entry["apply"] = True
    plan = FixPlan.of(plain)
    assert plan.spared(dataset()).tolist() == [1, 4]
    assert [fix.columns for fix in plan.changes] == [("city",), ("x",)]


def test_an_order_of_rows_stands_in_the_plan_and_asks_for_its_column():
    plain = plan_of(Fix(kind=FixKind.ORDER), Fix(kind=FixKind.KEEP_TOGETHER))
    (entry,) = plain["fixes"]
    assert (entry["fix"], entry["apply"], entry["columns"]) == ("order", False, [])
    assert FixPlan.of(plain).order is None
    entry["apply"] = True
    with pytest.raises(UsageError, match=r"names no columns; write columns: \[NAME\]"):
        FixPlan.of(plain)
    entry["columns"] = ["day"]
    assert FixPlan.of(plain).order == "day"


def test_spellings_are_merged_and_the_schema_remembers():
    changed = mended(dataset(), [MERGE])
    assert changed.schema["city"].levels == ("NY", "LA")
    assert changed.columns["city"].tolist() == [0, 0, 1, 0, 0, 1, -1, 0]
    assert changed.schema["city"].mending == MERGE.mending
    assert changed.fingerprint != dataset().fingerprint
    assert mended(dataset(), [MERGE]).fingerprint == changed.fingerprint


def test_numbers_are_mended_with_their_range():
    changed = mended(dataset(), [SCALE])
    np.testing.assert_array_equal(changed.columns["x"], [1.0, 2.0, 1.5, 3.0, np.nan, 2.0, 5.0, np.nan])
    assert (changed.schema["x"].low, changed.schema["x"].high) == (1.0, 5.0)


def test_what_mends_a_column_does_so_at_once_as_in_later_rows():
    bound = Fix(kind=FixKind.MEND_CELLS, columns=("x",), mending=Mending(low=2.0))
    changed = mended(dataset(), [bound, replace(SCALE, mending=Mending(scales=((1.0, 1.0, 4.0),)))])
    np.testing.assert_array_equal(changed.columns["x"], changed.schema["x"].mending.numbers(dataset().columns["x"]))
    assert changed.columns["x"][0] == 4.0


def test_a_value_that_is_no_number_is_no_label_of_numbers():
    numbers = make_dataset({"x": np.arange(8.0), "y": np.arange(8.0) * 1.5 + 0.1})
    with pytest.raises(DataError, match="'nan' of the fix plan is no number"):
        mended(numbers, [Fix(kind=FixKind.RELABEL_ROWS, rows=(3,), labels=("nan",))])


def test_rows_are_relabelled_by_their_place_in_the_source():
    fix = Fix(kind=FixKind.RELABEL_ROWS, rows=(1, 8), labels=("b", "a"))
    changed = mended(dataset(), [fix])
    assert changed.target.tolist() == [1, 1, 0, 1, 0, 1, 0, 0]
    assert changed.schema["y"].levels[changed.columns["y"][0]] == "b"
    with pytest.raises(DataError, match="no class"):
        mended(dataset(), [Fix(kind=FixKind.RELABEL_ROWS, rows=(1,), labels=("z",))])
    with pytest.raises(DataError, match="not in the data"):
        mended(dataset(), [Fix(kind=FixKind.RELABEL_ROWS, rows=(99,), labels=("a",))])


def test_roles_of_columns_are_read_from_a_plan():
    plan = FixPlan(
        (
            Fix(kind=FixKind.DROP_COLUMN, columns=("x",)),
            Fix(kind=FixKind.GROUP, columns=("city",)),
            Fix(kind=FixKind.ORDER, columns=("day",)),
        )
    )
    assert (plan.drop, plan.group, plan.order) == (("x",), "city", "day")
    with pytest.raises(UsageError, match="apply one"):
        _ = FixPlan((Fix(kind=FixKind.GROUP, columns=("a",)), Fix(kind=FixKind.GROUP, columns=("b",)))).group


def test_rows_of_other_data_are_refused():
    plain = plan_of(ROWS)
    plain["fixes"][0]["apply"] = True
    FixPlan.of(plain).check_rows(dataset())
    other = make_dataset({"city": CITIES, "y": np.array(["b", "a"] * 4)})
    assert data_key(other) != data_key(dataset())
    with pytest.raises(DataError, match="other data"):
        FixPlan.of(plain).check_rows(other)


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({"fixes": "all"}, "list"),
        ({"fixes": [], "more": 1}, "list"),
        ({"fixes": [{"fix": "drop-column", "columns": ["x"]}]}, "apply"),
        ({"fixes": [{"fix": "burn", "apply": True}]}, "burn"),
        ({"fixes": [{"fix": "drop-column", "apply": True, "rows": [1]}]}, "'rows'"),
        ({"fixes": [{"fix": "drop-column", "apply": True}]}, "names no columns"),
        ({"fixes": [{"fix": "leave-out-rows", "apply": True, "rows": ["x"]}]}, "cannot be read"),
        ({"fixes": [{"fix": "mend-cells", "apply": True, "columns": ["x"], "scales": [[1, 9, 2]]}]}, "again"),
        ({"fixes": [{"fix": "leave-out-rows", "apply": True, "rows": "12"}]}, r"write a list: rows: \[12\]"),
        ({"fixes": [{"fix": "leave-out-rows", "apply": True, "rows": [1.5]}]}, "a row is 1.5"),
        ({"fixes": [{"fix": "drop-column", "apply": True, "columns": "age"}]}, r"columns: \[age\]"),
        ({"fixes": [{"fix": "mend-cells", "apply": True, "columns": ["x"], "codes": "99"}]}, r"codes: \[99\]"),
        ({"fixes": [{"fix": "mend-cells", "apply": True, "columns": ["x"], "spellings": {"Norway": False}}]}, "in quotes"),
        ({"fixes": [{"fix": "relabel-rows", "apply": True, "labels": {3: None}}]}, "in quotes"),
    ],
)
def test_what_is_no_plan_is_refused_with_what_was_expected(plain, words):
    with pytest.raises(UsageError, match=words):
        FixPlan.of(plain)


@pytest.mark.parametrize(
    ("column", "mending"),
    [("city", Mending(low=0.0)), ("x", Mending(spellings=(("a", "b"),))), ("y", Mending(low=0.0)), ("x", Mending(low=1e9))],
)
def test_mending_that_does_not_fit_a_column_is_refused(column, mending):
    with pytest.raises(UsageError, match=column):
        mended(dataset(), [Fix(kind=FixKind.MEND_CELLS, columns=(column,), mending=mending)])


def test_no_plan_changes_nothing():
    plan = FixPlan.of({})
    assert (plan.fixes, plan.drop, plan.group) == ((), (), None)
    same = dataset()
    assert mended(same, plan.changes) is same
    assert same.schema["x"].kind is ColumnKind.NUMBER


def test_shuffled_targets_keep_their_counts_and_nothing_else():
    same = dataset()
    dealt = shuffled(same)
    assert sorted(dealt.target.tolist()) == sorted(same.target.tolist())
    assert dealt.fingerprint != same.fingerprint
    assert shuffled(same).target.tolist() == dealt.target.tolist()
    assert dealt.schema["y"].levels[dealt.columns["y"][0]] == dealt.task.classes[dealt.target[0]]
    assert dealt.findings[-1].code == "shuffled-target"
