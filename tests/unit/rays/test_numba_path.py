"""Compiled networks against a plain loop and torch's derivatives, in float64 to 1e-10 relative."""

from dataclasses import replace

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from torch import nn
from torch.nn.utils import prune

from basins import threads
from basins.models import mlp_kernels
from basins.models.functional import Network, build
from basins.models.mlp import layer_widths
from basins.rays import mlp_rays
from basins.rays.landscapes import Landscapes
from basins.rays.numba_path import NumbaEvaluator, is_understood
from basins.rays.slow_path import SlowEvaluator
from basins.rays.torch_path import TorchEvaluator

CASES = {
    "linear": ("linear", "squared_error", 3),
    "softmax": ("linear", "cross_entropy", 4),
    "one hidden": ("mlp-7", "cross_entropy", 3),
    "logistic": ("mlp-5", "binary_cross_entropy", 1),
    "deep": ("mlp-6x4", "binary_cross_entropy", 1),
    "wide enough for BLAS": ("mlp-33-20", "cross_entropy", 10),
    "regression": ("mlp-9-4", "squared_error", 2),
}
# Across the edges of blocks, and inside one.
NEVER = np.full((1, 1), np.inf)  # limits that no loss is above
SIZES = (1, 50, mlp_kernels.BLOCK, mlp_kernels.BLOCK + 1, 300)


def problem(seed, case, dtype=torch.float64):
    model, loss, outputs = CASES[case]
    random = np.random.default_rng(seed)
    network = Network(build(model, (5,), outputs, seed).to(dtype))
    inputs = torch.from_numpy(random.normal(size=(SIZES[-1], 5))).to(dtype)
    targets = torch.from_numpy(random.integers(2, size=SIZES[-1]))
    steps = random.normal(size=(3, network.num_parameters))
    return network, Landscapes(inputs, targets, SIZES, loss), steps, random.uniform(0, 2, 3)


@pytest.mark.parametrize("num_landscapes", [1, 3, 5])
@pytest.mark.parametrize("case", CASES)
def test_losses_are_those_of_the_plain_loop(seed, case, num_landscapes):
    network, landscapes, steps, radii = problem(seed, case)
    fast = NumbaEvaluator(network, network.theta, landscapes)
    expected = SlowEvaluator(network, network.theta, landscapes).losses(
        steps, radii, num_landscapes
    )
    # Of an example's loss what is lost beside 1 is lost.
    np.testing.assert_allclose(
        fast.losses(steps, radii, num_landscapes), expected, rtol=1e-10, atol=1e-14
    )


@pytest.mark.parametrize("case", CASES)
def test_losses_along_rays_are_those_at_their_points(seed, case):
    network, landscapes, steps, radii = problem(seed, case)
    rows = np.array([2, 0, 2, 1, 2])
    radii = np.append(radii, [0.0, 1e-9])
    # Few examples, and then more along the same rays.
    fast = NumbaEvaluator(network, network.theta, landscapes).along(steps)
    slow = SlowEvaluator(network, network.theta, landscapes).along(steps)
    for count in (1, 3, 5, 2):
        np.testing.assert_allclose(
            fast(rows, radii, count, NEVER),
            slow(rows, radii, count, NEVER),
            rtol=1e-10,
            atol=1e-14,
        )
        assert fast(rows[:0], radii[:0], count, NEVER[:0]).shape == (0, count)


@pytest.mark.parametrize("case", CASES)
def test_giving_up_early_changes_no_side(seed, case):
    network, landscapes, steps, _ = problem(seed, case)
    rows, radii = np.repeat(np.arange(3), 8), np.tile(np.geomspace(1e-3, 1e3, 8), 3)
    losses = NumbaEvaluator(network, network.theta, landscapes).along(steps)
    whole = losses(rows, radii, 5, np.full((24, 5), np.inf))
    # Bounds at random among the losses, of some landscapes only.
    limits = np.random.default_rng(seed).choice(whole.ravel(), (24, 5))
    limits[:8, 2:] = np.inf
    # One that is outside wherever it is asked: chance alone may leave none.
    limits[-1] = 0.0
    found = losses(rows, radii, 5, limits)
    np.testing.assert_array_equal(found > limits, whole > limits)
    below = found <= limits
    np.testing.assert_array_equal(found[below], whole[below])
    np.testing.assert_array_equal(found[:8], whole[:8])
    assert np.isinf(found[8:]).any()


def test_radii_are_not_rounded_to_single_precision(seed):
    random = np.random.default_rng(seed)
    base, along = random.uniform(1, 2, (2, 10**6)).astype(np.float32)
    radius = random.uniform(1, 2)
    moved = np.empty_like(base)
    mlp_rays.shift(base, along, radius, False, moved)
    off = (moved.astype(np.float64) - (base + radius * along.astype(np.float64))).mean()
    # A million roundings of up to 2.4e-7 cancel to 1e-10; that of the radius would stay.
    assert abs(off) < 1e-9


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_autograd(seed, case):
    network, landscapes, steps, _ = problem(seed, case)
    fast = NumbaEvaluator(network, network.theta, landscapes).gradients(steps)
    expected = TorchEvaluator(network, network.theta, landscapes).gradients(steps)
    np.testing.assert_allclose(fast, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("case", CASES)
def test_single_precision_is_as_good_as_torchs(seed, case):
    network, landscapes, steps, radii = problem(seed, case, torch.float32)
    fast = NumbaEvaluator(network, network.theta, landscapes)
    torchs = TorchEvaluator(network, network.theta, landscapes)
    # Sums of 300 examples and some 30 inputs each, rounded to 6e-8.
    np.testing.assert_allclose(
        fast.losses(steps, radii, 5), torchs.losses(steps, radii, 5), rtol=1e-5, atol=1e-6
    )
    rows = np.arange(3)
    np.testing.assert_allclose(
        fast.along(steps)(rows, radii, 5, NEVER),
        torchs.losses(steps, radii, 5),
        rtol=1e-5,
        atol=1e-6,
    )
    expected = torchs.gradients(steps)
    np.testing.assert_allclose(
        fast.gradients(steps), expected, atol=1e-5 * np.abs(expected).max(), rtol=1e-4
    )


@pytest.mark.parametrize("case", ["softmax", "logistic", "regression"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_stays_so(seed, case, bad):
    network, landscapes, steps, _ = problem(seed, case)
    steps[1, -1] = bad
    fast = NumbaEvaluator(network, network.theta, landscapes)
    along = fast.along(steps)(np.arange(3), np.ones(3), 5, NEVER)
    for losses in (fast.losses(steps, np.ones(3), 5), along):
        assert not np.isfinite(losses[1]).any()
        assert np.isfinite(losses[[0, 2]]).all()
    gradients = fast.gradients(steps)
    assert not np.isfinite(gradients[1]).all()
    assert np.isfinite(gradients[[0, 2]]).all()


@pytest.mark.parametrize("case", ["softmax", "logistic"])
def test_extreme_outputs_lose_nothing(seed, case):
    network, landscapes, steps, _ = problem(seed, case)
    radii = np.array([1e3, 1e5, 1e8])
    fast = NumbaEvaluator(network, network.theta, landscapes).losses(steps, radii, 5)
    slow = SlowEvaluator(network, network.theta, landscapes).losses(steps, radii, 5)
    np.testing.assert_allclose(fast, slow, rtol=1e-10, atol=1e-14)


@njit
def exponentials(x, y):
    for i in range(len(x)):
        y[i] = mlp_kernels.exponential(x[i])


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.floats(-1e4, 0), min_size=1, max_size=20))
def test_exponential_to_the_last_places(values):
    for dtype in (np.float32, np.float64):
        x = np.array(values, dtype=dtype)
        y = np.empty_like(x)
        exponentials(x, y)
        limits = np.finfo(dtype)
        # Below the smallest normal number zero will do.
        np.testing.assert_allclose(
            y, np.exp(x.astype(np.float64)), rtol=2 * limits.eps, atol=2 * limits.tiny
        )


def changed_networks():
    """Return networks whose layers look fully connected, but are shared or changed on the way."""

    def plain():
        return nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))

    tied, shared, pruned, hooked = plain(), plain(), plain(), plain()
    tied[2].weight = tied[0].weight
    shared[2] = shared[0]
    prune.random_unstructured(pruned[0], "weight", 0.5)
    hooked.register_forward_hook(lambda _module, _inputs, outputs: 2 * outputs)
    spectral = plain()
    nn.utils.spectral_norm(spectral[0])
    return tied, shared, pruned, hooked, spectral


def test_widths_of_networks_that_are_understood():
    rectifier = nn.ReLU()
    twice = nn.Sequential(nn.Linear(4, 3), rectifier, nn.Linear(3, 3), rectifier, nn.Linear(3, 1))
    assert layer_widths(twice) == [4, 3, 3, 1]
    assert layer_widths(nn.Linear(3, 2)) == [3, 2]
    hidden = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    assert layer_widths(hidden) == [4, 3, 1]
    others = [
        nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1)),
        nn.Sequential(nn.Linear(4, 3), nn.ReLU()),
        nn.Sequential(nn.Linear(4, 3, bias=False), nn.ReLU(), nn.Linear(3, 1)),
        nn.Sequential(nn.Flatten(0), nn.Linear(4, 3)),
        nn.Sequential(),
        nn.Conv2d(1, 1, 3),
        *changed_networks(),
    ]
    assert [layer_widths(other) for other in others] == [None] * len(others)


def test_others_are_left_to_torch(seed):
    network, landscapes, _, _ = problem(seed, "one hidden")
    assert is_understood(network, network.theta, landscapes)
    assert not is_understood(network, network.theta.half(), landscapes)
    own = Landscapes(landscapes.inputs, landscapes.targets, SIZES, lambda y, _t: y.sum(1))
    assert not is_understood(network, network.theta, own)
    # Torch leaves out examples of class -100; soft targets and integer inputs are its own, too.
    for changes in (
        {"targets": torch.where(landscapes.targets > 0, landscapes.targets, -100)},
        {"targets": landscapes.targets.double()},
        {"inputs": landscapes.inputs.long()},
    ):
        assert not is_understood(network, network.theta, replace(landscapes, **changes))


def test_threads_change_nothing_and_no_points_are_fine(seed, monkeypatch):
    network, landscapes, steps, radii = problem(seed, "wide enough for BLAS")
    evaluator = NumbaEvaluator(network, network.theta, landscapes)
    monkeypatch.setattr(threads, "LEAST_OPERATIONS", 1)
    found, before = [], numba.get_num_threads()
    try:
        for count in (1, 2):
            numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
            along = evaluator.along(steps)(np.arange(3), radii, 5, NEVER)
            found.append((evaluator.losses(steps, radii, 5), evaluator.gradients(steps), along))
    finally:
        numba.set_num_threads(before)
    assert np.array_equal(found[0][0], found[1][0])
    assert np.array_equal(found[0][1], found[1][1])
    assert np.array_equal(found[0][2], found[1][2])
    assert evaluator.losses(steps[:0], radii[:0], 5).shape == (0, 5)
    assert evaluator.gradients(steps[:0]).shape == (0, steps.shape[1])
