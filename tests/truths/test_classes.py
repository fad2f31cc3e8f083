"""Whole classes of solutions: closed forms, calibration, and what is counted on a grid.

Errors of populations follow Student's law with 15 degrees of freedom: 6.5 of them are passed once
in 100,000 tests.
"""

import functools

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.stats import binom, chi2, norm
from torch import nn

from basins import streams
from basins.datasets.load import load
from basins.flatness.symmetry import log_copies
from basins.models.functional import Network, build
from basins.rays.landscapes import Landscapes
from basins.volume import Basin, estimate
from basins.volume.au2001subset import Prior, Walker, class_volume, combined, descend, pilot
from basins.volume.class_parts import part_of_class
from basins.volume.of_network import network_prior

ERRORS = 6.5


def ball(n, sigma):
    return Prior(lambda x: np.einsum("ki,ki->k", x, x), n, sigma)


@pytest.mark.parametrize(
    ("n", "log_share", "stderr"),
    [(1, -3.0, 0.25), (4, -12.0, 0.25), (20, -40.0, 0.25), (8, -105.0, 0.5)],
)
def test_a_ball_has_its_chi_square_at_every_threshold(n, log_share, stderr, seed):
    inner = chi2.ppf(np.exp(log_share), n) * 0.7**2
    thresholds = [inner, 2 * inner]
    found = class_volume(ball(n, 0.7), thresholds, "test", seed, stderr=stderr)
    value, error, low, high = combined(found.log_shares)
    truth = chi2.logcdf(np.array(thresholds) / 0.7**2, n)
    assert found.is_converged.all()
    assert (error <= stderr).all()
    assert (abs(value - truth) <= ERRORS * error).all()
    assert (low < value).all()
    assert (value <= high).all()


def test_two_half_spaces_with_nothing_between_them(seed):
    # A circle leads from one to the other.
    prior = Prior(lambda x: -abs(x[:, 0]), 5, 1.0)
    found = class_volume(prior, [-8.0], "test", seed, stderr=0.4)
    value, error, _, _ = combined(found.log_shares)
    assert found.is_converged.all()
    assert abs(value[0] - np.log(2) - norm.logsf(8)) <= ERRORS * error[0]
    sides = np.sign(found.points[0][..., 0]).mean()
    assert abs(sides) < 0.5


def test_errors_are_as_large_as_they_say(seed):
    """Of 90 % intervals of one round; shares without their logarithms are right in the mean."""
    n, repeats = 6, 40
    bound = chi2.ppf(np.exp(-8.0), n)
    shares, covered = [], 0
    for repeat in range(repeats):
        names = ("coverage", seed, repeat)
        walker = Walker(ball(n, 1.0))
        levels = pilot(walker, [bound], 1e9, streams.generator(*names, "pilot"))
        walked = descend(walker, levels, [bound], 64, 4, streams.generator(*names, "walk"))
        value, _, low, high = combined(walked[bound][0])
        shares.append(np.exp(value + 8.0))
        covered += bool(low < -8.0 < high)
    # Once in 100,000 runs fewer are covered by intervals that nine of ten times are right.
    assert covered >= binom.ppf(1e-5, repeats, 0.9)
    scatter = np.std(shares) / np.sqrt(repeats)
    assert abs(np.mean(shares) - 1) <= 5 * scatter
    assert scatter < 0.1


@functools.cache
def landscape(num_examples):
    data = load("circles")
    chosen = np.random.default_rng(3).permutation(len(data.inputs))[:num_examples]
    inputs = torch.tensor(data.inputs[chosen], dtype=torch.float64)
    return Landscapes(
        inputs, torch.tensor(data.targets[chosen]), (num_examples,), "binary_cross_entropy"
    )


def test_compiled_moves_and_plain_ones_agree(seed):
    network = Network(build("mlp-3", (2,), 1, "test").double())
    like = torch.empty(0, dtype=torch.float64)
    compiled = network_prior(network, landscape(12), 2.0, like)
    assert compiled.mover is not None
    plain = Prior(compiled.loss, compiled.num_parameters, compiled.sigma)
    both = [
        class_volume(prior, [0.5], "test", seed, name, stderr=0.4, max_evaluations=2e6)
        for prior, name in ((compiled, "compiled"), (plain, "plain"))
    ]
    values, errors, _, _ = zip(*(combined(one.log_shares) for one in both), strict=True)
    assert (abs(values[0] - values[1]) <= ERRORS * np.hypot(*errors)).all()


SIGMA, HEIGHT = 1.0, 0.04
X, Y = np.array([-1.0, -0.5, 0.0, 0.5, 1.0]), np.array([1.0, 0.5, 0.0, 0.5, 1.0])


def corner_losses(points):
    """Return the mean squared error of v . relu(w x) for y = |x|; points are (k, 4): w, then v."""
    w, v = points[:, :2, None], points[:, 2:, None]
    outputs = (np.maximum(w * X, 0) * v).sum(axis=1)
    return np.square(outputs - Y).mean(axis=1)


@functools.cache
def on_a_grid(count=56):
    """Return ln of the prior's share of every connected part, by cells of equal probability."""
    axis = SIGMA * norm.ppf((np.arange(count) + 0.5) / count)
    inside = np.empty((count,) * 4, dtype=bool)
    rest = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    for index, first in enumerate(axis):
        points = np.concatenate([np.full((len(rest), 1), first), rest], axis=1)
        inside[index] = (corner_losses(points) < HEIGHT).reshape((count,) * 3)
    labels, parts = ndimage.label(inside, np.ones((3,) * 4))
    sizes = np.bincount(labels.ravel())[1:]
    return np.log(sizes / count**4), parts


def test_the_class_is_its_minimum_times_the_copies(seed):
    """From three sides: four weights on a grid, guesses, and one basin times its symmetric copies.

    Either unit may be the one that is on to the right: two basins, and no way between them.
    """
    parts, count = on_a_grid()
    assert count == 2
    network = Network(
        nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    )
    minimum = np.array([1.0, -1.0, 1.0, 1.0])
    copies = log_copies(network, (1,), minimum)
    assert np.exp(copies) == pytest.approx(count)
    guessed = class_volume(Prior(corner_losses, 4, SIGMA), [HEIGHT], "test", seed, stderr=0.1)
    value, error, _, _ = combined(guessed.log_shares)
    # Cells of 1 in 56 of each weight see a boundary of this class to 2 %.
    assert abs(value[0] - np.logaddexp.reduce(parts)) <= ERRORS * error[0] + 0.02
    basin = Basin(corner_losses, minimum, HEIGHT)
    one = estimate(basin, "annealed", "gaussian", seed=seed, sigma=SIGMA, stderr=0.1)
    assert one.is_converged
    assert abs(one.log_volume - parts.mean()) <= ERRORS * one.stderr + 0.02
    assert abs(value[0] - one.log_volume - copies) <= ERRORS * np.hypot(error[0], one.stderr)


def test_parts_of_a_class_add_up_to_it(seed):
    found = class_volume(ball(3, 1.0), [0.5], "test", seed, stderr=0.2)
    is_right = found.points[0][..., 0] > 0.3
    right, left = (part_of_class(found.log_shares[0], which) for which in (is_right, ~is_right))
    whole = combined(found.log_shares[0])[0]
    assert np.logaddexp(right[0], left[0]) == pytest.approx(whole)
    assert (right[1], left[1]) < (0.5, 0.5)


def test_what_no_draw_has_is_bounded_and_has_no_value():
    shares = np.full(16, -10.0) + np.linspace(-0.1, 0.1, 16)
    nothing = np.zeros((16, 64), dtype=bool)
    value, error, low, high = part_of_class(shares, nothing)
    assert np.isnan(value)
    assert np.isinf(error)
    assert np.isneginf(low)
    # 256 draws of their own: at most 1.2 % with 95 % confidence.
    assert -15 < high < -14
    value, error, low, high = part_of_class(shares, ~nothing)
    assert value == pytest.approx(combined(shares)[0])
    few = nothing.copy()
    few[:3, :8] = True
    value, error, low, high = part_of_class(shares, few)
    assert value == pytest.approx(combined(shares)[0] + np.log(24 / 1024), abs=0.1)
    assert low < value < high
    assert np.isfinite(error)


def test_what_cannot_be_reached_has_no_number(seed):
    flat = Prior(lambda x: np.full(len(x), 0.7), 3, 1.0)
    found = class_volume(flat, [0.5, 0.8], "test", seed, max_evaluations=1e5)
    assert found.is_reached.tolist() == [False, True]
    assert found.points[0] is None
    assert np.isnan(combined(found.log_shares)[0][0])
    assert combined(found.log_shares)[0][1] == 0
    # A budget that ends on the way says so as well.
    short = class_volume(ball(30, 1.0), [1e-9], "test", seed, max_evaluations=20_000)
    assert not short.is_reached.any()
    assert not short.is_converged.any()
    # What is no number is no solution.
    nowhere = Prior(lambda x: np.where(x[:, 0] < 0, np.nan, 0.0), 2, 1.0)
    half = class_volume(nowhere, [0.5], "test", seed)
    assert abs(combined(half.log_shares)[0][0] - np.log(0.5)) < 0.2
