"""Votes: of decisions, of probabilities, and of probabilities weighted by what each candidate is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cupel.core.combination import Combination, WeightedMean
from cupel.core.form import Form
from cupel.ensembling.evidence import MAX_MEMBERS, Array, Blocks, Choice, Evidence, Rows, are_surely_worse

if TYPE_CHECKING:
    from cupel.core.graph import Graph

TIE = 1e-6
"""Probabilities this close share a member's vote: rounding must not decide."""
HALF = 0.5
CASTING_VOTE = 0.5
"""The part of one vote that is divided as the mean probability is: it decides ties, and keeps probabilities off zero."""
OF_A_FAMILY = 2
"""Candidates of one family in the mean of close ones: what errs in other ways helps more than another of its kind."""
SAME = 1e-6
"""Predictions that differ by no more than this share of their spread say the same."""


@dataclass(frozen=True)
class MajorityVote:
    """The share of members whose most probable class it is; ties are decided by the mean probability."""

    def apply(self, predictions: Sequence[Array]) -> NDArray[np.float64]:
        """Shares of votes, rows summing to 1."""
        votes = np.zeros(np.shape(predictions[0]))
        for prediction in predictions:
            near = (prediction >= prediction.max(axis=1, keepdims=True) - TIE).astype(np.float64)
            votes = votes + near / near.sum(axis=1, keepdims=True)
        casting = CASTING_VOTE * np.mean(predictions, axis=0)
        return np.asarray((votes + casting) / (len(predictions) + CASTING_VOTE))

    def emit(self, graph: Graph, predictions: Sequence[str]) -> str:
        """ReduceMax and a comparison per member, then a sum."""
        last = graph.constant(np.array([1], np.int64))
        votes = []
        for prediction in predictions:
            highest = graph.op("ReduceMax", prediction, last, keepdims=1)
            limit = graph.op("Sub", highest, graph.constant(TIE, np.float64))
            near = graph.cast(graph.op("GreaterOrEqual", prediction, limit), np.float64)
            votes.append(graph.op("Div", near, graph.op("ReduceSum", near, last, keepdims=1)))
        casting = WeightedMean((CASTING_VOTE / len(predictions),) * len(predictions)).emit(graph, predictions)
        return graph.op("Div", graph.op("Sum", *votes, casting), graph.constant(len(predictions) + CASTING_VOTE, np.float64))


@dataclass(frozen=True)
class Median:
    """The middle value of the members: what a vote of decisions is for values."""

    def apply(self, predictions: Sequence[Array]) -> NDArray[np.float64]:
        """The median, of an even number the mean of the middle two."""
        return np.asarray(np.median(np.stack(predictions), axis=0))

    def emit(self, graph: Graph, predictions: Sequence[str]) -> str:
        """All members sorted side by side, the middle taken."""
        n_members = len(predictions)
        side_by_side = graph.concat(predictions)  # (rows, members): values have one output
        count = graph.constant(np.array([n_members], np.int64))
        ordered, _ = graph.ops("TopK", side_by_side, count, n_outputs=2, axis=1, largest=0, sorted=1)
        middle = [graph.columns(ordered, [position]) for position in ((n_members - 1) // 2, n_members // 2)]
        return WeightedMean((0.5, 0.5)).emit(graph, middle)


@dataclass(frozen=True)
class LabelVote:
    """The share of members that say of a label that it holds, label by label; the mean probability decides ties."""

    def apply(self, predictions: Sequence[Array]) -> NDArray[np.float64]:
        """Shares of votes, between 0 and 1; a probability of one half is half a vote."""
        votes = sum((p >= HALF - TIE).astype(np.float64) + (p > HALF + TIE) for p in map(np.asarray, predictions)) / 2
        casting = CASTING_VOTE * np.mean(predictions, axis=0)
        return np.asarray((votes + casting) / (len(predictions) + CASTING_VOTE))

    def emit(self, graph: Graph, predictions: Sequence[str]) -> str:
        """Two comparisons per member, then a sum."""
        low, high = (graph.constant(limit, np.float64) for limit in (HALF - TIE, HALF + TIE))
        votes = []
        for prediction in predictions:
            votes.append(graph.cast(graph.op("GreaterOrEqual", prediction, low), np.float64))
            votes.append(graph.cast(graph.op("Greater", prediction, high), np.float64))
        halved = graph.op("Mul", graph.op("Sum", *votes), graph.constant(0.5, np.float64))
        casting = WeightedMean((CASTING_VOTE / len(predictions),) * len(predictions)).emit(graph, predictions)
        whole = graph.constant(len(predictions) + CASTING_VOTE, np.float64)
        return graph.op("Div", graph.op("Add", halved, casting), whole)


VOTES: Mapping[Form, Combination] = {Form.CLASSES: MajorityVote(), Form.LABELS: LabelVote(), Form.VALUES: Median()}
"""What a vote of decisions is."""


def choose_soft(evidence: Evidence, rows: Rows) -> Choice:
    """The plain mean of the best few, as many as score best."""
    admitted = evidence.admitted(rows)
    return _best_few(evidence, rows, [Choice.mean(admitted[:n], [1.0] * n) for n in range(1, len(admitted) + 1)])


def choose_close(evidence: Evidence, rows: Rows) -> Choice:
    """The plain mean of the best two of each family, those that are surely worse than the best of all left out.

    Of very many candidates the best is the best by luck too; which of the close ones are better, few rows do not say. Where rows
    are too few to say who is close, those that `Evidence.admitted` lets in.
    """
    ranked = [int(position) for position in np.argsort(-evidence.scores(rows), kind="stable")]
    best, blocks = ranked[0], Blocks.of(rows)
    if not blocks.rows:
        return Choice.mean(different := _different(evidence, evidence.admitted(rows), rows), [1.0] * len(different))
    families, counts = evidence.families or range(len(ranked)), Counter[object]()
    among = [position for position in ranked if counts.update([families[position]]) or counts[families[position]] <= OF_A_FAMILY]
    together = evidence.at(rows)
    known = blocks.scores(together[best], evidence.score)
    close = [
        position
        for position in among
        if position == best or not are_surely_worse(blocks.scores(together[position], evidence.score), known)
    ]
    members = _different(evidence, close, rows)[:MAX_MEMBERS]
    return Choice.mean(members, [1.0] * len(members))


def _different(evidence: Evidence, positions: Sequence[int], rows: Rows) -> list[int]:
    """Those of the candidates that do not say what an earlier one of them says."""
    said: dict[int, Array] = {}
    for position in positions:
        own = np.asarray(evidence.predictions[position])[rows]
        if all(np.abs(own - other).max() > SAME * np.ptp(other) for other in said.values()):
            said[position] = own
    return list(said)


def choose_weighted(evidence: Evidence, rows: Rows) -> Choice:
    """The mean of the best few, each weighted by how much better it is than the same answer for every row."""
    admitted = evidence.admitted(rows)
    gains = gains_of(evidence, admitted, rows=rows)
    return _best_few(evidence, rows, [Choice.mean(admitted[:n], gains[:n]) for n in range(1, len(admitted) + 1)])


def choose_hard(evidence: Evidence, rows: Rows) -> Choice:
    """The majority (of values, the median) of the best few: one, or three and more."""
    admitted = evidence.admitted(rows)
    vote = VOTES[evidence.form]
    votes = [Choice(positions=tuple(admitted[:n]), combination=vote, shares=(1 / n,) * n) for n in range(3, len(admitted) + 1)]
    return _best_few(evidence, rows, [Choice.mean(admitted[:1], [1.0]), *votes])


def gains_of(evidence: Evidence, positions: Sequence[int], *, rows: Rows) -> list[float]:
    """How much better each candidate, best first, scores than its own mean given for every row; the best has always a gain."""
    best = np.asarray(evidence.predictions[positions[0]])[rows]
    nothing = evidence.score(np.broadcast_to(best.mean(axis=0), best.shape), rows)
    scores = np.array([evidence.score(np.asarray(evidence.predictions[position])[rows], rows) for position in positions])
    gains = np.where(np.isfinite(scores - nothing), np.maximum(scores - nothing, 0.0), 0.0)
    if gains[0] <= 0:
        gains = np.eye(len(positions))[0]
    return [float(gain) for gain in gains]


def _best_few(evidence: Evidence, rows: Rows, choices: Sequence[Choice]) -> Choice:
    """The choice that scores best, the first of equals."""
    together = evidence.at(rows)
    scores = np.array([evidence.score(choice.rule.apply(together), rows) for choice in choices])
    return choices[int(np.argmax(np.where(np.isfinite(scores), scores, -np.inf)))]
