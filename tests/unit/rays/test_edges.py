"""Edges of the solver and the evaluator that broke once."""

import numpy as np
import torch
from torch import nn

from basins.models.functional import Network
from basins.rays.landscapes import Landscapes
from basins.rays.slow_path import SlowEvaluator
from basins.rays.solve import solve_radii
from basins.rays.torch_path import TorchEvaluator


def test_minimum_at_its_threshold_to_rounding_ends_without_a_radius():
    """The anchor is a hair inside, every evaluation a hair outside: no endless walk inward."""
    anchor, bounds = np.array([0.1]), np.array([[0.1 * (1 + 1e-15)]])
    found = solve_radii(
        lambda rows, _radii, count, _limits: np.full((len(rows), count), 0.1 * (1 + 1e-12)),
        anchor,
        bounds,
        3,
        10,
        r_max=10.0,
        scan_points=8,
    )
    assert np.isnan(found.log_radius).all()
    assert (found.num_crossings == 0).all()


class Recurrent(nn.Module):
    """A module with no batching rule under vmap."""

    def __init__(self):
        super().__init__()
        self.memory = nn.LSTM(2, 3, batch_first=True)

    def forward(self, inputs):
        return self.memory(inputs)[0][:, -1]


def test_module_without_a_batching_rule_is_measured_one_by_one(seed):
    torch.manual_seed(seed)
    network = Network(Recurrent()).to("cpu", torch.float64)
    inputs = torch.randn(6, 4, 2, dtype=torch.float64)
    landscapes = Landscapes(inputs, torch.arange(6) % 3, (2, 6), "cross_entropy")
    steps = np.random.default_rng(seed).normal(size=(3, network.num_parameters))
    radii = np.array([0.1, 0.5, 1.0])
    theta = network.theta
    np.testing.assert_allclose(
        TorchEvaluator(network, theta, landscapes).losses(steps, radii, 2),
        SlowEvaluator(network, theta, landscapes).losses(steps, radii, 2),
        rtol=1e-10,
    )
