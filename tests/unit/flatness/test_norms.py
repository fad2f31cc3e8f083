"""Norms of weights: against dense matrices, paths counted one by one, and what must not change."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from basins.flatness.norms import (
    distance_from_start,
    frobenius_norms,
    log_frobenius_product,
    log_spectral_complexity,
    log_spectral_product,
    path_norm,
    spectral_norms,
    weight_norm,
)
from basins.models.functional import Network, build

MLP = "mlp", lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), (4,)
POOLED = (
    "maxima",
    lambda: nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 2)
    ),
    (2, 5, 4),
)
PATHS = [
    MLP,
    POOLED,
    ("one layer", lambda: nn.Linear(3, 2), (3,)),
    (
        "nested, off, no bias",
        lambda: nn.Sequential(
            nn.Sequential(nn.Flatten(), nn.Linear(6, 3, bias=False)),
            nn.Dropout(0.5),
            nn.ReLU(),
            nn.Linear(3, 2),
        ),
        (2, 3),
    ),
    (
        "strided, in groups",
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2, groups=2), nn.ReLU(), nn.Conv2d(4, 1, 2), nn.Flatten()
        ),
        (2, 6, 5),
    ),
    (
        "averages",
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 2), nn.ReLU(), nn.AvgPool2d(3, 2, padding=1), nn.Flatten()
        ),
        (1, 5, 6),
    ),
    (
        "averages without padding",
        lambda: nn.Sequential(
            nn.AvgPool2d((3, 2), 1, padding=1, count_include_pad=False), nn.Conv2d(1, 1, 2)
        ),
        (1, 4, 4),
    ),
    (
        "averages by another divisor",
        lambda: nn.Sequential(nn.AvgPool2d(2, divisor_override=3), nn.Conv2d(1, 2, 2)),
        (1, 4, 4),
    ),
    (
        "adaptive",
        lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten()),
        (1, 6, 5),
    ),
    (
        "one axis",
        lambda: nn.Sequential(
            nn.Conv1d(1, 2, 3), nn.MaxPool1d(2, 1, dilation=2), nn.AvgPool1d(2), nn.Flatten()
        ),
        (1, 10),
    ),
    (
        "three axes",
        lambda: nn.Sequential(nn.Conv3d(1, 2, 2), nn.MaxPool3d(2, 1), nn.Flatten()),
        (1, 3, 4, 3),
    ),
    (
        "twice the same",
        lambda: nn.Sequential(*[nn.Linear(3, 3)] * 2, nn.Linear(3, 1)),
        (3,),
    ),
]
MAPS = [
    ("1 x 1", lambda: nn.Conv2d(3, 5, 1), (3, 6, 6)),
    ("3 x 3", lambda: nn.Conv2d(2, 3, 3, padding=1), (2, 7, 6)),
    ("strided", lambda: nn.Conv2d(2, 4, 3, stride=2), (2, 7, 7)),
    ("in groups", lambda: nn.Conv2d(4, 4, 3, groups=4, bias=False), (4, 5, 5)),
    ("dilated", lambda: nn.Conv2d(2, 3, 3, dilation=2, padding="same"), (2, 6, 6)),
    ("circular", lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), (2, 6, 6)),
    ("reflected", lambda: nn.Conv2d(2, 3, 3, padding=2, padding_mode="reflect"), (2, 6, 6)),
    ("one axis", lambda: nn.Conv1d(2, 3, 5, padding=2), (2, 40)),
    ("three axes", lambda: nn.Conv3d(2, 2, 2), (2, 4, 4, 4)),
    ("few numbers", lambda: nn.Conv2d(1, 2, 3, padding=1), (1, 3, 4)),
    ("one number", lambda: nn.Conv1d(1, 2, 1), (1, 1)),
    ("fully connected", lambda: nn.Linear(7, 5), (7,)),
]


def problem(make, seed):
    """Return a fresh network in float32 and random parameters in float64."""
    torch.manual_seed(seed)
    network = Network(make())
    return network, torch.randn(network.num_parameters, dtype=torch.float64)


def with_parameters(network, theta):
    """Return the module in float64 with these parameters."""
    module = network.module.double()
    with torch.no_grad():
        for block, parameter in zip(network.layout, module.parameters(), strict=True):
            parameter.copy_(theta[block.start : block.stop].view(block.shape))
    return module


def dense(module, shape):
    """Return a map's matrix, column by column, what it maps zero to, and its output's shape."""
    zero = torch.zeros(1, *shape, dtype=torch.float64)
    shift = module(zero)
    columns = []
    for i in range(zero.numel()):
        unit = zero.flatten().clone()
        unit[i] = 1
        columns.append((module(unit.view(zero.shape)) - shift).flatten())
    return torch.stack(columns, 1).numpy(), shift.flatten().numpy(), tuple(shift.shape[1:])


def squared_paths(module, shape):
    """Return the sum over all paths, from the dense matrix of every module."""
    parts = [p for p in module.modules() if not list(p.children())]
    if isinstance(module, nn.Sequential) and len({*map(id, module)}) < len(module):
        parts = list(module)
    reached = np.ones(math.prod(shape))
    for part in parts:
        # A one among zeros gets through a maximum wherever there is a path.
        matrix, shift, shape = dense(part, shape)
        reached = matrix**2 @ reached + shift**2
    return reached.sum()


def test_euclidean_norms(seed):
    rng = np.random.default_rng(seed)
    theta, start = rng.standard_normal((2, 30))
    given = torch.tensor(theta), torch.tensor(start)
    np.testing.assert_allclose(weight_norm(given[0]), np.sqrt((theta**2).sum()), rtol=1e-14)
    moved = np.sqrt(((theta - start) ** 2).sum())
    np.testing.assert_allclose(distance_from_start(*given), moved, rtol=1e-14)


def test_small_steps_from_a_start_in_single_precision_are_not_lost():
    start = torch.full((4,), 1000.0)
    theta = start.double() + 1e-6
    np.testing.assert_allclose(distance_from_start(theta, start), 2e-6, rtol=1e-6)


def test_frobenius_norms_are_of_matrices_and_kernels_only(seed):
    network, theta = problem(POOLED[1], seed)
    module = with_parameters(network, theta)
    expected = [np.sqrt((module[k].weight.numpy() ** 2).sum()) for k in (0, 4)]
    np.testing.assert_allclose(frobenius_norms(network, theta), expected, rtol=1e-14)
    product = math.log(math.prod(expected))
    np.testing.assert_allclose(log_frobenius_product(network, theta), product, rtol=1e-12)
    assert log_frobenius_product(network, 0 * theta) == -math.inf


@pytest.mark.parametrize(("make", "shape"), [p[1:] for p in PATHS], ids=[p[0] for p in PATHS])
def test_path_norm_is_that_of_dense_matrices(make, shape, seed):
    network, theta = problem(make, seed)
    found = path_norm(network, theta, shape)
    expected = math.sqrt(squared_paths(with_parameters(network, theta), shape))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_path_norm_counts_every_path(seed):
    network, theta = problem(MLP[1], seed)
    first, _, last = with_parameters(network, theta)
    W, b, V, c = (p.numpy() for layer in (first, last) for p in (layer.weight, layer.bias))
    total = sum((V[k, j] * W[j, i]) ** 2 for k, j, i in itertools.product(*map(range, (2, 3, 4))))
    total += sum((V[k, j] * b[j]) ** 2 for k, j in itertools.product(range(2), range(3)))
    total += sum(c**2)
    np.testing.assert_allclose(path_norm(network, theta, (4,)), math.sqrt(total), rtol=1e-13)


def test_path_norm_stays_when_units_are_rescaled(seed):
    network, theta = problem(MLP[1], seed)
    scales = torch.rand(3, dtype=torch.float64) + 0.5
    before = path_norm(network, theta, (4,)), weight_norm(theta)
    module = with_parameters(network, theta)
    with torch.no_grad():
        module[0].weight *= scales[:, None]
        module[0].bias *= scales
        module[2].weight /= scales
    np.testing.assert_allclose(path_norm(network, network.theta, (4,)), before[0], rtol=1e-13)
    assert abs(weight_norm(network.theta) / before[1] - 1) > 1e-6


@pytest.mark.parametrize(("make", "shape"), [m[1:] for m in MAPS], ids=[m[0] for m in MAPS])
def test_spectral_norm_is_that_of_the_dense_matrix(make, shape, seed):
    network, theta = problem(make, seed)
    found = spectral_norms(network, theta, shape)
    matrix, _, _ = dense(with_parameters(network, theta), shape)
    np.testing.assert_allclose(found, [np.linalg.norm(matrix, 2)], rtol=1e-6)


def test_spectral_norms_are_of_the_sizes_that_layers_have_in_the_network(seed):
    network, theta = problem(POOLED[1], seed)
    found = spectral_norms(network, theta, (2, 5, 4))
    module = with_parameters(network, theta)
    expected = [np.linalg.norm(dense(module[k], s)[0], 2) for k, s in [(0, (2, 5, 4)), (4, (12,))]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    product = log_spectral_product(network, theta, (2, 5, 4))
    np.testing.assert_allclose(product, np.log(expected).sum(), rtol=0, atol=3e-6)
    assert log_spectral_product(network, 0 * theta, (2, 5, 4)) == -math.inf


def test_layers_are_in_running_order_and_twice_if_they_run_twice(seed):
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.first = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, inputs):
            return self.last(self.first(self.first(inputs)))

    network, theta = problem(Backwards, seed)
    found = spectral_norms(network, theta, (3,))
    module = with_parameters(network, theta)
    layers = module.first, module.first, module.last
    expected = [np.linalg.norm(layer.weight.numpy(), 2) for layer in layers]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_normalized_networks_with_skips_have_spectral_norms():
    network = Network(build("resnet-8", (3, 8, 8), 2, 0))
    assert len(spectral_norms(network, network.theta, (3, 8, 8))) == 8


def complexity(module, start, layers, shapes):
    """Return equation 1.2 as it is written, A^T with an output's weights in a column."""
    product, total = 1.0, 0.0
    for key, shape in zip(layers, shapes, strict=True):
        norm = np.linalg.norm(dense(module[key], shape)[0], 2)
        A, M = (part[key].weight.flatten(1).numpy() for part in (module, start))
        product *= norm
        total += (np.linalg.norm((A - M).T, axis=0).sum() / norm) ** (2 / 3)
    return product * total**1.5


@pytest.mark.parametrize(
    ("case", "layers", "shapes"),
    [(MLP, (0, 2), [(4,), (3,)]), (POOLED, (0, 4), [(2, 5, 4), (12,)])],
)
def test_spectral_complexity_is_as_published(case, layers, shapes, seed):
    network, theta = problem(case[1], seed)
    first, start = problem(case[1], seed + 1)
    found = log_spectral_complexity(network, theta, start, case[2])
    modules = with_parameters(network, theta), with_parameters(first, start)
    expected = math.log(complexity(*modules, layers, shapes))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    both = log_spectral_complexity(network, 3 * theta, 3 * start, case[2])
    np.testing.assert_allclose(both - found, 2 * math.log(3), rtol=0, atol=1e-5)
    assert log_spectral_complexity(network, theta, theta, case[2]) == -math.inf


CONTRACTIONS = [
    nn.MaxPool2d(2),
    nn.MaxPool2d(2, 3, dilation=2, ceil_mode=True),
    nn.MaxPool2d((1, 3), (1, 3), padding=(0, 1)),
    nn.AvgPool2d(3, 1, padding=1),
    nn.AvgPool2d(2, 1, count_include_pad=False),
    nn.AdaptiveAvgPool2d((4, 5)),
    nn.Tanh(),
]
EXPANSIONS = [
    nn.MaxPool2d(3, 2, padding=1),
    nn.MaxPool2d(2, 2, dilation=2),
    nn.AvgPool2d(3, 1, padding=1, count_include_pad=False),
    nn.AvgPool2d(2, ceil_mode=True),
    nn.AvgPool2d(2, divisor_override=1),
    nn.AdaptiveAvgPool2d(9),
    nn.Sigmoid(),
    nn.GELU(),
    nn.BatchNorm2d(2),
]


@pytest.mark.parametrize("part", CONTRACTIONS, ids=str)
def test_what_may_stand_between_layers_brings_no_inputs_apart(part, seed):
    network, theta = problem(lambda: nn.Sequential(nn.Conv2d(1, 2, 3), part), seed)
    assert np.isfinite(log_spectral_complexity(network, theta, 0 * theta, (1, 9, 8)))
    x, y = torch.randn(2, 50, 2, 7, 6, dtype=torch.float64)
    apart = (part(x) - part(y)).flatten(1).norm(dim=1) / (x - y).flatten(1).norm(dim=1)
    assert apart.max() <= 1 + 1e-12
    if not isinstance(part, nn.Tanh | nn.MaxPool2d):
        assert np.linalg.norm(dense(part, (1, 7, 6))[0], 2) <= 1 + 1e-12


@pytest.mark.parametrize("part", EXPANSIONS, ids=str)
def test_what_may_not_stand_between_layers_is_refused(part, seed):
    network, theta = problem(lambda: nn.Sequential(nn.Conv2d(1, 2, 3), part), seed)
    with pytest.raises(ValueError, match=r"network: between its layers .* module '1' is a"):
        log_spectral_complexity(network, theta, 0 * theta, (1, 9, 8))


class Custom(nn.Module):
    """A module with a forward of its own, and a layer that never runs."""

    def __init__(self):
        super().__init__()
        self.used, self.idle = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, inputs):
        return self.used(inputs)


def hooked():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    model[0].register_forward_hook(lambda _module, _inputs, outputs: 2 * outputs)
    return model


REFUSED_PATHS = {
    "custom": (Custom, "module '' is a Custom"),
    "tanh": (lambda: nn.Sequential(nn.Linear(3, 3), nn.Tanh()), "module '1' is a Tanh"),
    "normalized": (
        lambda: nn.Sequential(nn.Sequential(nn.LayerNorm(3)), nn.Linear(3, 3)),
        "module '0.0' is a LayerNorm",
    ),
    "parametrized": (
        lambda: nn.Sequential(parametrizations.spectral_norm(nn.Linear(3, 3))),
        "module '0' is a ParametrizedLinear",
    ),
    "attention": (
        lambda: nn.Sequential(nn.Unflatten(1, (1, 3)), nn.TransformerEncoderLayer(3, 1)),
        "module '1' is a TransformerEncoderLayer",
    ),
}


@pytest.mark.parametrize("name", REFUSED_PATHS)
def test_networks_without_path_norm_are_refused(name, seed):
    make, message = REFUSED_PATHS[name]
    network, theta = problem(make, seed)
    with pytest.raises(ValueError, match=f"network: the path norm is defined for .* {message}"):
        path_norm(network, theta, (3,))


def test_pools_that_run_over_the_edge_have_no_path_norm(seed):
    parts = nn.Conv2d(1, 1, 2), nn.MaxPool2d(2, ceil_mode=True)
    network, theta = problem(lambda: nn.Sequential(*parts), seed)
    with pytest.raises(ValueError, match="network: pools must not be in ceil_mode, but module '1'"):
        path_norm(network, theta, (1, 4, 4))


REFUSED_SPECTRA = {
    "hooked": (hooked, "matrices of weights must be of plain .* module '0' is a Linear"),
    "idle": (Custom, "every layer must run, but module 'idle' does not"),
    "parametrized": (
        lambda: parametrizations.weight_norm(nn.Linear(3, 3)),
        "matrices .* module 'parametrizations.weight' is a ParametrizationList",
    ),
    "recurrent": (
        lambda: nn.Sequential(nn.Linear(3, 3), nn.RNN(3, 2)),
        "matrices .* module '1' is a RNN",
    ),
}


@pytest.mark.parametrize("name", REFUSED_SPECTRA)
def test_networks_without_spectral_norms_are_refused(name, seed):
    make, message = REFUSED_SPECTRA[name]
    network, theta = problem(make, seed)
    with pytest.raises(ValueError, match=f"network: {message}"):
        spectral_norms(network, theta, (3,))


def test_hooks_have_no_path_norm_and_no_complexity(seed):
    network, theta = problem(hooked, seed)
    for measure in (path_norm, lambda *given: log_spectral_complexity(*given[:2], *given[1:])):
        with pytest.raises(ValueError, match="network: modules must have no hooks, but module '0'"):
            measure(network, theta, (3,))


def test_arguments_that_do_not_fit_are_refused(seed):
    network, theta = problem(MLP[1], seed)
    with pytest.raises(ValueError, match=r"theta: it must have shape \(n,\), not \(2, 2\)"):
        weight_norm(torch.zeros(2, 2))
    with pytest.raises(ValueError, match=r"start: its shape must be theta's \(2,\)"):
        distance_from_start(torch.zeros(2), torch.zeros(3))
    for measure in (frobenius_norms, log_frobenius_product):
        with pytest.raises(ValueError, match=r"theta: its shape must be \(23,\), not \(22,\)"):
            measure(network, theta[:-1])
    for measure in (path_norm, spectral_norms, log_spectral_product):
        with pytest.raises(ValueError, match=r"theta: its shape must be \(23,\), not \(22,\)"):
            measure(network, theta[:-1], (4,))
        with pytest.raises(ValueError, match=r"input_shape: it must be one .* \(5,\) is not"):
            measure(network, theta, (5,))
    with pytest.raises(ValueError, match=r"start: its shape must be theta's \(23,\)"):
        log_spectral_complexity(network, theta, theta[:-1], (4,))
    with pytest.raises(ValueError, match=r"theta: weights must not all be zero .* are in '0'"):
        log_spectral_complexity(network, 0 * theta, theta, (4,))


def test_the_network_is_left_as_it_was(seed):
    network, theta = problem(POOLED[1], seed)
    before = network.theta.clone()
    path_norm(network, theta, (2, 5, 4))
    log_spectral_complexity(network, theta, 0 * theta, (2, 5, 4))
    assert network.theta.dtype == torch.float32
    assert torch.equal(network.theta, before)
    assert not any(module._forward_pre_hooks for module in network.module.modules())
