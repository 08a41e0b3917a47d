"""Are candidates of equal worth tied, and better ones recognised?

    python -m benchmarks.honesty.ties --work FOLDER [--seconds 300]

Two candidates say the truth behind noise of their own: of equal size, or such that the first is better by a stated number of
standard errors of their difference. Then thirty at once, two of them the best, and thirty equals.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.honesty.keeping import RESULTS, markdown, parsed, worked
from cupel.evaluation import Comparison, score

N_ROWS, N_DRAWS, N_RESAMPLES = 500, 400, 300
METRICS = ("roc_auc", "log_loss", "rmse")
GAPS = (0.0, 1.0, 2.0, 3.0)
NOISE, STEPS, N_TRIED = 1.0, 9, 250
N_FIELD, N_FIELD_DRAWS, N_EQUALS_DRAWS = 30, 60, 200


def said(metric: str, truth: np.ndarray, noise: float, generator: np.random.Generator) -> np.ndarray:
    """A candidate's predictions: the truth behind noise of that size."""
    told = truth + generator.normal(0, noise, len(truth))
    if metric == "rmse":
        return told[:, None]
    positive = 1 / (1 + np.exp(-told))
    return np.column_stack([1 - positive, positive])


def drawn(metric: str, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """What is true behind every row, and its target."""
    truth = generator.normal(0, 1.5, N_ROWS)
    if metric == "rmse":
        return truth, truth + generator.normal(0, 1.0, N_ROWS)
    return truth, (generator.random(N_ROWS) < 1 / (1 + np.exp(-truth))).astype(np.int64)


def noise_for(metric: str, gap: float) -> float:
    """The noise of a worse candidate that lies so many standard errors behind, by bisection over fresh draws."""
    low, high = NOISE, 4.0
    for step in range(STEPS):
        middle = (low + high) / 2
        generator = np.random.default_rng([step, 99])
        differences = []
        for _ in range(N_TRIED):
            truth, target = drawn(metric, generator)
            scores = [score(metric, target, said(metric, truth, noise, generator)) for noise in (NOISE, middle)]
            differences.append((scores[0] - scores[1]) * (1 if metric == "roc_auc" else -1))
        found = np.mean(differences) / np.std(differences)
        low, high = (middle, high) if found < gap else (low, middle)
    return (low + high) / 2


def cases() -> Iterator[dict[str, Any]]:
    for metric in METRICS:
        for gap in GAPS:
            yield {"what": "pair", "metric": metric, "gap": gap}
        yield {"what": "field", "metric": metric}
        yield {"what": "equals", "metric": metric}


def work(case: dict[str, Any]) -> dict[str, Any]:
    match case["what"]:
        case "pair":
            return pair(case["metric"], case["gap"])
        case "field":
            return field(case["metric"])
        case _:
            return equals(case["metric"])


def pair(metric: str, gap: float) -> dict[str, Any]:
    """How often two are tied, and how often each wins."""
    noise = NOISE if gap == 0 else noise_for(metric, gap)
    generator = np.random.default_rng(1)
    counts = {"tied": 0, "better": 0, "worse": 0}
    for number in range(N_DRAWS):
        truth, target = drawn(metric, generator)
        both = [said(metric, truth, NOISE, generator), said(metric, truth, noise, generator)]
        groups = Comparison.of(metric, target, both, seed=number, n_resamples=N_RESAMPLES).tie_groups()
        counts["tied" if groups == [1, 1] else "better" if groups[0] == 1 else "worse"] += 1
    return {name: count / N_DRAWS for name, count in counts.items()}


def field(metric: str) -> dict[str, Any]:
    """Thirty candidates, the first two the best: how often both are in the first group, and how many others are."""
    generator = np.random.default_rng(2)
    noises = [NOISE, NOISE, *np.linspace(1.1, 2.5, N_FIELD - 2)]
    both, others = 0, []
    for number in range(N_FIELD_DRAWS):
        truth, target = drawn(metric, generator)
        candidates = [said(metric, truth, noise, generator) for noise in noises]
        groups = Comparison.of(metric, target, candidates, seed=number, n_resamples=N_RESAMPLES).tie_groups()
        both += groups[:2] == [1, 1]
        others.append(sum(group == 1 for group in groups[2:]))
    return {"both": both / N_FIELD_DRAWS, "others": float(np.mean(others))}


def equals(metric: str) -> dict[str, Any]:
    """Thirty of equal worth: how often all are in the first group, and how many are in it."""
    generator = np.random.default_rng(3)
    together, sizes = 0, []
    for number in range(N_EQUALS_DRAWS):
        truth, target = drawn(metric, generator)
        candidates = [said(metric, truth, NOISE, generator) for _ in range(N_FIELD)]
        groups = Comparison.of(metric, target, candidates, seed=number, n_resamples=N_RESAMPLES).tie_groups()
        sizes.append(groups.count(1))
        together += sizes[-1] == N_FIELD
    return {"together": together / N_EQUALS_DRAWS, "tied": float(np.mean(sizes))}


def main() -> None:
    arguments = parsed(__doc__)
    done = worked(Path(arguments.work) / "ties.jsonl", [] if arguments.only_table else cases(), work, arguments.seconds)
    pairs = [each for each in done if each["case"]["what"] == "pair"]
    fields = [each for each in done if each["case"]["what"] == "field"]
    equal = [each for each in done if each["case"]["what"] == "equals"]
    rows = [
        (each["case"]["metric"], each["case"]["gap"], *(f"{each[name]:.1%}" for name in ("tied", "better", "worse")))
        for each in pairs
    ]
    text = (
        f"# Ties\n\nTwo candidates on {N_ROWS} rows, {N_DRAWS} draws; the first is better by so many standard errors.\n\n"
        + markdown(("metric", "standard errors", "tied", "the better wins", "the worse wins"), rows)
        + f"\n\nThirty candidates, two of them the best and equal, the others worse, {N_FIELD_DRAWS} draws.\n\n"
        + markdown(
            ("metric", "both best in the first group", "others in it (of 28)"),
            [(each["case"]["metric"], f"{each['both']:.1%}", each["others"]) for each in fields],
        )
        + f"\n\nThirty equal candidates, {N_EQUALS_DRAWS} draws.\n\n"
        + markdown(
            ("metric", "all in the first group", "in it on average"),
            [(each["case"]["metric"], f"{each['together']:.1%}", each["tied"]) for each in equal],
        )
        + "\n"
    )
    (RESULTS / "honesty-ties.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
