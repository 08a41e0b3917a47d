"""Who votes in ModernNCA: never the row itself in training, all rows of the own fold at prediction."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import TensorProto, numpy_helper

from cupel.core.graph import Graph
from cupel.core.graph_sessions import open_graph
from cupel.core.inputs import InputShape
from cupel.core.layers import Network
from cupel.core.task import Task, TaskKind
from cupel.modalities.tabular.models import modern_nca
from cupel.modalities.tabular.models.modern_nca import Config, build

REGRESSION = Task(kind=TaskKind.REGRESSION, target="y", metric="rmse")
SHAPE = InputShape({"numeric": 3, "binary": 0, "codes": 0}, {"codes": ()})
SEEDS, SIZES, N_ROWS = (4, 5), (30, 50), 50


def shown(sizes: tuple[int, ...] = SIZES, *, far: float = 1.0) -> tuple[Network, dict[str, torch.Tensor], torch.Tensor]:
    """A network, and rows that stand `far` apart."""
    network = build(SHAPE, n_outputs=1, task=REGRESSION, config=Config(n_sampled=1024), seeds=SEEDS)
    generator = torch.Generator().manual_seed(0)
    blocks = {"numeric": torch.randn(len(SEEDS), N_ROWS, 3, generator=generator) * far}
    target = torch.randn(len(SEEDS), N_ROWS, generator=generator)
    network.remember(blocks, target, sizes=sizes)
    return network, blocks, target


def test_a_row_finds_itself_at_prediction_and_never_in_training() -> None:
    network, blocks, target = shown(far=1000.0)
    rows = torch.arange(30).expand(2, -1)
    batch = {"numeric": blocks["numeric"][:, :30]}
    found = network.eval()(batch)[:, 0, :, 0]
    assert torch.allclose(found, target[:, :30], atol=1e-4)
    network.train().set_rows(rows)
    others = network(batch)[:, 0, :, 0]
    assert ((others - target[:, :30]).abs() > 1e-3).all()
    assert all(bool((others[m].detach()[:, None] - target[m]).abs().min(dim=1).values.max() < 0.5) for m in range(2))


def test_where_rows_are_few_all_vote_once_and_cost_no_more() -> None:
    network, blocks, target = shown()
    rows = torch.arange(N_ROWS).expand(2, -1)
    network.train().set_rows(rows)
    found = network(blocks)[:, 0, :, 0].detach()
    points = network._encoded(blocks).detach().double()  # type: ignore[operator]
    for model, size in enumerate(SIZES):
        distances = torch.cdist(points[model], points[model, :size])
        distances[range(size), range(size)] = torch.inf
        expected = torch.softmax(-distances, dim=1) @ target[model, :size].double()
        assert torch.allclose(found[model].double(), expected, atol=1e-3)
    costs = [modern_nca.cost(200, SHAPE, Config(n_sampled=n), None, REGRESSION) for n in (512, 2048)]
    assert costs[0] == costs[1]


def test_rows_that_only_fill_up_a_shorter_fold_do_not_vote() -> None:
    network, blocks, target = shown()
    before = network.eval()(blocks)[0]
    target[0, 30:] = 1e6
    network.remember(blocks, target, sizes=SIZES)
    assert torch.equal(network.eval()(blocks)[0], before)


def test_voters_are_limited_and_the_same_for_a_model_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modern_nca, "MOST_CANDIDATES", 20)
    network, blocks, target = shown()
    alone = build(SHAPE, n_outputs=1, task=REGRESSION, config=Config(), seeds=SEEDS[:1])
    alone.remember({"numeric": blocks["numeric"][:1, :30]}, target[:1, :30], sizes=[30])
    assert torch.allclose(alone.eval()({"numeric": blocks["numeric"][:1]})[0], network.eval()(blocks)[0], atol=1e-5)
    assert network.voters.rows.shape == (2, 20)
    assert len(np.unique(network.voters.rows[1])) == 20


def test_what_is_remembered_is_no_weight_and_follows_the_models_that_stay() -> None:
    network, blocks, _ = shown()
    assert not [name for name in network.state_dict() if "voters" in name]
    before = network.eval()(blocks)[1]
    network.train()
    network.keep([1])
    assert torch.allclose(network.eval()({"numeric": blocks["numeric"][1:]})[0], before, atol=1e-5)
    assert network.train()({"numeric": blocks["numeric"][1:]}).shape == (1, 1, N_ROWS, 1)


def test_voters_are_packed_where_they_stood_when_predictions_were_made_by_them(monkeypatch: pytest.MonkeyPatch) -> None:
    network, blocks, _ = shown()
    expected = network.eval()(blocks)[1, 0].detach().numpy()
    monkeypatch.setattr(type(network), "_encoded", lambda *_: pytest.fail("their places are reckoned again"))
    graph = Graph()
    x = graph.input("numeric", np.float32, width=3)
    graph.output("y", graph.op("Squeeze", network.emit(graph, {"numeric": x}, model=1)), np.float32, width=1)
    packed = graph.model()
    (places,) = (
        tensor for tensor in packed.graph.initializer if tensor.data_type == TensorProto.FLOAT16 and tensor.dims[1] == 50
    )
    assert len(np.unique(numpy_helper.to_array(places))) > 1000
    packed.graph.output[0].type.tensor_type.ClearField("shape")
    given = open_graph(packed.SerializeToString()).run(["y"], {"numeric": blocks["numeric"][1].numpy()})[0]
    assert np.abs(given - expected[:, 0]).max() < 1e-5
