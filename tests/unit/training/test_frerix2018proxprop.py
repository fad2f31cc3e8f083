"""ProxProp: each hidden layer's step solves its proximal problem."""

import numpy as np
import pytest
import torch
from torch import nn

from basins.models.functional import Network, build
from basins.models.passes import ALIVE, examples_together
from basins.study.recipe_keys import Recipe
from basins.training.frerix2018proxprop import direction
from basins.training.gradients import torch_gradients
from basins.training.loop import train


def test_hidden_layers_take_the_proximal_step(seed):
    """The minimizer of the layer's own least-squares problem, by a plain solver, in float64."""
    random = np.random.default_rng(seed)
    network = Network(build("mlp-5-4", (3,), 2, seed).double())
    theta = network.theta[None]
    inputs = torch.from_numpy(random.normal(size=(1, 20, 3)))
    targets = torch.from_numpy(random.integers(2, size=(1, 20)))
    gradient, _ = torch_gradients(network, "cross_entropy", inputs, targets)(theta, None)
    proximity, rate = 0.7, 1e-3
    found = direction(network, theta, gradient, inputs, proximity)[0]
    x = inputs[0]
    blocks = network.layout
    for weight, bias in (blocks[0:2], blocks[2:4]):
        rows = torch.cat([x, torch.ones(20, 1).double()], dim=1)
        # Slopes of the mean loss in the layer's outputs are not needed: only their products.
        slopes = torch.cat(
            [
                gradient[0, weight.start : weight.stop].view(weight.shape),
                gradient[0, bias.start : bias.stop, None],
            ],
            dim=1,
        )

        def cost(step, rows=rows, slopes=slopes):
            # Half the mean squared distance to z - rate dL/dz, less what does not depend on it.
            linear = rate * (step * slopes).sum()
            return (
                (rows @ step.T).square().sum() / 40 + linear + step.square().sum() / (2 * proximity)
            )

        step = torch.cat(
            [
                found[weight.start : weight.stop].view(weight.shape),
                found[bias.start : bias.stop, None],
            ],
            dim=1,
        )
        at = (-rate * step).requires_grad_(True)
        (slope,) = torch.autograd.grad(cost(at), at)
        torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-12)
        with torch.no_grad():
            w = theta[0, weight.start : weight.stop].view(weight.shape)
            x = torch.relu(x @ w.T + theta[0, bias.start : bias.stop])
    last = slice(blocks[4].start, None)
    assert torch.equal(found[last], gradient[0, last])


def test_steps_from_runs_of_examples_are_those_of_all_at_once(seed, monkeypatch):
    random = torch.Generator().manual_seed(seed)
    network = Network(build("mlp-5-4", (3,), 2, seed).double())
    theta = torch.randn(2, network.num_parameters, generator=random, dtype=torch.float64)
    gradient = torch.randn(2, network.num_parameters, generator=random, dtype=torch.float64)
    inputs = torch.randn(2, 23, 3, generator=random, dtype=torch.float64)
    whole = direction(network, theta, gradient, inputs, 0.7)
    monkeypatch.setattr("basins.device.PASS_BYTES", 10 * 2 * 8 * ALIVE * 5)
    assert examples_together(network, theta, inputs[0]) == 10
    torch.testing.assert_close(
        direction(network, theta, gradient, inputs, 0.7), whole, rtol=1e-9, atol=1e-10
    )


def test_without_hidden_layers_it_is_the_gradient(seed):
    network = Network(build("linear", (3,), 2, seed))
    theta = network.theta[None]
    gradient = torch.randn(theta.shape, generator=torch.Generator().manual_seed(seed))
    found = direction(network, theta, gradient, torch.ones(1, 4, 3), 1.0)
    torch.testing.assert_close(found, gradient, rtol=0, atol=0)


def test_training_by_it_lowers_the_loss(seed):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(2, 64, 4, generator=generator)
    targets = (inputs.sum(-1) > 0).long()
    network = Network(build("mlp-8", (4,), 2, seed))
    theta = network.theta.expand(2, -1).contiguous()
    keys = {"optimizer": "proxprop", "proximity": 1.0, "learning_rate": 0.5, "momentum": 0.9}
    recipe = Recipe(**keys, epochs=60, batch_size=16)
    found = train(network, recipe, theta, inputs, targets, inputs[0], targets[0], (0, 1))
    assert (found.train_loss < 0.2).all()


def test_other_networks_are_refused():
    network = Network(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()))
    theta = network.theta[None]
    with pytest.raises(ValueError, match=r"^optimizer: proxprop is for fully connected networks"):
        direction(network, theta, theta, torch.zeros(1, 2, 1, 5, 5), 1.0)


def test_inputs_that_are_alike_are_no_obstacle(seed):
    """A constant pixel is the bias once more: singular but for the proximity, at its bound."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(1, 30, 4, generator=generator)
    inputs[..., 1:3] = 1.0
    targets = torch.randint(2, (1, 30), generator=generator)
    network = Network(build("mlp-6-5", (4,), 2, seed))
    theta = network.theta[None]
    gradient, _ = torch_gradients(network, "cross_entropy", inputs, targets)(theta, None)
    assert bool(torch.isfinite(direction(network, theta, gradient, inputs, 1e6)).all())
