"""A network in radial coordinates: the same function, with the derivatives the map says."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, hessian, vmap
from torch.nn.functional import cross_entropy

from basins.flatness.dinh2017radial import Radial, RadialNetwork, offsets
from basins.models.functional import Network, build


def networks(seed, a, b):
    module = build("mlp-3", (2,), 3, seed).double()
    return Network(module), Network(RadialNetwork(module, a, b))


@pytest.mark.parametrize("a", [-0.4, 0.0, 0.5, 2.0])
def test_outputs_are_the_networks_at_the_parameters_that_the_map_names(a, seed):
    random = np.random.default_rng(seed)
    network, changed = networks(seed, a, 0.3)
    center = network.theta.numpy()
    eta = random.normal(size=(4, len(center)))
    inputs = torch.from_numpy(random.normal(size=(5, 2)))
    theta = torch.from_numpy(Radial(center, a, 0.3).inverse(eta))
    points = torch.from_numpy(center + eta)
    found = vmap(changed.apply, in_dims=(0, None))(points, inputs)
    expected = vmap(network.apply, in_dims=(0, None))(theta, inputs)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    assert torch.equal(changed.theta, network.theta)
    torch.testing.assert_close(
        changed.apply(changed.theta, inputs), network.apply(network.theta, inputs)
    )


@pytest.mark.parametrize("a", [-0.4, 0.5, 2.0])
def test_the_hessian_at_the_center_is_over_b_to_the_2a(a, seed):
    """Whatever the gradient there: the map is odd about its centre."""
    random = np.random.default_rng(seed)
    network, changed = networks(seed, a, 0.3)
    inputs = torch.from_numpy(random.normal(size=(20, 2)))
    targets = torch.from_numpy(random.integers(3, size=20))
    found, expected = (
        hessian(lambda point, one=one: cross_entropy(one.apply(point, inputs), targets))(one.theta)
        for one in (changed, network)
    )
    torch.testing.assert_close(found, expected * 0.3 ** (-2 * a), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("a", [-0.4, 0.5, 2.0])
def test_derivatives_of_the_inverse_are_those_of_differences(a, seed):
    random = np.random.default_rng(seed)
    eta = torch.from_numpy(random.normal(size=3))
    weights = torch.from_numpy(random.normal(size=3))

    def value(point):
        return (offsets(point, a, 0.7) * weights).sum() + offsets(point, a, 0.7).square().sum()

    step = 1e-4
    assert torch.autograd.gradcheck(value, eta.clone().requires_grad_(True))
    moves = step * torch.eye(3, dtype=torch.float64)
    by_differences = torch.stack(
        [
            torch.stack(
                [
                    value(eta + u + v)
                    + value(eta - u - v)
                    - value(eta + u - v)
                    - value(eta - u + v)
                    for v in moves
                ]
            )
            for u in moves
        ]
    ) / (4 * step**2)
    # Truncation and rounding of a step of 1e-4.
    torch.testing.assert_close(hessian(value)(eta), by_differences, rtol=1e-4, atol=1e-5)


def test_a_network_that_cannot_be_changed_is_refused():
    with pytest.raises(ValueError, match="a: must be a number above -1/2"):
        RadialNetwork(nn.Linear(2, 1), -1.0, 1.0)
    with pytest.raises(ValueError, match="b: must be a finite number above 0"):
        RadialNetwork(nn.Linear(2, 1), 1.0, 0.0)


def test_the_given_network_stays_as_it_was(seed):
    module = build("mlp-3", (2,), 3, seed)
    before = [one.clone() for one in module.parameters()]
    changed = RadialNetwork(module, 1.0, 1.0)
    with torch.no_grad():
        for one in changed.module.parameters():
            one.add_(1.0)
    assert all(torch.equal(*pair) for pair in zip(before, module.parameters(), strict=True))
    named = {f"module.{key}": one for key, one in module.named_parameters()}
    inputs = torch.zeros(1, 2)
    torch.testing.assert_close(functional_call(changed, named, (inputs,)), module(inputs))


@pytest.mark.parametrize("a", [-0.4, 0.5, 2.0])
def test_the_gradient_pulled_back_is_that_of_the_pulled_back_loss(a, seed):
    random = np.random.default_rng(seed)
    change = Radial(random.normal(size=4), a, 0.6)
    weights = random.normal(size=4)
    loss = change.pulled_back(lambda theta: np.log1p(theta**2) @ weights)
    gradient = change.gradient_pulled_back(lambda theta: 2 * theta / (1 + theta**2) * weights)
    eta = np.vstack([np.zeros(4), random.normal(size=(6, 4))])
    step = 1e-5
    expected = np.stack([loss(eta + u) - loss(eta - u) for u in step * np.eye(4)], axis=1)
    # Truncation of steps of 1e-5, and rounding.
    np.testing.assert_allclose(gradient(eta), expected / (2 * step), rtol=1e-6, atol=1e-8)
