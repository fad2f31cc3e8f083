"""Gradients of all seeds: compiled against torch in float64, to the rounding of their sums."""

import numba
import numpy as np
import pytest
import torch
from torch import nn

from basins.losses import LOSSES, num_outputs
from basins.models.functional import Network, build
from basins.models.mlp_kernels import BLOCK
from basins.models.passes import activations, examples_together
from basins.training.gradients import (
    compiled_gradients,
    gradients_of,
    torch_gradients,
    weighted_gradients,
)
from basins.training.objective import Objective

SEEDS, CLASSES, SHAPE = 3, 4, (2, 3)


def problem(name, loss, size, seed, dtype=torch.float64, shape=SHAPE):
    generator = torch.Generator().manual_seed(seed)
    outputs = num_outputs(loss, CLASSES if loss != "binary_cross_entropy" else 2)
    network = Network(build(name, shape, outputs, seed).to(dtype))
    inputs = torch.randn(SEEDS, size, *shape, generator=generator, dtype=dtype)
    targets = torch.randint(0, max(outputs, 2), (SEEDS, size), generator=generator)
    theta = torch.randn(SEEDS, network.num_parameters, generator=generator, dtype=dtype)
    return network, inputs, targets, theta


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ["linear", "mlp-5", "mlp-40-30-20"])
@pytest.mark.parametrize("size", [1, BLOCK, 2 * BLOCK + 7])
def test_compiled_gradients_are_those_of_torch(name, loss, size, seed):
    network, inputs, targets, theta = problem(name, loss, size, seed)
    given = network, loss, inputs, targets
    fast, plain = gradients_of(*given), torch_gradients(*given)
    generator = torch.Generator().manual_seed(seed)
    order = torch.stack([torch.randperm(size, generator=generator) for _ in range(SEEDS)])
    for chosen in (None, order[:, : size // 2 + 1]):
        for found, expected in zip(fast(theta, chosen), plain(theta, chosen), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


def test_other_networks_go_to_torch(seed):
    network, inputs, targets, theta = problem("mlp-5", "cross_entropy", 9, seed)
    other = Network(nn.Sequential(*network.module[:2], nn.Tanh(), *network.module[3:]))
    given = other, "cross_entropy", inputs, targets
    torch.testing.assert_close(
        gradients_of(*given)(theta, None), torch_gradients(*given)(theta, None)
    )


def test_a_seeds_gradient_has_the_same_bits_in_any_company_and_any_threads(seed):
    _, inputs, targets, theta = problem("mlp-40-30", "cross_entropy", 300, seed, torch.float32)
    widths = [6, 40, 30, CLASSES]
    together = compiled_gradients(widths, "cross_entropy", inputs, targets)
    before, results = numba.get_num_threads(), []
    for threads in {1, min(2, numba.config.NUMBA_NUM_THREADS)}:
        numba.set_num_threads(threads)
        results.append(together(theta, None))
    numba.set_num_threads(before)
    assert len({gradient.numpy().tobytes() for gradient, _ in results}) == 1
    for row in range(SEEDS):
        part = slice(row, row + 1)
        alone = compiled_gradients(widths, "cross_entropy", inputs[part], targets[part])
        assert (
            alone(theta[part], None)[0].numpy().tobytes() == results[0][0][part].numpy().tobytes()
        )


def test_what_is_no_number_stays_none(seed):
    network, inputs, targets, theta = problem("mlp-5", "cross_entropy", 9, seed)
    theta[1] = np.nan
    theta[2] = 1e200
    gradient, loss = gradients_of(network, "cross_entropy", inputs, targets)(theta, None)
    assert torch.isfinite(loss).tolist() == [True, False, False]
    assert torch.isfinite(gradient[0]).all()


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("name", ["mlp-5", "cnn-small"])
def test_gradients_in_many_runs_are_those_of_the_whole_batch(name, is_weighted, seed, monkeypatch):
    network, inputs, targets, theta = problem(name, "cross_entropy", 31, seed, shape=(1, 8, 8))
    random = torch.Generator().manual_seed(seed)
    found = torch_gradients(network, "cross_entropy", inputs, targets)
    if is_weighted:
        weights = torch.rand(SEEDS, 31, generator=random, dtype=torch.float64)
        is_reversed = torch.rand(SEEDS, 31, generator=random) < 0.3
        objective = Objective(inputs, targets, weights, is_reversed)
        found = weighted_gradients(network, "cross_entropy", objective)
    chosen = torch.randint(31, (SEEDS, 23), generator=random)
    whole = [found(theta, rows) for rows in (None, chosen)]
    # Another function: how many examples go together is found once.
    again = torch_gradients(network, "cross_entropy", inputs, targets)
    if is_weighted:
        again = weighted_gradients(network, "cross_entropy", objective)
    monkeypatch.setattr("basins.models.passes.PER_PARAMETERS", 0)
    like = theta if name == "mlp-5" else theta[:1]
    each = 8 * len(like) * activations(network, theta[0], inputs[0]).alive(with_gradient=True)
    monkeypatch.setattr("basins.device.GRADIENT_PASS_BYTES", 7 * each)
    assert examples_together(network, theta, inputs[0], with_gradient=True) == 7
    for rows, expected in zip((None, chosen), whole, strict=True):
        for one, other in zip(again(theta, rows), expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
