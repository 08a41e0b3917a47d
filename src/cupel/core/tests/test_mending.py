"""Corrections of cells: the same once and twice, and the same in training and at prediction."""

import numpy as np
import pytest

from cupel.core.decoding import decode
from cupel.core.errors import ArtifactError, UsageError
from cupel.core.mending import NO_MENDING, Mending
from cupel.core.schema import Column, ColumnKind, Schema


def test_numbers_are_scaled_and_what_cannot_be_is_missing():
    mending = Mending(scales=((1000.0, 3000.0, 0.001),), low=0.0, high=5.0, codes=(-9.0,))
    mended = mending.numbers(np.array([1.5, 2000.0, -1.0, 7.0, -9.0, np.nan]))
    np.testing.assert_array_equal(mended, [1.5, 2.0, np.nan, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(mending.numbers(mended), mended)


def test_what_is_given_is_not_changed():
    values = np.array([1.0, 99.0])
    Mending(codes=(99.0,)).numbers(values)
    assert values[1] == 99.0


@pytest.mark.parametrize(
    "faulty",
    [
        {"scales": ((1.0, 100.0, 2.0),)},
        {"scales": ((5.0, 1.0, 10.0),)},
        {"scales": ((1.0, 2.0, 0.0),)},
        {"scales": ((1.0, 2.0, 100.0), (100.0, 200.0, 0.001))},
        {"spellings": (("ny", "NY"), ("NY", "New York"))},
    ],
)
def test_what_would_not_be_the_same_twice_is_refused(faulty):
    with pytest.raises(UsageError):
        Mending(**faulty)


def test_decoding_mends_whatever_the_cells_came_as():
    number = Column(name="x", kind=ColumnKind.NUMBER, mending=Mending(low=0.0))
    for cells in (np.array([1.0, -1.0]), np.array(["1", "-1"], dtype=object), np.array([1, -1])):
        np.testing.assert_array_equal(decode(cells, number).values, [1.0, np.nan])
    city = Column(name="c", kind=ColumnKind.CATEGORY, levels=("NY", "LA"), mending=Mending(spellings=(("ny", "NY"),)))
    assert decode(np.array([" ny ", "LA", None], dtype=object), city).values.tolist() == ["NY", "LA", ""]


def test_a_schema_carries_mending_through_json_and_says_nothing_without():
    mending = Mending(spellings=(("ny", "NY"),), scales=((10.0, 20.0, 0.01),), high=9.0, codes=(99.0,))
    schema = Schema((Column(name="c", kind=ColumnKind.CATEGORY, mending=mending), Column(name="x", kind=ColumnKind.NUMBER)))
    plain = schema.to_json()
    assert "mending" not in plain["columns"][1]
    assert Schema.from_json(plain) == schema
    assert not NO_MENDING
    plain["columns"][0]["mending"] = {"scales": [[1, 100, 2]]}
    with pytest.raises(ArtifactError):
        Schema.from_json(plain)
