"""Checkpoints of what trains itself: when they are written, and what is read again."""

import numpy as np
import pytest

from cupel.core import keeping
from cupel.core.keeping import Keeping, Part


class Kept:
    """Checkpoints in memory."""

    def __init__(self):
        self.contents = {}

    def save(self, name, content):
        self.contents[name] = content

    def load(self, name):
        return self.contents.get(name)


def test_arrays_and_facts_come_back_under_names_of_their_own():
    kept = Kept()
    for fold in (0, 1):
        Keeping(Part(Part(kept, f"fold-{fold}"), "label-2")).save({"a": np.arange(3) + fold}, {"losses": [0.5, float("nan")]})
    assert sorted(kept.contents) == ["fold-0-label-2-state", "fold-1-label-2-state"]
    arrays, facts = Keeping(Part(Part(kept, "fold-1"), "label-2")).load()
    assert arrays["a"].tolist() == [1, 2, 3]
    assert facts["losses"][0] == 0.5
    assert Keeping(kept).load() is None


def test_nothing_is_kept_where_there_is_no_place_for_it():
    one = Keeping(None)
    one.save({"a": np.zeros(1)}, {})
    assert one.load() is None
    assert not one.is_due
    assert not one.is_worth_its_end


@pytest.mark.parametrize("content", [b"", b"\xff" * 9, b"\x02\x00\x00\x00\x00\x00\x00\x00{}", b"x" * 200])
def test_what_is_no_checkpoint_is_as_good_as_none(content):
    kept = Kept()
    kept.contents["state"] = content
    assert Keeping(kept).load() is None


def test_a_checkpoint_is_due_after_a_while_and_an_end_is_worth_keeping_after_some_work(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(keeping.time, "monotonic", lambda: now[0])
    one = Keeping(Kept())
    assert not one.is_due
    assert not one.is_worth_its_end
    now[0] += 4
    assert one.is_worth_its_end
    now[0] += 12
    assert one.is_due
    one.save({}, {})
    assert not one.is_due
