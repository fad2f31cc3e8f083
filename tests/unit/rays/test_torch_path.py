import numpy as np
import pytest
import torch
from torch import nn

from basins.models.functional import Network, build
from basins.rays.landscapes import Landscapes
from basins.rays.slow_path import SlowEvaluator
from basins.rays.torch_path import TorchEvaluator, widest_activation

CASES = {
    "linear": ("linear", (5,), "squared_error", 3),
    "mlp": ("mlp-8-6", (5,), "cross_entropy", 3),
    "mlp of two classes": ("mlp-8", (5,), "binary_cross_entropy", 1),
    "cnn": ("cnn-small", (1, 8, 8), "cross_entropy", 3),
    "resnet": ("resnet-8", (3, 8, 8), "cross_entropy", 3),
}
SIZES = (1, 4, 9)


def problem(seed, case, num_directions=3):
    model, shape, loss, outputs = CASES[case]
    random = np.random.default_rng(seed)
    network = Network(build(model, shape, outputs, seed).double())
    inputs = torch.from_numpy(random.normal(size=(9, *shape)))
    targets = torch.from_numpy(random.integers(2, size=9))
    steps = random.normal(size=(num_directions, network.num_parameters))
    return network, Landscapes(inputs, targets, SIZES, loss), steps, random.uniform(0, 0.3, 3)


@pytest.mark.parametrize("num_landscapes", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_fast_and_slow_paths_agree(seed, case, num_landscapes):
    network, landscapes, steps, radii = problem(seed, case)
    fast = TorchEvaluator(network, network.theta, landscapes)
    slow = SlowEvaluator(network, network.theta, landscapes)
    expected = slow.losses(steps, radii, num_landscapes)
    assert expected.shape == (3, num_landscapes)
    np.testing.assert_allclose(fast.losses(steps, radii, num_landscapes), expected, rtol=1e-10)


@pytest.mark.parametrize("max_bytes", [1, 3000, 20000])
def test_pieces_do_not_change_losses(seed, max_bytes):
    network, landscapes, steps, radii = problem(seed, "mlp")
    whole = TorchEvaluator(network, network.theta, landscapes).losses(steps, radii, 3)
    pieces = TorchEvaluator(network, network.theta, landscapes, max_bytes).losses(steps, radii, 3)
    np.testing.assert_allclose(pieces, whole, rtol=1e-12)


def test_linear_regression_has_its_closed_form(seed):
    random = np.random.default_rng(seed)
    network = Network(nn.Linear(4, 2, bias=False).double())
    inputs, targets = random.normal(size=(9, 4)), random.integers(2, size=9)
    step = random.normal(size=(1, 8))
    evaluator = TorchEvaluator(
        network,
        network.theta,
        Landscapes(torch.from_numpy(inputs), torch.from_numpy(targets), SIZES, "squared_error"),
    )
    weights = (network.theta.numpy() + 0.7 * step[0]).reshape(2, 4)
    squares = ((inputs @ weights.T - np.eye(2)[targets]) ** 2).mean(axis=1)
    expected = [[squares[:size].mean() for size in SIZES]]
    np.testing.assert_allclose(evaluator.losses(step, np.array([0.7]), 3), expected, rtol=1e-12)


def test_single_precision_differs_by_rounding_only(seed):
    network, landscapes, steps, radii = problem(seed, "mlp")
    theta = network.theta.float()
    exact = SlowEvaluator(network, theta.double(), landscapes).losses(steps, radii, 3)
    single = TorchEvaluator(network, theta, landscapes).losses(steps, radii, 3)
    np.testing.assert_allclose(single, exact, rtol=1e-4)
    assert not np.array_equal(single, exact)


def test_radius_zero_is_the_minimum_itself(seed):
    network, landscapes, steps, _ = problem(seed, "mlp")
    losses = TorchEvaluator(network, network.theta, landscapes).losses(steps, np.zeros(3), 3)
    own = landscapes.loss_function(
        network.apply(network.theta, landscapes.inputs), landscapes.targets
    )
    np.testing.assert_allclose(losses[0], [own[:size].mean() for size in SIZES], rtol=1e-12)
    np.testing.assert_allclose(losses, losses[[0, 0, 0]], rtol=1e-12)


def test_widest_activation_counts_one_example():
    inputs = torch.zeros(1, 1, 8, 8)
    assert widest_activation(build("cnn-small", (1, 8, 8), 2, 0), inputs) == 32 * 8 * 8
    assert widest_activation(nn.Linear(20, 3), torch.zeros(1, 20)) == 20
