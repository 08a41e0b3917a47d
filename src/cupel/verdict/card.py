"""The model card that is packed with a model: what is known, and "not given" where only a person can say."""

from __future__ import annotations

import json
from typing import Any

from cupel.core.dataset import Dataset
from cupel.core.form import Form
from cupel.core.schema import Column
from cupel.verdict import words
from cupel.verdict.verdict import Score, Verdict

NOT_GIVEN = "not given"
MAX_COLUMNS = 200
MARKUP = str.maketrans({**{sign: f"\\{sign}" for sign in "\\`*_[]#"}, **{sign: f"&#{ord(sign)};" for sign in "<>|&"}})
PIPELINES = {
    Form.CLASSES: "tabular-classification",
    Form.LABELS: "tabular-classification",
    Form.VALUES: "tabular-regression",
    Form.MASKS: "image-segmentation",
}
TAGS = ("tabular", "onnx", "cupel")


def model_card(verdict: Verdict, dataset: Dataset) -> str:
    """Markdown with Hugging Face metadata and headings; nothing in it is made up.

    Source of the headings: huggingface_hub `modelcard_template.md`.
    """
    parts = [
        _metadata(verdict),
        f"# {_inline(verdict.pick.name)} for {_inline(verdict.task.target)}\n",
        "Text in this card was written by Cupel from measurements. Where it says *not given*, a person has to fill in.\n",
        _details(verdict),
        _uses(),
        _limits(verdict, dataset),
        _start(verdict, dataset),
        _training(verdict),
        _evaluation(verdict),
        _specifications(verdict),
        _rest(),
    ]
    return "\n".join(parts)


def _metadata(verdict: Verdict) -> str:
    kind = PIPELINES[verdict.task.form]
    lines = ["---", "library_name: cupel", f"pipeline_tag: {kind}", "tags:", *[f"- {name}" for name in TAGS], "model-index:"]
    lines += [f"- name: {_quoted(verdict.pick.name)}", "  results:", "  - task:", f"      type: {kind}", "    dataset:"]
    lines += [f"      name: {_quoted(verdict.fingerprint)}", "      type: private", "    metrics:"]
    lines += [f"    - type: {verdict.metric}", f"      value: {_number(verdict.expected.estimate)}", "---", ""]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return json.dumps(text)


def _number(value: float) -> str:
    return f"{value:.6g}"


def _inline(text: str) -> str:
    """Text that markdown cannot mistake for markup, on one line."""
    return " ".join(str(text).split()).translate(MARKUP)


def _details(verdict: Verdict) -> str:
    pick = verdict.pick
    members = [f"  - {_inline(name)}, weight {weight:.3f}" for name, weight in pick.members]
    lines = [
        "## Model Details\n",
        f"- **What it is:** {_inline(pick.name)} ({_inline(pick.family)})",
        *members,
        f"- **What it answers:** {_inline(verdict.task.target)} ({verdict.task.kind.value})",
    ]
    if verdict.task.classes:
        shown = [_inline(label) for label in verdict.task.classes[:50]]
        more = f" and {len(verdict.task.classes) - 50} more" if len(verdict.task.classes) > 50 else ""
        lines.append(f"- **{'Labels' if verdict.task.form is Form.LABELS else 'Classes'}:** {', '.join(shown)}{more}")
    lines += [f"- **Made with:** Cupel {verdict.versions.get('cupel', '')}"]
    lines += [f"- **{name}:** {NOT_GIVEN}" for name in ("Developed by", "Owner and contact", "License")]
    for weights in verdict.weights:
        if weights["in_pick"]:
            hashes = ", ".join(f"`{file['sha256']}`" for file in weights["files"])
            lines.append(
                f"- **Starts from:** {_inline(weights['name'])}, {_inline(words.licence_words(weights))}, sha256 {hashes}"
            )
    return "\n".join(lines) + "\n"


def _uses() -> str:
    headings = ("Direct Use", "Downstream Use", "Out-of-Scope Use")
    return "## Uses\n\n" + "\n".join(f"### {heading}\n\n{NOT_GIVEN}\n" for heading in headings)


def _limits(verdict: Verdict, dataset: Dataset) -> str:
    lines = ["## Bias, Risks, and Limitations\n", f"Risks and groups of people concerned: {NOT_GIVEN}.\n"]
    lines += ["What was found in the data:\n"] if verdict.findings else ["No faults were found in the data.\n"]
    lines += [f"- *{finding.severity.value}*: {_inline(finding.what)} {_inline(finding.action)}" for finding in verdict.findings]
    lines += [f"\n{_inline(verdict.worth_it)}\n", "### Conditions of validity\n"]
    lines.append("The model has seen these ranges and categories; answers outside of them are extrapolation.\n")
    lines += ["| column | kind | seen |", "|---|---|---|"]
    features = dataset.schema.features
    lines += [f"| {_inline(column.name)} | {column.kind.value} | {_seen(column)} |" for column in features[:MAX_COLUMNS]]
    if len(features) > MAX_COLUMNS:
        lines.append(f"\n{len(features) - MAX_COLUMNS} further columns are in `schema.json`.")
    return "\n".join(lines) + "\n"


def _seen(column: Column) -> str:
    if column.levels:
        shown = ", ".join(_inline(level) for level in column.levels[:8])
        return f"{shown} and {len(column.levels) - 8} more" if len(column.levels) > 8 else shown
    if column.low is None or column.high is None:
        return "–"
    return f"{_number(column.low)} to {_number(column.high)}"


def _start(verdict: Verdict, dataset: Dataset) -> str:
    names = [column.name for column in dataset.schema.features[:2]]
    example: dict[str, Any] = dict.fromkeys(names, "...")
    lines = [
        "## How to Get Started with the Model\n",
        "```python",
        "from cupel.serving import Predictor",
        "",
        'predictor = Predictor.load("model.cupel")',
        f"predictor.predict([{json.dumps(example)}])  # all columns of the table above",
        "```",
        "",
        f"One row takes {words.latency_words(verdict.pick.latency_one)}, 1,000 rows "
        f"{words.latency_words(verdict.pick.latency_thousand)}.",
    ]
    return "\n".join(lines) + "\n"


def _training(verdict: Verdict) -> str:
    lines = [
        "## Training Details\n",
        f"- **Rows:** {verdict.n_samples:,}; **features:** {verdict.n_features:,}",
        f"- **Data fingerprint:** `{verdict.fingerprint}`",
        f"- **Where the data come from, and by which right they are used:** {NOT_GIVEN}",
        f"- **Division of rows:** {_inline(str(verdict.splits.get('scheme')))}, {verdict.splits.get('n_folds')} folds. "
        f"{_inline(str(verdict.splits.get('reason', '')))}",
        f"- **Candidates tried:** {verdict.n_candidates}; **seed:** {verdict.seed}; **time:** {words.whole_words(verdict)}",
    ]
    return "\n".join(lines) + "\n"


def _evaluation(verdict: Verdict) -> str:
    lines = [
        "## Evaluation\n",
        f"Expected on new rows of the same kind: **{_inline(verdict.metric_label)} {words.interval_words(verdict.pick.score)}**, "
        f"corrected for having been chosen. {_inline(words.optimism_words(verdict))}\n",
        *[f"{_inline(told)}\n" for told in (words.packed_words(verdict), *words.promise_lines(verdict)) if told],
        f"{_inline(words.baseline_words(verdict))}\n",
        "| metric | score | 95% interval |",
        "|---|---|---|",
        *[_metric_line(name, score) for name, score in verdict.metrics.items()],
        "",
        *[f"{_inline(told)}\n" for told in [words.answer_words(verdict)] if told],
        f"Scores by group of people or slice of the data: {NOT_GIVEN}.",
    ]
    return "\n".join(lines) + "\n"


def _metric_line(name: str, score: Score) -> str:
    low, high = (words.written(end, resolution=score.half_width) for end in (score.low, score.high))
    return f"| {name} | {words.score_words(score)} | {low} to {high} |"


def _specifications(verdict: Verdict) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in verdict.versions.items())
    machine = verdict.machine.get("processor", "–")
    lines = [
        "## Technical Specifications\n",
        "- **Form:** ONNX graph, preparation included; runs on numpy and onnxruntime",
        f"- **Made with:** {versions}",
        f"- **Made on:** {_inline(str(machine))}, {verdict.machine.get('cores', '–')} cores",
    ]
    return "\n".join(lines) + "\n"


def _rest() -> str:
    headings = ("Environmental Impact", "Citation", "Model Card Authors", "Model Card Contact")
    return "\n".join(f"## {heading}\n\n{NOT_GIVEN}\n" for heading in headings)
