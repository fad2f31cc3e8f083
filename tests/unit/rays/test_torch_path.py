import numpy as np
import pytest
import torch
from torch import nn

from basins.models.functional import Network, build
from basins.rays.evaluators import along_all
from basins.rays.landscapes import Landscapes
from basins.rays.slow_path import SlowEvaluator
from basins.rays.torch_path import TorchEvaluator
from basins.rays.torch_rays import RaysTogether

CASES = {
    "linear": ("linear", (5,), "squared_error", 3),
    "mlp": ("mlp-8-6", (5,), "cross_entropy", 3),
    "mlp of two classes": ("mlp-8", (5,), "binary_cross_entropy", 1),
    "cnn": ("cnn-small", (1, 8, 8), "cross_entropy", 3),
    "resnet": ("resnet-8", (3, 8, 8), "cross_entropy", 3),
    "patches": ("patches", (3, 16, 16), "cross_entropy", 3),
}
SIZES = (1, 4, 9)


def made(model, shape, outputs, seed):
    if model != "patches":
        return build(model, shape, outputs, seed)
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 8, stride=8), nn.GELU(), nn.Flatten(), nn.Linear(16, outputs)
    )


def problem(seed, case, num_directions=3):
    model, shape, loss, outputs = CASES[case]
    random = np.random.default_rng(seed)
    network = Network(made(model, shape, outputs, seed).double())
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


@pytest.mark.parametrize("max_bytes", [None, 10**6, 1])
@pytest.mark.parametrize("case", CASES)
def test_losses_along_rays_are_those_at_their_points(seed, case, max_bytes):
    network, landscapes, steps, radii = problem(seed, case)
    rows = np.array([2, 0, 2, 1, 2])
    radii = np.append(radii, [0.0, 1e-9])
    never = np.full((5, 3), np.inf)
    evaluator = TorchEvaluator(network, network.theta, landscapes, max_bytes)
    # Small convolutions are quicker made anew, and one layer has nothing behind it.
    assert (evaluator.kept is None) == (max_bytes == 1 or case in ("linear", "cnn", "resnet"))
    fast = evaluator.along(steps)
    slow = SlowEvaluator(network, network.theta, landscapes).along(steps)
    # Few examples, and then more along the same rays.
    for count in (1, 3, 2):
        expected = slow(rows, radii, count, never)
        found = fast(rows, radii, count, never[:, :count])
        np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("max_bytes", [None, 1])
@pytest.mark.parametrize("case", CASES)
def test_giving_up_early_changes_no_side(seed, case, max_bytes):
    network, landscapes, steps, _ = problem(seed, case)
    rows, radii = np.repeat(np.arange(3), 8), np.tile(np.geomspace(1e-3, 1e3, 8), 3)
    evaluator = TorchEvaluator(network, network.theta, landscapes, max_bytes)
    evaluator.chunk = 2
    losses = evaluator.along(steps)
    whole = losses(rows, radii, 3, np.full((24, 3), np.inf))
    # Bounds at random just above one of the losses, of some landscapes only.
    limits = 1.0001 * np.random.default_rng(seed).choice(whole.ravel(), (24, 3))
    limits[:8, 2:] = np.inf
    found = losses(rows, radii, 3, limits)
    np.testing.assert_array_equal(found > limits, whole > limits)
    below = found <= limits
    np.testing.assert_allclose(found[below], whole[below], rtol=1e-12)
    np.testing.assert_allclose(found[:8], whole[:8], rtol=1e-12)


@pytest.mark.parametrize("case", ["mlp", "patches"])
def test_rays_of_several_minima_go_in_one_batch(seed, case):
    network, first, steps, radii = problem(seed, case)
    _, second, _, _ = problem(seed + 1, case)
    thetas = network.theta, network.theta + 0.1
    evaluators = [
        TorchEvaluator(network, theta, landscapes)
        for theta, landscapes in zip(thetas, (first, second), strict=True)
    ]
    together = along_all(evaluators, [steps[:1], steps[1:]])
    assert isinstance(together.__self__, RaysTogether)
    rows, limits = np.array([0, 2, 1, 0, 2]), np.full((5, 3), np.inf)
    radii = np.append(radii, [0.0, 0.7])
    found = together(rows, radii, 3, limits)
    for k, evaluator in enumerate(evaluators):
        mine = np.isin(rows, [[0], [1, 2]][k])
        slow = SlowEvaluator(network, thetas[k], evaluator.landscapes)
        np.testing.assert_allclose(
            found[mine], slow.losses(steps[rows[mine]], radii[mine], 3), rtol=1e-10
        )


def test_radii_are_not_rounded_to_single_precision(seed):
    random = np.random.default_rng(seed)
    network = Network(build("mlp-400-1", (500,), 2, seed))
    inputs = torch.from_numpy(random.normal(size=(50, 500)))
    landscapes = Landscapes(inputs, torch.zeros(50, dtype=torch.int64), (50,), "cross_entropy")
    evaluator = TorchEvaluator(network, network.theta, landscapes)
    rays = RaysTogether([evaluator.kept], [random.normal(size=(1, network.num_parameters))])
    rays.losses(np.array([0]), np.ones(1), 1, np.full((1, 1), np.inf))
    # Half a unit in the last place of single precision, where rounding would lose most.
    radius = torch.tensor([1 + 2.0**-24 - 2.0**-40]).double()
    made = rays.outputs_at(torch.zeros(1, dtype=torch.int64), radius, slice(0, 50))[0].double()
    base, along = evaluator.kept.outputs.double(), rays.outputs[0].double()
    share = ((made - base) * along).sum() / (along * along).sum()
    # Twenty thousand roundings cancel to less than a hundredth of that of the radius.
    assert abs(share / radius - 1) < 2.0**-24 / 20


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
