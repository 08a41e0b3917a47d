"""Laws of the layers on maps: models side by side do not touch one another, and each leaves as ONNX with the same numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto
from torch import Tensor, nn
from torch.nn import functional

from cupel.core.graph import Graph
from cupel.core.layers import (
    Convolution,
    MapBatchNorm,
    MapLayerNorm,
    Network,
    NormedConvolution,
    PatchWhitening,
    PixelScaling,
    SqueezeExcite,
    StochasticDepth,
    Window,
    folded,
    generators_for,
    joined,
    rising_rates,
    round_weights,
    unfolded,
)

SEEDS = (1, 2, 3)
N_MODELS, N_ROWS, N_CHANNELS, SIZE = 3, 5, 4, (7, 9)
PAIR = (N_CHANNELS, 6)


def pictures(*, n_rows: int = N_ROWS, n_channels: int = N_CHANNELS) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(N_MODELS, n_rows, n_channels, *SIZE, generator=generator) * 2 + 0.5


def shaken(layer: nn.Module) -> nn.Module:
    """Everything moved, so that nothing is hidden by zeros or ones, and statistics that are no accident."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
        for name, buffer in layer.named_buffers():
            if name.endswith(("mean", "variance")):
                buffer.add_(torch.rand(buffer.shape, generator=generator))
    return layer.eval()


def whitening(seeds: tuple[int, ...] = SEEDS) -> PatchWhitening:
    layer = PatchWhitening(N_CHANNELS, n_models=len(seeds), window=Window(kernel=3, stride=2, padding=0), n_components=7)
    layer.initialise(folded(pictures()[: len(seeds)]))
    return layer


LAYERS: dict[str, Callable[[tuple[int, ...]], nn.Module]] = {
    "convolution": lambda seeds: Convolution(PAIR, generators_for(seeds), window=Window(), has_bias=True),
    "strided": lambda seeds: Convolution(PAIR, generators_for(seeds), window=Window(kernel=5, stride=2)),
    "depthwise": lambda seeds: Convolution((4, 4), generators_for(seeds), window=Window(groups=4), has_bias=True),
    "grouped": lambda seeds: Convolution(PAIR, generators_for(seeds), window=Window(groups=2)),
    "normed": lambda seeds: NormedConvolution(PAIR, generators_for(seeds), window=Window()),
    "normed and pooled": lambda seeds: NormedConvolution(
        PAIR, generators_for(seeds), window=Window(), has_scale=False, pools=True
    ),
    "layer norm": lambda seeds: MapLayerNorm(N_CHANNELS, n_models=len(seeds)),
    "squeeze": lambda seeds: SqueezeExcite(N_CHANNELS, generators_for(seeds), n_hidden=3),
    "whitening": whitening,
}


def by_graph(write: Callable[[Graph, str], str], x: np.ndarray) -> np.ndarray:
    graph = Graph()
    flat = graph.input("x", x.dtype, width=x[0].size)
    maps = graph.op("Reshape", flat, graph.constant(np.array([-1, *x.shape[1:]], np.int64)))
    graph.output("y", graph.op("Flatten", write(graph, maps), axis=1), np.float32, width=1)
    model = graph.model()
    model.graph.output[0].type.tensor_type.ClearField("shape")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x.reshape(len(x), -1)})[0]


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_on_maps_leaves_as_onnx(name: str) -> None:
    layer, x = shaken(LAYERS[name](SEEDS)), pictures()
    with torch.no_grad():
        expected = layer(folded(x)).chunk(N_MODELS, dim=1)
    for model in range(N_MODELS):
        given = by_graph(lambda graph, t, model=model: layer.emit(graph, t, model=model), x[model].numpy())
        own = expected[model].flatten(1).numpy()
        assert np.abs(given - own).max() < 1e-5 * max(1.0, np.abs(own).max())


@pytest.mark.parametrize("name", LAYERS)
def test_a_model_side_by_side_with_others_computes_what_it_computes_alone(name: str) -> None:
    together, x = shaken(LAYERS[name](SEEDS)), pictures()
    alone = LAYERS[name](SEEDS[:1]).eval()
    alone.load_state_dict({key: tensor[1:2] for key, tensor in together.state_dict().items()})
    with torch.no_grad():
        expected = together(folded(x)).chunk(N_MODELS, dim=1)[1]
        assert torch.allclose(alone(folded(x[1:2])), expected, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "whitening"])
def test_a_model_on_maps_starts_as_it_would_alone(name: str) -> None:
    together, alone = LAYERS[name](SEEDS), LAYERS[name](SEEDS[1:2])
    for tensor, whole in zip(alone.state_dict().values(), together.state_dict().values(), strict=True):
        assert torch.equal(tensor[0], whole[1])


@pytest.mark.parametrize("name", LAYERS)
def test_a_model_on_maps_is_moved_by_its_own_rows_alone(name: str) -> None:
    layer = shaken(LAYERS[name](SEEDS)).train()
    layer(folded(pictures())).chunk(N_MODELS, dim=1)[1].square().sum().backward()
    for parameter in layer.parameters():
        assert parameter.grad is not None
        assert parameter.grad[1].any()
        assert not parameter.grad[[0, 2]].any()


def test_one_model_is_a_plain_convolution_and_nothing_is_copied() -> None:
    window = Window(stride=2)
    layer = Convolution(PAIR, generators_for((0,)), window=window)
    x = pictures()[:1].to(memory_format=torch.preserve_format)
    lying_so = x[0].contiguous(memory_format=torch.channels_last)[None]
    maps = folded(lying_so)
    assert maps.data_ptr() == lying_so.data_ptr()
    assert maps.is_contiguous(memory_format=torch.channels_last)
    kernels = layer.weight.flatten(0, 1).permute(0, 3, 1, 2)
    assert kernels.data_ptr() == layer.weight.data_ptr()
    assert kernels.is_contiguous(memory_format=torch.channels_last)
    plain = functional.conv2d(x[0], kernels.contiguous(), stride=2, padding=1)
    assert torch.allclose(layer(maps), plain, atol=1e-5)


def test_maps_of_one_channel_stay_channels_last() -> None:
    pixels = torch.randint(0, 255, (1, 4, 1, *SIZE), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    maps = PixelScaling(1, n_models=1)(pixels)
    convolved = Convolution((1, 8), generators_for((0,)), window=Window())(maps)
    assert convolved.is_contiguous(memory_format=torch.channels_last)


def test_gradients_lie_as_weights_do() -> None:
    layer = Convolution(PAIR, generators_for((0,)), window=Window())
    layer(folded(pictures()[:1])).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.stride() == layer.weight.stride()


@pytest.mark.parametrize("sizes", [(4, 4), (4, 6), (4, 3)])
def test_an_identity_passes_the_picture_through(sizes: tuple[int, int]) -> None:
    layer = Convolution(sizes, generators_for(SEEDS), window=Window())
    started = layer.weight.detach().clone()
    layer.become_identity()
    n_passed = min(sizes)
    x = pictures()
    y = layer(folded(x)).unflatten(1, (N_MODELS, -1)).transpose(0, 1)
    assert torch.allclose(y[:, :, :n_passed], x[:, :, :n_passed], atol=1e-6)
    assert torch.equal(layer.weight[:, n_passed:], started[:, n_passed:])


def test_whitened_patches_have_no_correlation() -> None:
    generator = torch.Generator().manual_seed(3)
    mixed = torch.randn(2, 64, 3, 12, 11, generator=generator) * torch.tensor([1.0, 4.0, 9.0])[:, None, None]
    mixed = mixed + 2 * mixed.roll(1, dims=3) + 0.5 * mixed.flip(2) + 7.0
    layer = PatchWhitening(3, n_models=2, window=Window(kernel=2, padding=0), n_components=12)
    layer.initialise(folded(mixed))
    with torch.no_grad():
        outputs = layer(folded(mixed)).unflatten(1, (2, -1))  # (B, M, 24, H, W)
    for model in range(2):
        values = outputs[:, model].permute(1, 0, 2, 3).flatten(1).double()
        assert torch.allclose(values[12:], -values[:12], atol=1e-5)
        assert values[:12].mean(dim=1).abs().max() < 1e-3
        assert (torch.cov(values[:12]) - torch.eye(12)).abs().max() < 0.02
    plain = torch.cov(functional.unfold(mixed[0], 2).transpose(1, 2).flatten(0, 1).T)
    assert (plain - torch.eye(12)).abs().max() > 10


def test_whitening_keeps_the_directions_in_which_patches_differ_most() -> None:
    layer = PatchWhitening(N_CHANNELS, n_models=1, window=Window(kernel=2, padding=0), n_components=100)
    assert layer.n_components == 16
    few = PatchWhitening(N_CHANNELS, n_models=1, window=Window(kernel=2, padding=0), n_components=3)
    x = folded(pictures()[:1])
    layer.initialise(x)
    few.initialise(x)
    assert torch.allclose(few.weight[:, :3], layer.weight[:, :3])
    again = PatchWhitening(N_CHANNELS, n_models=1, window=Window(kernel=2, padding=0), n_components=3)
    again.initialise(x)
    assert torch.equal(few.weight, again.weight)


def test_whitening_of_blank_pictures_stays_finite() -> None:
    layer = PatchWhitening(1, n_models=1, window=Window(kernel=2, padding=0), n_components=4)
    blank = torch.full((8, 1, 6, 6), 3.0)
    layer.initialise(blank)
    assert layer(blank).isfinite().all()


@pytest.mark.parametrize("is_bytes", [True, False])
def test_pixels_enter_with_mean_zero_and_deviation_one_and_leave_as_onnx(is_bytes: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randint(0, 200, (2, 40, 3, 6, 5), generator=generator)
    drawn[1] //= 3
    pixels = drawn.to(torch.uint8) if is_bytes else drawn / 255
    layer = PixelScaling(3, n_models=2)
    layer.initialise(pixels)
    maps = layer(pixels)
    assert maps.mean(dim=(0, 2, 3)).abs().max() < 1e-5
    assert (maps.std(dim=(0, 2, 3), correction=0) - 1).abs().max() < 1e-4
    assert torch.allclose(layer((drawn / 255).float()), maps, atol=1e-5)
    for model in range(2):
        given = by_graph(lambda graph, t, model=model: layer.emit(graph, t, model=model), pixels[model].numpy())
        assert np.abs(given - maps.chunk(2, dim=1)[model].flatten(1).numpy()).max() < 1e-5


def test_a_channel_that_never_changes_enters_as_zero() -> None:
    layer = PixelScaling(2, n_models=1)
    pixels = torch.zeros(1, 9, 2, 4, 4)
    pixels[:, :, 0] = torch.rand(9, 4, 4, generator=torch.Generator().manual_seed(0))
    pixels[:, :, 1] = 0.3
    layer.initialise(pixels)
    assert layer(pixels)[:, 1].abs().max() < 1e-6


def test_batch_normalisation_of_maps_is_that_of_each_model_and_runs_along() -> None:
    layer = MapBatchNorm(N_CHANNELS, n_models=N_MODELS)
    x = pictures() * torch.tensor([1.0, 3.0, 9.0])[:, None, None, None, None]
    for _ in range(200):
        y = layer(folded(x)).unflatten(1, (N_MODELS, -1))
    assert y.mean(dim=(0, 3, 4)).abs().max() < 1e-4
    assert torch.allclose(layer.mean, x.mean(dim=(1, 3, 4)), atol=1e-3)
    before = layer.mean.clone()
    layer.eval()(folded(x))
    assert torch.equal(layer.mean, before)
    assert layer.train()(folded(x[:, :1, :, :1, :1])).isfinite().all()


def test_networks_find_normalisations_of_maps_and_renew_them() -> None:
    class Small(Network):
        def __init__(self) -> None:
            super().__init__()
            self.n_models = N_MODELS
            self.layer = NormedConvolution(PAIR, generators_for(SEEDS), window=Window())

        def forward(self, blocks):  # type: ignore[no-untyped-def]
            return unfolded(self.layer(folded(blocks["pixels"])).mean(dim=(2, 3)), n_channels=6)[:, None]

    network = Small()
    norm = network.layer.norm
    norm.momentum = 0.4
    assert network.normalisations() == [norm]
    x = pictures()
    network.renew_statistics({"pixels": x})
    convolved = network.layer.convolution(folded(x)).detach()
    assert torch.allclose(norm.mean.flatten(), convolved.mean(dim=(0, 2, 3)), atol=1e-5)
    assert norm.momentum == 0.4
    before = network({"pixels": x})
    network.keep([2, 0])
    assert torch.allclose(network({"pixels": x[[2, 0]]}), before[[2, 0]], atol=1e-5)


def test_branches_are_left_out_row_by_row_and_scaled_up() -> None:
    depth = StochasticDepth(0.25, seeds=SEEDS)
    x = torch.ones(N_MODELS, 400, 3, 2)
    y = depth(x)
    assert y.flatten(2).unique(dim=2).shape[2] == 1
    assert (y[..., 0, 0] == 0).float().mean().item() == pytest.approx(0.25, abs=0.04)
    assert y.mean().item() == pytest.approx(1.0, abs=0.06)
    maps = depth.of_maps(torch.ones(400, N_MODELS * 2, 3, 3), n_models=N_MODELS).unflatten(1, (N_MODELS, 2))
    assert torch.equal(maps[:, :, 0], maps[:, :, 1])
    assert not torch.equal(maps[:, 0], maps[:, 1])
    assert torch.equal(depth.eval()(x), x)
    assert rising_rates(0.3, n_blocks=4) == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert rising_rates(0.3, n_blocks=1) == [0.0]


def test_windows_know_what_they_leave() -> None:
    for kernel, stride, padding in [(3, 1, None), (3, 2, None), (2, 2, 0), (4, 2, 0), (7, 2, None), (1, 2, None)]:
        window = Window(kernel=kernel, stride=stride, padding=padding)
        layer = Convolution((1, 1), generators_for((0,)), window=window)
        for size in [(7, 9), (8, 12), (5, 4)]:
            assert tuple(layer(torch.zeros(1, 1, *size)).shape[2:]) == window.size_after(size)


def test_channels_are_joined_model_by_model() -> None:
    first, second = pictures(), pictures() + 100
    together = joined([folded(first), folded(second)], n_channels=N_CHANNELS).unflatten(1, (N_MODELS, -1)).transpose(0, 1)
    assert torch.equal(together, torch.cat([first, second], dim=2))
    one = joined([folded(first[:1]), folded(second[:1])], n_channels=N_CHANNELS)
    assert torch.equal(one, together[0])
    assert one.is_contiguous(memory_format=torch.channels_last)


class Convolved(Network):
    """A convolution with its normalisation, wide enough to be rounded."""

    def __init__(self, seeds: tuple[int, ...]) -> None:
        super().__init__()
        self.n_models = len(seeds)
        self.layer = NormedConvolution((N_CHANNELS, 40), generators_for(seeds), window=Window())


def test_what_is_packed_of_a_rounded_convolution_is_what_half_precision_holds() -> None:
    network, x = Convolved(SEEDS), pictures()
    shaken(network)
    with torch.no_grad():
        network.layer.norm.scale[:, 3] = 0.0
        before = network.layer.convolution.weight.clone()
        round_weights(network)
        expected = network.layer(folded(x)).chunk(N_MODELS, dim=1)
    weight = network.layer.convolution.weight
    assert torch.equal(weight[:, 3], before[:, 3]), "what is multiplied by nothing is not lost"
    assert 0 < (weight - before).abs().max() < 2**-10 * before.abs().max()
    for model in range(N_MODELS):
        graph = Graph()
        maps = graph.input_of_shape("x", np.float32, axes=(N_CHANNELS, *SIZE))
        graph.output("y", graph.op("Flatten", network.layer.emit(graph, maps, model=model), axis=1), np.float32, width=40 * 63)
        packed = graph.model()
        assert {tensor.data_type for tensor in packed.graph.initializer if len(tensor.dims) == 4} == {TensorProto.FLOAT16}
        session = onnxruntime.InferenceSession(packed.SerializeToString(), providers=["CPUExecutionProvider"])
        given, own = session.run(None, {"x": x[model].numpy()})[0], expected[model].flatten(1).numpy()
        assert np.abs(given - own).max() < 1e-5 * max(1.0, np.abs(own).max())
