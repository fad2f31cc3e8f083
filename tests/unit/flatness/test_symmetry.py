"""How many copies of a minimum there are: counted, and made one by one."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from basins.flatness.symmetry import log_copies
from basins.flatness.transforms import unit_permutation
from basins.models.functional import Network, build


def drawn(network, seed):
    return np.random.default_rng(seed).normal(size=network.num_parameters)


def made(network, shape, theta, is_odd):
    """Return all copies of a minimum with one hidden layer of h units, as a set."""
    h = network.layout[0].shape[0]
    found = set()
    for order in itertools.permutations(range(h)):
        moved = unit_permutation(network, shape, 0, np.array(order)).apply(theta)
        for signs in itertools.product((1, -1) if is_odd else (1,), repeat=h):
            into, bias, out = (np.ones(block.shape) for block in network.layout[:3])
            into, bias, out = into * np.array(signs)[:, None], bias * signs, out * signs
            rest = np.ones(network.layout[3].stop - network.layout[3].start)
            factors = np.concatenate([into.ravel(), bias, out.ravel(), rest])
            found.add(tuple(moved * factors + 0.0))
    return found


@pytest.mark.parametrize(("activation", "is_odd"), [(nn.ReLU, False), (nn.Tanh, True)])
@pytest.mark.parametrize("equal", ["none", "two", "all", "zero", "opposite"])
def test_copies_are_as_many_as_can_be_made(activation, is_odd, equal, seed):
    network = Network(nn.Sequential(nn.Linear(2, 3), activation(), nn.Linear(3, 2)).double())
    theta = drawn(network, seed)
    weights, bias, out = theta[:6].reshape(3, 2), theta[6:9], theta[9:15].reshape(2, 3)
    twins = {"none": [], "two": [1], "all": [1, 2], "zero": [], "opposite": [1]}[equal]
    sign = -1 if equal == "opposite" else 1
    for unit in twins:
        weights[unit], bias[unit], out[:, unit] = (
            sign * weights[0],
            sign * bias[0],
            sign * out[:, 0],
        )
    if equal == "zero":
        weights[2], bias[2], out[:, 2] = 0, 0, 0
    copies = made(network, (2,), theta, is_odd)
    assert math.exp(log_copies(network, (2,), theta)) == pytest.approx(len(copies))
    inputs = torch.from_numpy(np.random.default_rng(seed).normal(size=(5, 2)))
    expected = network.apply(torch.from_numpy(theta), inputs)
    for copy in copies:
        torch.testing.assert_close(network.apply(torch.tensor(copy).double(), inputs), expected)


def test_layers_and_channels_multiply(seed):
    deep = Network(build("mlp-4-3", (2,), 2, "test"))
    expected = math.lgamma(5) + math.lgamma(4)
    assert log_copies(deep, (2,), drawn(deep, seed)) == pytest.approx(expected)
    convolutional = Network(build("cnn-small", (1, 8, 8), 10, "test"))
    widths = [block.shape[0] for block in convolutional.layout if block.name.endswith("bias")][:-1]
    found = log_copies(convolutional, (1, 8, 8), drawn(convolutional, seed))
    assert found == pytest.approx(sum(math.lgamma(width + 1) for width in widths))


def test_what_has_no_number_of_copies_says_so():
    straight = Network(nn.Sequential(nn.Linear(2, 3), nn.Identity(), nn.Linear(3, 1)))
    with pytest.raises(ValueError, match="nothing bends what '0'"):
        log_copies(straight, (2,), np.ones(straight.num_parameters))
    grouped = Network(
        nn.Sequential(nn.Conv1d(2, 4, 1), nn.ReLU(), nn.Conv1d(4, 2, 1, groups=2), nn.Flatten())
    )
    with pytest.raises(ValueError, match="has groups, so its channels have their places"):
        log_copies(grouped, (2, 3), np.ones(grouped.num_parameters))
