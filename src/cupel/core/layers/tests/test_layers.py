"""Laws of the stacked layers: models do not touch one another, and each leaves as ONNX with the same numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from cupel.core.graph import Graph
from cupel.core.layers import (
    FUNCTIONS,
    Activation,
    Attention,
    BatchEnsembleLinear,
    BatchNorm,
    CategoryEmbedding,
    Cross,
    GatedFeedForward,
    HiddenLayers,
    LayerNorm,
    Linear,
    LinearEmbedding,
    MemberLinear,
    MemberScale,
    Network,
    ParametricActivation,
    PeriodicEmbedding,
    PeriodicReluEmbedding,
    PiecewiseLinearEmbedding,
    PooledDropout,
    Scale,
    TransformerBlock,
    generators_for,
)

SEEDS = (1, 2, 3)
N_ROWS, WIDTH = 50, 4


def numbers(*, spread: float = 2.0) -> Tensor:
    return torch.randn(len(SEEDS), N_ROWS, WIDTH, generator=torch.Generator().manual_seed(0)) * spread


def fitted_bins() -> PiecewiseLinearEmbedding:
    layer = PiecewiseLinearEmbedding(WIDTH, generators_for(SEEDS), n_bins=5, width=3)
    x = numbers()
    x[:, :, 0] = 1.0  # a column without spread has bins of no width
    layer.initialise(x)
    return layer


def off() -> PooledDropout:
    return PooledDropout(0.0, seeds=SEEDS)


def normed_by_batches() -> BatchNorm:
    layer = BatchNorm(WIDTH, n_models=len(SEEDS))
    for spread in (1.0, 3.0):
        layer(numbers(spread=spread) + 1.0)
    return layer


def shaken(layer: nn.Module) -> nn.Module:
    """The layer with every parameter moved, so that nothing is hidden by zeros or ones."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return layer.eval()


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: Linear((WIDTH, 6), generators_for(SEEDS)),
    "linear, normal": lambda: Linear((WIDTH, 6), generators_for(SEEDS), normal=True),
    "scale": lambda: Scale(WIDTH, n_models=len(SEEDS)),
    "member scale": lambda: MemberScale([2, 1, 1], 3, generators_for(SEEDS)),
    "periodic": lambda: PeriodicEmbedding(WIDTH, generators_for(SEEDS), n_frequencies=6, width=4, sigma=1.0),
    "periodic, relu": lambda: PeriodicReluEmbedding(WIDTH, generators_for(SEEDS), n_frequencies=6, width=5, sigma=1.0),
    "linear embedding": lambda: LinearEmbedding(WIDTH, generators_for(SEEDS), width=3),
    "piecewise linear": fitted_bins,
    "batch norm": normed_by_batches,
    "layer norm": lambda: LayerNorm(WIDTH, n_models=len(SEEDS)),
    "hidden layers": lambda: HiddenLayers([WIDTH, 5, 3], generators_for(SEEDS), activation="silu", dropout=off()),
    "gated feed-forward": lambda: GatedFeedForward((WIDTH, 6), generators_for(SEEDS), dropout=off()),
    **{
        f"parametric {name}": lambda name=name: ParametricActivation(name, WIDTH, n_models=len(SEEDS))  # type: ignore[misc]
        for name in FUNCTIONS
    },
}


def by_graph(write: Callable[[Graph, str], str], x: np.ndarray) -> np.ndarray:
    graph = Graph()
    tensor = write(graph, graph.input("x", x.dtype, width=x.shape[1]))
    graph.output("y", tensor, np.float32, width=1)
    model = graph.model()
    del model.graph.output[0].type.tensor_type.shape.dim[:]  # layers give tensors of any rank
    model.graph.output[0].type.tensor_type.ClearField("shape")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_leaves_as_onnx(name: str) -> None:
    layer, x = shaken(LAYERS[name]()), numbers()
    with torch.no_grad():
        expected = layer(x).numpy()
    for model in range(len(SEEDS)):
        given = by_graph(lambda graph, t, model=model: layer.emit(graph, t, model=model), x[model].numpy())
        assert np.abs(given - expected[model]).max() < 3e-6 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_activation_leaves_as_onnx_from_far_left_to_far_right(name: str) -> None:
    x = np.linspace(-40, 40, 4000, dtype=np.float32).reshape(-1, 4)
    expected = FUNCTIONS[name](torch.from_numpy(x)).numpy()
    given = by_graph(lambda graph, t: Activation(name).emit(graph, t), x)
    assert np.abs(given - expected).max() < 1e-6 * 40


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in ("piecewise linear", "batch norm")])
def test_a_model_in_a_stack_starts_as_it_would_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stacked = LAYERS[name]()
    monkeypatch.setattr(f"{__name__}.SEEDS", (SEEDS[1],))
    alone = LAYERS[name]()
    for tensor, whole in zip(alone.state_dict().values(), stacked.state_dict().values(), strict=True):
        assert torch.equal(tensor[0], whole[1])


@pytest.mark.parametrize("name", LAYERS)
def test_a_model_is_moved_by_its_own_rows_alone(name: str) -> None:
    layer, x = shaken(LAYERS[name]()), numbers()
    layer.train()
    layer(x)[1].square().sum().backward()
    for parameter in layer.parameters():
        assert parameter.grad is not None
        assert parameter.grad[1].any()
        assert not parameter.grad[[0, 2]].any()


@pytest.mark.parametrize("name", ["mish", "selu", "relu"])
def test_gradients_worked_out_by_hand_are_those_of_autograd(name: str) -> None:
    layer = ParametricActivation(name, WIDTH, n_models=len(SEEDS))
    x = numbers(spread=6.0).requires_grad_()
    shaken(layer)
    upstream = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    found = []
    for is_training in (True, False):
        layer.train(is_training)
        y = layer(x)
        found.append((y.detach(), *torch.autograd.grad(y, (x, layer.strength), upstream)))
    for by_hand, by_autograd in zip(*found, strict=True):
        assert torch.allclose(by_hand, by_autograd, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("rank", [None, 2])
def test_crosses_raise_the_degree_by_one_and_leave_as_onnx(rank: int | None) -> None:
    layer, x = shaken(Cross(WIDTH, generators_for(SEEDS), rank=rank)), numbers()
    with torch.no_grad():
        layer.linear.bias.zero_()
        expected = layer(x, x)
        assert torch.allclose(layer(2 * x, x) - x, 2 * (expected - x), atol=1e-4)
        assert torch.allclose(layer(2 * x, 2 * x) - 2 * x, 4 * (expected - x), atol=1e-4)
    given = by_graph(lambda graph, t: layer.emit(graph, (t, t), model=1), x[1].numpy())
    assert np.abs(given - expected[1].numpy()).max() < 1e-4


def test_running_statistics_are_those_of_the_batches_of_each_model() -> None:
    layer, generator = BatchNorm(1, n_models=2), torch.Generator().manual_seed(0)
    for _ in range(200):
        x = torch.randn(2, 64, 1, generator=generator) * torch.tensor([1.0, 5.0])[:, None, None] + 3.0
        y = layer(x)
        assert torch.allclose(y.std(dim=1), torch.ones(2, 1), atol=0.02)
    assert layer.mean[:, 0].tolist() == pytest.approx([3.0, 3.0], abs=0.5)
    assert layer.variance[:, 0].sqrt().tolist() == pytest.approx([1.0, 5.0], rel=0.1)
    before = layer.mean.clone()
    assert layer(x[:, :1]).isfinite().all()
    layer.eval()(x)
    assert torch.equal(layer.mean, before)


def tokens_and_block(*, rate: float, normalises_first: bool = True) -> tuple[Tensor, TransformerBlock]:
    generators = generators_for(SEEDS)
    dropout = PooledDropout(rate, seeds=SEEDS)
    block = TransformerBlock(
        8,
        generators,
        attention=Attention(8, generators, n_heads=2, dropout=dropout),
        feed_forward=GatedFeedForward((8, 6), generators, dropout=dropout),
        dropout=dropout,
        normalises_first=normalises_first,
    )
    x = torch.randn(len(SEEDS), 7, 4, 8, generator=torch.Generator().manual_seed(2))
    return x, block


@pytest.mark.parametrize("first_only", [False, True])
@pytest.mark.parametrize("normalises_first", [False, True])
def test_transformer_blocks_leave_as_onnx(first_only: bool, normalises_first: bool) -> None:
    x, block = tokens_and_block(rate=0.2, normalises_first=normalises_first)
    shaken(block)
    with torch.no_grad():
        expected = block(x, first_only=first_only)
        assert torch.allclose(expected[:, :, :1], block(x)[:, :, :1], atol=1e-5)

    def write(graph: Graph, t: str) -> str:
        tokens = graph.op("Reshape", t, graph.constant(np.array([-1, 4, 8], np.int64)))
        return block.emit(graph, tokens, model=1, first_only=first_only)

    given = by_graph(write, x[1].flatten(1).numpy())
    assert np.abs(given - expected[1].numpy()).max() < 1e-4


def test_tokens_of_a_model_are_moved_by_its_own_rows_alone_also_with_dropout() -> None:
    x, block = tokens_and_block(rate=0.3)
    shaken(block).train()
    block(x)[1].square().sum().backward()
    for parameter in block.parameters():
        assert parameter.grad is not None
        assert parameter.grad[1].any()
        assert not parameter.grad[[0, 2]].any()


def test_no_token_looks_at_itself_where_attention_is_local() -> None:
    generators = generators_for(SEEDS)
    local = Attention(8, generators, n_heads=2, dropout=off(), n_local_tokens=2).eval()
    plain = Attention(8, generators_for(SEEDS), n_heads=2, dropout=off()).eval()
    x = torch.randn(len(SEEDS), 5, 2, 8, generator=torch.Generator().manual_seed(2))
    other = x.clone()
    other[:, :, 0] += 3.0
    with torch.no_grad():
        assert torch.allclose(local(other)[:, :, 0], local(x)[:, :, 0], atol=1e-5)
        assert not torch.allclose(local(other)[:, :, 1], local(x)[:, :, 1], atol=1e-2)
        assert not torch.allclose(plain(other)[:, :, 0], plain(x)[:, :, 0], atol=1e-2)


def test_attention_with_dropout_is_on_average_what_it_is_without() -> None:
    x, block = tokens_and_block(rate=0.1)
    attention = block.attention
    with torch.no_grad():
        expected = attention.eval()(x)
        attention.train()
        found = torch.stack([attention(x) for _ in range(400)]).mean(dim=0)
    assert (found - expected).abs().max() < 0.1 * expected.abs().max()


def test_categories_are_looked_up_and_leave_as_onnx() -> None:
    layer = CategoryEmbedding((3, 5), generators_for(SEEDS), width=2)
    codes = torch.tensor([[0, 0], [2, 4], [1, 0]]).expand(3, -1, -1)
    with torch.no_grad():
        expected = layer(codes)
    assert not expected[:, 0].any()
    assert not torch.equal(expected[0], expected[1])
    for model in range(3):
        given = by_graph(lambda graph, t, model=model: layer.emit(graph, t, model=model), codes[model].contiguous().numpy())
        assert np.array_equal(given, expected[model].numpy())


def test_heads_of_members_leave_as_onnx() -> None:
    layer = MemberLinear((WIDTH, 2), 3, generators_for(SEEDS))
    scale = MemberScale([1] * WIDTH, 3, generators_for(SEEDS))
    x = numbers()
    with torch.no_grad():
        expected = layer(scale(x)).numpy()
    given = by_graph(lambda graph, t: layer.emit(graph, scale.emit(graph, t, model=2), model=2), x[2].numpy())
    assert np.abs(given - expected[2]).max() < 1e-5


@pytest.mark.parametrize("has_input_scale", [True, False])
def test_members_that_share_a_weight_start_alike_and_leave_as_onnx(has_input_scale: bool) -> None:
    layer = BatchEnsembleLinear((WIDTH, 2), 3, generators_for(SEEDS), has_input_scale=has_input_scale)
    scale = MemberScale([1] * WIDTH, 3, generators_for(SEEDS))
    x = numbers()
    same = layer(x[:, None].expand(-1, 3, -1, -1)).detach()
    assert torch.equal(same[:, 0], same[:, 2])
    shaken(layer)
    with torch.no_grad():
        expected = layer(scale(x)).numpy()
    given = by_graph(lambda graph, t: layer.emit(graph, scale.emit(graph, t, model=2), model=2), x[2].numpy())
    assert np.abs(given - expected[2]).max() < 1e-5


def test_bins_hold_equally_many_rows_and_far_values_stay_finite() -> None:
    layer = PiecewiseLinearEmbedding(1, generators_for((0,)), n_bins=4, width=1)
    x = torch.linspace(0, 1, 401)[None, :, None] ** 3
    layer.initialise(x)
    edges = -(layer.offset / layer.slope)[0, 0]
    assert np.allclose(edges.numpy(), np.array([0, 0.25, 0.5, 0.75]) ** 3, atol=1e-5)
    assert layer(torch.full((1, 1, 1), 1e6)).isfinite().all()


def test_dropout_keeps_the_mean_and_zeroes_its_share() -> None:
    dropout = PooledDropout(0.25, seeds=SEEDS)
    y = dropout(torch.ones(3, 400, 50))
    assert (y == 0).float().mean(dim=(1, 2)).numpy() == pytest.approx([0.25] * 3, abs=0.01)
    assert float(y.mean()) == pytest.approx(1.0, abs=0.02)
    assert y.unique().tolist() == pytest.approx([0.0, 4 / 3])


def test_dropout_is_off_at_prediction_and_at_rate_zero() -> None:
    x = torch.ones(3, 5, 5)
    assert torch.equal(PooledDropout(0.5, seeds=SEEDS).eval()(x), x)
    assert torch.equal(PooledDropout(0.0, seeds=SEEDS)(x), x)


def test_dropout_of_a_model_does_not_depend_on_its_neighbours() -> None:
    together, alone = PooledDropout(0.5, seeds=SEEDS), PooledDropout(0.5, seeds=SEEDS[2:])
    x = torch.ones(3, 20, 8)
    for step in range(700):
        if step == 300:
            together.keep([0, 2])
            x = x[:2]
        masked, own = together(x), alone(x[:1])
        assert torch.equal(masked[-1], own[0])
        assert not torch.equal(masked[-1], masked[0])


def test_dropout_draws_new_masks_at_each_call() -> None:
    dropout = PooledDropout(0.5, seeds=(0,))
    x = torch.ones(1, 30, 30)
    assert len({tuple(dropout(x).flatten().tolist()) for _ in range(20)}) == 20


def test_the_rate_can_change_during_training() -> None:
    dropout = PooledDropout(0.5, seeds=(0,))
    x = torch.ones(1, 300, 100)
    assert (dropout(x) == 0).float().mean() > 0.45
    dropout.set_rate(0.1)
    assert dropout.rate == pytest.approx(0.1, abs=0.002)
    assert (dropout(x) == 0).float().mean() < 0.12


def test_a_network_can_go_on_with_some_of_its_models() -> None:
    class Two(Network):
        def __init__(self) -> None:
            super().__init__()
            self.n_models = len(SEEDS)
            self.bins = fitted_bins()
            self.output = Linear((WIDTH * 3, 1), generators_for(SEEDS))
            self.dropout = PooledDropout(0.5, seeds=SEEDS)

        def forward(self, blocks):  # type: ignore[no-untyped-def]
            return self.output(self.dropout(self.bins(blocks["x"])))[:, None]

    network = shaken(Two())
    x = numbers()
    before = network({"x": x}).detach()
    network.keep([2, 0])
    assert network.n_models == 2
    assert torch.equal(network({"x": x[[2, 0]]}).detach(), before[[2, 0]])
    network({"x": x[[2, 0]]}).sum().backward()
    assert all(parameter.grad is not None and len(parameter.grad) == 2 for parameter in network.parameters())
