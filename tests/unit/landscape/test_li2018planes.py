"""Filter-normalised directions: as long as the minimum's filters, Gaussian otherwise."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from basins import streams
from basins.landscape.li2018planes import filter_normalized
from basins.models.functional import Network, build


@given(key=st.integers(0, 2**31), model=st.sampled_from(["mlp-6-5", "cnn-small", "resnet-8"]))
def test_every_filter_is_as_long_as_the_minimums_and_points_where_the_gaussian_does(key, model):
    network = Network(build(model, (1, 8, 8), 3, key))
    theta = network.theta.double().numpy()
    found = filter_normalized(network.layout, theta, "test", key)
    for index, direction in enumerate(found):
        gaussian = streams.normals("test", key, index, count=len(theta))
        for block in network.layout:
            part = slice(block.start, block.stop)
            if len(block.shape) < 2:
                assert not direction[part].any()
                continue
            for row in range(block.shape[0]):
                size = (block.stop - block.start) // block.shape[0]
                own = slice(block.start + row * size, block.start + (row + 1) * size)
                length = np.linalg.norm(theta[own]) / np.linalg.norm(gaussian[own])
                np.testing.assert_allclose(direction[own], length * gaussian[own], rtol=1e-12)


@given(key=st.integers(0, 2**31), scale=st.floats(0.01, 100))
def test_planes_of_rescaled_units_are_rescaled(key, scale):
    """The invariance they were made for: a unit's inputs times c, its outputs over c."""
    network = Network(build("mlp-6", (4,), 3, key))
    theta = network.theta.double()
    parts = {b.name: slice(b.start, b.stop) for b in network.layout}
    names = list(parts)
    scaled = theta.clone()
    scaled[parts[names[0]]] *= scale
    scaled[parts[names[1]]] *= scale
    scaled[parts[names[2]]] /= scale
    before = filter_normalized(network.layout, theta.numpy(), key)
    after = filter_normalized(network.layout, scaled.numpy(), key)
    inputs = torch.from_numpy(np.random.default_rng(key).normal(size=(7, 4)))
    for one, other in zip(before, after, strict=True):
        outputs = network.apply(theta + torch.from_numpy(one), inputs)
        same = network.apply(scaled + torch.from_numpy(other), inputs)
        torch.testing.assert_close(same, outputs, rtol=1e-9, atol=1e-9)


def test_a_filter_of_zeros_does_not_move(seed):
    network = Network(build("mlp-3", (2,), 2, seed))
    theta = network.theta.double().numpy()
    theta[:2] = 0
    found = filter_normalized(network.layout, theta, seed)
    assert not found[:, :2].any()
    assert found[:, 2:6].all()
