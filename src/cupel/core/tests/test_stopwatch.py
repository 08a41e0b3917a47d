"""Where the time goes."""

from __future__ import annotations

import time

import pytest

from cupel.core.stopwatch import Stopwatch, share_on_candidates


def test_time_within_an_inner_stage_counts_for_it_alone() -> None:
    stopwatch = Stopwatch()
    time.sleep(0.02)  # before any stage: counts for none
    with stopwatch.stage("searching"):
        time.sleep(0.02)
        with stopwatch.stage("training"):
            time.sleep(0.06)
    assert stopwatch.seconds["searching"] == pytest.approx(0.02, abs=0.015)
    assert stopwatch.seconds["training"] == pytest.approx(0.06, abs=0.03)


def test_a_stage_that_fails_is_closed_and_one_that_comes_again_is_added_to() -> None:
    stopwatch = Stopwatch()
    with pytest.raises(ValueError, match="no"), stopwatch.stage("training"):
        raise ValueError("no")
    before = stopwatch.seconds["training"]
    with stopwatch.stage("training"):
        time.sleep(0.01)
    assert stopwatch.seconds["training"] >= before + 0.01
    assert list(stopwatch.seconds) == ["training"]


def test_the_share_on_candidates_is_of_all_that_was_timed() -> None:
    assert share_on_candidates({"reading": 1.0, "training": 7.0, "exporting": 2.0}) == pytest.approx(0.9)
    assert share_on_candidates({}) == 0.0
