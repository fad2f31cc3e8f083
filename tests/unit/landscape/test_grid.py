"""Losses on a grid against passes of the whole network at each of its points."""

import numpy as np
import pytest
import torch

from basins.landscape.grid import losses_on_grid
from basins.models.functional import Network, build
from basins.rays.landscapes import Landscapes
from basins.rays.numba_path import NumbaEvaluator
from basins.rays.slow_path import SlowEvaluator
from basins.rays.torch_path import TorchEvaluator

SIZES = (2, 5, 9)
CASES = {
    "compiled": ("mlp-8-6", (5,), NumbaEvaluator),
    "first layer kept": ("mlp-8-6", (5,), TorchEvaluator),
    "whole passes": ("cnn-small", (1, 8, 8), TorchEvaluator),
}


def problem(seed, case):
    model, shape, evaluator = CASES[case]
    random = np.random.default_rng(seed)
    network = Network(build(model, shape, 3, seed).double())
    inputs = torch.from_numpy(random.normal(size=(9, *shape)))
    landscapes = Landscapes(
        inputs, torch.from_numpy(random.integers(3, size=9)), SIZES, "cross_entropy"
    )
    return network, landscapes, evaluator(network, network.theta, landscapes), random


@pytest.mark.parametrize("together", [1, 2, 100])
@pytest.mark.parametrize("case", CASES)
def test_every_point_of_the_grid_is_that_point_of_the_plane(seed, case, together, monkeypatch):
    network, landscapes, evaluator, random = problem(seed, case)
    # A plane that need not hold the minimum of the evaluator.
    origin = network.theta.numpy() + 0.1 * random.normal(size=network.num_parameters)
    directions = random.normal(size=(2, network.num_parameters))
    x, y = random.uniform(-0.3, 0.3, 4).tolist(), random.uniform(-0.3, 0.3, 5).tolist()
    monkeypatch.setattr(type(evaluator), "rays_together", together)
    lines = []
    found = losses_on_grid(evaluator, origin, directions, x, y, lines.append)
    assert found.shape == (3, 5, 4)
    assert sum(lines) == 5
    slow = SlowEvaluator(network, torch.from_numpy(origin), landscapes)
    steps = np.array([a * directions[0] + b * directions[1] for b in y for a in x])
    expected = slow.losses(steps, np.ones(20), 3).T.reshape(3, 5, 4)
    # The same float64 sums in another order.
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_an_evaluator_moved_elsewhere_leaves_the_first_as_it_was(seed, case):
    network, landscapes, evaluator, random = problem(seed, case)
    steps = 0.1 * random.normal(size=(2, network.num_parameters))
    never, rows = np.full((2, 3), np.inf), np.arange(2)
    before = evaluator.along(steps)(rows, np.ones(2), 3, never)
    moved = evaluator.at(network.theta.numpy() + steps[0])
    after = moved.along(steps)(rows, np.ones(2), 3, never)
    other = SlowEvaluator(network, network.theta + torch.from_numpy(steps[0]), landscapes)
    np.testing.assert_allclose(after, other.losses(steps, np.ones(2), 3), rtol=1e-9)
    np.testing.assert_array_equal(evaluator.along(steps)(rows, np.ones(2), 3, never), before)
