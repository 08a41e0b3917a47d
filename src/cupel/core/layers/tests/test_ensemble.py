"""Members of an ensemble are as they would be alone, and leave as ONNX together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from cupel.core.graph import Graph
from cupel.core.layers import (
    BatchEnsembleLinear,
    Ensemble,
    Linear,
    MemberLinear,
    MemberScale,
    Network,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    PooledDropout,
    generators_for,
)

SEEDS, N_MEMBERS, N_ROWS, WIDTH = (1, 2, 3), 2, 40, 4


class Binned(Network):
    def __init__(self, seeds: Sequence[int]) -> None:
        super().__init__()
        self.n_models = len(seeds)
        generators = generators_for(seeds)
        self.bins = PiecewiseLinearEmbedding(WIDTH, generators, n_bins=5, width=3)
        self.output = Linear((WIDTH * 3, 2), generators)
        self.dropout = PooledDropout(0.5, seeds=seeds)

    def initialise(self, blocks: Mapping[str, Tensor]) -> None:
        self.bins.initialise(blocks["x"])
        self.output.weight.mul_(2.0)

    def forward(self, blocks: Mapping[str, Tensor]) -> Tensor:
        return self.output(self.dropout(self.bins(blocks["x"])))[:, None]

    def emit(self, graph: Graph, blocks: Mapping[str, str], *, model: int) -> str:
        y = self.output.emit(graph, self.bins.emit(graph, blocks["x"], model=model), model=model)
        return graph.op("Unsqueeze", y, graph.constant(np.array([0], np.int64)))


def begun() -> tuple[Ensemble, dict[str, Tensor]]:
    network = Ensemble(Binned, n_members=N_MEMBERS, seeds=SEEDS)
    blocks = {"x": torch.randn(len(SEEDS), N_ROWS, WIDTH, generator=torch.Generator().manual_seed(0))}
    network.initialise(blocks)
    return network, blocks


def test_the_first_member_is_the_model_alone_and_the_others_differ() -> None:
    network, blocks = begun()
    alone = Binned(SEEDS)
    with torch.no_grad():
        alone.initialise(blocks)
    outputs = network.eval()(blocks)
    assert outputs.shape == (len(SEEDS), N_MEMBERS, N_ROWS, 2)
    assert torch.allclose(outputs[:, :1], alone.eval()(blocks), atol=1e-6)
    assert not torch.allclose(outputs[:, 0], outputs[:, 1], atol=0.1)


def test_every_tensor_has_the_models_in_front_and_gets_a_gradient_from_its_own() -> None:
    network, blocks = begun()
    network(blocks)[1].square().sum().backward()
    assert all(len(tensor) == len(SEEDS) for tensor in network.state_dict().values())
    assert sum(len(group.parameters) for group in network.parameter_groups()) == len(list(network.parameters()))
    for parameter in network.parameters():
        assert parameter.grad is not None
        assert parameter.grad[1].any()
        assert not parameter.grad[[0, 2]].any()


def test_only_weight_matrices_are_penalised_however_many_axes_biases_have() -> None:
    def names(network: Network) -> set[str]:
        matrices = {id(matrix) for matrix in network.weight_matrices()}
        return {name for name, parameter in network.named_parameters() if id(parameter) in matrices}

    assert names(Ensemble(Binned, n_members=N_MEMBERS, seeds=SEEDS)) == {
        "inner.bins.weight",
        "inner.bins.linear_weight",
        "inner.output.weight",
    }
    members, generators = Network(), generators_for(SEEDS)
    members.scale = MemberScale([1] * WIDTH, N_MEMBERS, generators)
    members.shared = BatchEnsembleLinear((WIDTH, 3), N_MEMBERS, generators)
    members.heads = MemberLinear((3, 2), N_MEMBERS, generators)
    members.numeric = PeriodicEmbedding(WIDTH, generators, n_frequencies=2, width=3, sigma=1.0)
    assert names(members) == {"shared.weight", "heads.weight", "numeric.frequency", "numeric.weight"}


def test_it_goes_on_with_some_of_its_models() -> None:
    network, blocks = begun()
    before = network.eval()(blocks).detach()
    network.keep([2, 0])
    rest = {"x": blocks["x"][[2, 0]]}
    assert torch.equal(network(rest).detach(), before[[2, 0]])
    assert network.train()(rest).shape[:2] == (2, N_MEMBERS)


def test_all_members_leave_as_onnx() -> None:
    network, blocks = begun()
    expected = network.eval()(blocks)[1].detach().numpy()
    graph = Graph()
    members = network.emit(graph, {"x": graph.input("x", np.float32, width=WIDTH)}, model=1)
    flat = graph.op("Reshape", members, graph.constant(np.array([-1, 2], np.int64)))
    graph.output("y", flat, np.float32, width=2)
    session = onnxruntime.InferenceSession(graph.model().SerializeToString(), providers=["CPUExecutionProvider"])
    given = session.run(None, {"x": blocks["x"][1].numpy()})[0].reshape(expected.shape)
    assert np.abs(given - expected).max() < 1e-5
