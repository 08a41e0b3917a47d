import numpy as np
import pytest

from cupel.core.combination import Among, WeightedMean
from cupel.core.graph import Graph
from cupel.ensembling import METHODS
from cupel.ensembling.evidence import shares_of
from cupel.ensembling.tests.planted import KINDS, N_CLASSES, evidence_of
from cupel.ensembling.voting import MajorityVote, Median


def in_onnx(combination, predictions):
    import onnxruntime

    graph = Graph()
    names = [graph.input(f"member_{m}", np.float64, width=p.shape[1]) for m, p in enumerate(predictions)]
    graph.output("prediction", combination.emit(graph, names), np.float64, width=predictions[0].shape[1])
    session = onnxruntime.InferenceSession(graph.model().SerializeToString())
    wanted = {given.name for given in session.get_inputs()}
    return session.run(None, {name: p for name, p in zip(names, predictions, strict=True) if name in wanted})[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", METHODS)
def test_a_combination_leaves_as_onnx_with_the_same_predictions(name, kind):
    evidence = evidence_of(kind)
    rule = METHODS[name].choose(evidence, np.arange(400)).rule
    new = evidence_of(kind, seed=1, n=50).predictions
    expected = rule.apply(new)
    assert expected.shape == (50, N_CLASSES[kind])
    assert np.abs(in_onnx(rule, new) - expected).max() < 1e-5
    assert np.abs(in_onnx(rule, [p[:1] for p in new]) - expected[:1]).max() < 1e-5


@pytest.mark.parametrize("n_members", [1, 2, 3, 4, 5])
def test_votes_leave_as_onnx_with_any_number_of_members(n_members):
    binary = evidence_of("binary", noises=(1.0,) * n_members, n=50).predictions
    values = evidence_of("regression", noises=(1.0,) * n_members, n=50).predictions
    assert np.abs(in_onnx(MajorityVote(), binary) - MajorityVote().apply(binary)).max() < 1e-12
    assert np.abs(in_onnx(Median(), values) - Median().apply(values)).max() < 1e-12


def test_the_majority_wins_and_the_mean_decides_a_tie():
    members = [np.array([[0.6, 0.4], [0.9, 0.1]]), np.array([[0.6, 0.4], [0.4, 0.6]])]
    voted = MajorityVote().apply([*members, np.array([[0.0, 1.0], [0.3, 0.7]])])
    assert voted.argmax(axis=1).tolist() == [0, 1], "two of three, whatever they are sure of"
    assert MajorityVote().apply(members).argmax(axis=1).tolist() == [0, 0], "one against one: the surer"
    assert np.allclose(voted.sum(axis=1), 1)
    assert voted.min() > 0


def test_a_member_that_cannot_decide_divides_its_vote_whatever_the_rounding():
    even = np.array([[0.5, 0.5], [0.5 + 1e-9, 0.5 - 1e-9], [0.5 - 1e-9, 0.5 + 1e-9]])
    assert np.allclose(MajorityVote().apply([even, even]), 0.5)
    assert np.allclose(in_onnx(MajorityVote(), [even, even]), 0.5)


def test_members_without_weight_are_left_out_of_the_graph():
    with_nan = [np.ones((3, 1)), np.full((3, 1), np.nan), np.zeros((3, 1))]
    mean = WeightedMean((0.25, 0.0, 0.75))
    assert np.allclose(mean.apply(with_nan), 0.25)
    assert np.allclose(in_onnx(mean, with_nan), 0.25)
    assert np.allclose(Among((2, 0), WeightedMean((0.5, 0.5))).apply(with_nan), 0.5)


def test_shares_of_a_mean_are_like_its_weights_and_copies_share_equally():
    members = evidence_of("regression", noises=(1.0, 1.0, 1.0)).predictions
    shares = shares_of(WeightedMean((0.7, 0.2, 0.1)), members)
    assert np.argsort(shares).tolist() == [2, 1, 0]
    assert sum(shares) == pytest.approx(1)
    assert shares_of(WeightedMean((0.7, 0.3)), [members[0], members[0]]) == (0.5, 0.5)
