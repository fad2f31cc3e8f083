"""Basins of small networks at their start, which compiled and plain code must see alike."""

import numpy as np
import torch

from basins.directions.preconditioner import Preconditioner
from basins.models.functional import Network, build
from basins.rays.landscapes import Landscapes
from basins.volume.of_network import network_basin

CASES = [
    ("linear", "cross_entropy", 3),
    ("mlp-4", "binary_cross_entropy", 1),
    ("mlp-8x3", "cross_entropy", 3),
    ("mlp-5-4", "squared_error", 2),
]


def basin_of(seed, model, loss, outputs, r_max):
    random = np.random.default_rng(seed)
    network = Network(build(model, (3,), outputs, seed).double())
    inputs = torch.from_numpy(random.normal(size=(200, 3)))
    targets = torch.from_numpy(random.integers(2, size=200))
    landscapes = Landscapes(inputs, targets, (200,), loss)
    scale = random.uniform(0.5, 2, network.num_parameters)
    own = network_basin(network, network.theta, landscapes, 1e9, scale).loss_at_minimum
    return network_basin(network, network.theta, landscapes, 1.2 * own, scale, r_max)


SHAPES = ("diagonal", "turned", "low rank")


def shape_of(kind, n, rng):
    """Return a random map of each of the three forms."""
    if kind == "diagonal":
        return Preconditioner.diagonal(rng.uniform(0.5, 2, n))
    rank = n if kind == "turned" else 2
    vectors, _ = np.linalg.qr(rng.normal(size=(n, n)))
    return Preconditioner(rng.uniform(0.5, 2, rank), vectors[:, :rank], 0.7, n)
