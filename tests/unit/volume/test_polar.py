"""Polar coordinates, weighted directions, the saddle point and guesses at shapes."""

import itertools

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import erfcx
from scipy.stats import chi2, ncx2

from basins import streams
from basins.directions import low_rank
from basins.directions.preconditioner import Preconditioner
from basins.volume import ball, importance, polar, shapes
from basins.volume.basin import Basin
from basins.volume.estimators import estimate
from basins.volume.laplace import log_probability
from basins.volume.measures import Gaussian, Lebesgue


def unit(rng, count, n):
    rows = rng.normal(size=(count, n))
    return rows / np.linalg.norm(rows, axis=1)[:, None]


@pytest.mark.parametrize("n", [1, 2, 7, 40])
@pytest.mark.parametrize("distance", [0.0, 3.0])
@pytest.mark.parametrize("radius", [0.3, 2.0, 9.0, np.inf])
def test_gaussian_mass_within_a_radius(n, distance, radius, seed):
    rng = np.random.default_rng(seed)
    shift = distance * unit(rng, 1, n)[0]
    measure = Gaussian(shift, 0.9)
    directions = unit(rng, 3, n)
    logs = polar.log_mass_within(measure, directions, np.full(3, np.log(radius)))
    for direction, found in zip(directions, logs, strict=True):

        def log_density(r, direction=direction):
            return (n - 1) * np.log(r) - measure.energy((r * direction)[None])[0]

        grid = np.linspace(1e-6, min(radius, 30), 4001)
        peak = max(log_density(r) for r in grid)
        middle = grid[np.argmax([log_density(r) for r in grid])]
        ends = [0, middle, min(radius, 30)]

        def scaled(r, log_density=log_density, peak=peak):
            return np.exp(log_density(r) - peak)

        pairs = itertools.pairwise(ends)
        parts = [quad(scaled, low, high, epsabs=1e-13, limit=200)[0] for low, high in pairs]
        # Both are quadratures in float64; theirs stops at 1.5e-8 of each part.
        assert found == pytest.approx(peak + np.log(sum(parts)), abs=1e-7)


def test_mass_of_a_gaussian_off_center_in_the_plane(seed):
    """Of r exp(-(r^2 + 2 r b) / 2 s^2): s^2 - b s (pi / 2)^(1/2) erfcx(b / 2^(1/2) s)."""
    rng = np.random.default_rng(seed)
    shift, s = 3.0 * unit(rng, 1, 2)[0], rng.uniform(0.3, 3)
    # Towards the center, away from it, and all around.
    directions = np.concatenate([unit(rng, 40, 2), [shift / 3.0, -shift / 3.0]])
    found = polar.log_mass_within(Gaussian(shift, s), directions, np.full(42, np.inf))
    along = directions @ shift
    integral = s**2 - along * s * np.sqrt(np.pi / 2) * erfcx(along / s / np.sqrt(2))
    truth = np.log(integral) - 4.5 / s**2 - np.log(2 * np.pi * s**2)
    # The docstring's tolerance; the closed form itself loses along^2 / s^2 roundings.
    assert found == pytest.approx(truth, abs=1e-10)


@pytest.mark.parametrize("n", [1, 2, 7, 40, 10_000])
@pytest.mark.parametrize("share", [1e-9, 0.3, 0.9, 1.0])
def test_mass_of_a_centered_gaussian_is_a_chi_square(n, share, seed):
    direction = unit(np.random.default_rng(seed), 1, n)
    radius = np.sqrt(chi2.ppf(share, n)) * 0.9
    found = polar.log_mass_within(Gaussian(np.zeros(n), 0.9), direction, np.log([radius]))
    log_sphere = np.log(n) + ball.log_volume(n)
    truth = chi2.logcdf((radius / 0.9) ** 2, n) - log_sphere
    # The docstring's 1e-10, and float64's rounding of logarithms as large as n.
    assert found[0] == pytest.approx(truth, abs=1e-10 + 1e-13 * abs(log_sphere) + 1e-12 * n)


def test_lebesgue_mass_is_the_power_of_the_radius():
    found = polar.log_mass_within(Lebesgue(), np.eye(3), np.log([1.0, 2.0, 3.0]))
    assert np.exp(found) == pytest.approx([1 / 3, 8 / 3, 27 / 3])


def test_radii_are_solved_to_a_hundredth_of_a_nat(seed):
    rng = np.random.default_rng(seed)
    n = 50
    curvatures = 10 ** rng.uniform(-2, 2, n)
    basin = Basin(lambda x: x**4 @ curvatures, np.zeros(n), 1.0)
    directions = unit(rng, 20, n)
    exact = -np.log(directions**4 @ curvatures) / 4
    found = polar.solve(basin, directions, np.ones(20), np.inf)
    assert np.abs(n * (found.log_radius - exact)).max() < 0.02
    assert (found.num_crossings == 1).all()
    near = Basin(basin.loss, np.zeros(n), 1.0, r_max=0.01)
    assert np.exp(polar.solve(near, directions, np.ones(20), 0.01).log_radius) == pytest.approx(
        0.01
    )


def test_reach_of_the_measures():
    basin = Basin(lambda x: (x**2).sum(axis=1), np.zeros(4), 1.0, r_max=100.0)
    assert polar.reach(basin, Lebesgue()) == 100
    far = polar.reach(basin, Gaussian(np.full(4, 10.0), 0.5))
    # Beyond it lies less than float64 can tell: a chi law of 4 degrees at 12 + 2 deviations.
    assert far == pytest.approx(20 + 0.5 * 14)
    assert chi2.sf(14**2, 4) < 1e-16


def test_shaped_directions_are_exact_for_their_ellipsoid(seed):
    rng = np.random.default_rng(seed)
    n = 30
    vectors = np.linalg.qr(rng.normal(size=(n, n)))[0]
    curvatures = 10 ** rng.uniform(-2, 2, n)
    hessian = vectors * curvatures @ vectors.T
    basin = Basin(
        lambda x: np.einsum("ki,ij,kj->k", x, hessian, x) / 2, np.zeros(n), 0.5, curvature=hessian
    )
    volume = estimate(basin, "importance", seed=seed, directions=400)
    truth = ball.log_volume(n) - 0.5 * np.log(curvatures).sum()
    # The isotropic tenth of the mixture is what weights still differ by: ln(10 / 9) at most.
    assert volume.log_volume == pytest.approx(truth, abs=0.05)
    assert not volume.is_lower_bound
    assert estimate(basin, "laplace").log_volume == pytest.approx(truth, abs=1e-9)
    quadratic = estimate(basin, "laplace").diagnostics["rays_prediction"]
    assert quadratic == pytest.approx(ball.log_volume(n, np.sqrt(n / np.trace(hessian))))


def test_the_better_shape_is_taken_by_directions_of_its_own(seed):
    n = 20
    basin = Basin(lambda x: x**2 @ (10.0 ** np.linspace(-2, 2, n)), np.zeros(n), 1.0)
    good = Preconditioner.diagonal(10.0 ** np.linspace(1, -1, n))
    bad = Preconditioner.diagonal(np.ones(n))
    found = importance.importance(basin, Lebesgue(), {"bad": bad, "good": good}, 200, "pick", seed)
    assert found.diagnostics["chose_good"] == 1
    assert found.diagnostics["chose_bad"] == 0
    assert abs(found.diagnostics["halves_difference"]) < 6


def test_the_mixture_has_the_shares_it_says():
    laws = importance._allotted({"a": 0.45, "b": 0.1, "c": 0.45}, 20)
    assert [(laws == name).sum() for name in "abc"] == [9, 2, 9]


@pytest.mark.parametrize("height", [0.5, 5.0, 10.0, 10.001, 30.0])
@pytest.mark.parametrize("distance", [0.0, 2.0])
def test_saddle_point_probability_of_a_ball(height, distance):
    n = 20
    shift = np.full(n, distance / np.sqrt(n))
    law = ncx2(n, distance**2) if distance else chi2(n)
    found = log_probability(np.ones(n), shift, 1.0, height)
    # Lugannani and Rice's relative error is of order n^-3/2 at any depth.
    assert found == pytest.approx(law.logcdf(2 * height), abs=0.01)


def test_saddle_point_is_continuous_at_the_mean():
    at = [log_probability(np.ones(9), np.zeros(9), 1.0, 4.5 + h) for h in (-1e-3, 0, 1e-3)]
    assert at[0] < at[1] < at[2] < at[0] + 1e-3


def test_products_and_hessian_of_a_quartic(seed):
    rng = np.random.default_rng(seed)
    n = 6
    minimum, factor = rng.normal(size=n), rng.normal(size=(n, n))
    matrix = factor @ factor.T

    def gradient(x):
        y = x - minimum
        return y @ matrix + 4 * y**3

    basin = Basin(lambda x: np.zeros(len(x)), minimum, 1.0, gradient)
    # Central differences in float64 lose eps^(2/3) of the scale, some 1e-10.
    scale = np.abs(matrix).max()
    assert shapes.hessian(basin) == pytest.approx(matrix, abs=1e-7 * scale)
    rows = rng.normal(size=(3, n)) * [[1e-3], [1.0], [1e3]]
    found = shapes.hessian_products(basin, rows)
    assert found == pytest.approx(rows @ matrix, rel=1e-5, abs=1e-6 * scale)


@pytest.mark.parametrize("kind", ["diagonal", "low_rank", "full", None])
def test_guesses_are_of_the_basin(kind, seed):
    n = 8
    curvatures = 10.0 ** np.linspace(0, 2, n)
    basin = Basin(
        lambda x: x**2 @ curvatures / 2, np.zeros(n), 0.5, gradient=lambda x: x * curvatures
    )
    (shape,) = shapes.guess(basin, Lebesgue(), kind, "guess", seed).values()
    exact = -0.5 * np.log(curvatures).sum()
    # Of low rank, two directions share the mean of their curvatures: ln((a + b) / 2) (ab)^(-1/2),
    # by a trace whose standard error is (2 (a^2 + b^2) / probes)^(1/2), six of which may occur.
    a, b = curvatures[:2]
    chance = 6 * np.sqrt(2 * (a**2 + b**2) / low_rank.NUM_PROBES) / (a + b)
    tolerance = np.log((a + b) / 2 / np.sqrt(a * b)) + chance if kind == "low_rank" else 1e-4
    assert shape.log_det() == pytest.approx(exact, abs=tolerance)


def test_chords_along_the_axes_need_no_gradient():
    basin = Basin(lambda x: np.abs(x / [1, 2, 1e6]).max(axis=1), np.zeros(3), 1.0)
    (shape,) = shapes.guess(basin, Lebesgue(), None).values()
    assert shape.values == pytest.approx([1, 2, 1e6], rel=0.2)
    flat = Basin(lambda x: np.abs(x[:, 0]), np.zeros(2), 1.0)
    assert shapes.along_axes(flat, np.inf).values == pytest.approx([1, 1], rel=0.2)
    assert shapes.along_axes(flat, 7.0).values == pytest.approx([1, 7], rel=0.2)
    nothing = Basin(lambda x: np.zeros(len(x)), np.zeros(2), 1.0)
    assert shapes.along_axes(nothing, np.inf).values == pytest.approx([1, 1])


def test_no_length_is_beyond_what_the_measure_leaves():
    basin = Basin(lambda x: x[:, 0] ** 2, np.zeros(4), 1.0, lambda x: x * [2, 0, 0, 0])
    measure = Gaussian(np.zeros(4), 0.3)
    (shape,) = shapes.guess(basin, measure, "full").values()
    assert shape.values.max() <= 0.6 + 1e-9
    assert shapes.longest_length(basin, Lebesgue()) == np.inf


def test_streams_of_chains_are_keyed_by_name():
    draws = [streams.generator("a", k).random(3) for k in (1, 1, 2)]
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).all()
