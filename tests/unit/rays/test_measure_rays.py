import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import nn

from basins.directions.coordinates import scaling
from basins.directions.isotropic import directions
from basins.models.functional import Network, build
from basins.rays.landscapes import Landscapes
from basins.rays.measure_rays import Examined, measure_rays
from basins.rays.numba_path import NumbaEvaluator
from basins.rays.slow_path import SlowEvaluator, first_crossing, slow_rays
from basins.rays.torch_path import TorchEvaluator

SIZES = (20, 60)
THRESHOLDS = (0.1, 0.4)
R_MAX = 500.0


@pytest.fixture(scope="module")
def problem():
    """Return a trained two-layer network in float64, its examples and the scale of filters."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        inputs = torch.randn(60, 6, dtype=torch.float64)
        targets = (inputs[:, 0] * inputs[:, 1] > 0).long()
        model = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 2)).double()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(300):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
    network = Network(model)
    scale, _ = scaling(network.layout, network.theta.numpy(), "filter")
    return network, Landscapes(inputs, targets, SIZES, "cross_entropy"), scale


def measure(evaluator, scale, indices=range(10), kind="loss", **options):
    minimum = Examined(evaluator, ("minimum",), scale, R_MAX)
    return measure_rays([minimum], indices, THRESHOLDS, kind, 12, **options)[0]


def examined(kind, network, landscapes, scale, theta=None):
    theta = network.theta if theta is None else theta
    return Examined(kind(network, theta, landscapes), ("minimum",), scale, R_MAX)


def untrained(model, seed):
    """Return a fully connected network at its start, random examples, and the scale of filters."""
    random = np.random.default_rng(seed)
    inputs = torch.from_numpy(random.normal(size=(300, 6)))
    targets = (inputs[:, 0] * inputs[:, 1] > 0).long()
    network = Network(build(model, (6,), 2, seed).double())
    landscapes = Landscapes(inputs, targets, (20, 300), "cross_entropy")
    scale, _ = scaling(network.layout, network.theta.numpy(), "filter")
    return network, landscapes, scale


def fast(problem):
    network, landscapes, _ = problem
    return TorchEvaluator(network, network.theta, landscapes)


@pytest.mark.parametrize("kind", ["loss", "excess"])
def test_radii_are_where_the_true_loss_meets_the_threshold(problem, kind):
    network, landscapes, scale = problem
    rays = measure(fast(problem), scale, range(4), kind)
    n = network.num_parameters
    slow = SlowEvaluator(network, network.theta, landscapes)
    unit, log_norm = directions(("minimum",), range(4), n)
    np.testing.assert_array_equal(rays.log_direction_norm, log_norm)
    assert rays.log_radius.shape == (2, 2, 4)
    assert (rays.num_crossings == 1).all()
    for d in range(4):
        step = (unit[d] * scale)[None]
        for m in range(2):
            own = rays.landscape_loss[m] if kind == "excess" else 0.0
            for t, threshold in enumerate(THRESHOLDS):
                truth = brentq(
                    lambda x, m=m, bound=own + threshold, step=step: (
                        slow.losses(step, np.exp([x]), 2)[0, m] - bound
                    ),
                    rays.log_radius[m, t, d] - 0.5,
                    rays.log_radius[m, t, d] + 0.2,
                    xtol=1e-12,
                )
                assert n * abs(rays.log_radius[m, t, d] - truth) <= 0.1


def test_fast_and_slow_evaluators_give_the_same_radii(problem):
    network, landscapes, scale = problem
    slow = measure(SlowEvaluator(network, network.theta, landscapes), scale, range(3))
    quick = measure(fast(problem), scale, range(3))
    np.testing.assert_allclose(quick.log_radius, slow.log_radius, rtol=1e-10)
    np.testing.assert_allclose(quick.landscape_loss, slow.landscape_loss, rtol=1e-10)


@pytest.mark.parametrize("kind", ["loss", "excess"])
@pytest.mark.parametrize("model", ["linear", "mlp-24", "mlp-12x3"])
def test_fast_rays_are_those_of_the_slow_path(model, kind, seed):
    network, landscapes, scale = untrained(model, seed)
    # The lower threshold is below the loss of what was not trained, the other is well above it.
    given = range(6), (0.01, 2.0), kind, 24
    (slow,) = slow_rays([examined(SlowEvaluator, network, landscapes, scale)], *given)
    for evaluator in (NumbaEvaluator, TorchEvaluator):
        (quick,) = measure_rays([examined(evaluator, network, landscapes, scale)], *given)
        assert (np.isnan(quick.log_radius) == np.isnan(slow.log_radius)).all()
        assert np.isnan(slow.log_radius[:, 0]).all() == (kind == "loss")
        # Each is exact to its own bracket.
        width = quick.log_radius_tolerance + slow.log_radius_tolerance
        np.testing.assert_array_less(
            np.nan_to_num(abs(quick.log_radius - slow.log_radius)), width + 1e-9
        )
        np.testing.assert_allclose(quick.landscape_loss, slow.landscape_loss, rtol=1e-10)
        np.testing.assert_array_equal(quick.log_direction_norm, slow.log_direction_norm)
        np.testing.assert_array_equal(quick.num_crossings, slow.num_crossings)


def test_a_minimum_that_is_no_number_has_no_radius_by_either_path(problem):
    network, landscapes, scale = problem
    nan = torch.full_like(network.theta, torch.nan)
    given = range(2), (0.1,), "loss", 8
    (slow,) = slow_rays([examined(SlowEvaluator, network, landscapes, scale, nan)], *given)
    (quick,) = measure_rays([examined(TorchEvaluator, network, landscapes, scale, nan)], *given)
    for rays in (slow, quick):
        assert np.isnan(rays.log_radius).all()
        assert (rays.num_crossings == 0).all()


def test_a_crossing_is_found_wherever_it_is():
    def basin(low, high, again=np.inf):
        return lambda x: np.exp(x) < low or high < np.exp(x) < again

    near = first_crossing(basin(1e-9, np.inf), 0.0, 4, 1e-6)
    assert near.log_radius == pytest.approx(np.log(1e-9), abs=1e-6)
    assert near.num_crossings == 1
    assert near.log_radius_tolerance <= 1e-6
    never = first_crossing(lambda _x: True, 1.5, 4, 1e-6)
    assert never[:3] == (1.5, 0, 0.0)
    # In at 0.3, out at 0.6, in again up to 2.5: points of the scan are 0.25, 0.5, 1, 2, 4.
    entered = first_crossing(basin(0.3, 0.6, 2.5), np.log(4), 5, 1e-6)
    assert entered.log_radius == pytest.approx(np.log(0.3), abs=1e-6)
    assert entered.num_crossings == 3
    # A pocket farther out than what was seen outside on the way inward is none of its business.
    pocket = first_crossing(
        lambda x: np.exp(x) < 0.016 or 0.085 < np.exp(x) < 0.09, np.log(4), 4, 1e-6
    )
    assert pocket.log_radius == pytest.approx(np.log(0.016), abs=1e-6)
    nowhere = first_crossing(lambda _x: False, 0.0, 4, 1e-6)
    assert np.isnan(nowhere.log_radius)
    assert nowhere.num_crossings == 0


@pytest.mark.parametrize("kind", [NumbaEvaluator, TorchEvaluator, SlowEvaluator])
def test_minima_measured_together_have_the_rays_of_each_alone(kind, seed):
    network, landscapes, scale = untrained("mlp-9", seed)
    random = np.random.default_rng(seed)
    minima = []
    for k in range(3):
        order = torch.from_numpy(random.permutation(len(landscapes.targets)))
        own = replace(
            landscapes, inputs=landscapes.inputs[order], targets=landscapes.targets[order]
        )
        theta = network.theta * (1 + 0.1 * k)
        minima.append(Examined(kind(network, theta, own), ("minimum", k), scale, 100.0 * (1 + k)))
    given = range(2, 7), (0.1, 0.3), "excess", 12
    together = measure_rays(minima, *given)
    for one, rays in zip(minima, together, strict=True):
        (alone,) = measure_rays([one], *given)
        for name in ("log_radius", "log_direction_norm", "landscape_loss"):
            np.testing.assert_allclose(getattr(rays, name), getattr(alone, name), rtol=1e-10)
        for name in ("num_crossings", "num_evaluations", "r_max"):
            np.testing.assert_array_equal(getattr(rays, name), getattr(alone, name))


@pytest.mark.parametrize("model", ["linear", "mlp-24", "mlp-12x3"])
def test_compiled_networks_have_the_same_radii(model, seed):
    network, landscapes, scale = untrained(model, seed)
    slow, exact = (
        measure(kind(network, network.theta, landscapes), scale, range(4), "excess")
        for kind in (SlowEvaluator, NumbaEvaluator)
    )
    np.testing.assert_allclose(exact.log_radius, slow.log_radius, rtol=1e-9)
    np.testing.assert_array_equal(exact.num_evaluations, slow.num_evaluations)
    single = NumbaEvaluator(network, network.theta.float(), landscapes)
    rough = measure(single, scale, range(4), "excess")
    assert network.num_parameters * np.abs(rough.log_radius - exact.log_radius).max() <= 0.1


def test_shards_give_the_rays_of_the_whole(problem):
    _, _, scale = problem
    whole = measure(fast(problem), scale)
    shards = [measure(fast(problem), scale, range(3)), measure(fast(problem), scale, range(3, 10))]
    for name in ("log_radius", "num_crossings", "log_direction_norm"):
        joined = np.concatenate([getattr(shard, name) for shard in shards], axis=-1)
        np.testing.assert_allclose(joined, getattr(whole, name), rtol=1e-10)


def test_memory_bounds_change_no_ray_and_progress_adds_up(problem):
    network, landscapes, scale = problem
    whole = measure(fast(problem), scale)
    advanced = []
    # Steps twice in float64, and the first layer's outputs.
    ray_bytes = 16 * network.num_parameters + 8 * 60 * 24
    small = TorchEvaluator(network, network.theta, landscapes, 4 * ray_bytes)
    pieces = measure(small, scale, advance=advanced.append)
    assert advanced == [4, 4, 2]
    np.testing.assert_allclose(pieces.log_radius, whole.log_radius, rtol=1e-10)


def test_the_same_rays_come_out_bit_for_bit(problem):
    _, _, scale = problem
    one, two = measure(fast(problem), scale), measure(fast(problem), scale)
    np.testing.assert_array_equal(one.log_radius, two.log_radius)


def test_float32_radii_agree_within_the_tolerance(problem):
    network, landscapes, scale = problem
    exact = measure(fast(problem), scale)
    # An evaluator moves its network to its own precision, so this one gets a copy.
    own = Network(copy.deepcopy(network.module))
    single = measure(TorchEvaluator(own, network.theta.float(), landscapes), scale)
    difference = np.abs(single.log_radius - exact.log_radius).max()
    assert network.num_parameters * difference <= 0.1


def test_a_larger_threshold_is_met_further_out(problem):
    _, _, scale = problem
    rays = measure(fast(problem), scale)
    assert (np.diff(rays.log_radius, axis=1) > 0).all()


def test_evaluations_of_a_smooth_network_are_few(problem):
    _, _, scale = problem
    grid = R_MAX * 2.0 ** -np.arange(12)
    refinements = []

    class Counted(SlowEvaluator):
        def losses(self, steps, radii, num_landscapes):
            on_grid = np.isclose(radii[:, None], grid, rtol=1e-12).any(axis=1) | (radii == 0)
            refinements.append((~on_grid).sum())
            return super().losses(steps, radii, num_landscapes)

    network, landscapes, _ = problem
    rays = measure(Counted(network, network.theta, landscapes), scale)
    # Two thresholds: at most 8 evaluations for each cell beyond the scan.
    assert sum(refinements) / rays.log_radius.size <= 8
    assert rays.num_evaluations.shape == (2,)
    assert rays.num_evaluations[0] >= rays.num_evaluations[1] > 0
