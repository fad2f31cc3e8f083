"""Volumes of real trained networks: exact identities, and independent methods that must agree."""

import functools

import dynesty
import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from basins.datasets.load import load
from basins.directions.coordinates import scaling
from basins.models.functional import Network, build
from basins.rays.landscapes import Landscapes
from basins.rays.numba_path import NumbaEvaluator
from basins.rays.slow_path import SlowEvaluator
from basins.rays.torch_path import TorchEvaluator
from basins.volume import Basin, ball, estimate
from basins.volume.of_network import network_basin

THRESHOLD, ENOUGH = 0.1, 0.005


@functools.cache
def trained(name, dataset, num_examples, seed=0):
    """Return a network, its minimum at a loss of 0.005, and its landscape, in float64.

    By Adam (Kingma and Ba 2015, algorithm 1) with the compiled gradients.
    """
    data = load(dataset)
    chosen = np.random.default_rng(7).permutation(len(data.inputs))[:num_examples]
    inputs = torch.tensor(data.inputs[chosen], dtype=torch.float64)
    targets = torch.tensor(data.targets[chosen])
    module = build(name, data.input_shape, data.num_classes, "test", seed)
    network = Network(module.double())
    landscapes = Landscapes(inputs, targets, (num_examples,), "cross_entropy")
    evaluator = NumbaEvaluator(network, network.theta, landscapes)
    step, mean, square = np.zeros((3, 1, network.num_parameters))
    for count in range(1, 5001):
        slope = evaluator.gradients(step)
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        size = 0.01 / (1 - 0.9**count)
        step = step - size * mean / (np.sqrt(square / (1 - 0.999**count)) + 1e-8)
        if count % 10 == 0 and evaluator.losses(step, np.ones(1), 1)[0, 0] < ENOUGH:
            return network, network.theta + torch.from_numpy(step[0]), landscapes
    # So small a network may be caught by a bad start.
    return trained(name, dataset, num_examples, seed + 1)


def untrained():
    data = load("swiss-roll")
    network = Network(build("mlp-5", data.input_shape, data.num_classes, "test").double())
    inputs = torch.tensor(data.inputs[:30], dtype=torch.float64)
    return (
        network,
        network.theta,
        Landscapes(inputs, torch.tensor(data.targets[:30]), (30,), "cross_entropy"),
    )


def basin_of(network, theta, landscapes, coordinates="weight", r_max=np.inf):
    anchor = theta.numpy()
    scale, log_det = scaling(network.layout, anchor, coordinates, "norm")
    return network_basin(network, theta, landscapes, THRESHOLD, scale, r_max), log_det


def rescaled(network, theta, alpha):
    """Return the same function of a ReLU network, first layer times alpha, second over alpha."""
    result = theta.clone()
    for block, factor in zip(network.layout, (alpha, alpha, 1 / alpha, 1.0), strict=True):
        result[block.start : block.stop] *= factor
    return result


def permuted(network, theta, order):
    """Return the same network with its hidden units in another order."""
    parts = {b.name: theta[b.start : b.stop].view(b.shape) for b in network.layout}
    names = [block.name for block in network.layout]
    moved = [parts[names[0]][order], parts[names[1]][order], parts[names[2]][:, order]]
    return torch.cat([part.flatten() for part in [*moved, parts[names[3]]]])


def apart(one, other):
    """Return the difference of two volumes in their joint standard errors."""
    return (one.log_volume - other.log_volume) / np.hypot(one.stderr, other.stderr)


def test_gradients_of_a_batch_are_those_of_each_point(seed):
    network, theta, landscapes = untrained()
    steps = np.random.default_rng(seed).normal(size=(4, len(theta)))
    found = TorchEvaluator(network, theta, landscapes, max_bytes=20_000).gradients(steps)
    for step, gradient in zip(steps, found, strict=True):
        point = (theta + torch.from_numpy(step)).requires_grad_()
        loss = cross_entropy(network.apply(point, landscapes.inputs), landscapes.targets)
        loss.backward()
        assert gradient == pytest.approx(point.grad.numpy(), rel=1e-9, abs=1e-12)


def test_a_networks_basin_is_that_of_its_landscape(seed):
    network, theta, landscapes = untrained()
    scale, _ = scaling(network.layout, theta.numpy(), "filter")
    basin = network_basin(network, theta, landscapes, 10.0, scale)
    offsets = np.random.default_rng(seed).normal(size=(3, len(theta)))
    slow = SlowEvaluator(network, theta, landscapes).losses(offsets * scale, np.ones(3), 1)
    assert basin.loss(basin.minimum + offsets) == pytest.approx(slow[:, 0], rel=1e-9)
    step = 1e-6
    moves = step * np.eye(len(theta))
    rises = basin.rise(offsets[:1] + moves) - basin.rise(offsets[:1] - moves)
    assert basin.slope(offsets[:1])[0] == pytest.approx(rises / (2 * step), rel=1e-3, abs=1e-5)


def test_alpha_scale_moves_the_volume_by_its_determinant():
    """ln V in weight coordinates changes by (n1 - n2) ln alpha.

    Lebesgue's volume is infinite for rectified networks, so each basin is cut to a ball about the
    first minimum and to what the transformation makes of that ball about the second.
    """
    alpha = 2.0
    network, theta, landscapes = trained("mlp-3", "swiss-roll", 10)
    volumes = []
    for seed, minimum in enumerate((theta, rescaled(network, theta, alpha))):
        factors = (minimum / theta).numpy()
        basin, _ = basin_of(network, minimum, landscapes)

        def cut(points, basin=basin, factors=factors):
            distances = np.linalg.norm((points - basin.minimum) / factors, axis=1)
            return np.where(distances < 1.5, basin.loss(points), np.inf)

        ellipsoid = Basin(cut, basin.minimum, THRESHOLD)
        volumes.append(estimate(ellipsoid, seed=seed, stderr=0.2))
    # 3 x 2 weights and 3 biases grow, 2 x 3 weights shrink.
    expected = (9 - 6) * np.log(alpha)
    error = np.hypot(volumes[0].stderr, volumes[1].stderr)
    assert abs(volumes[1].log_volume - volumes[0].log_volume - expected) < 4 * error
    assert error < 0.3


def test_filter_coordinates_do_not_feel_alpha_or_permutations():
    network, theta, landscapes = trained("mlp-3", "swiss-roll", 10)
    basin, _ = basin_of(network, theta, landscapes, "filter", r_max=1.0)
    reference = estimate(basin, seed=1, max_evaluations=4e5)
    others = [permuted(network, theta, torch.tensor([2, 0, 1]))]
    # Biases are in units of their norm here, and scale along with their layer's filters.
    others.append(rescaled(network, theta, 3.0))
    for seed, changed in enumerate(others):
        other, _ = basin_of(network, changed, landscapes, "filter", r_max=1.0)
        assert other.loss_at_minimum == pytest.approx(basin.loss_at_minimum, rel=1e-9)
        assert abs(apart(reference, estimate(other, seed=seed + 2, max_evaluations=4e5))) < 4


@pytest.mark.long
def test_nested_sampling_agrees_on_a_small_network():
    network, theta, landscapes = trained("mlp-3", "swiss-roll", 10)
    r_max = 1.5
    basin, _ = basin_of(network, theta, landscapes, r_max=r_max)
    n = basin.num_parameters
    assert n == 17
    by_gradients = estimate(basin, moves="hmc", max_evaluations=4e5)
    # Nested sampling of exp(-k s), s = max(rise / height, |x|^2 / r^2), inside a box: ln Z has the
    # volume below s = 1 between its shells, whose number of dead points is Poisson.
    sampler = dynesty.NestedSampler(
        lambda u: (
            -float(
                max(
                    basin.rise((u[None] * 2 - 1) * r_max)[0] / basin.height,
                    ((u * 2 - 1) ** 2).sum(),
                )
            )
        ),
        lambda u: u,
        n,
        nlive=400,
        sample="rslice",
        rstate=np.random.default_rng(3),
    )
    sampler.run_nested(print_progress=False, logl_max=-1.0, dlogz=1e-9)
    results = sampler.results
    below = results.logl < -1.0
    shells = int(below.sum())
    log_volume = -shells / 400 + n * np.log(2 * r_max)
    nested_error = np.sqrt(shells) / 400
    joint = np.hypot(nested_error, by_gradients.stderr)
    assert abs(log_volume - by_gradients.log_volume) < 4 * joint


def test_chords_gradients_and_rays_agree_on_a_small_network():
    basin, _ = basin_of(*trained("mlp-3", "swiss-roll", 10), r_max=1.5)
    by_gradients = estimate(basin, moves="hmc", max_evaluations=1e5)
    by_chords = estimate(basin, moves="chords", max_evaluations=1e5)
    by_rays = estimate(basin, "importance", directions=4000)
    assert abs(apart(by_gradients, by_chords)) < 4
    assert abs(apart(by_gradients, by_rays)) < 4 or by_rays.is_lower_bound


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "dataset", "num_examples", "r_max"),
    [
        ("mlp-8-8", "swiss-roll", 20, 2.0),
        ("mlp-2", "digits", 50, 3.0),
        ("linear", "digits", 50, 3.0),
        ("mlp-32", "digits", 50, 5.0),
        ("mlp-64", "digits", 50, 5.0),
    ],
)
def test_chords_and_gradients_agree(name, dataset, num_examples, r_max):
    """Networks of 114 to 4,810 parameters; chords, which cost more, are asked for less."""
    basin, _ = basin_of(*trained(name, dataset, num_examples), r_max=r_max)
    by_gradients = estimate(basin, moves="hmc", max_evaluations=1e6)
    by_chords = estimate(basin, moves="chords", max_evaluations=3e6, stderr=1.0)
    assert abs(apart(by_gradients, by_chords)) < 3
    assert by_gradients.stderr < 1
    assert by_chords.stderr < 3


@pytest.mark.parametrize("preconditioner", ["diagonal", "gauss_newton", "low_rank", "full"])
def test_importance_by_every_curvature_is_the_chords_answer(preconditioner):
    """In float32, whose differences of gradients would be noise."""
    network, theta, landscapes = trained("mlp-3", "swiss-roll", 10)
    basin, _ = basin_of(network, theta.float(), landscapes, r_max=0.5)
    by_rays = estimate(basin, "importance", preconditioner=preconditioner, directions=2000)
    by_chords = estimate(basin, moves="chords", max_evaluations=1e5)
    assert by_chords.is_converged
    assert not by_rays.is_lower_bound
    assert abs(apart(by_rays, by_chords)) < 4


def test_annealed_agrees_with_uniform_draws_from_the_ball(seed):
    """Of 610 parameters: where a hundredth of a ball is inside, counting draws is an answer."""
    network, theta, landscapes = trained("mlp-8", "digits", 20)
    n = network.num_parameters
    rng = np.random.default_rng(seed)
    draws = rng.standard_normal((20_000, n))
    draws *= (rng.random(len(draws)) ** (1 / n) / np.linalg.norm(draws, axis=1))[:, None]
    r_max, share = 1.0, 1.0
    while share > 0.05:
        r_max *= 1.1
        basin, _ = basin_of(network, theta, landscapes, r_max=r_max)
        share = basin.is_inside(r_max * draws).mean()
    counted = ball.log_volume(n, r_max) + np.log(share)
    counting_error = np.sqrt((1 - share) / (share * len(draws)))
    found = estimate(basin, seed=seed, max_evaluations=1e6)
    assert found.is_converged
    assert found.stderr < 0.5
    assert abs(found.log_volume - counted) < 4 * np.hypot(found.stderr, counting_error)
