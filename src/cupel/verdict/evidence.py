"""The report's section on predictions: how the pick answers, row by row, beside what is true."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel import evaluation
from cupel.core.form import Form
from cupel.core.task import Task, TaskKind
from cupel.verdict import answers, words
from cupel.verdict.examples import behind_cells
from cupel.verdict.exhibits import Exhibits
from cupel.verdict.measures import answers_of
from cupel.verdict.pictures import cut
from cupel.verdict.section import Section, cell, figure, paragraph, table

Array = NDArray[Any]
MAX_MATRIX = 30
MAX_ONE_VS_REST = 10
N_THRESHOLDS = 101
N_BINS = 30
N_CONFUSED = 12
MAX_CLASSES = 100
PROBABILITY_EDGES = np.linspace(0.0, 1.0, N_BINS + 1)


def predictions_section(
    task: Task,
    target: Array,
    predictions: Array,
    *,
    rows: Array,
    exhibits: Exhibits,
    yes_from: float | None = None,
) -> Section:
    """Pictures for the kind of task. `predictions` (rows, outputs) are finite, `target` are class indices or values.

    `rows` are those of the dataset; where they have pictures, some stand behind each cell of the confusion matrix. The answer
    is yes above `yes_from` where that is given, else the most probable class.
    """
    if task.form is Form.VALUES:
        return _regression(target.astype(np.float64), predictions[:, 0])
    target = target.astype(np.int64)
    given = answers_of(predictions, yes_from)
    matrix = np.asarray(evaluation.confusion_matrix(target, given))
    drawn, said = _matrix(task, matrix, yes_from=yes_from), given.argmax(axis=1)
    is_binary = task.kind is TaskKind.BINARY
    section = (
        _binary(task, target, predictions, matrix=drawn, yes_from=yes_from)
        if is_binary
        else _multiclass(task, target, predictions, matrix=drawn)
    )
    groups, thumbnails = None if exhibits.units is None else exhibits.units[rows], exhibits.thumbnails
    worth = evaluation.worth_of_classes(target, said, groups=groups, n_classes=len(task.classes))
    scores = evaluation.class_scores(matrix, worth=worth, stretch=exhibits.stretch)
    data = dict(section.data)
    if thumbnails is not None and len(task.classes) <= MAX_MATRIX:
        data["examples"] = behind_cells(task, target, predictions, chosen=said, rows=rows, thumbnails=thumbnails)
    return replace(section, html=section.html + _class_by_class(task, scores), data=data)


def _binary(task: Task, target: Array, predictions: Array, *, matrix: _Matrix, yes_from: float | None) -> Section:
    positive, truth, given = task.classes[-1], target == 1, predictions[:, 1]
    counts = [np.histogram(given[truth == flag], PROBABILITY_EDGES)[0] for flag in (False, True)]
    figures = [
        figure("Right and wrong", matrix.tells, picture=matrix.picture),
        figure(
            "Probabilities given",
            f"Blue are rows that are {positive!r}, orange the others. The less they overlap, the surer the model can be.",
            picture=answers.histograms(
                [(task.classes[0], "classical", counts[0]), (positive, "deep", counts[1])],
                PROBABILITY_EDGES,
                x=f"probability of {cut(positive, 24)}",
            ),
        ),
        _calibration_figure(truth, given),
    ]
    curves = _threshold_curves(truth, given, positive)
    figures += [picture for picture, _ in curves.values()]
    thresholds = threshold_table(truth, given)
    html = _threshold_panel(positive, yes_from) + f'<div class="pair">{"".join(figures)}</div>'
    data = {
        "confusion": matrix.data,
        "histogram": {"edges": PROBABILITY_EDGES, "negative": counts[0], "positive": counts[1]},
        **{name: {"x": curve.x, "y": curve.y} for name, (_, curve) in curves.items()},
        "threshold": thresholds,
    }
    return Section(anchor="predictions", title="How the pick answers", html=html, data=data)


def _curve(curve: Any, name: str, style: str) -> dict[str, Any]:
    return {"x": curve.x, "y": curve.y, "name": name, "style": style}


def _threshold_curves(truth: Array, given: Array, positive: str) -> dict[str, tuple[str, evaluation.Curve]]:
    """ROC and precision-recall pictures with their curves; none where the judged rows are all of one class."""
    if truth.all() or not truth.any():
        return {}
    roc, pr = evaluation.roc_curve(truth, given), evaluation.pr_curve(truth, given)
    drawn = answers.lines([_curve(roc, "ROC", "line deep")], x="false positive rate", y="true positive rate", diagonal=True)
    roc_figure = figure(
        "ROC curve",
        "The share of positives found against the share of negatives wrongly flagged. The dashed line is guessing.",
        picture=drawn,
    )
    drawn = answers.lines([_curve(pr, "precision", "line deep")], x="recall", y="precision", level=float(truth.mean()))
    pr_figure = figure(
        "Precision and recall",
        f"How many of the flagged are right, against how many of the {positive!r} are found. Dashed is flagging at random.",
        picture=drawn,
    )
    return {"roc": (roc_figure, roc), "precision-recall": (pr_figure, pr)}


def _calibration_figure(truth: Array, given: Array, *, what: str = "probability") -> str:
    curve = evaluation.calibration_curve(truth, given)
    return figure(
        "Calibration",
        f"Dots on the dashed line mean that a {what} of 30% comes true 30% of the time; larger dots stand for more rows. "
        "Below the line it is too sure, above too cautious.",
        picture=answers.calibration(curve),
    )


def threshold_table(truth: Array, given: Array) -> dict[str, Any]:
    """Right and wrong answers when every row of at least that probability is flagged, for thresholds from 0 to 1."""
    thresholds = np.linspace(0.0, 1.0, N_THRESHOLDS)
    found = [np.sort(given[truth == flag]) for flag in (False, True)]
    below = [np.searchsorted(values, thresholds, side="left") for values in found]
    return {
        "thresholds": thresholds,
        "tp": len(found[1]) - below[1],
        "fp": len(found[0]) - below[0],
        "fn": below[1],
        "tn": below[0],
    }


def _threshold_panel(positive: str, yes_from: float | None) -> str:
    facts = [
        ("Threshold", "at"),
        ("Flagged", "flagged"),
        ("Of those right", "precision"),
        (f"Of all {cut(positive, 20)!r} found", "recall"),
        ("Missed", "missed"),
        ("False alarms", "alarms"),
        ("Right overall", "accuracy"),
    ]
    items = "".join(f'<div><dt>{escape(name)}</dt><dd><output id="threshold-{key}">–</output></dd></div>' for name, key in facts)
    start = round((0.5 if yes_from is None else yes_from) * (N_THRESHOLDS - 1))
    tells = "Move the threshold to what a miss and a false alarm cost you; the numbers are for all judged rows."
    return (
        f'<div class="threshold"><h3>Where to draw the line</h3>{paragraph(tells, "tells")}'
        f'<input type="range" id="threshold" min="0" max="{N_THRESHOLDS - 1}" value="{start}" aria-label="threshold">'
        f'<dl class="facts">{items}</dl></div>'
    )


@dataclass(frozen=True)
class _Matrix:
    """A confusion matrix as numbers, as a picture and in words."""

    data: dict[str, Any]
    picture: str
    tells: str


def _matrix(task: Task, matrix: Array, *, yes_from: float | None) -> _Matrix:
    right = float(np.trace(matrix)) / max(float(matrix.sum()), 1.0)
    how = "get their true class as the most probable one"
    if yes_from is not None:
        how = f"are answered rightly, yes being said {words.yes_words(yes_from)}"
    tells = f"{100 * right:.1f}% of the rows {how}. Deeper colour is a larger share of the true class."
    picture = answers.confusion(matrix, task.classes) if len(task.classes) <= MAX_MATRIX else ""
    return _Matrix({"classes": task.classes, "matrix": matrix}, picture, tells)


def _class_by_class(task: Task, scores: Sequence[evaluation.ClassScore]) -> str:
    """Recall, precision and F1 of each class, the worst first."""
    order = sorted(range(len(scores)), key=lambda klass: (math.isnan(scores[klass].f1), scores[klass].f1))
    lines = []
    for klass in order[:MAX_CLASSES]:
        found = scores[klass]
        numbers = [cell(f"{count:,}", "n", value=count) for count in (found.n_rows, found.n_said)]
        shares = [cell(_share_words(share), "n", value=share.estimate) for share in (found.recall, found.precision)]
        f1 = cell(words.written(found.f1), "n", value=found.f1)
        lines.append(f"<tr>{cell(cut(task.classes[klass], 60), 'name')}{''.join([*numbers, *shares, f1])}</tr>")
    heads = [("Class", ""), ("Rows", "n"), ("Said", "n"), ("Of its rows found", "n"), ("Of those said right", "n"), ("F1", "n")]
    rest = len(scores) - MAX_CLASSES
    more = paragraph(f"{words.count_words(rest, 'further class', plural='further classes')} are told better.", "soft")
    tells = "Recall and precision of the answers, each with a 95% interval; the worst class first."
    shown = f"{paragraph(tells, 'tells')}{table(heads, lines, sortable=True)}{more if rest > 0 else ''}"
    return f"<div><h3>Class by class</h3>{shown}</div>"


def _share_words(share: evaluation.Interval) -> str:
    if math.isnan(share.estimate):
        return "–"
    return f"{100 * share.estimate:.1f}% ({100 * share.low:.0f} to {100 * share.high:.0f})"


def _multiclass(task: Task, target: Array, predictions: Array, *, matrix: _Matrix) -> Section:
    sure, right = predictions.max(axis=1), predictions.argmax(axis=1) == target
    counts = [np.histogram(sure[right == flag], PROBABILITY_EDGES)[0] for flag in (True, False)]
    roc, pr = (_one_vs_rest(task, target, predictions, draw) for draw in (evaluation.roc_curve, evaluation.pr_curve))
    few = len(task.classes) <= MAX_ONE_VS_REST
    each = (
        "Thin lines are single classes against the rest (point at one for its name), the thick one their mean."
        if few
        else ("The mean over all classes, each against the rest.")
    )
    figures = [
        figure(
            "How sure it is",
            "Blue are rows answered rightly, orange wrongly. Orange far to the right is being sure and wrong.",
            picture=answers.histograms(
                [("wrong", "classical", counts[1]), ("right", "deep", counts[0])],
                PROBABILITY_EDGES,
                x="probability of the answer",
            ),
        ),
        _calibration_figure(right, sure, what="stated probability"),
        figure("ROC curves", each, picture=answers.lines(roc, x="false positive rate", y="true positive rate", diagonal=True)),
        figure("Precision and recall", each, picture=answers.lines(pr, x="recall", y="precision")),
    ]
    data_blocks = {
        "confusion": matrix.data,
        "histogram": {"edges": PROBABILITY_EDGES, "right": counts[0], "wrong": counts[1]},
        "roc": [{"name": curve["name"], "x": curve["x"], "y": curve["y"]} for curve in roc],
        "precision-recall": [{"name": curve["name"], "x": curve["x"], "y": curve["y"]} for curve in pr],
    }
    counted = matrix.data["matrix"]
    html = (
        f'<div class="pair">{figure("Right and wrong", matrix.tells, picture=matrix.picture)}{_confused(task, counted)}</div>'
        f'<div class="pair">{"".join(figures)}</div>'
    )
    return Section(anchor="predictions", title="How the pick answers", html=html, data=data_blocks)


def _one_vs_rest(task: Task, target: Array, predictions: Array, draw: Any) -> list[dict[str, Any]]:
    """One thin curve per class where there are few, and their mean last."""
    grid = np.linspace(0.0, 1.0, 101)
    curves, total, n_drawn = [], np.zeros_like(grid), 0
    for k, name in enumerate(task.classes):
        truth = target == k
        if not truth.any() or truth.all():
            continue
        curve = draw(truth, predictions[:, k])
        order = np.argsort(curve.x, kind="stable")
        total += np.interp(grid, np.asarray(curve.x)[order], np.asarray(curve.y)[order])
        n_drawn += 1
        if len(task.classes) <= MAX_ONE_VS_REST:
            curves.append(_curve(curve, name, "line deep thin"))
    if n_drawn:
        curves.append({"x": grid, "y": total / n_drawn, "name": "mean over classes", "style": "line deep"})
    return curves


def _confused(task: Task, matrix: Array) -> str:
    """The pairs of classes most often taken for one another, as a table."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:N_CONFUSED]
    lines = []
    for i, j in zip(*np.unravel_index(order, wrong.shape), strict=True):
        if wrong[i, j]:
            share = 100 * wrong[i, j] / max(matrix[i].sum(), 1)
            cells = [cell(task.classes[i], "name"), cell(task.classes[j], "name"), cell(f"{wrong[i, j]:,}", "n")]
            lines.append(f"<tr>{''.join(cells)}{cell(f'{share:.1f}%', 'n')}</tr>")
    if not lines:
        return ""
    heads = [("True", ""), ("Taken for", ""), ("Rows", "n"), ("Of the true", "n")]
    tells = "Where the mistakes are. Pairs that people confuse too may be wrong in the data."
    return f"<div><h3>Most often confused</h3>{paragraph(tells, 'tells')}{table(heads, lines)}</div>"


def _regression(target: Array, given: Array) -> Section:
    left_over = target - given
    low, high = np.quantile(left_over, [0.005, 0.995])
    reach = max(abs(float(low)), abs(float(high))) or 1.0
    edges = np.linspace(-reach, reach, N_BINS + 1)
    counts = np.histogram(np.clip(left_over, -reach, reach), edges)[0]
    middle, ninety = np.quantile(np.abs(left_over), [0.5, 0.9])
    bias = float(left_over.mean())
    figures = [
        figure(
            "Predicted and true",
            "On the dashed line the prediction is exact. Deeper squares hold more rows.",
            picture=answers.density(given, target, names=("predicted", "true"), diagonal=True),
        ),
        figure(
            "What is left over",
            f"Half of the predictions are within {words.written(float(middle))} of the truth, nine of ten within "
            f"{words.written(float(ninety))}; on average the truth is {words.signed(bias)} away.",
            picture=answers.histograms([("residuals", "deep", counts)], edges, x="true − predicted"),
        ),
        figure(
            "Where it errs",
            "A band of even height around zero is good; a funnel or a bend means that some range is predicted worse than others.",
            picture=answers.density(given, left_over, names=("predicted", "true − predicted"), diagonal=False),
        ),
    ]
    thinned = np.linspace(0, len(given) - 1, min(len(given), 500)).astype(int)
    data = {
        "residuals": {"edges": edges, "counts": counts},
        "predicted": {"predicted": given[thinned], "true": target[thinned]},
    }
    html = f'<div class="pair">{"".join(figures)}</div>'
    return Section(anchor="predictions", title="How the pick answers", html=html, data=data)
