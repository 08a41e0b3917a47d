import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

import fuzzing
from cupel.core.decoding import spelled
from cupel.core.errors import ArtifactError
from cupel.core.schema import Schema

CASES = (
    "tables",
    "artifacts",
    "rewritten artifacts",
    "graphs",
    "rows",
    "runs",
    "resumed runs",
    "settings",
    "picks",
    "journals",
    "units",
    "records",
    "final fits",
    "run folders",
    "checkpoints",
    "prepared rows",
    "plain values",
    "yaml",
    "exports",
)


@pytest.mark.parametrize("name", CASES)
def test_strange_input_is_answered_or_refused(name):
    fuzzing.fuzz(name, n_inputs=25, number=0)


def test_every_case_is_named_here():
    assert tuple(fuzzing.cases()) == CASES


def test_what_breaks_is_found(monkeypatch):
    def breaks(content, folder):
        raise KeyError("planted")

    monkeypatch.setattr(fuzzing, "cases", lambda: {"planted": (fuzzing.PLAIN, breaks)})
    with pytest.raises(KeyError, match="planted"):
        fuzzing.fuzz("planted", n_inputs=5, number=0)


def test_a_signalling_decimal_is_missing_in_every_kind_of_column():
    for name in fuzzing.examples.RAW:
        rows = {other: [None] for other in fuzzing.examples.RAW}
        expected = fuzzing.predictor().predict_proba(rows)
        assert (fuzzing.predictor().predict_proba({**rows, name: [Decimal("sNaN")]}) == expected).all()


def test_a_moment_at_the_end_of_the_calendar_is_spelled():
    first = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))
    assert spelled(first) == "0001-01-01T00:00:00"


@pytest.mark.parametrize(
    ("field", "value"), [("datetime_format", ["%d.%m.%Y"]), ("low", 10**400), ("decimal", None), ("overridden", "yes")]
)
def test_a_schema_whose_fields_are_of_another_type_is_refused(field, value):
    plain = json.loads(fuzzing.members()["schema.json"])
    plain["columns"][0][field] = value
    with pytest.raises(ArtifactError, match="the schema cannot be read"):
        Schema.from_json(plain)


@pytest.mark.parametrize("before", ["", " ", "\x1f", "\x00", "\x1c \x0b", "\u2009"])
def test_no_cell_is_a_formula_after_what_only_some_take_for_white_space(before, tmp_path):
    fuzzing.write_a_table([("", f"{before}=1+1")], tmp_path)
