"""Trainings of three seeds of a small network, whole or some of them."""

import torch

from basins.models.functional import Network, build, initial_parameters
from basins.training.loop import train

SEEDS = (0, 1, 2)


def small_problem(seed):
    """Return a network, starts of three seeds, and random examples of each."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(3, 40, 5, generator=generator)
    targets = torch.randint(0, 3, (3, 40), generator=generator)
    network = Network(build("mlp-6", (5,), 3))
    theta = torch.stack([initial_parameters("mlp-6", (5,), 3, s) for s in SEEDS])
    return network, theta, inputs, targets


def run_training(problem, recipe, rows=slice(None), **options):
    """Train some seeds, tested on the examples of the first."""
    network, theta, inputs, targets = problem
    given = theta[rows], inputs[rows], targets[rows], inputs[0], targets[0], SEEDS[rows]
    return train(network, recipe, *given, **options)
