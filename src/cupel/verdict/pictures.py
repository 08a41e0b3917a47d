"""The report's pictures of candidates: intervals, cost, learning curves, importance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cupel.verdict.drawings import Axis, Drawing, Plot, Scale, around, tick_text
from cupel.verdict.verdict import Contender, Score, Verdict
from cupel.verdict.words import interval_words, score_words, written

MAX_LABEL = 34
MAX_IMPORTANCE = 15


def cut(words: str, most: int = MAX_LABEL) -> str:
    """Words shortened to fit beside a picture."""
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"


def style_of(*, family: str, is_deep: bool) -> str:
    """The colour class of a contender."""
    if family == "ensemble":
        return "ensemble"
    if family.casefold() == "constant":
        return "constant"
    return "deep" if is_deep else "classical"


def ladder(verdict: Verdict) -> str:
    """Pick, best deep, best classical and constant, each with its interval on one scale."""
    rows = _ladder_rows(verdict)
    height, step, left = 34 + 46 * len(rows), 46, 20
    drawing = Drawing(640, height, label=f"{verdict.metric_label} with 95% intervals")
    ends = [end for _, contender in rows for end in (contender.score.low, contender.score.high)]
    scale = Scale(*around(ends, margin=0.04), left, 620)
    for tick in scale.ticks(6):
        drawing.line((scale(tick), 4), (scale(tick), height - 24), "grid")
        drawing.text((scale(tick), height - 8), tick_text(tick, scale.ticks(6)), "tick", anchor="middle")
    for number, (role, contender) in enumerate(rows):
        y = 34 + step * number
        score = contender.score
        style = style_of(family=contender.family, is_deep=contender.is_deep)
        words = f"{role}: {cut(contender.name)}" if role.casefold() not in contender.name.casefold() else cut(contender.name)
        middle = (scale(score.low) + scale(score.high)) / 2
        anchor = "start" if middle < 220 else "end" if middle > 420 else "middle"
        at = {"start": scale(score.low), "end": scale(score.high), "middle": middle}[anchor]
        drawing.text((at, y - 12), f"{words} · {score_words(score)}", "label", anchor=anchor)
        drawing.interval((scale(score.estimate), y), (scale(score.low), scale(score.high)), style, radius=6 if number == 0 else 5)
    return drawing.svg()


def _ladder_rows(verdict: Verdict) -> list[tuple[str, Contender]]:
    known: list[tuple[str, Contender]] = [("Pick", verdict.pick)]
    for role, contender in (
        ("Best single", verdict.best_single),
        ("Best deep", verdict.best_deep),
        ("Best classical", verdict.best_classical),
        ("Always the same answer", verdict.constant),
    ):
        if contender is not None and contender.name not in [other.name for _, other in known]:
            known.append((role, contender))
    return known


def board_scale(rows: Sequence[Mapping[str, Any]], pick: Score) -> Scale:
    """The common scale of the leaderboard's small pictures: the bulk of the candidates; what is far off is held at the edge."""
    scores = np.array([row["score"] for row in rows if row["score"] is not None])
    ends = [end for row in rows if row["score"] is not None for end in (row["low"], row["high"])]
    if len(scores) > 3:
        spread = max(float(np.quantile(np.abs(scores - pick.estimate), 0.75)), 2 * pick.half_width, 1e-12)
        ends = [end for end in ends if abs(end - pick.estimate) <= 2.5 * spread]
    return Scale(*around([*ends, pick.low, pick.high]), 6, 174)


def board_dot(row: Mapping[str, Any], scale: Scale, *, style: str) -> str:
    """One candidate's interval as a small picture; an arrow where it lies off the scale."""
    score = Score(estimate=row["score"], low=row["low"], high=row["high"])
    drawing = Drawing(180, 18, label=interval_words(score))
    drawing.line((6, 9), (174, 9), "grid")
    if scale.low <= score.estimate <= scale.high:
        drawing.interval((scale(score.estimate), 9), (scale(score.low), scale(score.high)), style, radius=4)
    else:
        at, tip = (16.0, 7.0) if score.estimate < scale.low else (164.0, 173.0)
        drawing.path([(at, 4), (tip, 9), (at, 14)], f"mark {style}", closed=True, title=interval_words(score))
    return drawing.svg()


def cost(rows: Sequence[Mapping[str, Any]], styles: Mapping[str, str], *, verdict: Verdict, key: str) -> str:
    """Score against cost on a logarithmic scale; those that nothing beats in both are joined and named.

    Candidates too far off to compare are left out, else they would squeeze all others together.
    """
    scale = board_scale(rows, verdict.pick.score)
    known = [row for row in rows if row["score"] is not None and (row[key] or 0) > 0]
    known = [row for row in known if scale.low <= row["score"] <= scale.high]
    if len(known) < 2:
        return ""
    costs = [float(row[key]) for row in known]
    low, high = around([row["score"] for row in known], margin=0.12)
    name = "milliseconds to predict one row" if key == "latency_ms" else "seconds of training"
    x = Axis(low=min(costs) / 1.6, high=max(costs) * 1.6, name=f"{name} (logarithmic)", log=True)
    plot = Plot(x, Axis(low=low, high=high, name=verdict.metric_label), label=f"score against {name}", height=320)
    front = pareto_front(known, key, higher_is_better=verdict.higher_is_better)
    stairs: list[tuple[float, float]] = []
    for row in front:
        at = plot.at(float(row[key]), row["score"])
        stairs += [(at[0], stairs[-1][1]), at] if stairs else [at]
    plot.path(stairs, "front")
    for row in known:
        title = f"{row['name']}: {written(row['score'])}, {row[key]:.3g}"
        plot.dot(plot.at(float(row[key]), row["score"]), 5, f"mark {styles[row['name']]}", title=title)
    _front_labels(plot, front, key, higher_is_better=verdict.higher_is_better)
    return plot.svg()


def _front_labels(plot: Plot, front: Sequence[Mapping[str, Any]], key: str, *, higher_is_better: bool) -> None:
    taken: list[tuple[float, float]] = []
    for row in reversed(front):
        x, y = plot.at(float(row[key]), row["score"])
        place = (x, y - 10 if higher_is_better else y + 18)
        if any(abs(place[0] - other[0]) < 120 and abs(place[1] - other[1]) < 13 for other in taken):
            continue
        taken.append(place)
        anchor = "end" if x > plot.width * 0.6 else "start"
        plot.text((place[0] + (6 if anchor == "end" else -6), place[1]), cut(row["name"], 26), "label small", anchor=anchor)


def pareto_front(rows: Sequence[Mapping[str, Any]], key: str, *, higher_is_better: bool) -> list[Mapping[str, Any]]:
    """Rows that no other beats in both score and cost, cheapest first."""
    sign = 1.0 if higher_is_better else -1.0
    best, front = -math.inf, []
    for row in sorted(rows, key=lambda row: (row[key], -sign * row["score"])):
        if sign * row["score"] > best:
            best = sign * row["score"]
            front.append(row)
    return front


def learning_curve(curve: Mapping[str, Sequence[float]], best_epoch: float | None, *, name: str) -> str:
    """Loss per epoch, on the rows it learned from and on those held back to stop it.

    `curve` has "epoch", "train_loss" and "stop_loss", equally long, NaN where there is none.
    """
    epochs = curve["epoch"]
    finite = [value for key in ("train_loss", "stop_loss") for value in curve[key] if math.isfinite(value)]
    if len(epochs) < 2 or not finite:
        return ""
    top = float(np.quantile(finite, 0.98))  # the first epochs may be so bad that nothing else would show
    low, high = around([min(finite), max(top, min(finite))])
    x, y = Axis(low=1, high=epochs[-1], name="epoch"), Axis(low=low, high=high, name="loss", n_ticks=4)
    plot = Plot(x, y, label=name, width=340, height=220)
    plot.path(plot.points(epochs, curve["train_loss"]), "line constant")
    plot.path(plot.points(epochs, curve["stop_loss"]), "line deep")
    if best_epoch is not None and 1 <= best_epoch <= epochs[-1]:
        at = plot.x(best_epoch)
        plot.line((at, plot.y.start), (at, plot.y.end), "guide")
    return plot.svg()


def importance(rows: Sequence[Mapping[str, Any]], verdict: Verdict) -> str:
    """How much the score drops when a column is shuffled, largest first."""
    shown = list(rows)[:MAX_IMPORTANCE]
    height = 40 + 24 * len(shown)
    drawing = Drawing(640, height, label="feature importance")
    ends = [0.0, *[row["high"] for row in shown], *[row["low"] for row in shown]]
    low, high = around(ends, margin=0.03)
    scale = Scale(min(low, 0.0), high, 200, 626)
    ticks = scale.ticks(5)
    for tick in ticks:
        drawing.line((scale(tick), 2), (scale(tick), height - 34), "grid")
        drawing.text((scale(tick), height - 20), tick_text(tick, ticks), "tick", anchor="middle")
    for number, row in enumerate(shown):
        y = 14 + 24 * number
        drawing.text((192, y + 4), cut(row["name"], 28), "label small", anchor="end")
        start, end = sorted((scale(0.0), scale(row["drop"])))
        title = f"{row['name']}: {written(row['drop'])}"
        drawing.rect((start, y - 7), (end - start, 14), "area deep", opacity=0.55, title=title)
        drawing.line((scale(row["low"]), y), (scale(row["high"]), y), "bar ink")
    drawing.text((413, height - 4), f"{verdict.metric_label}: worse by, with the column shuffled", "name", anchor="middle")
    return drawing.svg()


def progress(timeline: Sequence[tuple[float, str, float]], verdict: Verdict) -> str:
    """The best score so far against time; scores far off are held at the edge."""
    points = [(seconds, score) for seconds, _, score in timeline if math.isfinite(score)]
    if len(points) < 2:
        return ""
    sign = 1.0 if verdict.higher_is_better else -1.0
    best = np.maximum.accumulate([sign * score for _, score in points]) * sign
    scores = [score for _, score in points]
    bulk = np.quantile(scores, [0.25, 0.75] if len(scores) > 3 else [0, 1])
    reach = 2.5 * max(float(bulk[1] - bulk[0]), 2 * verdict.pick.score.half_width)
    low, high = around([score for score in scores if bulk[0] - reach <= score <= bulk[1] + reach])
    x = Axis(low=0, high=max(seconds for seconds, _ in points) * 1.03, name="seconds of training")
    plot = Plot(x, Axis(low=low, high=high, name=verdict.metric_label), label="best score so far", height=260)
    stairs: list[tuple[float, float]] = []
    for (seconds, _), score in zip(points, best, strict=True):
        at = plot.at(seconds, float(score))
        stairs += [(at[0], stairs[-1][1]), at] if stairs else [at]
    plot.path(stairs, "line deep")
    for seconds, name, score in timeline:
        if math.isfinite(score):
            plot.dot(plot.at(seconds, score), 3.5, "mark constant", title=f"{name}: {written(score)}")
    return plot.svg()
