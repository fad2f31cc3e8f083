"""SAM: the ascent of the papers, and its place in training."""

import numpy as np
import pytest
import torch

from basins.models.functional import Network, build
from basins.study.recipe_keys import Recipe, Sam
from basins.training.foret2021sam import ascended
from basins.training.gradients import torch_gradients
from basins.training.loop import train


@pytest.mark.parametrize("adaptive", [False, True])
def test_the_ascent_is_the_best_first_order_one_in_its_ball(adaptive, seed):
    random = np.random.default_rng(seed)
    theta, gradient = (torch.from_numpy(random.normal(size=(3, 6))) for _ in range(2))
    moved = ascended(theta, gradient, Sam(rho=0.1, adaptive=adaptive)) - theta
    unit = theta.abs() if adaptive else torch.ones_like(theta)
    torch.testing.assert_close((moved / unit).norm(dim=1), torch.full((3,), 0.1).double())
    gain = (moved * gradient).sum(1)
    for _ in range(100):
        other = torch.from_numpy(random.normal(size=(3, 6)))
        other = 0.1 * unit * other / other.norm(dim=1, keepdim=True)
        assert ((other * gradient).sum(1) <= gain + 1e-12).all()


def test_adaptive_ascent_follows_a_rescaling(seed):
    random = np.random.default_rng(seed)
    theta, gradient = (torch.from_numpy(random.normal(size=(2, 5))) for _ in range(2))
    scale = torch.from_numpy(np.exp(random.normal(size=5)))
    sam = Sam(rho=0.3, adaptive=True)
    scaled = ascended(theta * scale, gradient / scale, sam)
    torch.testing.assert_close(scaled, ascended(theta, gradient, sam) * scale)


def test_a_gradient_of_zeros_moves_nothing():
    theta = torch.ones(1, 3)
    assert torch.equal(ascended(theta, torch.zeros(1, 3), Sam()), theta)


@pytest.mark.parametrize("adaptive", [False, True])
def test_training_steps_along_the_gradient_there(adaptive, seed):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(1, 30, 4, generator=generator)
    targets = torch.randint(3, (1, 30), generator=generator)
    network = Network(build("mlp-5", (4,), 3, seed))
    theta = network.theta[None]
    sam = {"rho": 0.2, "adaptive": adaptive}
    recipe = Recipe(optimizer="sgd", learning_rate=0.1, epochs=3, sam=sam)
    given = theta, inputs, targets, inputs[0], targets[0], (0,)
    found = train(network, recipe, *given, find_gradients=torch_gradients)
    gradients = torch_gradients(network, "cross_entropy", inputs, targets)
    for _ in range(3):
        away = ascended(theta, gradients(theta, None)[0], Sam(**sam))
        theta = theta - 0.1 * gradients(away, None)[0]
    # Single precision, three steps.
    np.testing.assert_allclose(found.parameters, theta.numpy(), rtol=1e-4, atol=1e-6)
