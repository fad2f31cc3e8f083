"""Answers and barriers of pairs of networks against plain passes at each point."""

import numpy as np
import pytest
import torch

from basins.landscape.between_minima import line_barrier, predicted_classes
from basins.models.functional import Network, build
from basins.rays.evaluators import evaluator_of
from basins.rays.landscapes import Landscapes

CASES = {"mlp-8-6": (5,), "cnn-small": (1, 8, 8)}


@pytest.mark.parametrize("model", CASES)
def test_a_barrier_is_that_of_plain_passes(model, seed):
    random = np.random.default_rng(seed)
    shape = CASES[model]
    network = Network(build(model, shape, 3, seed).double())
    inputs = torch.from_numpy(random.normal(size=(11, *shape)))
    targets = torch.from_numpy(random.integers(3, size=11))
    first, last = (network.theta.numpy() + random.normal(size=(2, network.num_parameters)) / 2)[:2]
    evaluator = evaluator_of(
        network, torch.from_numpy(first), Landscapes(inputs, targets, (11,), "cross_entropy")
    )
    losses = []
    for t in np.linspace(0, 1, 9):
        theta = torch.from_numpy((1 - t) * first + t * last)
        outputs = network.apply(theta, inputs)
        losses.append(torch.nn.functional.cross_entropy(outputs, targets).item())
    rises = [
        loss - (1 - t) * losses[0] - t * losses[-1]
        for loss, t in zip(losses, np.linspace(0, 1, 9), strict=True)
    ]
    found = line_barrier(evaluator, first, last, 9)
    assert found == pytest.approx(max(rises), rel=1e-9, abs=1e-9)
    assert line_barrier(evaluator, first, first, 9) == pytest.approx(0, abs=1e-12)
    assert line_barrier(evaluator, last, first, 9) == pytest.approx(found, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("outputs", [1, 3])
def test_answers_are_those_of_each_network(outputs, seed):
    random = np.random.default_rng(seed)
    network = Network(build("mlp-8", (5,), outputs, seed).double())
    inputs = torch.from_numpy(random.normal(size=(40, 5)))
    thetas = torch.from_numpy(random.normal(size=(3, network.num_parameters)))
    found = predicted_classes(network, thetas, inputs)
    for theta, row in zip(thetas, found, strict=True):
        values = network.apply(theta, inputs).numpy()
        expected = values[:, 0] > 0 if outputs == 1 else values.argmax(1)
        np.testing.assert_array_equal(row, expected)
