"""Writes numbers, durations and sizes the way people read them, and the verdict as plain sentences."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cupel.core.form import Form
from cupel.core.stopwatch import share_on_candidates

if TYPE_CHECKING:
    from cupel.core.finding import Finding
    from cupel.evaluation import LabelScore
    from cupel.verdict.verdict import Contender, Margin, Score, Verdict

WIDTH = 92
N_FINDINGS = 4
LABEL = 11
NOTABLE = 1.5  # so many times faster or smaller is worth a word
COARSEST = 3.2  # an uncertainty of 0.0032 to 0.032 is written with three decimals


def written(value: float | None, *, resolution: float = math.nan) -> str:
    """A number to the last digit that means something, given its uncertainty `resolution`, or with four digits, or "–"."""
    if value is None or not math.isfinite(value):
        return "–"
    if math.isfinite(resolution) and resolution > 0:
        decimals = math.ceil(math.log10(COARSEST / resolution))
    else:
        decimals = 3 - math.floor(math.log10(abs(value))) if value else 2
    return f"{value:,.{min(max(decimals, 0), 6)}f}"


def signed(value: float, *, resolution: float = math.nan) -> str:
    """As `written`, with its sign always there."""
    text = written(value, resolution=resolution)
    if text == "–":
        return text
    if not any(digit in "123456789" for digit in text):
        return text.lstrip("-")
    return text if text.startswith("-") else f"+{text}"


def p_words(p_value: float | None) -> str:
    """A p-value with three decimals; "<0.001" below, "–" for none."""
    if p_value is None or not math.isfinite(p_value):
        return "–"
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def score_words(score: Score) -> str:
    """The estimate alone, to the digits that its interval supports."""
    return written(score.estimate, resolution=score.half_width)


def interval_words(score: Score) -> str:
    """An estimate with its interval: `0.846 (95% interval 0.835 to 0.857)`."""
    low, high = (written(end, resolution=score.half_width) for end in (score.low, score.high))
    return f"{score_words(score)} (95% interval {low} to {high})"


def margin_words(margin: Margin) -> str:
    """A margin with its interval: `0.012 (95% interval 0.004 to 0.020)`; with signs where it may be negative."""
    half = (margin.high - margin.low) / 2
    sign = signed if margin.low < 0 else written
    estimate, low, high = (sign(number, resolution=half) for number in (margin.estimate, margin.low, margin.high))
    return f"{estimate} (95% interval {low} to {high})"


def duration_words(seconds: float) -> str:
    """A duration: `0.4 s`, `42 s`, `3 min 10 s`, `2 h 5 min`."""
    if not math.isfinite(seconds):
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    minutes = whole // 60
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def latency_words(milliseconds: float | None) -> str:
    """A latency with three digits at most, in ms or s."""
    if milliseconds is None or not math.isfinite(milliseconds):
        return "–"
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.3g} s"
    return f"{milliseconds:.2g} ms" if milliseconds < 100 else f"{milliseconds:.0f} ms"


def size_words(n_bytes: float) -> str:
    """A size in kB, MB or GB (powers of ten); "–" for nothing."""
    if not n_bytes:
        return "–"
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n_bytes >= limit * 0.9995:
            return f"{n_bytes / limit:.3g} {unit}"
    return f"{n_bytes:.0f} bytes"


def count_words(number: int, singular: str, *, plural: str = "") -> str:
    """A count with its noun: `1 candidate`, `7,043 rows`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def list_words(names: tuple[str, ...] | list[str], *, most: int = 3) -> str:
    """Names as a list in a sentence; those beyond `most` are counted."""
    if len(names) > most + 1:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def plain_text(verdict: Verdict) -> str:
    """The verdict for a terminal: about twenty lines of at most 92 columns."""
    paragraphs = [
        ("", headline(verdict)),
        ("Pick", pick_words(verdict)),
        ("Ensemble", ensemble_words(verdict)),
        ("Expect", f"{expectation(verdict)} {optimism_words(verdict)}"),
        ("Packed", packed_words(verdict)),
        ("Nested", nested_line(verdict)),
        ("Labels", label_words(verdict)),
        ("Deep", verdict.worth_it),
        ("By folds", fold_words(verdict)),
        ("Baseline", baseline_words(verdict)),
        ("Simpler", simplest_words(verdict)),
        *[("Promises" if number == 0 else "", words) for number, words in enumerate(promise_lines(verdict))],
        ("Cost", cost_words(verdict)),
        *[("Data" if number == 0 else "", words) for number, words in enumerate(finding_lines(verdict))],
        ("Weights", weights_words(verdict)),
        ("Left out", failure_words(verdict)),
        ("Next", next_words(verdict)),
    ]
    lines: list[str] = []
    for label, words in paragraphs:
        if words:
            lines += _labelled(label, words) if label or lines[1:] else [*textwrap.wrap(words, WIDTH), ""]
    return "\n".join(lines)


def _labelled(label: str, words: str) -> list[str]:
    blank = " " * LABEL
    return textwrap.wrap(
        " ".join(words.split()), WIDTH, initial_indent=label.ljust(LABEL), subsequent_indent=blank, break_on_hyphens=False
    )


def headline(verdict: Verdict) -> str:
    """What was asked of what."""
    kind = verdict.task.kind.value
    if verdict.task.form is Form.LABELS:
        kind = f"{len(verdict.task.classes)} labels"
    elif verdict.task.is_classification and len(verdict.task.classes) > 2:
        kind = f"{len(verdict.task.classes)} classes"
    return (
        f"Verdict on {verdict.task.target!r} ({kind}; {count_words(verdict.n_samples, 'row')}, "
        f"{count_words(verdict.n_features, 'feature')}; {count_words(verdict.n_candidates, 'candidate')} tried)"
    )


def pick_words(verdict: Verdict) -> str:
    """What is packed, and of what it consists."""
    pick = verdict.pick
    if pick.name != verdict.leader.name:
        best = verdict.leader.name
        return f"{_alone(pick)}, the cheapest of those within a standard error of the best, {best}. {prefer_words(verdict)}"
    if not pick.members:
        return _alone(pick)
    parts = [f"{round(100 * weight)}% {name}" for name, weight in pick.members]
    return f"{pick.name}: {list_words(parts, most=4)}"


def _alone(pick: Contender) -> str:
    return f"{pick.name} ({pick.family})" if pick.family.lower() not in pick.name.lower() else pick.name


def prefer_words(verdict: Verdict) -> str:
    """What the leader scores and costs beside the pick, and how to have it packed."""
    leader = verdict.leader
    costs = _times(leader, verdict.pick, ("slower", "larger"))
    paid = f" and is {' and '.join(costs)}" if costs else ""
    return f"That one is to be expected at {score_words(leader.score)}{paid}; --prefer best packs it."


def expectation(verdict: Verdict) -> str:
    """The score to expect on new rows."""
    return f"{verdict.metric_label} {interval_words(verdict.pick.score)} on new rows of the same kind."


def packed_words(verdict: Verdict) -> str:
    """The score to expect of what is packed, where that is more than the folds' models one by one."""
    found = verdict.promises.get("packed")
    if not found:
        return ""
    half = (found["high"] - found["low"]) / 2
    estimate, low, high, corrected = (written(found[end], resolution=half) for end in ("estimate", "low", "high", "corrected"))
    told = f"Correcting its probabilities gains {corrected} of that score. " if found["corrected"] else ""
    if found.get("decided"):
        changed = signed(found["decided"], resolution=half)
        told += f"That score is of the more probable class; answering by the threshold instead changes it by {changed}. "
    if "gain" in found:
        half = (found["gain_high"] - found["gain_low"]) / 2
        gain, gain_low, gain_high = (signed(found[end], resolution=half) for end in ("gain", "gain_low", "gain_high"))
        told += (
            f"That score is of the folds' {found['n_models']} models one at a time; packed is their mean, which gains {gain} "
            f"({gain_low} to {gain_high}), as {found['n_rows']:,} rows show that two of them had not seen. "
        )
    return f"{told}Expect {estimate} (95% interval {low} to {high}) of what is packed."


def nested_line(verdict: Verdict) -> str:
    """How whole runs did on outer folds; nothing where that was not asked for."""
    if verdict.nested is None:
        return ""
    return verdict.nested.words(verdict.metric_label, higher_is_better=verdict.higher_is_better)


def label_words(verdict: Verdict) -> str:
    """Which of several labels are told best and worst; nothing for other tasks."""
    pairs = zip(verdict.task.classes, verdict.labels, strict=False)
    told = sorted((score.roc_auc.estimate, label, score) for label, score in pairs if math.isfinite(score.roc_auc.estimate))
    if not told:
        return ""
    shown = [(label, f"(ROC-AUC {_label_score_words(score)})") for _, label, score in told]
    (worst, low), (best, high) = shown[0], shown[-1]
    if len(told) == 1:
        return f"{best!r} {high} is the only one that the rows can judge."
    if low == high:
        return f"all {len(told)} are told alike {high}."
    return f"{best!r} {high} is told best, {worst!r} {low} worst of {len(told)}."


def _label_score_words(score: LabelScore) -> str:
    found = score.roc_auc
    estimate, low, high = (
        written(end, resolution=(found.high - found.low) / 2) for end in (found.estimate, found.low, found.high)
    )
    return f"{estimate}, {low} to {high}"


def optimism_words(verdict: Verdict) -> str:
    """How much of the best score was luck of choosing."""
    if verdict.n_usable < 2:
        return "There was nothing to choose from, so nothing to correct."
    half = verdict.leader.score.half_width
    naive = written(verdict.naive_score, resolution=half)
    opening = f"The best of {count_words(verdict.n_usable, 'candidate')} looked like {naive};"
    luck = written(abs(verdict.optimism), resolution=half)
    if not any(digit in "123456789" for digit in luck):
        return f"{opening} luck of choosing made no difference that shows."
    return f"{opening} {luck} of that was luck of choosing."


def fold_words(verdict: Verdict) -> str:
    """Where a test over folds does not say of two candidates what resampling the rows says; nothing where both agree."""
    return " ".join(opinion.words for opinion in verdict.second_opinions if opinion.words)


def baseline_words(verdict: Verdict) -> str:
    """The margin over always giving the same answer."""
    margin, constant = verdict.margin_over_constant, verdict.constant
    if constant is None:
        return "No constant baseline finished, so the margin over guessing is not known."
    if margin is None:
        return "Nothing beats always giving the same answer; the columns seem to say nothing about the target."
    guessing = (
        f"Always giving the same answer scores {score_words(constant.score)}; the pick is better by {margin_words(margin)}."
    )
    return guessing if margin.is_significant else f"{guessing} That proves nothing: the columns may say nothing about the target."


def simplest_words(verdict: Verdict) -> str:
    """The smallest candidate that is not measurably worse, and what it saves."""
    simplest, pick = verdict.simplest, verdict.pick
    if simplest is None or simplest.name == pick.name:
        return ""
    saved = " and ".join(gains(pick, simplest))
    return f"{simplest.name} alone is not measurably worse ({score_words(simplest.score)}) and is {saved}."


def gains(pick: Contender, other: Contender) -> list[str]:
    """How many times faster and smaller than the pick another is, where that is notable."""
    return _times(pick, other, ("faster", "smaller"))


def losses(pick: Contender, other: Contender) -> list[str]:
    """How many times slower and larger."""
    return _times(other, pick, ("slower", "larger"))


def ensemble_words(verdict: Verdict) -> str:
    """What the ensemble gains over the best single candidate, and what that costs."""
    ensemble, single, margin = verdict.ensemble, verdict.best_single, verdict.margin_over_single
    if ensemble is None or margin is None:
        return ""
    costs = _times(ensemble, single, ("slower", "larger"))
    paid = f" and is {' and '.join(costs)}" if costs else ""
    gains = f"gains {margin_words(margin)} over {single.name} alone{paid}"
    if ensemble.name != verdict.pick.name:
        return f"An {ensemble.name} was not packed: it {gains}."
    unsure = "; it is packed, since that is no sure loss, and a mean of several is less a matter of luck"
    return f"The mixture {gains}{unsure if margin.estimate <= 0 else ''}."


def _times(larger: Contender, smaller: Contender, words: tuple[str, str]) -> list[str]:
    """How many times slower (or faster) and larger (or smaller), where that is half as much again or more."""
    sizes = (larger.latency_one, smaller.latency_one), (float(larger.n_bytes), float(smaller.n_bytes))
    return [
        f"{ours / theirs:.3g} times {word}"
        for (ours, theirs), word in zip(sizes, words, strict=True)
        if theirs > 0 and math.isfinite(ours) and ours / theirs >= NOTABLE
    ]


def cost_words(verdict: Verdict) -> str:
    """Speed, size and time."""
    pick = verdict.pick
    parts = []
    if math.isfinite(pick.latency_one):
        parts.append(f"one row in {latency_words(pick.latency_one)}")
    if math.isfinite(pick.latency_thousand):
        parts.append(f"1,000 rows in {latency_words(pick.latency_thousand)}")
    if pick.n_bytes:
        parts.append(size_words(pick.n_bytes))
    parts.append(f"trained in {duration_words(pick.fit_seconds)}")
    if verdict.seconds:
        share = f" ({share_words(verdict)})" if verdict.seconds_by_stage else ""
        parts.append(f"the whole run took {whole_words(verdict)}{share}")
    return f"{', '.join(parts)}."


def whole_words(verdict: Verdict) -> str:
    """How long the run took, and in how many parts where it was stopped and gone on with."""
    return duration_words(verdict.seconds) + (f" in {verdict.n_parts} parts" if verdict.n_parts > 1 else "")


def share_words(verdict: Verdict) -> str:
    """How much of the time went to the candidates."""
    return f"{share_on_candidates(verdict.seconds_by_stage):.0%} of it on candidates"


def stage_words(seconds_by_stage: Mapping[str, float]) -> str:
    """Where the time went: `training 41 s (76%), proving 5.0 s (9%)`, the longest first."""
    total = sum(seconds_by_stage.values())
    longest = sorted(seconds_by_stage.items(), key=lambda stage: -stage[1])
    shown = [f"{name} {duration_words(seconds)} ({seconds / total:.0%})" for name, seconds in longest if seconds > total / 200]
    return ", ".join(shown)


def _placed(finding: Finding) -> str:
    """The finding as a sentence, with its column before it where the sentence does not name it."""
    is_named = finding.where in finding.what or not finding.where.isidentifier()
    return _sentence(finding.what) if is_named else f"{finding.where}: {_sentence(finding.what)}"


def finding_lines(verdict: Verdict, *, where: str = "the report has all") -> list[str]:
    """The worst findings, one sentence or two each; the rest counted."""
    weighty = [finding for finding in verdict.findings if finding.severity.value != "note"]
    shown = (weighty or list(verdict.findings))[:N_FINDINGS]
    lines = [f"{finding.severity.value}: {_placed(finding)}" for finding in shown]
    rest = len(verdict.findings) - len(shown)
    if rest > 0:
        lines.append(f"and {count_words(rest, 'more finding')}; {where}.")
    return lines


def _sentence(words: str) -> str:
    text = " ".join(words.split())
    shortened = textwrap.shorten(text, 200, placeholder=" …")
    return shortened if shortened.endswith((".", "…", "!", "?")) else f"{shortened}."


def promise_lines(verdict: Verdict) -> list[str]:
    """What the model may promise beside predictions, a sentence each."""
    return [str(words) for words in verdict.promises.get("words", ())]


def yes_words(threshold: float) -> str:
    """From where on the answer is yes."""
    return f"above a probability of {written(threshold)}" if threshold > 0 else "at any probability"


def answer_words(verdict: Verdict) -> str:
    """By which threshold the answers that are shown were given, and what is to be kept in mind then; nothing without one."""
    shown, decision = verdict.promises.get("shown_threshold"), verdict.promises.get("decision")
    if shown is None or decision is None:
        return ""
    sentences = [f"Answers are yes {yes_words(shown)}."]
    if decision["is_learned"]:
        sentences.append("That was learned from the same rows, so scores of answers look a little better here than they are.")
    if shown != decision["threshold"]:
        sentences.append(f"What is packed was fitted on all rows and says yes {yes_words(decision['threshold'])}.")
    return " ".join(sentences)


def failure_words(verdict: Verdict) -> str:
    """Which candidates failed, the first with its reason, and how many were skipped."""
    parts = []
    if verdict.failures:
        first = verdict.failures[0]
        names = list_words([failure.name for failure in verdict.failures])
        parts.append(
            f"{count_words(len(verdict.failures), 'candidate')} gave nothing ({names}). {first.name}: {_sentence(first.reason)}"
        )
    if verdict.n_dropped:
        parts.append(f"{count_words(verdict.n_dropped, 'candidate')} dropped after the first fold.")
    if verdict.n_skipped:
        parts.append(f"{count_words(verdict.n_skipped, 'candidate')} skipped; the leaderboard says why.")
    return " ".join(parts)


def weights_words(verdict: Verdict) -> str:
    """What was trained before is in the pick, and under which licences."""
    if not verdict.weights:
        return ""
    inside = [f"{each['name']} ({licence_words(each)})" for each in verdict.weights if each["in_pick"]]
    if not inside:
        names = list_words([str(each["name"]) for each in verdict.weights])
        return f"nothing in the pick was trained before: {names} did not win."
    return f"the pick has weights in it that were trained before: {list_words(inside, most=5)}."


def licence_words(weights: Mapping[str, Any]) -> str:
    """The licence of weights, or that none is known."""
    return f"licence {weights['licence']}" if weights["licence"] else "licence unknown"


def next_words(verdict: Verdict) -> str:
    """What to do now."""
    serious = [finding for finding in verdict.findings if finding.severity.value == "serious"]
    if serious:
        return f"Look at {serious[0].where} first: {_sentence(serious[0].action)}"
    if verdict.margin_over_constant is None or not verdict.margin_over_constant.is_significant:
        return "Find columns that bear on the target, or more rows; another model will not help."
    if verdict.tied:
        tied = list_words(list(verdict.tied))
        return f"Tied with the pick: {tied}. More rows would tell them apart; choose by cost until then."
    return "Try it on rows that it has not seen, and watch its score where it runs."


def worth_it_words(
    deep: Contender | None, margin: Margin | None, *, classical: Contender | None, metric: str, is_tied: bool = False
) -> str:
    """Whether deep learning pays here, in a sentence that a test backs.

    `is_tied`: they share a tie group, which is corrected for comparing many, as the interval of the margin is not.
    """
    if deep is None:
        return "No deep candidate finished, so this run cannot say whether deep learning pays here."
    if classical is None or margin is None:
        return f"No classical model finished, so this run cannot say whether {deep.name} pays."
    by = f"{deep.name} differs from {classical.name} by {margin_words(margin)} in {metric}"
    if is_tied and (margin.low > 0 or margin.high < 0):
        return (
            f"No sure proof that it pays here: {by}, which is a tie once corrected for comparing many. The cheaper one will do."
        )
    if margin.low > 0:
        return f"It pays here: {deep.name} beats {classical.name} by {margin_words(margin)} in {metric}."
    if margin.high < 0:
        return f"It does not pay here: {classical.name} beats {deep.name} by {margin_words(margin.reversed())} in {metric}."
    return f"No proof that it pays here: {by}, which is a tie. The cheaper one will do."
