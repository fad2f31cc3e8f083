"""Kernels of the GPU against plain arithmetic: compiled where there is one, else interpreted."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from basins import device as devices
from basins import streams

pytest.importorskip("triton", reason="Triton has no build for this platform")

from basins import triton_kernels
from basins.directions import on_gpu
from basins.directions.isotropic import directions
from basins.models.cnn import stack_of
from basins.models.functional import Network, build
from basins.rays import convolutional_layers, dense_layers, launches
from basins.rays.landscapes import Landscapes
from basins.rays.measure_rays import Examined, measure_rays
from basins.rays.slow_path import SlowEvaluator
from basins.rays.torch_path import TorchEvaluator

HAS_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if HAS_GPU else "cpu")


@pytest.fixture
def compiled(monkeypatch):
    """Kernels in use, on a CPU as well."""
    monkeypatch.setattr(devices, "compiles_kernels", lambda _: True)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 2**128 - 1), min_size=1, max_size=3), st.integers(1, 1500))
def test_words_are_those_of_numpy(keys, count):
    """The same uniforms to the last bit; quantiles of two libraries agree to rounding."""
    made = on_gpu.normals(keys, count, DEVICE).cpu().numpy()
    for row, key in zip(made, keys, strict=True):
        words = np.random.Philox(key=key).random_raw(count) >> np.uint64(11)
        uniforms = torch.from_numpy((words.astype(np.float64) + 0.5) * 2.0**-53)
        expected = torch.special.ndtri(uniforms.to(DEVICE)).cpu().numpy()
        np.testing.assert_array_equal(row, expected)


@pytest.mark.usefixtures("compiled")
def test_directions_are_those_of_the_cpu(seed):
    scale = np.random.default_rng(seed).uniform(0.1, 2, 1003)
    names, indices = ("study", f"minimum-{seed}"), [5, 0, 17]
    unit, log_norms = directions(names, indices, 1003)
    made, log_made = on_gpu.scaled_directions(names, indices, scale, DEVICE)
    # Quantiles of SciPy and torch differ in the last two bits, most where they are near 0.
    np.testing.assert_allclose(made.cpu().numpy(), unit * scale, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(log_made, log_norms, rtol=1e-14)


def test_one_stream_is_its_words_again():
    made = on_gpu.normals([streams.key("a", 1)], 100, DEVICE)[0].cpu().numpy()
    np.testing.assert_allclose(made, streams.normals("a", 1, count=100), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("is_rectified", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_blends_are_sums(seed, dtype, is_rectified):
    random = torch.Generator().manual_seed(seed % 2**63)
    anchors = torch.randn(2, 40, 37, generator=random, dtype=dtype)[:, 3:31]
    along = torch.randn(5, 40, 37, generator=random, dtype=dtype)[:, 3:31]
    anchors[1, 2, 3] = torch.nan
    owners, rays = torch.tensor([0, 0, 1, 1, 1]), torch.tensor([4, 0, 2, 2])
    radii = torch.rand(4, generator=random, dtype=torch.float64)
    given = (part.to(DEVICE) for part in (anchors, along, owners, rays, radii))
    found = launches.blend(*given, is_rectified).cpu()
    expected = anchors.double()[owners[rays]] + radii[:, None, None] * along.double()[rays]
    expected = expected.relu() if is_rectified else expected
    assert found.isnan().sum() == 3
    # Two roundings of numbers below 10.
    atol = 20 * torch.finfo(dtype).eps
    np.testing.assert_allclose(found.double(), expected, rtol=0, atol=atol)


def test_layers_are_those_of_the_network(seed):
    network = Network(build("mlp-7-6-5", (4,), 3, seed).double())
    steps = torch.from_numpy(np.random.default_rng(seed).normal(size=(3, 4)))
    points = network.theta + torch.arange(3)[:, None] / 7
    first = torch.stack([theta[:28].view(7, 4) @ steps.T + theta[28:35, None] for theta in points])
    hidden = first.mT.relu().contiguous().to(DEVICE)
    layers = dense_layers.taken_apart(points[:, 35:].to(DEVICE), [7, 6, 5, 3])
    expected = torch.stack([network.apply(theta, steps) for theta in points])
    for is_compiled in (False, True):
        found = dense_layers.outputs_behind(layers, hidden.clone(), is_compiled).cpu()
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def convolutional(*parts, side=8, channels=2):
    """Return a network of these convolutions and pools, and a layer behind."""
    torch.manual_seed(0)
    with torch.no_grad():
        num_features = nn.Sequential(*parts)(torch.zeros(1, channels, side, side)).numel()
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(num_features, 3)).double()


CONVOLUTIONAL = {
    "pooled": lambda: [nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)],
    "pooled by three": lambda: [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(3)],
    "strided": lambda: [nn.Conv2d(2, 3, 3, 2, 1), nn.ReLU(), nn.Conv2d(3, 4, 2), nn.ReLU()],
    "dilated": lambda: [nn.Conv2d(2, 3, (3, 2), dilation=2), nn.ReLU()],
}
OTHERS = {
    "tanh": lambda: [nn.Conv2d(2, 3, 3), nn.Tanh()],
    "nothing between": lambda: [nn.Conv2d(2, 3, 3), nn.Conv2d(3, 3, 3), nn.ReLU()],
    "grouped": lambda: [nn.Conv2d(2, 4, 3, groups=2), nn.ReLU()],
    "no bias": lambda: [nn.Conv2d(2, 4, 3, bias=False), nn.ReLU()],
    "around the edge": lambda: [nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"), nn.ReLU()],
    "pixels left over": lambda: [nn.Conv2d(2, 3, 2), nn.ReLU(), nn.MaxPool2d(2)],
    "overlapping": lambda: [nn.Conv2d(2, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2)],
    "means": lambda: [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.AvgPool2d(2)],
    "pooled twice": lambda: [nn.Conv2d(2, 3, 1), nn.ReLU(), nn.MaxPool2d(2), nn.MaxPool2d(2)],
    "pooled first": lambda: [nn.MaxPool2d(2), nn.Conv2d(2, 3, 1), nn.ReLU()],
    "normalised": lambda: [nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.ReLU()],
    "rectified first": lambda: [nn.ReLU(), nn.Conv2d(2, 3, 1), nn.ReLU()],
}


@pytest.mark.parametrize("case", CONVOLUTIONAL)
def test_convolutions_are_those_of_the_network(seed, case):
    network = Network(convolutional(*CONVOLUTIONAL[case]()))
    random = np.random.default_rng(seed)
    inputs = torch.from_numpy(random.normal(size=(5, 2, 8, 8)))
    points = network.theta + torch.from_numpy(random.normal(size=(3, network.num_parameters)))
    # No number comes of it: where a window holds one that is none, so is its largest.
    inputs[4, 0, 3, 3] = torch.nan
    stack = stack_of(network.module, (2, 8, 8))
    found = convolutional_layers.outputs_of(stack, points.to(DEVICE), inputs.to(DEVICE)).cpu()
    expected = torch.stack([network.apply(theta, inputs) for theta in points])
    assert found.isnan().any()
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_may_have_their_channels_last_in_memory(seed, channels):
    network = Network(
        convolutional(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.MaxPool2d(2), channels=channels)
    ).to(DEVICE, torch.float32)
    images = np.random.default_rng(seed).normal(size=(5, 8, 8, channels))
    inputs = torch.from_numpy(images).float().to(DEVICE).permute(0, 3, 1, 2)
    stack = stack_of(network.module, (channels, 8, 8))
    found = convolutional_layers.outputs_of(stack, network.theta[None], inputs)[0]
    with devices.full_precision():
        expected = network.apply(network.theta, inputs)
    # Roundings of sums of a few dozen numbers of the order of 1.
    np.testing.assert_allclose(found.cpu(), expected.cpu(), rtol=0, atol=1e-4)


def test_every_kernel_can_be_launched_on_nothing_to_speak_of(monkeypatch):
    if not HAS_GPU:
        monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    triton_kernels.launch_all(DEVICE)


@pytest.mark.parametrize("case", OTHERS)
def test_other_networks_are_left_to_torch(case):
    assert stack_of(convolutional(*OTHERS[case]()), (2, 8, 8)) is None


def test_shared_and_hooked_layers_are_left_to_torch():
    layer = nn.Conv2d(2, 2, 1)
    shared = convolutional(layer, nn.ReLU(), layer, nn.ReLU())
    hooked = convolutional(nn.Conv2d(2, 2, 1), nn.ReLU())
    hooked[0].register_forward_hook(lambda *_: None)
    for network in (shared, hooked, hooked[0], nn.Sequential(nn.Flatten(), nn.Linear(128, 3))):
        assert stack_of(network, (2, 8, 8)) is None


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    ("model", "shape"), [("mlp-8-6", (5,)), ("mlp-8", (5,)), ("cnn-small", (1, 4, 4))]
)
def test_radii_are_those_of_the_slow_path(seed, model, shape):
    network = Network(build(model, shape, 3, seed).double())
    random = np.random.default_rng(seed)
    inputs = torch.from_numpy(random.normal(size=(30, *shape)))
    targets = torch.from_numpy(random.integers(3, size=30))
    examples = Landscapes(inputs, targets, (7, 30), "cross_entropy")
    found = []
    for make in (TorchEvaluator, SlowEvaluator):
        minima = [
            Examined(
                make(network, (network.theta * (1 + k / 3)).to(DEVICE), examples),
                ("minimum", k),
                np.ones(network.num_parameters),
                50.0,
            )
            for k in range(2)
        ]
        found.append(measure_rays(minima, range(5), (0.1, 0.5), "excess", 12))
    for fast, slow in zip(*found, strict=True):
        width = fast.log_radius_tolerance + slow.log_radius_tolerance
        assert (abs(fast.log_radius - slow.log_radius) <= 1e-9 + width).all()
        np.testing.assert_array_equal(fast.num_crossings, slow.num_crossings)
