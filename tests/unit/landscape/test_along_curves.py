"""Losses, barriers and volumes along curves against passes of whole networks and closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from basins.directions.coordinates import scaling
from basins.directions.isotropic import directions
from basins.landscape.along_curves import Basins, barrier, losses_along, volumes_along
from basins.landscape.garipov2018curves import points
from basins.models.functional import Network, build
from basins.rays.landscapes import Landscapes
from basins.rays.numba_path import NumbaEvaluator
from basins.rays.slow_path import SlowEvaluator
from basins.rays.torch_path import TorchEvaluator
from basins.study.curves import KINDS
from basins.volume import ball
from basins.volume.from_rays import LOWER_BOUND, MINIMUM_ABOVE_THRESHOLD

SIZES = (2, 5, 9)
CASES = {
    "compiled": ("mlp-8-6", (5,), NumbaEvaluator),
    "first layer kept": ("mlp-8-6", (5,), TorchEvaluator),
    "whole passes": ("cnn-small", (1, 8, 8), TorchEvaluator),
}


def problem(seed, model, shape, loss="cross_entropy"):
    random = np.random.default_rng(seed)
    network = Network(build(model, shape, 3, seed).double())
    inputs = torch.from_numpy(random.normal(size=(9, *shape)))
    targets = torch.from_numpy(random.integers(3, size=9))
    own = network.theta.numpy()
    ends = own + 0.3 * random.normal(size=(2, len(own)))
    return network, Landscapes(inputs, targets, SIZES, loss), ends, random


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES)
def test_losses_are_those_of_the_points(seed, case, kind):
    model, shape, evaluator = CASES[case]
    network, landscapes, ends, random = problem(seed, model, shape)
    bend = ends.mean(0) + 0.3 * random.normal(size=ends.shape[1])
    positions = np.array([0.0, *np.sort(random.uniform(size=4)), 0.5, 1.0])
    found = losses_along(evaluator(network, network.theta, landscapes), kind, ends, bend, positions)
    slow = SlowEvaluator(network, network.theta, landscapes)
    steps = points(kind, ends, bend, positions) - network.theta.numpy()
    # The same float64 sums in another order.
    np.testing.assert_allclose(found, slow.losses(steps, np.ones(len(steps)), 3), rtol=1e-9)


@given(key=st.integers(0, 2**31))
def test_convex_losses_have_no_barrier(key):
    random = np.random.default_rng(key)
    first, last = random.normal(size=(2, 6))
    root = random.normal(size=(6, 6))
    positions = np.linspace(0, 1, 31)
    losses = np.square((first + positions[:, None] * (last - first)) @ root).sum(1)
    # Up to the rounding of losses of that size.
    assert abs(barrier(losses, positions)) <= 1e-12 * losses.max()
    straight = losses[0] + positions * (losses[-1] - losses[0]) + 3 * (positions == positions[10])
    assert barrier(straight, positions) == pytest.approx(3, abs=1e-12 * (3 + losses.max()))


def test_a_loss_that_is_no_number_is_an_infinite_barrier():
    losses = np.array([[1.0, 0.0], [np.nan, 1.0], [1.0, 0.0]])
    np.testing.assert_array_equal(barrier(losses, np.array([0, 0.5, 1])), [np.inf, 1.0])


def test_volumes_of_a_quadratic_loss_have_their_closed_form(seed):
    """Along u the loss is L + r g u + r^2 u H u / 2, and reaches L + c at a root of that."""
    network, landscapes, ends, _ = problem(seed, "linear", (5,), "squared_error")
    own, count = network.theta.numpy(), 50
    evaluator = NumbaEvaluator(network, network.theta, landscapes)
    at = points("line", ends, ends[0], np.array([0.0, 0.4, 1.0]))
    how = Basins(count, (0.5,), "excess", "weight")
    found, log_dets = volumes_along(evaluator, network.layout, at, how, "curve", seed)
    assert not log_dets.any()
    unit, _ = directions(("curve", seed), range(count), len(own))
    for point, one in zip(at, found, strict=True):
        for landscape in range(3):
            here = evaluator.at(point)
            slopes = unit @ here.gradients(np.zeros((1, len(own))), landscape)[0]
            bends = np.einsum("ij,ij->i", unit, here.products(unit, landscape, False))
            radii = (np.sqrt(slopes**2 + 2 * 0.5 * bends) - slopes) / bends
            # Where no curvature and no slope is, rays end at r_max.
            radii = np.minimum(radii, 10 * np.linalg.norm(point))
            log_volume = ball.log_volume(len(own)) + logsumexp(len(own) * np.log(radii))
            expected = log_volume - np.log(count)
            # Radii are solved to a tenth of a nat of n ln r.
            value = one.by_estimator["log_volume"][landscape, 0, 0]
            assert value == pytest.approx(expected, abs=0.1)
            assert one.by_estimator["log_volume_low"][landscape, 0, 0] < value


def test_where_the_curve_is_above_the_threshold_there_is_no_volume(seed):
    network, landscapes, ends, _ = problem(seed, "mlp-6", (5,))
    evaluator = NumbaEvaluator(network, network.theta, landscapes)
    at = points("line", ends, ends[0], np.linspace(0, 1, 5))
    losses = losses_along(evaluator, "line", ends, ends[0], np.linspace(0, 1, 5))
    threshold = float(np.median(losses[:, -1])) * (1 + 1e-9)
    done = []
    how = Basins(20, (threshold,), "loss")
    found, log_dets = volumes_along(
        evaluator, network.layout, at, how, "curve", seed, advance=done.append
    )
    for point, log_det in zip(at, log_dets, strict=True):
        assert log_det == scaling(network.layout, point, "filter")[1]
    assert sum(done) == 5
    for one, loss in zip(found, losses, strict=True):
        status = one.by_estimator["volume_status"][:, 0, 0]
        is_above = loss >= threshold
        np.testing.assert_array_equal(status == MINIMUM_ABOVE_THRESHOLD, is_above)
        volume = one.by_estimator["log_volume"][:, 0, 0]
        np.testing.assert_array_equal(np.isnan(volume), is_above)
        assert ((status == LOWER_BOUND) == one.by_estimator["is_lower_bound"][:, 0, 0]).all()
