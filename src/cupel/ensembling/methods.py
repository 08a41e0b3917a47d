"""The ways of combining that can be asked for by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from cupel.core.errors import UsageError
from cupel.core.form import Form
from cupel.ensembling.evidence import Choice, Choose, Evidence, Rows, cross_fitted, is_beyond_noise
from cupel.ensembling.greedy import choose_bagged, choose_greedy
from cupel.ensembling.stacking import choose_network, choose_stack, choose_two_layers
from cupel.ensembling.voting import choose_close, choose_hard, choose_soft, choose_weighted


@dataclass(frozen=True)
class Method:
    """A way of combining: its name, what it is called in a sentence, how it chooses.

    `work` is about how many times the work of greedy selection it is: bootstrapping it looks at so many times fewer rows.
    `is_mean` says that it gives a weighted mean of predictions, whatever they are of. `may_trail` says that it counts even where
    the best candidate, chosen by the same rows, looks better on them.
    """

    name: str
    words: str
    choose: Choose
    work: int = 1
    is_mean: bool = False
    may_trail: bool = False


def choose_best(evidence: Evidence, rows: Rows) -> Choice:
    """The one that is best alone."""
    return Choice.mean([int(np.argmax(evidence.scores(rows)))], [1.0])


def choose_auto(evidence: Evidence, rows: Rows) -> Choice:
    """The mean of close candidates, unless greedy selection or a stack is likely better: the simplest within noise of the best.

    Each learns from some of many rows, which is the dear part, and is judged, cross-fitted, on as many as show small gains.
    Of many rows halves teach: more than four of five parts of fewer.
    """
    generator = np.random.default_rng(evidence.seed)
    n_numbers = len(evidence.predictions) * np.shape(evidence.predictions[0])[1]
    judges = _some_of(rows, max(MAX_JUDGING_NUMBERS // n_numbers, MIN_TEACHERS), generator)
    most = min(MAX_TEACHERS, max(MAX_TEACHING_NUMBERS // n_numbers, MIN_TEACHERS))
    teachers = _some_of(judges, most, generator)
    if len(judges) > most:
        evidence = replace(evidence, parts=np.where(evidence.parts < 0, -1, evidence.parts % 2))
    names = [name for name in SIMPLEST_FIRST if METHODS[name].is_mean or evidence.form is not Form.MASKS]
    judged = [cross_fitted(METHODS[name].choose, evidence, rows=judges, taught_by=teachers) for name in names]
    scores = np.array([evidence.score(predictions, judges) for predictions in judged])
    best = judged[int(np.argmax(np.where(np.isfinite(scores), scores, -np.inf)))]
    noisy = (not is_beyond_noise(best, each, score=evidence.score, rows=judges, noise=LIKELY) for each in judged)
    name = next(name for name, is_as_good in zip(names, noisy, strict=True) if is_as_good)
    return replace(METHODS[name].choose(evidence, rows), method=name)


def _some_of(rows: Rows, most: int, generator: np.random.Generator) -> Rows:
    return rows if len(rows) <= most else generator.choice(rows, most, replace=False)


MIN_TEACHERS, MAX_TEACHERS, MAX_TEACHING_NUMBERS = 500, 10_000, 2_000_000
MAX_JUDGING_NUMBERS = 5_000_000
"""Members, times outputs, times rows. On adult, 32,561 rows, a stack gains .0013 in ROC-AUC, on the test part .0014; taught by
3,200 rows and judged on 4,000 that was within noise, and the best single model was packed."""
SIMPLEST_FIRST = ("close-vote", "greedy", "stack")
"""The best is as good as itself, so one is always found."""
LIKELY = 1.0
"""Standard errors that a method which learns from scores must gain."""

METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method("none", "no ensemble", choose_best, is_mean=True),
        Method("greedy", "greedy selection", choose_greedy, is_mean=True),
        Method("bagged-greedy", "bagged greedy selection", choose_bagged, work=16, is_mean=True),
        Method("soft-vote", "plain mean", choose_soft, is_mean=True),
        Method("close-vote", "plain mean of the close ones", choose_close, is_mean=True, may_trail=True),
        Method("weighted-vote", "mean weighted by score", choose_weighted, is_mean=True),
        Method("hard-vote", "majority vote", choose_hard),
        Method("stack", "stacking", choose_stack, work=4),
        Method("network-stack", "stacking by a small network", choose_network, work=4),
        Method("two-layer-stack", "stacking in two layers", choose_two_layers, work=16),
        Method("auto", "the mean of the close ones, or what is likely better", choose_auto, work=8, is_mean=True),
    )
}


def method_named(name: str, *, for_masks: bool = False) -> Method:
    """The method of that name.

    Raises:
        UsageError: there is none, or masks cannot be combined so.
    """
    if name not in METHODS:
        raise UsageError(f"ensemble {name!r} is unknown; choose {', '.join(METHODS)}.")
    if for_masks and not METHODS[name].is_mean:
        means = ", ".join(known for known, method in METHODS.items() if method.is_mean)
        raise UsageError(f"ensemble {name!r} does not serve masks, whose probabilities are only averaged; choose {means}.")
    return METHODS[name]
