import sys
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cupel.core.decoding import canonical, decode
from cupel.core.errors import DataError
from cupel.core.schema import Column, ColumnKind

NUMBER = Column(name="x", kind=ColumnKind.NUMBER)
CATEGORY = Column(name="x", kind=ColumnKind.CATEGORY, levels=("a", "b"))
BOOLEAN = Column(name="x", kind=ColumnKind.BOOLEAN, levels=("No", "Yes"))
MOMENT = Column(name="x", kind=ColumnKind.DATETIME)
DAY_FIRST = Column(name="x", kind=ColumnKind.DATETIME, datetime_format="%d/%m/%Y")
TEXT = Column(name="x", kind=ColumnKind.TEXT)
ALL = (NUMBER, CATEGORY, BOOLEAN, MOMENT, DAY_FIRST, TEXT)

cell = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(
        ["1,234", "$5", "12 %", "NA", "?", "-", "yes", "No", "2024-01-31", "31/01/2024", "inf", " 3.0 ", "1_0", "(4)"]
    ),
    st.dates(date(1, 1, 1), date(9999, 12, 31)),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-1000, max_value=1000),
)


def cells(*values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@settings(max_examples=50, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_survives_being_written_as_text(number):
    assert decode(cells(str(number)), NUMBER).values[0] == number


@settings(max_examples=50, deadline=None)
@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)))
def test_a_moment_survives_being_written_as_text(moment):
    expected = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    assert decode(cells(moment.isoformat()), MOMENT).values[0] == expected
    assert decode(np.array([moment], dtype="datetime64[us]"), MOMENT).values[0] == expected


@settings(max_examples=40, deadline=None)
@given(st.lists(cell, min_size=1, max_size=12), st.sampled_from(ALL), st.integers(0, 12))
def test_a_cell_is_decoded_alike_alone_in_a_part_and_in_the_whole(values, column, cut):
    whole = decode(cells(*values), column)
    parts = [decode(cells(*part), column).values for part in (values[:cut], values[cut:])]
    alone = [decode(cells(value), column) for value in values]
    np.testing.assert_array_equal(whole.values, np.concatenate(parts))
    np.testing.assert_array_equal(whole.values, np.concatenate([one.values for one in alone]))
    np.testing.assert_array_equal(whole.unreadable, np.flatnonzero([len(one.unreadable) for one in alone]))
    np.testing.assert_array_equal(whole.infinite, np.flatnonzero([len(one.infinite) for one in alone]))


@settings(max_examples=40, deadline=None)
@given(st.lists(cell, max_size=12), st.sampled_from(ALL))
def test_what_was_decoded_decodes_to_itself(values, column):
    once = decode(cells(*values), column).values
    again = decode(once, column)
    np.testing.assert_array_equal(again.values, once)
    assert not len(again.unreadable)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,234", 1234),
        ("1,234,567.5", 1234567.5),
        ("12,34,567", 1234567),
        ("$12", 12),
        ("-$5", -5),
        ("$-5", -5),
        ("12 €", 12),
        ("12 %", 12),
        ("(1,234)", -1234),
        ("\u22123", -3),
        ("+7", 7),
        (".5", 0.5),
        ("5.", 5),
        ("1e5", 1e5),
        ("1E-2", 0.01),
        ("1 234 567", 1234567),
        ("1'000", 1000),
        (" 3.0 ", 3),
        ("007", 7),
    ],
)
def test_numbers_as_people_write_them_are_read(text, number):
    decoded = decode(cells(text, "other"), NUMBER)
    assert decoded.values[0] == number
    assert decoded.unreadable.tolist() == [1]


@pytest.mark.parametrize(
    "text", ["1,23", "0,123", "1_000", "0x10", "()", "$", "%", "+", "1.2.3", "2100 - 2850", "12 km", "(3", "1e", "x"]
)
def test_what_is_no_number_is_unreadable(text):
    decoded = decode(cells(text), NUMBER)
    assert np.isnan(decoded.values[0])
    assert decoded.unreadable.tolist() == [0]


@pytest.mark.parametrize(
    ("text", "number"), [("1.234,5", 1234.5), ("2,5", 2.5), ("3", 3), ("1.234", 1234), ("-0,5 %", -0.5), (",5", 0.5)]
)
def test_a_decimal_comma_is_read_where_the_column_has_it(text, number):
    assert decode(cells(text), Column(name="x", kind=ColumnKind.NUMBER, decimal=",")).values[0] == number


@pytest.mark.parametrize("text", ["", "  ", "NA", "n/a", "nan", "NaN", "null", "None", "-", "?", ".", "missing", "#DIV/0!", None])
def test_markers_among_numbers_are_missing_and_not_unreadable(text):
    decoded = decode(cells(text, "5"), NUMBER)
    assert np.isnan(decoded.values[0])
    assert not len(decoded.unreadable)


def test_an_infinite_number_is_missing_and_reported():
    for values in (np.array([1.0, np.inf, -np.inf]), cells("1", "inf", "-Infinity"), cells(1.0, np.inf, -np.inf)):
        decoded = decode(values, NUMBER)
        assert decoded.infinite.tolist() == [1, 2]
        assert np.isnan(decoded.values[1:]).all()


def test_input_is_never_changed():
    values = np.array([1.0, np.inf])
    decode(values, NUMBER)
    assert np.isinf(values[1])


def test_whole_numbers_beyond_a_float_do_not_fail():
    assert decode(cells(10**400, 2), NUMBER).infinite.tolist() == [0]


def test_categories_have_one_spelling_whatever_their_type():
    decoded = decode(cells("a ", 3.0, 3, "3.0", True, "TRUE", None, float("nan"), "NA", Decimal("3")), CATEGORY).values
    assert decoded.tolist() == ["a", "3", "3", "3", "true", "true", "", "", "", "3"]
    assert decode(np.array([3.0, 3.5, np.nan]), CATEGORY).values.tolist() == ["3", "3.5", ""]
    assert decode(np.array(["b", "a"]), CATEGORY).values.tolist() == ["b", "a"]


def test_a_marker_that_is_a_level_is_kept():
    assert decode(cells("NA", "none"), Column(name="x", kind=ColumnKind.CATEGORY, levels=("NA",))).values.tolist() == [
        "NA",
        "none",
    ]


def test_a_weak_marker_is_missing_among_words_only_where_the_column_says_so():
    column = Column(name="x", kind=ColumnKind.CATEGORY, levels=("a",), markers=("-",))
    assert decode(cells("-", "--"), column).values.tolist() == ["", "--"]


def test_booleans_are_read_from_words_numbers_and_booleans():
    decoded = decode(cells("Yes", "no", True, 0, "1", 1.0, None, "maybe", 2), BOOLEAN)
    np.testing.assert_array_equal(decoded.values, [1, 0, 1, 0, 1, 1, np.nan, np.nan, np.nan])
    assert decoded.unreadable.tolist() == [7, 8]
    assert decode(np.array([True, False]), BOOLEAN).values.tolist() == [1, 0]
    assert decode(np.array([1.0, 0.0, 7.0]), BOOLEAN).unreadable.tolist() == [2]


@pytest.mark.parametrize(
    ("form", "text", "iso"),
    [
        ("%d/%m/%Y", "3/4/2024", "2024-04-03"),
        ("%m/%d/%Y %I:%M %p", "04/03/2024 12:05 AM", "2024-04-03T00:05"),
        ("%d-%b-%y", "03-Apr-68", "2068-04-03"),
        ("%d-%b-%y", "03-APR-70", "1970-04-03"),
        ("%B %d, %Y", "April 3, 2024", "2024-04-03"),
        ("%a, %d %b %Y %H:%M:%S %z", "Wed, 03 Apr 2024 02:00:00 +0200", "2024-04-03"),
        ("%Y-%m", "2024-04", "2024-04-01"),
        ("%d.%m.%Y %H:%M:%S.%f", "03.04.2024 01:02:03.25", "2024-04-03T01:02:03.25"),
        ("%s", "86400", "1970-01-02"),
        ("", "2024-04-03T02:00:00+02:00", "2024-04-03"),
        ("", "2024-04-03 00:00:00Z", "2024-04-03"),
        ("%d/%m/%Y", "2024-04-03", "2024-04-03"),
    ],
)
def test_dates_are_read_in_the_format_of_their_column(form, text, iso):
    decoded = decode(cells(text), Column(name="x", kind=ColumnKind.DATETIME, datetime_format=form))
    assert decoded.values[0] == np.datetime64(iso, "us").astype(np.int64) / 1e6


def test_impossible_dates_are_unreadable():
    assert decode(cells("31/02/2024", "01/13/2024", "soon", "13/01/2024"), DAY_FIRST).unreadable.tolist() == [0, 1, 2]


def test_moments_with_a_zone_mean_the_same_instant():
    aware = datetime.fromisoformat("2024-01-01T02:00:00+02:00")
    assert decode(cells(aware, datetime(2024, 1, 1), "2024-01-01"), MOMENT).values.tolist() == [1704067200.0] * 3


def test_numbers_in_a_column_of_dates_are_seconds():
    assert decode(np.array([5.0, np.nan]), MOMENT).values[0] == 5.0
    assert decode(cells(5.0, "1970-01-01"), MOMENT).values.tolist() == [5.0, 0.0]


def test_dates_among_numbers_are_unreadable():
    values = np.array(["2024-01-01", "NaT"], dtype="datetime64[D]")
    assert decode(values, NUMBER).unreadable.tolist() == [0]


def test_durations_are_seconds():
    values = np.array([90, "NaT"], dtype="timedelta64[s]")
    np.testing.assert_array_equal(decode(values, NUMBER).values, [90.0, np.nan])


def test_texts_keep_their_words_and_missing_ones_are_none():
    assert decode(cells(" Dear Sir ", "", None, "n/a", 3.0), TEXT).values.tolist() == ["Dear Sir", None, None, None, "3"]


def test_structures_and_bytes_become_text():
    assert decode(cells({"a": [1]}, [1, 2], b"x", np.array([1, 2])), TEXT).values.tolist() == [
        '{"a": [1]}',
        "[1, 2]",
        "x",
        "[1, 2]",
    ]
    assert decode(np.array([b"x", b""]), TEXT).values.tolist() == ["x", None]


def test_missing_values_of_pandas_are_missing():
    pandas = pytest.importorskip("pandas")
    assert np.isnan(decode(cells(pandas.NA, pandas.NaT, 1), NUMBER).values[:2]).all()
    assert decode(cells(pandas.NA, pandas.NaT), CATEGORY).values.tolist() == ["", ""]


def test_no_cells_give_no_values():
    for column in ALL:
        assert decode(np.empty(0, dtype=object), column).values.shape == (0,)
        assert decode(np.empty(0), column).values.shape == (0,)


@pytest.mark.parametrize("values", [np.zeros((2, 2)), np.array([1j])])
def test_what_is_no_column_is_refused(values):
    with pytest.raises(DataError, match="'x'"):
        decode(values, NUMBER)


def test_a_category_has_one_canonical_spelling():
    assert [canonical(text) for text in (" a ", "3.0", "-3.00", "3.5", "007", "True", "a.0", "1.2.0")] == [
        "a", "3", "-3", "3.5", "007", "true", "a.0", "1.2.0",
    ]  # fmt: skip


def seconds_to_decode(values, column):
    times = []
    for _ in range(3):
        start = time.process_time()
        decode(values, column)
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.skipif(sys.gettrace() is not None, reason="slow under a debugger or coverage")
def test_plain_numbers_are_decoded_fast():
    numbers = np.random.default_rng(0).normal(size=1_000_000)
    assert seconds_to_decode(numbers, NUMBER) < 0.05
    assert seconds_to_decode(cells(*map(repr, numbers[:100_000].tolist())), NUMBER) < 0.3


def test_numbers_among_texts_are_no_texts_with_a_decimal_comma():
    column = Column(name="x", kind=ColumnKind.NUMBER, decimal=",")
    cells = np.array([123.456, 10, "1,5", "1.234", None, True, Decimal("2.5"), 10**400], dtype=object)
    decoded = decode(cells, column)
    np.testing.assert_array_equal(decoded.values, [123.456, 10, 1.5, 1234, np.nan, 1, 2.5, np.nan])
    assert decoded.infinite.tolist() == [7]
    assert len(decoded.unreadable) == 0


@pytest.mark.parametrize("cell", [timedelta(hours=1), pd.Timedelta("1h"), np.timedelta64(3600, "s")])
def test_a_duration_is_seconds_in_a_record_too(cell):
    np.testing.assert_array_equal(decode(cells(cell, None, 2.0), NUMBER).values, [3600.0, np.nan, 2.0])


def test_half_of_a_character_is_a_level_like_any_other():
    assert decode(cells("good \ud83d", "good"), CATEGORY).values.tolist() == ["good ?", "good"]
