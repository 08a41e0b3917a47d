import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cupel.core.decoding import decode
from cupel.core.errors import DataError, UsageError
from cupel.core.schema import ColumnKind
from cupel.data.kinds import infer, is_id_name
from cupel.data.overrides import impose, kind_named


def cells(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def kind(values, name="x", **options):
    values = values if isinstance(values, np.ndarray) else cells(values)
    return infer(name, values, **options).column.kind.value


def codes(values, name="x"):
    return [finding.code for finding in infer(name, cells(values)).findings]


WORDS = ["red", "green", "blue", "pale yellow"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "2.5", "", "-3"] * 5, "number"),
        (["$1,200", "$3", "NA"] * 5, "number"),
        (["12 %", "3 %", "?"] * 5, "number"),
        (["1.234,5", "2,5", "3"] * 5, "number"),
        (["1.5"] * 96 + ["2.5"] * 10 + ["broken"] * 2, "number"),
        (["1.5"] * 50 + ["2.5"] * 30 + ["broken", "other"] * 10, "category"),
        (["1700000000", "1700000100"] * 5, "number"),
        (["0", "1", "1"] * 5, "number"),
        (["yes", "No", "", "NO"] * 5, "boolean"),
        (["TRUE", "false"] * 5, "boolean"),
        (["t", "f", "NA"] * 5, "boolean"),
        (["yes", "no", "maybe"] * 5, "category"),
        (["yes", "", "yes"] * 5, "category"),
        (["m", "f"] * 5, "category"),
        (["2024-01-31", "2024-02-01", ""] * 5, "datetime"),
        (["2024-01-31T10:00:00Z", "2024-02-01T10:00:00+01:00"] * 5, "datetime"),
        (["31/01/2024", "01/02/2024"] * 5, "datetime"),
        (["01/31/2024 5:06 PM", "02/01/2024 11:59 AM"] * 5, "datetime"),
        (["3 Jan 2024", "12 February 2024"] * 5, "datetime"),
        (["2024-01-31", "0000-00-00", "2024-02-29"] * 5, "datetime"),
        (["1949-01", "1949-02"] * 5, "datetime"),
        (["19-Dec", "Ready To Move"] * 5, "category"),
        (["10:30", "11:45"] * 5, "category"),
        (["1.2.3", "1.2.4"] * 5, "category"),
        (["02139", "10001", "94103"] * 5, "category"),
        (WORDS * 5, "category"),
        (["x"] * 9, "constant"),
        (["5", "5.0", "5"], "constant"),
        (["", None, "NA", "-"], "constant"),
        ([f"{a} {b} says hello" for a in range(30) for b in WORDS], "text"),
        ([f"Mrs. Number {chr(97 + i % 26)}{chr(97 + i // 26)} Smith" for i in range(150)], "text"),
        ([f"{i:04d}-{'ABCDEF'[i % 6]}Q" for i in range(150)], "identifier"),
        ([f"123e4567-e89b-12d3-a456-{i:012x}" for i in range(50)], "identifier"),
        ([str(4_000_000_000_000_000 + i * 7919) for i in range(50)], "identifier"),
        ([str(i) for i in range(1, 60)], "identifier"),
        ([str(i * i) for i in range(60)], "number"),
        ([str(i / 7) for i in range(60)], "number"),
        (["a", "b", "c"], "category"),
    ],
)
def test_the_kind_of_text_columns_is_found(values, expected):
    assert kind(values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([1.5, np.nan, 2.0]), "number"),
        (np.array([1.0, np.inf, 1.0]), "category"),
        (np.array([np.nan, np.nan]), "constant"),
        (np.array([3, 3, 3]), "constant"),
        (np.array([3.0, 3.0, np.nan]), "category"),
        (np.array([True, False, True]), "boolean"),
        (cells([True, None, False]), "boolean"),
        (np.array(["2024-01-01", "2024-01-02", "NaT"], dtype="datetime64[D]"), "datetime"),
        (np.array([90, 120], dtype="timedelta64[s]"), "number"),
        (np.arange(100), "identifier"),
        (np.random.default_rng(0).permutation(100) + 1, "identifier"),
        (np.arange(5000, 5100), "identifier"),
        (np.random.default_rng(0).permutation(100) + 5000, "number"),
        (np.arange(100.0), "number"),
        (np.arange(10), "number"),
        (np.arange(0, 200, 2), "number"),
    ],
)
def test_the_kind_of_typed_columns_is_found(values, expected):
    assert kind(values) == expected


def test_distinct_whole_numbers_are_identifiers_by_name():
    numbers = np.random.default_rng(0).choice(10**6, 50, replace=False)
    for name in ("id", "ID", "user_id", "customerID", "PassengerId", "Id", "index", "Unnamed: 0"):
        assert kind(numbers, name) == "identifier", name
        assert kind([str(number) for number in numbers], name) == "identifier", name
    for name in ("acid", "humidity", "paid", "price", "width", "covid"):
        assert kind(numbers, name) == "number", name
    assert kind(np.array([1, 1, 2, 3] * 9), "user_id") == "number"
    assert kind(numbers + 0.5, "user_id") == "number"


def test_running_years_are_no_identifiers():
    assert kind(np.arange(1900, 2000), "year") == "number"
    assert kind(np.arange(100), "x", is_time=True) == "number"
    assert kind(np.arange(100), "x", is_target=True) == "number"


def test_names_that_identify_are_told_from_words_that_end_alike():
    assert all(map(is_id_name, ["id", "order_id", "orderId", "ORDER_ID", "uuid", "rowid", "customer id"]))
    assert not any(map(is_id_name, ["idea", "citric acid", "solid", "width", "video", "Madrid_x"]))


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (["13/01/2024", "01/02/2024"], "%d/%m/%Y"),
        (["01/13/2024", "01/02/2024"], "%m/%d/%Y"),
        (["01-02-24", "13-02-24"], "%d-%m-%y"),
        (["01.02.2024 13:00", "01.03.2024 14:00"], "%d.%m.%Y %H:%M"),
        (["2024/01/02", "2024/01/13"], "%Y/%m/%d"),
        (["2024-1-2", "2024-1-13"], "%Y-%m-%d"),
        (["Jan 2, 2024", "February 13, 2024"], "%b %d, %Y"),
        (["Tue, 02 Jan 2024 10:00:00 +0100", "Wed, 03 Jan 2024 10:00:00 GMT"], "%a, %d %b %Y %H:%M:%S %z"),
        (["2024-01-02", "2024-01-13 10:00"], ""),
        (["01/02/2024 1:05 PM", "01/13/2024 11:05 AM"], "%m/%d/%Y %I:%M %p"),
    ],
)
def test_the_date_format_is_found(values, form):
    typed = infer("x", cells(values * 4))
    assert typed.column.datetime_format == form
    assert not typed.findings
    assert not np.isnan(decode(cells(values), typed.column).values).any()


def test_the_order_of_rows_settles_day_and_month():
    days = [f"{day:02d}/{month:02d}/2024" for month in range(1, 5) for day in range(1, 13)]
    assert infer("x", cells(days)).column.datetime_format == "%d/%m/%Y"
    assert codes(days) == []


def test_dates_that_can_be_read_two_ways_are_reported():
    days = ["03/04/2024", "05/01/2024", "02/11/2023", "07/08/2024"]
    assert codes(days) == ["ambiguous-dates"]
    assert infer("x", cells(days)).column.datetime_format == "%m/%d/%Y"
    assert infer("x", cells([day.replace("/", ".") for day in days])).column.datetime_format == "%d.%m.%Y"


def test_a_decimal_comma_needs_the_whole_column():
    assert infer("x", cells(["1,5", "2,75", "NA"] * 4)).column.decimal == ","
    assert infer("x", cells(["1.234,5", "2", "x"] * 40)).column.kind is ColumnKind.CATEGORY
    assert infer("x", cells(["1,234.5", "2,000"] * 4)).column.decimal == "."
    assert infer("x", cells(["1.5"] * 30 + ["1,5"])).column.decimal == "."


def test_commas_that_may_be_decimal_are_reported():
    assert codes(["1,234", "5,678"]) == ["ambiguous-comma"]
    assert codes(["1,234", "5,678.5"]) == []
    assert codes(["1,234,567", "5,678"]) == []


def test_columns_that_mix_numbers_and_words_are_reported():
    assert codes([str(i) for i in range(80)] + ["broken"] * 20) == ["mixed-column"]


def test_markers_are_recorded_as_they_are_written():
    typed = infer("x", cells(["a", "b", "?", "N/A", "", "missing", "?"]))
    assert typed.column.markers == ("?", "N/A", "missing")
    assert typed.markers == {"?": 2, "N/A": 1, "missing": 1}
    assert typed.column.levels == ("a", "b")


def test_a_word_for_nothing_that_fills_most_of_a_column_is_a_level():
    assert infer("x", cells(["none"] * 8 + ["bank", "shop"])).column.levels == ("none", "bank", "shop")
    assert infer("x", cells(["none"] * 2 + ["bank", "shop"] * 4)).column.levels == ("bank", "shop")


def test_a_minus_beside_a_plus_is_a_level():
    assert infer("x", cells(["+", "-"] * 4)).column.levels == ("+", "-")


def test_a_target_keeps_its_weak_markers_as_classes():
    values = cells(["none", "apnea", "insomnia", "NA"] * 4)
    assert infer("x", values, is_target=True).column.levels == ("apnea", "insomnia", "none")
    assert infer("x", cells(["1.5", "2.5", "-"] * 4), is_target=True).column.kind is ColumnKind.NUMBER


def test_levels_are_canonical_and_sorted_by_count_then_text():
    assert infer("x", cells(["b", "a ", "c", "a", "b", "red"])).column.levels == ("a", "b", "c", "red")
    assert infer("x", np.array([True, False])).column.levels == ("false", "true")
    assert infer("x", cells(["YES", "no", "yes", "yes"])).column.levels == ("no", "yes")


word = st.text("abcdefxyz0123456789 -/.,", max_size=8)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(st.none(), word, st.sampled_from(["yes", "no", "?", "2024-01-01", "01/02/2024", "1,5"])),
        min_size=1,
        max_size=30,
    )
)
def test_what_a_column_is_does_not_depend_on_the_order_of_its_rows(values):
    typed, reversed_ = infer("x", cells(values)).column, infer("x", cells(values[::-1])).column
    assert (typed.kind, typed.levels, typed.markers, typed.decimal) == (
        reversed_.kind,
        reversed_.levels,
        reversed_.markers,
        reversed_.decimal,
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), word, st.floats(), st.integers(), st.booleans()), max_size=30))
def test_every_column_is_decoded_as_what_it_was_found_to_be(values):
    column = infer("x", cells(values)).column
    decoded = decode(cells(values), column)
    if column.kind in (ColumnKind.CATEGORY, ColumnKind.CONSTANT):
        assert set(decoded.values.tolist()) <= {*column.levels, ""}
    assert len(decoded.unreadable) <= 0.05 * len(values)


@pytest.mark.parametrize(
    ("values", "kind", "levels"),
    [
        (cells(["02139", "10001", "02139"]), "category", ("02139", "10001")),
        (np.array([3.0, 1.0, 3.0, np.nan]), "category", ("3", "1")),
        (np.array([0, 1, 1]), "boolean", ("0", "1")),
        (cells(["good", "bad"]), "boolean", ("bad", "good")),
        (cells(["Yes", "No"]), "boolean", ("No", "Yes")),
        (cells(["true", "false"]), "boolean", ("false", "true")),
        (cells(["a", "a"]), "constant", ("a",)),
    ],
)
def test_a_kind_can_be_set(values, kind, levels):
    column = impose("x", values, kind=ColumnKind(kind)).column
    assert column.overridden
    assert column.levels == levels
    assert not len(decode(values, column).unreadable)


@pytest.mark.parametrize(
    ("values", "first"),
    [
        (cells(["20240131", "20240201"]), "2024-01-31"),
        (cells(["2023", "2024"]), "2023-01-01"),
        (cells(["86400", "172800"]), "1970-01-02"),
        (cells(["31.01.2024", "01.02.2024"]), "2024-01-31"),
        (np.array([86400.0, 0.0]), "1970-01-02"),
    ],
)
def test_dates_can_be_asked_for(values, first):
    column = impose("x", values, kind=ColumnKind.DATETIME).column
    assert decode(values, column).values[0] == np.datetime64(first, "s").astype(np.int64)


def test_numbers_can_be_asked_for_where_some_cells_are_words():
    values = cells(["1", "2", "3", "broken", "odd"])
    column = impose("x", values, kind=ColumnKind.NUMBER).column
    assert decode(values, column).unreadable.tolist() == [3, 4]
    assert impose("x", cells(["1,5", "2,5"]), kind=ColumnKind.NUMBER).column.decimal == ","


@pytest.mark.parametrize(
    ("values", "kind", "example"),
    [
        (cells(["red", "blue", "1"]), "number", "'red'"),
        (np.array(["2024-01-01"], dtype="datetime64[D]"), "number", "'2024-01-01"),
        (cells(["red", "blue"]), "datetime", "'red'"),
        (cells(["a", "b", "c"]), "boolean", "3 different"),
        (np.array([1, 2]), "boolean", "'1'"),
        (cells(["a", "b"]), "constant", "'a'"),
    ],
)
def test_an_impossible_kind_is_refused_with_examples(values, kind, example):
    with pytest.raises(DataError, match=example):
        impose("x", values, kind=ColumnKind(kind))


def test_an_unknown_kind_is_refused():
    assert kind_named("x", "Category") is ColumnKind.CATEGORY
    with pytest.raises(UsageError, match=r"'colour'.*choose number, category"):
        kind_named("x", "colour")
