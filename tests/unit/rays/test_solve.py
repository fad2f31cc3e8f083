import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from basins.rays.solve import TOLERANCE_NATS, pilot_starts, solve_radii


def along(*losses):
    """Evaluate one function of (directions, radii) a landscape."""

    def evaluate(rows, radii, num_landscapes, _limits):
        return np.stack([loss(rows, radii) for loss in losses[:num_landscapes]], axis=1)

    return evaluate


def solve(losses, anchor, bounds, num_directions=1, num_parameters=1000, r_max=64.0, **options):
    return solve_radii(
        along(*losses),
        np.asarray(anchor, dtype=np.float64),
        np.asarray(bounds, dtype=np.float64),
        num_directions,
        num_parameters,
        r_max,
        options.pop("scan_points", 12),
        **options,
    )


def off_grid(evaluate, r_max, scan_points):
    """Count evaluations of directions away from the scan's grid."""
    grid = r_max * 2.0 ** -np.arange(scan_points)
    count = [0]

    def counted(rows, radii, num_landscapes, limits):
        count[0] += int((~np.isclose(radii[:, None], grid, rtol=1e-12).any(axis=1)).sum())
        return evaluate(rows, radii, num_landscapes, limits)

    return counted, count


def test_radii_of_an_ellipsoid_are_exact(seed):
    random = np.random.default_rng(seed)
    n, num_directions = 1000, 20
    hessian = np.exp(random.uniform(-4, 4, n))
    unit = random.normal(size=(num_directions, n))
    unit /= np.linalg.norm(unit, axis=1)[:, None]
    curvature = (unit**2) @ hessian
    anchor, bounds = [0.01, 0.02], [[0.05, 0.5], [0.05, 0.5]]
    losses = [
        lambda rows, r: 0.01 + curvature[rows] * r**2 / 2,
        lambda rows, r: 0.02 + curvature[rows] * r**2,
    ]
    radii = solve(losses, anchor, bounds, num_directions, n)
    for m, (own, factor) in enumerate([(0.01, 0.5), (0.02, 1.0)]):
        for t, bound in enumerate([0.05, 0.5]):
            exact = 0.5 * np.log((bound - own) / (factor * curvature))
            np.testing.assert_allclose(radii.log_radius[:, m, t], exact, rtol=0, atol=1e-9)
    assert (radii.num_crossings == 1).all()
    assert (n * radii.log_radius_tolerance <= TOLERANCE_NATS).all()


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.3, 8.0),
    st.floats(-4.0, 3.0),
    st.floats(0.0, 0.9),
    st.floats(0.0, 5.0),
    st.sampled_from([10, 1000, 10**6, 10**8]),
)
def test_tolerance_holds_on_monotone_losses(power, log_scale, own, bend, num_parameters):
    def loss(_rows, r):
        x = r / np.exp(log_scale)
        return own + x**power * (1 + bend * np.tanh(x)) / (1 + bend * np.tanh(1.0)) * (1 - own)

    r_max = 200.0
    radii = solve([loss], [own], [[1.0]], num_parameters=num_parameters, r_max=r_max)
    found = radii.log_radius[0, 0, 0]
    truth = brentq(lambda x: loss(0, np.exp(x)) - 1.0, -20, np.log(r_max), xtol=1e-13, rtol=1e-14)
    # The last bits of the loss itself bound what any method can find at 1e8 parameters.
    assert abs(found - truth) <= TOLERANCE_NATS / num_parameters + 1e-12
    assert radii.log_radius_tolerance[0, 0, 0] * num_parameters <= TOLERANCE_NATS


def test_sharing_evaluations_changes_no_result(seed):
    random = np.random.default_rng(seed)
    scales = np.sort(random.uniform(0.1, 10.0, 4))[::-1]
    bends = random.uniform(0.0, 2.0, 5)

    def loss(scale):
        return lambda rows, r: np.expm1(np.minimum(r / scale, 50.0)) * r * (1 + bends[rows])

    losses = [loss(scale) for scale in scales]
    thresholds = [0.05, 0.2, 0.9]
    together = solve(losses, np.zeros(4), np.tile(thresholds, (4, 1)), 5)
    for m, one in enumerate(losses):
        for t, threshold in enumerate(thresholds):
            alone = solve([one], [0.0], [[threshold]], 5)
            difference = together.log_radius[:, m, t] - alone.log_radius[:, 0, 0]
            assert 1000 * np.abs(difference).max() <= TOLERANCE_NATS
            np.testing.assert_array_equal(
                together.num_crossings[:, m, t], alone.num_crossings[:, 0, 0]
            )


@settings(max_examples=40, deadline=None)
@given(st.floats(1e-3, 1e3), st.floats(0.05, 0.9), st.integers(0, 2**31))
def test_scaling_loss_and_threshold_together_changes_nothing(factor, threshold, seed):
    power, scale = np.random.default_rng(seed).uniform([0.5, 0.1], [6.0, 10.0])
    plain = solve([lambda _, r: 0.01 + (r / scale) ** power], [0.01], [[threshold]])
    scaled = solve(
        [lambda _, r: factor * (0.01 + (r / scale) ** power)],
        [factor * 0.01],
        [[factor * threshold]],
    )
    np.testing.assert_allclose(scaled.log_radius, plain.log_radius, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(scaled.num_crossings, plain.num_crossings)


def test_a_ray_that_never_crosses_is_censored():
    radii = solve([lambda _, r: 0.001 * r / 64], [0.0], [[0.1]])
    assert radii.log_radius[0, 0, 0] == np.log(64)
    assert radii.num_crossings[0, 0, 0] == 0
    assert radii.log_radius_tolerance[0, 0, 0] == 0


def test_a_minimum_above_the_threshold_has_no_radius():
    radii = solve([lambda _, r: 0.5 + r, lambda _, r: 0.05 + r], [0.5, 0.05], [[0.1], [0.1]])
    assert np.isnan(radii.log_radius[0, 0, 0])
    assert radii.num_crossings[0, 0, 0] == 0
    np.testing.assert_allclose(radii.log_radius[0, 1, 0], np.log(0.05), atol=1e-4)


def test_a_loss_of_the_minimum_that_is_no_number_asks_for_nothing():
    radii = solve([lambda _, r: r * np.nan], [np.nan], [[0.1]])
    assert np.isnan(radii.log_radius).all()
    assert radii.num_evaluations.sum() == 0


@pytest.mark.parametrize("beyond", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_is_outside(beyond):
    radii = solve([lambda _, r: np.where(r < 3.0, 0.01, beyond)], [0.01], [[0.1]])
    assert abs(radii.log_radius[0, 0, 0] - np.log(3.0)) <= TOLERANCE_NATS / 1000
    assert radii.num_crossings[0, 0, 0] == 1


def test_a_ray_that_comes_back_is_measured_to_its_first_crossing():
    roots = np.log([1.2, 3.0, 12.0])
    radii = solve(
        [lambda _, r: np.exp(np.prod(np.log(r)[:, None] - roots, axis=1).clip(-50, 50))],
        [0.0],
        [[1.0]],
    )
    assert radii.num_crossings[0, 0, 0] == 3
    np.testing.assert_allclose(radii.log_radius[0, 0, 0], roots[0], atol=1e-4)


@pytest.mark.parametrize("radius", [1e-3, 1e-6, 1e-30])
def test_a_ray_outside_at_the_first_point_is_followed_inward(radius):
    radii = solve([lambda _, r: (r / radius) ** 2], [0.0], [[1.0]])
    np.testing.assert_allclose(radii.log_radius[0, 0, 0], np.log(radius), atol=1e-4)
    assert radii.num_crossings[0, 0, 0] == 1


def test_small_landscapes_are_solved_without_the_large_ones():
    asked = []

    def evaluate(_rows, radii, num_landscapes, _limits):
        asked.append(num_landscapes)
        return np.stack([radii**2 / 10, radii**2 * 10], axis=1)[:, :num_landscapes]

    bounds = np.ones((2, 1))
    radii = solve_radii(evaluate, np.zeros(2), bounds, 1, 1000, 64.0, 12)
    np.testing.assert_allclose(radii.log_radius[0, :, 0], [np.log(10) / 2, -np.log(10) / 2])
    assert asked[-1] == 1
    assert radii.num_evaluations[0].tolist() == [len(asked), asked.count(2)]


def test_evaluations_beyond_the_scan_are_few(seed):
    random = np.random.default_rng(seed)
    scales = random.uniform(0.5, 2.0, (6, 10))
    losses = [
        lambda rows, r, m=m: 1e-3 + np.log1p((r / scales[m, rows]) ** 2.5) * np.exp(-m / 3)
        for m in range(6)
    ]
    evaluate, count = off_grid(along(*losses), 64.0, 12)
    bounds = np.full((6, 1), 0.1)
    radii = solve_radii(evaluate, np.full(6, 1e-3), bounds, 10, 235_146, 64.0, 12)
    assert (radii.num_crossings == 1).all()
    assert count[0] / 60 <= 8, f"{count[0] / 60} evaluations a ray and landscape"


def late(x):
    """Return a loss that is hardly above 0 until shortly before an edge, as deep networks have."""
    return 1e-7 + (np.logaddexp(0, 80 * (x - 1)) / 4) ** 2.5


# Bisection would take 3 of the scan and 15; 40 seeds took at most 6.9 and 10.5.
@pytest.mark.parametrize(("loss", "most"), [(lambda x: 1e-7 + x**2, 8), (late, 11)])
def test_rays_that_start_where_a_neighbour_crosses_take_few_evaluations(loss, most, seed):
    edges = np.exp(np.random.default_rng(seed).normal(0, 0.3, 200))
    evaluate = along(lambda rows, r: loss(r / edges[rows]))
    anchor, bounds = np.array([loss(0.0)]), np.array([[0.1]])
    (start,) = pilot_starts(evaluate, anchor[None], bounds[None], np.array([64.0]), 12)
    radii = solve_radii(evaluate, anchor, bounds, 200, 4386, 64.0, 12, start)
    exact = np.log(edges * brentq(lambda x: loss(x) - 0.1, 1e-3, 10, xtol=1e-13))
    np.testing.assert_allclose(radii.log_radius[:, 0, 0], exact, atol=TOLERANCE_NATS / 4386)
    assert radii.num_evaluations.mean() <= most


def test_a_later_start_of_the_scan_changes_no_radius(seed):
    scale = np.random.default_rng(seed).uniform(0.5, 5.0)
    loss = along(lambda _, r: 0.01 + (r / scale) ** 3)
    anchor, bounds = np.array([0.01]), np.array([[0.1]])
    (start,) = pilot_starts(loss, anchor[None], bounds[None], np.array([64.0]), 12)
    assert 0 < start < 12
    whole = solve_radii(loss, anchor, bounds, 1, 1000, 64.0, 12)
    short = solve_radii(loss, anchor, bounds, 1, 1000, 64.0, 12, start)
    np.testing.assert_allclose(short.log_radius, whole.log_radius, atol=TOLERANCE_NATS / 1000)
    assert short.num_evaluations.sum() < whole.num_evaluations.sum()


def test_the_scan_starts_near_r_max_where_nothing_crosses():
    flat = along(lambda _, r: 0 * r)
    starts = pilot_starts(flat, np.zeros((2, 1)), np.ones((2, 1, 1)), np.array([64.0, 1.0]), 12)
    assert starts.tolist() == [10, 10]


def test_rays_of_several_minima_together_are_those_of_each(seed):
    random = np.random.default_rng(seed)
    minima, each, landscapes = 3, 4, 2
    curvature = np.exp(random.normal(size=(minima * each, landscapes)))
    anchor = random.uniform(0, 0.1, (minima, landscapes))
    bounds = anchor[:, :, None] + np.sort(random.uniform(0.01, 1, (minima, landscapes, 2)))
    # One minimum is above its first bound in its second landscape.
    bounds[1, 1, 0] = anchor[1, 1] / 2
    r_max, owners = random.uniform(1, 100, minima), np.repeat(np.arange(minima), each)

    def losses(rows, radii, count, _limits):
        bent = curvature[rows, :count] * radii[:, None] ** 2 / (1 + radii[:, None] / 50)
        return anchor[owners[rows], :count] + bent

    starts = pilot_starts(
        lambda rows, *given: losses(each * rows, *given), anchor, bounds, r_max, 10
    )
    for at_once in (3, 10, 50):
        again = pilot_starts(
            lambda rows, *given: losses(each * rows, *given), anchor, bounds, r_max, 10, at_once
        )
        np.testing.assert_array_equal(again, starts)
    given = anchor[owners], bounds[owners], minima * each, 100
    whole = solve_radii(losses, *given, r_max[owners], 10, starts[owners])
    for k in range(minima):
        own = slice(each * k, each * (k + 1))

        def alone(rows, *given, first=each * k):
            return losses(first + rows, *given)

        expected = solve_radii(
            alone, anchor[k], bounds[k], each, 100, float(r_max[k]), 10, int(starts[k])
        )
        for name in ("log_radius", "num_crossings", "log_radius_tolerance", "num_evaluations"):
            np.testing.assert_array_equal(getattr(whole, name)[own], getattr(expected, name))
