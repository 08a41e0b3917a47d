"""The report's sections on candidates: verdict, leaderboard, cost, learning curves, configs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from cupel.core.trial import Trial
from cupel.verdict import pictures, words
from cupel.verdict.section import Section, cell, figure, paragraph, table, tag
from cupel.verdict.verdict import Verdict

MAX_CURVES = 6
MAX_CURVE_POINTS = 150
MORE = ' class="more"'
CURVES = ("train_loss", "stop_loss")


def opening(verdict: Verdict) -> str:
    """The title, the score to expect and the verdict in sentences."""
    pick = verdict.pick
    low, high = (words.written(end, resolution=pick.score.half_width) for end in (pick.score.low, pick.score.high))
    ladder = figure("", ladder_words(verdict), picture=pictures.ladder(verdict))
    hero = (
        f'<div class="hero"><div><p class="kind">{escape(verdict.metric_label)} to expect on new rows</p>'
        f'<div class="number">{escape(words.score_words(pick.score))}</div>'
        f'<p class="span">95% interval {escape(low)} to {escape(high)}</p>'
        f"{paragraph(words.optimism_words(verdict), 'soft')}</div>{ladder}</div>"
    )
    return (
        f"<h1>{escape(_title(verdict))}</h1>{paragraph(words.headline(verdict), 'soft')}"
        f"{hero}{_facts(verdict)}{_sentences(verdict)}"
    )


def _title(verdict: Verdict) -> str:
    if verdict.margin_over_constant is None:
        return f"Nothing here predicts “{verdict.task.target}”"
    if not verdict.margin_over_constant.is_significant:
        return f"No sure way to predict “{verdict.task.target}” was found"
    name = pictures.cut(verdict.pick.name, 60)
    opening_ = "An " if verdict.pick.members and not name.casefold().startswith("an ") else ""
    how = "best" if verdict.pick.name == verdict.leader.name else "as well as any, and costs least"
    return f"{opening_}{name} predicts “{verdict.task.target}” {how}"


def ladder_words(verdict: Verdict) -> str:
    """What the interval picture tells."""
    better = "right" if verdict.higher_is_better else "left"
    return f"Further {better} is better. Each bar is where the score lies with 95% confidence, for the contenders that matter."


def _facts(verdict: Verdict) -> str:
    pick = verdict.pick
    facts = [
        ("Kind", "mixture of " + str(len(pick.members)) if pick.members else pick.family),
        ("One row", words.latency_words(pick.latency_one)),
        ("1,000 rows", words.latency_words(pick.latency_thousand)),
        ("Size", words.size_words(pick.n_bytes)),
        ("Training", words.duration_words(pick.fit_seconds)),
        ("Whole run", words.whole_words(verdict) if verdict.seconds else "–"),
    ]
    return '<dl class="facts">' + "".join(f"<div><dt>{escape(a)}</dt><dd>{escape(b)}</dd></div>" for a, b in facts) + "</dl>"


def _sentences(verdict: Verdict) -> str:
    lines = [
        ("What is packed", words.pick_words(verdict)),
        ("The mixture", words.ensemble_words(verdict)),
        ("From outside", words.nested_line(verdict)),
        ("Deep learning", verdict.worth_it),
        ("By folds", words.fold_words(verdict)),
        ("What is packed", words.packed_words(verdict)),
        ("Against guessing", words.baseline_words(verdict)),
        ("Simpler", words.simplest_words(verdict)),
        *[("Promises" if number == 0 else "", line) for number, line in enumerate(words.promise_lines(verdict))],
        *[
            ("Data" if number == 0 else "", line)
            for number, line in enumerate(words.finding_lines(verdict, where="see The data below"))
        ],
        ("Weights", words.weights_words(verdict)),
        ("Left out", words.failure_words(verdict)),
        ("What next", words.next_words(verdict)),
    ]
    items = [
        f"<li{'' if label else MORE}><b>{escape(label)}</b><span>{escape(text)}</span></li>" for label, text in lines if text
    ]
    return f'<ul class="judgement">{"".join(items)}</ul>'


def styles_of(verdict: Verdict, trials: Sequence[Trial]) -> dict[str, str]:
    """Colour class by candidate name."""
    styles = {trial.candidate.name: pictures.style_of(family=trial.candidate.family, is_deep=trial.is_deep) for trial in trials}
    for contender in (verdict.pick, verdict.ensemble):
        if contender is not None and contender.members:
            styles[contender.name] = "ensemble"
    return styles


def board_rows(verdict: Verdict) -> list[Mapping[str, Any]]:
    """The leaderboard's rows, with the ensembles among them, best first."""
    rows = list(verdict.leaderboard)
    known = {row["name"] for row in rows}
    for contender in (verdict.pick, verdict.ensemble):
        if contender is not None and contender.name not in known:
            known.add(contender.name)
            latency = contender.latency_one
            rows.append(
                {
                    "name": contender.name,
                    "family": contender.family,
                    "score": contender.score.estimate,
                    "low": contender.score.low,
                    "high": contender.score.high,
                    "tie_group": 1 if contender is verdict.pick else None,
                    "fit_seconds": contender.fit_seconds,
                    "latency_ms": latency if math.isfinite(latency) else None,
                    "bytes": contender.n_bytes or None,
                    "status": "done",
                    "reason": "",
                    "p_bootstrap": None,
                    "p_folds": None,
                }
            )
    sign = -1.0 if verdict.higher_is_better else 1.0
    return sorted(rows, key=lambda row: math.inf if row["score"] is None else sign * row["score"])


def leaderboard_section(verdict: Verdict, trials: Sequence[Trial]) -> Section:
    """Every candidate on one line, with its interval on a common scale."""
    rows, styles = board_rows(verdict), styles_of(verdict, trials)
    scale = pictures.board_scale(rows, verdict.pick.score)
    group: int | None = 1
    lines = []
    for row in rows:
        changes = row["tie_group"] != group and row["tie_group"] is not None and group is not None
        group = row["tie_group"] if row["tie_group"] is not None else group
        lines.append(_board_line(row, verdict, scale, styles.get(row["name"], "constant"), starts_group=changes))
    heads = [("Candidate", ""), ("", ""), (verdict.metric_label, "n"), ("95% interval", "n"), ("Tie group", "n")]
    heads += [("p, rows", "n"), ("p, folds", "n")]
    heads += [("Training", "n"), ("One row", "n"), ("Size", "n"), ("", "")]
    tells = (
        "Candidates in the same tie group cannot be told apart on these rows, so the order within a group is chance. "
        "Beside it two tests of the leader against each, neither corrected for comparing many: paired resampling of the rows, "
        "and the corrected t-test over folds (Nadeau and Bengio 2003). "
        "Scores are as measured, each candidate on rows that it never saw"
        + ("; an ensemble's is corrected for having been chosen on them." if verdict.pick.members else ".")
    )
    html = paragraph(tells, "tells") + _key(styles, rows) + table(heads, lines, sortable=True)
    return Section(anchor="leaderboard", title="Every candidate", html=html, data={"leaderboard": rows})


def _key(styles: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> str:
    used = {styles.get(row["name"]) for row in rows}
    named = [("deep", "deep"), ("classical", "classical"), ("ensemble", "ensemble"), ("constant", "always the same answer")]
    return '<div class="key">' + "".join(f'<span class="{s}">{escape(n)}</span>' for s, n in named if s in used) + "</div>"


def _board_line(row: Mapping[str, Any], verdict: Verdict, scale: Any, style: str, *, starts_group: bool) -> str:
    labels = tag("pick", "pick") if row["name"] == verdict.pick.name else ""
    if verdict.simplest is not None and row["name"] == verdict.simplest.name != verdict.pick.name:
        labels += tag("simplest of the tied")
    if row["family"] == "ensemble":
        labels += tag("ensemble", "ensemble")
    name = f'<td class="name">{escape(row["name"])}{labels}</td>'
    if row["score"] is None:
        reason = f'<td colspan="6" data-value="">{tag(row["status"], "warning")} {escape(row["reason"])}</td>'
        took = cell(_lost_words(row), "n", value=row["fit_seconds"])
        return f'<tr class="gone">{name}{reason}{took}<td colspan="3" data-value=""></td></tr>'
    half = (row["high"] - row["low"]) / 2
    low, high = (words.written(row[end], resolution=half) for end in ("low", "high"))
    kind = " ".join(k for k, on in (("pick", row["name"] == verdict.pick.name), ("next-group", starts_group)) if on)
    cells = [
        name,
        f"<td>{pictures.board_dot(row, scale, style=style)}</td>",
        cell(words.written(row["score"], resolution=half), "n", value=row["score"]),
        cell(f"{low} to {high}", "n", value=row["low"]),
        cell("–" if row["tie_group"] is None else str(row["tie_group"]), "n"),
        *[cell(words.p_words(row[test]), "n", value=row[test]) for test in ("p_bootstrap", "p_folds")],
        cell(words.duration_words(row["fit_seconds"]), "n", value=row["fit_seconds"]),
        cell(words.latency_words(row["latency_ms"]), "n", value=row["latency_ms"] or ""),
        cell(words.size_words(row["bytes"] or 0), "n", value=row["bytes"] or ""),
        f"<td>{tag(row['status'], 'warning') if row['status'] != 'done' else ''}</td>",
    ]
    return f'<tr class="{kind}">{"".join(cells)}</tr>' if kind else f"<tr>{''.join(cells)}</tr>"


def _lost_words(row: Mapping[str, Any]) -> str:
    """What a candidate without a score took; of one that was never begun, also what it would have."""
    took, needed = words.duration_words(row["fit_seconds"]), row.get("estimated_seconds")
    return f"0 of about {words.duration_words(needed)}" if needed and not row["fit_seconds"] else took


def cost_section(verdict: Verdict, trials: Sequence[Trial], *, timeline: Sequence[tuple[float, str, float]]) -> Section | None:
    """What a better score costs, in speed and in training time."""
    rows, styles = board_rows(verdict), styles_of(verdict, trials)
    corner = "upper left" if verdict.higher_is_better else "lower left"
    figures = [
        figure(
            "Score against speed",
            f"The best place is the {corner}: good and fast. Candidates off the line are beaten in both by one on it.",
            picture=pictures.cost(rows, styles, verdict=verdict, key="latency_ms"),
        ),
        figure(
            "Score against training time",
            "How much each candidate gave for the time that training it took, all folds together.",
            picture=pictures.cost(rows, styles, verdict=verdict, key="fit_seconds"),
        ),
        figure(
            "The search",
            "Dots are candidates as they finished; the line is the best so far. Where it is flat, more time brought nothing.",
            picture=pictures.progress(timeline, verdict),
        ),
    ]
    if not any(figures):
        return None
    data = {"timeline": [list(moment) for moment in timeline]} if timeline else {}
    html = _key(styles, rows) + f'<div class="pair">{"".join(figures)}</div>'
    return Section(anchor="cost", title="What a better score costs", html=html, data=data)


def curves_section(verdict: Verdict, trials: Sequence[Trial]) -> Section | None:
    """How the best deep candidates learned."""
    order = {row["name"]: number for number, row in enumerate(verdict.leaderboard)}
    deep = [trial for trial in trials if trial.is_deep and trial.units and trial.candidate.name in order]
    deep.sort(key=lambda trial: order[trial.candidate.name])
    figures, data = [], {}
    for trial in deep[:MAX_CURVES]:
        curve, best_epoch = mean_curve(trial)
        name = trial.candidate.name
        figures.append(figure(name, "", picture=pictures.learning_curve(curve, best_epoch, name=f"learning curve of {name}")))
        told = {key: values for key, values in curve.items() if any(map(math.isfinite, values))}
        data[name] = {**told, "best_epoch": best_epoch}
    if not any(figures):
        return None
    tells = (
        "Loss over epochs, mean over folds: blue on rows held back to decide when to stop, grey on the rows learned from. The "
        "dashed line is the epoch kept. Blue rising while grey falls is overfitting; both still falling asks for longer training."
    )
    if not all("stop_loss" in told for told in data.values()):
        tells += " Without a blue line all rows were learned from, and the last epoch was kept."
    html = f'{paragraph(tells, "tells")}<div class="trio">{"".join(figures)}</div>'
    return Section(anchor="learning", title="How the deep candidates learned", html=html, data={"learning": data})


def mean_curve(trial: Trial) -> tuple[dict[str, list[float]], float | None]:
    """Each curve as a mean over the folds that were still training, with its epochs (from 1); and the mean best epoch."""
    folds = [
        {key: np.asarray(unit.curve[key], np.float64) for key in CURVES if len(unit.curve.get(key, ()))} for unit in trial.units
    ]
    longest = max((len(values) for fold in folds for values in fold.values()), default=0)
    shown = np.unique(np.linspace(0, max(longest - 1, 0), min(longest, MAX_CURVE_POINTS)).astype(int))
    curves: dict[str, list[float]] = {"epoch": (shown + 1.0).tolist()}
    for key in CURVES:
        padded = np.full((len(folds), longest), np.nan)
        for number, fold in enumerate(folds):
            values = fold.get(key, np.empty(0))
            padded[number, : len(values)] = np.where(np.isfinite(values), values, np.nan)
        counted = np.isfinite(padded).sum(axis=0)
        mean = np.where(counted > 0, np.nansum(padded, axis=0) / np.maximum(counted, 1), np.nan)
        curves[key] = mean[shown].tolist()
    best = [unit.best_epoch for unit in trial.units if unit.best_epoch is not None]
    return curves, float(np.mean(best)) + 1 if best else None


def configs_section(trials: Sequence[Trial], verdict: Verdict) -> Section:
    """The whole configuration of each candidate."""
    order = {row["name"]: number for number, row in enumerate(verdict.leaderboard)}
    ranked = sorted(trials, key=lambda trial: order.get(trial.candidate.name, len(order)))
    parts = []
    for trial in ranked:
        text = as_yaml(trial.candidate.to_plain())
        parts.append(
            f"<details><summary>{escape(trial.candidate.name)} {tag(trial.candidate.family)}</summary>"
            f"<pre>{escape(text)}</pre></details>"
        )
    tells = "Everything that decides what a candidate learns, so that it can be trained again."
    return Section(anchor="configs", title="Full configurations", html=paragraph(tells, "tells") + "".join(parts))


def as_yaml(value: Any, indent: int = 0) -> str:
    """Plain values as indented YAML, texts quoted as in JSON where they could be misread."""
    blank = "  " * indent
    if not isinstance(value, Mapping):
        return f"{blank}{_scalar(value)}\n"
    lines = []
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            lines.append(f"{blank}{key}:\n{as_yaml(item, indent + 1)}")
        else:
            lines.append(f"{blank}{key}: {_scalar(item)}\n")
    return "".join(lines)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and value and all(letter.isalnum() or letter in "_-. /" for letter in value):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
