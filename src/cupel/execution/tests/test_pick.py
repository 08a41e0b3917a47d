"""What a run packed, kept beside it: read as it was written, or refused."""

from types import SimpleNamespace

import numpy as np
import pytest

from cupel.core.combination import WeightedMean
from cupel.core.errors import DataError
from cupel.execution import keep_pick, pick, read_pick

HASHES = np.arange(8, dtype=np.uint64).reshape(4, 2)


def picked(*, says=0.5, weight=1.0):
    candidate = SimpleNamespace(to_plain=lambda: {"name": "MLP-1"})
    members = [SimpleNamespace(candidate=candidate, units=[SimpleNamespace(key="k1")])]
    rule = WeightedMean((weight,))
    return SimpleNamespace(name="MLP-1", members=members, weights=(weight,), out_of_fold=np.full((4, 1), says), rule=rule)


@pytest.mark.parametrize("changed", [{"says": 0.25}, {"weight": 0.5}])
def test_a_newer_pick_that_was_kept_half_is_not_taken_for_the_one_before_it(tmp_path, monkeypatch, changed):
    keep_pick(tmp_path, picked(), hashes=HASHES)
    assert read_pick(tmp_path).out_of_fold.tolist() == [[0.5]] * 4

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pick, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            keep_pick(tmp_path, picked(**changed), hashes=HASHES)
    with pytest.raises(DataError, match=r"does not fit together.*cupel resume"):
        read_pick(tmp_path)
    keep_pick(tmp_path, picked(**changed), hashes=HASHES)
    assert read_pick(tmp_path).name == "MLP-1"
