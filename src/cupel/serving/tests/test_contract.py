"""A row is read by itself: alone through the short way, in a table, and among any others it gives the same."""

from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import packed_examples as examples
from cupel.core.errors import DataError
from cupel.serving.certificate import Certifier
from cupel.serving.contract import Contract
from cupel.serving.declaration import Golden
from cupel.serving.notes import Notes
from cupel.serving.rows import rows_of

CONTRACT = Contract(examples.SCHEMA, examples.INPUTS)

cell = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(
        ["basic", "gold ", "3.0", "3", "Öl & co", "NA", "?", "unknown", "1.234,5", "5,0", "yes", "No", "31.12.2020", "0"]
    ),
    st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-999, max_value=999),
    st.integers(-100, 100).map(np.int32),
    st.floats(-100, 100, width=32).map(np.float32),
)
record = st.fixed_dictionaries(dict.fromkeys(CONTRACT.names, cell))


def outcome(read):
    """What comes of reading one row: the graph's inputs and the notes, or that it was refused."""
    notes = Notes()
    try:
        feeds = read(notes)
    except DataError as error:
        return str(error)
    return [feeds["number"][:1].tolist(), feeds["category"][:1].tolist()], notes.sentences()


@settings(max_examples=80, deadline=None)
@given(record)
def test_the_short_way_for_one_row_is_the_way_of_tables(row):
    short = outcome(lambda notes: CONTRACT.feeds_of_record(row, notes))
    table = outcome(lambda notes: CONTRACT.feeds(rows_of([row], CONTRACT.names), notes))
    assert repr(short) == repr(table)


@settings(max_examples=50, deadline=None)
@given(record, record)
def test_another_row_changes_nothing(row, other):
    alone = outcome(lambda notes: CONTRACT.feeds(rows_of([row], CONTRACT.names), notes))
    beside = outcome(lambda notes: CONTRACT.feeds(rows_of([other], CONTRACT.names), notes))
    together = outcome(lambda notes: CONTRACT.feeds(rows_of([row, other], CONTRACT.names), notes))
    if isinstance(alone, str) or isinstance(beside, str):
        assert isinstance(together, str)
    else:
        assert repr(alone[0]) == repr(together[0])


@pytest.mark.parametrize("value", [Decimal("1.5"), np.float32(1.5), 1.5, "1,5", " 1,50 "])
def test_a_number_is_the_same_number_in_every_type(value):
    row = {**{name: cells[0] for name, cells in examples.RAW.items()}, "paid": value}
    assert CONTRACT.feeds_of_record(row, Notes())["number"][0, 1] == 1.5


def test_what_differs_among_fewer_others_is_told_by_its_golden_row():
    n_rows = len(next(iter(examples.RAW.values())))
    numbered = {**examples.RAW, "paid": [float(place) for place in range(n_rows)]}
    rows = {name: [*cells, *cells] for name, cells in numbered.items()}
    rows["paid"] = [float(place) for place in range(2 * n_rows)]
    golden = Golden(rows=rows, expected=[[0.0, 1.0]] * (2 * n_rows), tolerance=1e-4, spread=1.0)

    def run(feeds):
        """The third row is answered otherwise wherever not all rows, but more than one, are asked."""
        place = CONTRACT.feeds_of_record({name: cells[2] for name, cells in rows.items()}, Notes())["number"][0, 1]
        is_odd = (feeds["number"][:, 1] == place) & (1 < len(feeds["number"]) < 2 * n_rows)
        return np.column_stack([0.5 * is_odd, 1 - 0.5 * is_odd])

    claims = {claim.name: claim for claim in Certifier(contract=CONTRACT, run=run, golden=golden).claims()}
    assert (claims["subset"].holds, claims["subset"].row) == (False, 3)
    assert claims["trained"].holds
