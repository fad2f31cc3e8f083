"""Bodies of known volume: the closed forms themselves, and `rays` against them."""

import numpy as np
import pytest
from scipy.integrate import quad

from basins.directions.isotropic import directions
from basins.volume import ball, truths
from basins.volume.ray_average import ray_average


def matrix(n, seed):
    rng = np.random.default_rng(seed)
    orthogonal, _ = np.linalg.qr(rng.normal(size=(n, n)))
    return orthogonal * rng.uniform(0.8, 1.25, n)


def bodies(seed):
    rng = np.random.default_rng(seed)
    yield truths.ellipsoid(rng.uniform(0.5, 2, 4), threshold=0.1)
    yield truths.box(rng.uniform(0.5, 2, 3))
    yield truths.power_ball(4, 1)
    yield truths.power_ball(3, 4)
    yield truths.simplex(3)
    yield truths.mapped(truths.simplex(3), matrix(3, seed))


def rays_of(body, count, *names):
    unit, _ = directions(names, range(count), body.dimension)
    log_radius = body.log_radius(unit)
    return ray_average(log_radius, np.ones(count, dtype=np.int16), body.dimension)


@pytest.mark.parametrize("index", range(6))
def test_closed_forms_agree_with_counting_points(index, seed):
    body = list(bodies(seed))[index]
    rng = np.random.default_rng(seed)
    unit, _ = directions(("bound", seed), range(2000), body.dimension)
    half = 1.5 * np.exp(body.log_radius(unit).max())
    points = rng.uniform(-half, half, (400_000, body.dimension))
    share = (body.gauge(points) < 1).mean()
    expected = np.exp(body.log_volume) / (2 * half) ** body.dimension
    # Binomial error; five deviations, false alarm 6e-7 a body.
    assert share == pytest.approx(expected, abs=5 * np.sqrt(expected / 400_000))


@pytest.mark.parametrize("n", [10, 100, 10_000])
def test_inverted_transforms_agree_with_ellipsoids(n, seed):
    """Of a quadratic loss ln Z is known, and so is V."""
    curvatures = 10 ** np.random.default_rng(seed).uniform(-1, 1, n)

    def log_transform(b):
        return (0.5 * np.log(2 * np.pi / (b[:, None] * curvatures))).sum(axis=1)

    found = truths.inverted(log_transform, n / 2, 1.0)
    # The integrand of few dimensions is cut off where a millionth of it is left.
    assert found == pytest.approx(truths.ellipsoid(curvatures, n / 2).log_volume, abs=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_ball_agrees_with_its_recursion(n):
    # V_n = V_{n-1} times the integral of (1 - x^2)^{(n-1)/2}.
    section, _ = quad(lambda x: (1 - x * x) ** ((n - 1) / 2), -1, 1)
    below = ball.log_volume(n - 1)
    assert ball.log_volume(n) == pytest.approx(below + np.log(section), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("index", range(6))
def test_rays_are_right_in_low_dimension(index, seed):
    body = list(bodies(seed))[index]
    found = rays_of(body, 20_000, "low", seed)
    # Five standard errors, false alarm 6e-7; a bias of 0.1 nat would be caught: stderr < 0.02.
    assert abs(found.log_volume - body.log_volume) < 5 * found.stderr + 1e-12
    assert found.stderr < 0.02
    unit, _ = directions(("low", seed), range(20_000), body.dimension)
    spread = (body.dimension * body.log_radius(unit)).std()
    assert found.is_lower_bound == (spread > 1)


def test_ball_is_exact_in_any_dimension():
    for n in (10, 1000, 100_000):
        found = ray_average(np.full(50, np.log(0.3)), np.ones(50, dtype=np.int16), n)
        assert float(found.log_volume) == pytest.approx(ball.log_volume(n, 0.3), rel=1e-12)
        assert not found.is_lower_bound


def test_rays_are_a_lower_bound_on_a_long_ellipsoid(seed):
    """estimators.md 2.1: a thousand nats too small, more directions hardly help, and it says so."""
    body = truths.ellipsoid(np.geomspace(1e-2, 1e2, 1000), threshold=0.1)
    found = rays_of(body, 1000, "long", seed)
    assert -1200 < found.log_volume - body.log_volume < -900
    assert found.is_lower_bound
    assert found.ess < 20
    assert found.pareto_k > 0.7


def cells_of(body, cells, count, *names):
    """Return `rays` of many independent cells of `count` directions each."""
    unit, _ = directions(names, range(cells * count), body.dimension)
    log_radius = body.log_radius(unit).reshape(cells, count)
    return ray_average(log_radius, np.ones(log_radius.shape, dtype=np.int16), body.dimension)


@pytest.mark.parametrize("n", [2, 5, 10])
def test_interval_of_a_mild_ellipsoid_covers_its_volume(n, seed):
    # 90 % of 400 cells cover (40 seeds: deviation 1.6 %); five deviations, false alarm 1e-6 a body.
    # A bias of one standard error, 0.02 to 0.03 nat, lowers it to 73 % and is caught.
    body = truths.ellipsoid(np.geomspace(1, 2, n), threshold=0.1)
    found = cells_of(body, 400, 200, "mild", n, seed)
    covered = (found.low <= body.log_volume) & (body.log_volume <= found.high)
    assert 0.82 < covered.mean() < 0.98
    assert found.is_lower_bound.mean() < 0.05


@pytest.mark.parametrize("count", [25, 100])
def test_calm_samples_of_a_spiky_body_are_not_called_calibrated(count, seed):
    """The 0.5-ball of n = 20: a sample without its spikes is calm, and two nats too small."""
    found = cells_of(truths.power_ball(20, 0.5), 100, count, "spiky", count, seed)
    assert found.is_lower_bound.mean() >= 0.95
