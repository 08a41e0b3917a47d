"""The law of more rows finds what was planted, and says when it cannot know."""

from __future__ import annotations

import numpy as np
import pytest

from cupel.evaluation import doubling

SIZES = (125, 250, 500, 1000)


def planted(scale: float, *, n_rows: int, seed: int = 0) -> tuple[np.ndarray, list[np.ndarray]]:
    """Values, and predictions whose mean absolute error is 1 + scale · (n / 1000)^-0.5."""
    generator = np.random.default_rng(seed)
    target = generator.normal(0, 10, n_rows)
    errors = np.abs(generator.normal(0, 1, n_rows)) * np.sqrt(np.pi / 2)
    signs = np.where(generator.random(n_rows) < 0.5, -1, 1)
    return target, [(target + signs * errors * (1 + scale * (size / 1000) ** -0.5))[:, None] for size in SIZES]


def test_the_gain_of_a_planted_law_is_found() -> None:
    target, predictions = planted(0.4, n_rows=4000)
    found = doubling("mae", target, predictions, sizes=SIZES)
    assert found.gain == pytest.approx(0.4 * (1 - 2**-0.5), rel=0.05)
    assert found.exponent == pytest.approx(0.5, abs=0.06)
    assert found.low <= found.gain <= found.high
    assert [size for size, _ in found.points] == list(SIZES)
    assert found.points[0][1] > found.points[-1][1]  # an error, in the metric's own sense


def test_nothing_is_expected_where_more_rows_changed_nothing() -> None:
    target, predictions = planted(0.0, n_rows=300)
    found = doubling("mae", target, predictions, sizes=SIZES)
    assert found.gain == pytest.approx(0.0, abs=1e-9)


def test_harm_by_more_rows_is_not_expected_to_go_on() -> None:
    target, predictions = planted(0.5, n_rows=300)
    assert doubling("mae", target, predictions[::-1], sizes=SIZES).gain == 0


def test_few_judging_rows_leave_the_gain_unsure() -> None:
    generator = np.random.default_rng(0)
    widths = []
    for n_rows in (60, 3000):
        target = generator.normal(0, 1, n_rows)
        said = [(target + generator.normal(0, 1 + 0.3 * (size / 1000) ** -0.5, n_rows))[:, None] for size in SIZES]
        found = doubling("rmse", target, said, sizes=SIZES)
        widths.append(found.high - found.low)
    assert widths[0] > 2 * widths[1]


def test_the_luck_of_the_model_that_was_chosen_is_not_taken_for_a_gain_by_rows() -> None:
    target, predictions = planted(0.0, n_rows=300)
    lucky = target[:, None] + 0.8 * (predictions[-1] - target[:, None])  # an error of 0.8 times the others'
    scores = [float(np.abs(said[:, 0] - target).mean()) for said in (predictions[-2], lucky)]
    plain = doubling("mae", target, [*predictions[:-1], lucky], sizes=SIZES)
    fair = doubling("mae", target, [*predictions[:-1], lucky], sizes=SIZES, luck=scores[0] - scores[1])
    assert plain.gain > 0.02
    assert fair.gain == pytest.approx(0.0, abs=1e-9)
    assert fair.points[-1][1] == pytest.approx(fair.points[-2][1])
