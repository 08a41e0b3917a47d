import pytest

import fuzzing

CASES = ("tables", "artifacts", "rewritten artifacts", "graphs", "rows", "runs", "settings", "picks", "journals", "units",
         "plain values", "yaml", "exports")  # fmt: skip


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
