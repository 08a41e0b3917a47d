from __future__ import annotations

import math
import re
from types import SimpleNamespace
from typing import Any

import pytest

from cupel.evaluation import Interval
from cupel.verdict.drawings import Axis, Drawing, Plot, Scale, around, tick_text
from cupel.verdict.words import (
    count_words,
    duration_words,
    ensemble_words,
    label_words,
    latency_words,
    list_words,
    packed_words,
    signed,
    size_words,
    written,
)


@pytest.mark.parametrize(
    ("value", "resolution", "text"),
    [
        (0.84612, 0.011, "0.846"),
        (0.84612, 0.0019, "0.8461"),
        (311.04, 6.0, "311"),
        (12345.6, 900.0, "12,346"),
        (0.5, 0.0, "0.5000"),
        (math.nan, 0.1, "–"),
        (None, 0.1, "–"),
    ],
)
def test_numbers_are_written_to_the_digit_that_means_something(value: float, resolution: float, text: str) -> None:
    assert written(value, resolution=resolution) == text


def test_signs_are_always_there_but_for_nothing() -> None:
    assert signed(0.012, resolution=0.01) == "+0.012"
    assert signed(-0.012, resolution=0.01) == "-0.012"
    assert signed(-0.0001, resolution=0.1) == "0.00"


def test_durations_sizes_and_counts_read_well() -> None:
    assert [duration_words(s) for s in (0.42, 42, 190, 3600, 7500)] == ["0.4 s", "42 s", "3 min 10 s", "1 h", "2 h 5 min"]
    assert [size_words(b) for b in (0, 12, 312_000, 4_100_000)] == ["–", "12 bytes", "312 kB", "4.1 MB"]
    assert [latency_words(m) for m in (0.031, 3.14, 250, 1500, None)] == ["0.031 ms", "3.1 ms", "250 ms", "1.5 s", "–"]
    assert count_words(1, "row") == "1 row"
    assert count_words(7043, "row") == "7,043 rows"
    assert list_words(["a", "b", "c", "d", "e", "f"]) == "a, b, c and 3 more"
    assert list_words(["a", "b"]) == "a and b"


@pytest.mark.parametrize(
    ("estimate", "packed", "said", "unsaid"),
    [
        (0.01, "mixture", "The mixture gains", "no sure loss"),
        (-0.01, "mixture", "it is packed, since that is no sure loss", "not packed"),
        (-0.01, "alone", "An mixture was not packed: it gains -0.01", "no sure loss"),
    ],
)
def test_a_mixture_that_looks_worse_is_packed_with_a_reason(estimate: float, packed: str, said: str, unsaid: str) -> None:
    single, mixture = (SimpleNamespace(name=name, latency_one=1.0, n_bytes=10) for name in ("alone", "mixture"))
    verdict: Any = SimpleNamespace(
        ensemble=mixture,
        best_single=single,
        margin_over_single=SimpleNamespace(estimate=estimate, low=estimate - 0.03, high=estimate + 0.03),
        pick=SimpleNamespace(name=packed),
    )
    assert said in ensemble_words(verdict)
    assert unsaid not in ensemble_words(verdict)


def test_ticks_are_round_and_within_the_scale() -> None:
    assert Scale(0, 1, 0, 100).ticks(5) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    for low, high in ((0.8123, 0.8391), (-3.0, 17.0), (1e-9, 3e-9), (1e8, 3e9)):
        ticks = Scale(low, high, 0, 100).ticks(5)
        assert 2 <= len(ticks) <= 11
        assert all(low <= tick <= high for tick in ticks)
    assert Scale(0.3, 40, 0, 100, log=True).ticks(5)


def test_scales_survive_a_single_value_and_infinities() -> None:
    assert Scale(2, 2, 0, 100)(2) == 50
    assert around([3.0]) != (3.0, 3.0)
    assert around([math.nan, math.inf]) == (0.0, 1.0)
    assert Scale(0, 1, 0, 100)(7) == 100


def test_long_ticks_leave_room_for_the_name_of_the_axis() -> None:
    short, long = (
        Plot(Axis(low=0, high=1, name="x"), Axis(low=low, high=high, name="y"), label="")
        for low, high in ((0, 4), (0.8421, 0.8439))
    )
    assert short.x.start == Plot.LEFT
    widest = max(len(tick) for tick in re.findall(r'class="tick" text-anchor="end">([^<]+)<', long.svg()))
    assert widest >= 5
    assert long.x.start - 7 - 6.3 * widest >= 20


def test_tick_labels_shorten_thousands() -> None:
    assert tick_text(20_000, [0, 20_000, 40_000]) == "20k"
    assert tick_text(0, [0, 20_000]) == "0"
    assert tick_text(-0.5, [-0.5, 0.5]) == "−0.5"


def test_words_in_pictures_are_escaped() -> None:
    drawing = Drawing(10, 10, label='<a "b">')
    drawing.text((0, 0), "<script>")
    drawing.dot((0, 0), 1, "mark", title="<b>")
    svg = drawing.svg()
    assert "<script>" not in svg
    assert "<b>" not in svg
    assert 'aria-label="&lt;a &quot;b&quot;&gt;"' in svg


def test_points_that_are_not_finite_are_left_out() -> None:
    plot = Plot(Axis(low=0, high=1, name="x"), Axis(low=0, high=1, name="y"), label="plot")
    assert len(plot.points([0, math.nan, 1], [0, 0.5, math.inf])) == 1


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        (
            (0.7, 0.9, math.nan),
            "'b' (ROC-AUC 0.900, 0.890 to 0.910) is told best, 'a' (ROC-AUC 0.700, 0.690 to 0.710) worst of 2.",
        ),
        ((0.8, 0.8, 0.8), "all 3 are told alike (ROC-AUC 0.800, 0.790 to 0.810)."),
        ((math.nan, 0.8, math.nan), "'b' (ROC-AUC 0.800, 0.790 to 0.810) is the only one that the rows can judge."),
        ((math.nan,) * 3, ""),
    ],
)
def test_labels_are_set_against_one_another_only_where_they_differ(scores: tuple[float, ...], said: str) -> None:
    labels = [SimpleNamespace(roc_auc=Interval(estimate=score, low=score - 0.01, high=score + 0.01)) for score in scores]
    verdict: Any = SimpleNamespace(task=SimpleNamespace(classes=("a", "b", "c")), labels=labels)
    assert label_words(verdict) == said


def test_what_is_packed_is_told_with_what_its_mean_and_its_correction_gain() -> None:
    told = {"estimate": 0.401, "low": 0.38, "high": 0.42, "corrected": 0.012}
    mean = {"gain": 0.01, "gain_low": 0.002, "gain_high": 0.02, "n_models": 5, "n_rows": 700}
    for packed, said, unsaid in (
        (told, "gains 0.012", "models one at a time"),
        ({**told, "corrected": 0.0, **mean}, "gains +0.010", "Correcting"),
        ({**told, **mean}, "gains 0.012", "Left"),
        ({**told, "corrected": 0.0, "decided": -0.43}, "by the threshold instead changes it by -0.430", "Correcting"),
    ):
        verdict: Any = SimpleNamespace(promises={"packed": packed})
        words = packed_words(verdict)
        assert said in words
        assert unsaid not in words
        assert words.endswith("Expect 0.401 (95% interval 0.380 to 0.420) of what is packed.")
    assert packed_words(SimpleNamespace(promises={})) == ""  # type: ignore[arg-type]
