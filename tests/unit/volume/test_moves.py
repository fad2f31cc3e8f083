"""Moves leave their laws as they are; the rule, the reference and the error bars are exact.

A move is applied to exact draws of its law, often enough to leave none where it was: what comes out
must have the same law, at a false-alarm rate of 1e-5 a test.
"""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest
from small_networks import shape_of

from basins.directions.preconditioner import Preconditioner
from basins.volume import chords, hmc, path
from basins.volume.axes import move_along_axis
from basins.volume.basin import Basin
from basins.volume.curves import CURVES, NUM_UNIFORMS, Moves
from basins.volume.integration import Seen, clenshaw_curtis, crowded, walk
from basins.volume.measures import Gaussian, Lebesgue, Reference
from basins.volume.rounding import fit_scale, learn_shape, num_independent
from basins.volume.stride import Stride

COUNT = 4000
LEAST_P = 1e-5


def triangle(x):
    """Return a loss below 1 in the triangle with corners (-1, -1), (2, -1), (-1, 2)."""
    return np.maximum(np.maximum(-x[:, 0], -x[:, 1]), x.sum(axis=1))


def triangle_draws(rng, tilt):
    """Return exact draws of the uniform law times exp(-tilt |x|^2 / 2), by rejection."""
    found = []
    while sum(map(len, found)) < COUNT:
        x = rng.uniform(-1, 2, (8 * COUNT, 2))
        is_kept = (triangle(x) < 1) & (rng.random(len(x)) < np.exp(-tilt / 2 * (x**2).sum(axis=1)))
        found.append(x[is_kept])
    return np.concatenate(found)[:COUNT]


def assert_same_law(one, other):
    for function in (lambda x: x[:, 0], lambda x: x[:, 1], lambda x: (x**2).sum(axis=1)):
        assert kstest(function(one), function(other)).pvalue > LEAST_P


def go(law, chains, curve, rng):
    """Move all chains once along a curve, or one axis."""
    if curve == "axis":
        chords.move_along_axes(law, chains, 1, rng, is_tuned=False)
    else:
        chords.move(law, chains, curve, rng, is_tuned=False)


@pytest.mark.parametrize("curve", [*CURVES, "axis"])
@pytest.mark.parametrize("tilt", [0.0, 1.5])
def test_chords_leave_their_law(curve, tilt, seed):
    rng = np.random.default_rng(seed)
    shape = Preconditioner.diagonal(np.array([1.0, 1.0]))
    basin = Basin(triangle, np.zeros(2), 1.0)
    law = chords.Law(basin, Lebesgue(), shape, tilt)
    start = triangle_draws(rng, tilt)
    chains = chords.Chains(start.copy(), start.copy(), {curve: 0.7})
    for _ in range(4):
        go(law, chains, curve, rng)
    assert (triangle(chains.offsets) < 1).all()
    assert_same_law(chains.offsets, triangle_draws(rng, tilt))
    if curve == "circle":
        assert (chains.z**2).sum(axis=1) == pytest.approx((start**2).sum(axis=1), rel=1e-9)
    assert (chains.z != start).any(axis=1).mean() > 0.99


# Of brackets; a chord's is in units of a Gaussian direction, a circle's of its radius, up to 2.
WIDTHS = {"circle": 1.8, "ray": 3.9, "chord": 0.8, "axis": 3.9}


def bent(x):
    """Return a loss below 1 in three quarters of a ring, none of which sees the whole of it."""
    radii = np.linalg.norm(x - 0.8, axis=1)
    is_open = (x > 0.8).all(axis=1)
    return np.abs(radii - 0.8) / 0.3 + 2 * is_open


def bent_draws(rng):
    found = rng.uniform(-1, 2, (40 * COUNT, 2))
    return found[bent(found) < 1][:COUNT]


@pytest.mark.parametrize("curve", [*CURVES, "axis"])
def test_moves_that_look_on_the_way_leave_their_law(curve, seed):
    rng = np.random.default_rng(seed)
    basin = Basin(bent, np.array([0.1, 0.8]), 1.0)
    shape = Preconditioner.diagonal(np.array([1.0, 1.0]))
    start = bent_draws(rng) - basin.minimum
    chains = chords.Chains(start.copy(), start.copy(), {curve: 1.5})
    for _ in range(4):
        go(chords.Law(basin, Lebesgue(), shape, 0.0), chains, curve, rng)
    assert basin.is_inside(chains.offsets).all()
    assert_same_law(chains.offsets + basin.minimum, bent_draws(rng))


@pytest.mark.parametrize("curve", [*CURVES, "axis"])
def test_no_move_ends_in_another_part(curve, seed):
    """Squares 1 apart, more than a quarter of brackets that may hold both all the same."""
    rng = np.random.default_rng(seed)

    def squares(x):
        return 2 * np.abs(np.abs(x) - [1.5, 0]).max(axis=1)

    # Off the middle, so that circles and rays around it meet the other square.
    basin = Basin(squares, np.array([0.6, 0.0]), 2.0, r_max=100.0)
    shape = Preconditioner.diagonal(np.array([1.0, 1.0]))
    start = rng.uniform([-0.1, -1], [1.9, 1], (COUNT, 2))
    chains = chords.Chains(start.copy(), start.copy(), {curve: WIDTHS[curve]})
    law = chords.Law(basin, Lebesgue(), shape, 0.0)
    for _ in range(8):
        go(law, chains, curve, rng)
    assert (chains.offsets[:, 0] > -0.1).all()
    assert_same_law(chains.offsets, rng.uniform([-0.1, -1], [1.9, 1], (COUNT, 2)))


def test_chords_leave_a_gaussian_restricted(seed):
    rng = np.random.default_rng(seed)
    shape = Preconditioner.diagonal(np.array([2.0, 0.5]))
    measure = Gaussian(np.array([0.4, -0.3]), 0.8)
    basin = Basin(lambda x: np.abs(x).max(axis=1), np.zeros(2), 1.0)

    def draws():
        x = 0.8 * rng.standard_normal((20 * COUNT, 2)) - measure.shift
        return x[np.abs(x).max(axis=1) < 1][:COUNT]

    start = draws()
    chains = chords.Chains(shape.solve(start), start, dict.fromkeys([*CURVES, "axis"], 1.0))
    law = chords.Law(basin, measure, shape, 0.0)
    for curve in (*CURVES, "axis", "axis") * 2:
        go(law, chains, curve, rng)
    assert_same_law(chains.offsets, draws())


@pytest.mark.parametrize("kind", ["diagonal", "turned", "low rank"])
def test_axes_are_chords_along_columns(kind, seed):
    """The same draws as of a chord whose direction is the axis, for every form of shape."""
    rng = np.random.default_rng(seed)
    n = 5
    shape = shape_of(kind, n, rng)
    basin = Basin(lambda x: np.abs(x).max(axis=1), np.zeros(n), 1.0, r_max=1.1)
    measure = Gaussian(rng.normal(size=n), 0.8)
    forces = chords.Law(basin, measure, shape, 0.3).forces
    z = shape.solve(rng.uniform(-0.4, 0.4, (8, n)))
    exponentials, uniforms = rng.exponential(size=8), rng.random((8, NUM_UNIFORMS))
    for index in range(n):
        w = np.zeros_like(z)
        w[:, index] = 1
        x = shape.apply(z)
        chord = basin.move(Moves("chord", forces, z, x, w, exponentials, uniforms, 0.6, 0.2))
        one, offsets = z.copy(), x.copy()
        t, asked = move_along_axis(
            forces, one, offsets, index, exponentials, uniforms, 0.6, 0.2, basin.is_inside
        )
        # Energies are summed in another order: positions are decided by the same numbers.
        np.testing.assert_allclose(t, chord.positions, rtol=1e-12)
        np.testing.assert_allclose(one, chord.z, rtol=1e-12)
        np.testing.assert_allclose(offsets, chord.offsets, rtol=1e-12, atol=1e-15)
        assert asked == chord.num_evaluations
        z = one


def test_sixteen_sweeps_go_along_every_axis_once(seed):
    n = 48
    basin = Basin(lambda x: np.abs(x).max(axis=1), np.zeros(n), 1.0)
    shape = Preconditioner.diagonal(np.ones(n))
    chains = chords.Chains(np.zeros((4, n)), np.zeros((4, n)), {"axis": 2.0})
    rng = np.random.default_rng(seed)
    for count in range(1, 17):
        chords.sweep(chords.Law(basin, Lebesgue(), shape, 0.0), chains, rng, is_tuned=False)
        assert ((chains.z != 0).sum(axis=1) == 3 * count).all()
    # Every one was drawn anew from the uniform law on (-1, 1).
    assert kstest(chains.z.ravel(), "uniform", (-1, 2)).pvalue > LEAST_P
    assert (chains.offsets == chains.z).all()


@pytest.mark.parametrize("s", [0.0, 0.4, 1.0])
def test_hmc_leaves_its_law(s, seed):
    rng = np.random.default_rng(seed)
    curvatures = np.array([1.0, 9.0])
    basin = Basin(lambda x: x**2 @ curvatures / 2, np.zeros(2), 1.0, lambda x: x * curvatures)
    shape = Preconditioner.diagonal(np.array([0.7, 0.5]))
    law = hmc.Tempered(basin, Gaussian(np.array([0.5, -0.2]), 1.3), shape, beta=2.0, gamma=0.6)
    # U_s is quadratic in x: its law is normal, of this precision and mean.
    precision = (1 - s) / shape.values**2 + s * (2.0 * curvatures + 0.6) + 1 / 1.3**2
    mean = -np.array([0.5, -0.2]) / 1.3**2 / precision

    def draws():
        return mean + precision**-0.5 * rng.standard_normal((COUNT, 2))

    chains = hmc.place(basin, shape, shape.solve(draws()))
    # Long steps, so that what keeps the law is the accept step and not their accuracy.
    acceptance = [hmc.move(law, s, chains, Stride(0.7, 2.0), rng, False) for _ in range(6)]
    assert 0.2 < np.mean(acceptance) < 0.999
    assert_same_law(chains.offsets, draws())
    assert chains.rises == pytest.approx(basin.rise(chains.offsets))


def test_gradients_may_be_handed_out_in_one_buffer_or_read_only(seed):
    buffer = np.empty((8, 2))

    def reused(x):
        np.multiply(x, 4.0, out=buffer[: len(x)])
        return buffer[: len(x)]

    def read_only(x):
        result = 4.0 * x
        result.flags.writeable = False
        return result

    found = []
    for gradient in (lambda x: 4.0 * x, reused, read_only):
        basin = Basin(lambda x: 2 * (x**2).sum(axis=1), np.zeros(2), 1.0, gradient)
        shape = Preconditioner.diagonal(np.ones(2))
        law = hmc.Tempered(basin, Lebesgue(), shape, beta=1.0, gamma=0.0)
        rng = np.random.default_rng(seed)
        chains = hmc.place(basin, shape, rng.normal(size=(8, 2)))
        # Steps so long that about half of the moves are rejected.
        acceptance = [hmc.move(law, 1.0, chains, Stride(0.95, 1.5), rng, False) for _ in range(20)]
        assert 0.1 < np.mean(acceptance) < 0.9
        found.append(chains.z)
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


def test_slope_is_the_gradient_of_the_potential(seed):
    rng = np.random.default_rng(seed)
    n = 5
    basin = Basin(lambda x: (x**4).sum(axis=1), np.zeros(n), 1.0, lambda x: 4 * x**3)
    shape = Preconditioner(rng.uniform(0.5, 2, 2), np.eye(n)[:, :2], 0.8, n)
    law = hmc.Tempered(basin, Gaussian(rng.normal(size=n), 0.9), shape, beta=1.7, gamma=0.4)
    z = rng.normal(size=(1, n))
    step = 1e-6

    def potential(points):
        offsets = shape.apply(points)
        return law.potential(0.3, points, offsets, basin.rise(offsets))

    moves = step * np.eye(n)
    slopes = (potential(z + moves) - potential(z - moves)) / (2 * step)
    offsets = shape.apply(z)
    exact = law.forces(0.3).slope(z, offsets, basin.slope(offsets))[0]
    assert slopes == pytest.approx(exact, rel=1e-6, abs=1e-6)


def test_tuning_goes_the_right_way():
    start, velocity = np.ones((4, 2)) * [[1], [2], [3], [4]], np.ones((4, 2))
    short, wide = Stride(0.5, 1.0), Stride(0.5, 1.0)
    short.tune(-0.5, 1.0, start, start, velocity, np.ones(4))
    wide.tune(+0.2, 1.0, start, start, velocity, np.ones(4))
    assert short.step < 0.5 < wide.step
    growing = Stride(0.5, 1.0)
    # Chains end farther out and still move outward: a longer way would change |z|^2 more.
    growing.tune(0.0, 1.0, start, 2 * start, start, np.ones(4))
    assert growing.length > 1.0
    lost = Stride(0.5, 1.0)
    lost.tune(-0.8, 1.0, start, start * np.nan, velocity, np.zeros(4))
    assert lost.length == 1.0


@given(degree=st.integers(0, 8), coefficient=st.floats(-10, 10))
def test_rule_is_exact_for_polynomials(degree, coefficient):
    nodes, weights = clenshaw_curtis(9)
    exact = coefficient / (degree + 1)
    assert weights @ (coefficient * nodes**degree) == pytest.approx(exact, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("spread", [0.5, 1.0])
def test_rule_resolves_both_ends_of_a_path(spread, seed):
    """Precisions from 1 to f along 1 - s + s f: ln Z changes by -ln(f) / 2, whatever f is."""
    factors = np.exp(spread * np.random.default_rng(seed).normal(size=1000))
    nodes, weights = crowded(9)
    assert nodes[[0, -1]].tolist() == [0.0, 1.0]
    slopes = ((1 - factors) / (2 * (1 + np.outer(nodes, factors - 1)))).sum(axis=1)
    # Over 1,000 seeds the error was 0.0064 at most; that of nodes even in s, 0.072.
    assert weights @ slopes == pytest.approx(-np.log(factors).sum() / 2, abs=0.03)


def test_walk_integrates_and_sees_a_lag():
    def sweep(s, index, is_tuned):
        del index, is_tuned
        return Seen(np.full(3, np.exp(s)), np.zeros((3, 1)))

    found = walk(sweep, 9, 4)
    nodes, weights = crowded(9)
    assert found.integrals == pytest.approx(np.full((2, 3), weights @ np.exp(nodes)), rel=1e-12)
    # Of nodes crowded for other slopes; those of the half, five, leave a hundred times as much.
    assert found.integrals == pytest.approx(np.full((2, 3), np.e - 1), rel=1e-4)
    assert 1e-4 < abs(found.rule_difference) < 1e-1
    assert found.draws.shape == (8, 3, 1)

    state = {"last": 0.0}

    def slow(s, index, is_tuned):
        del index, is_tuned
        state["last"] += 0.02 * (s - state["last"])
        return Seen(np.full(3, state["last"]), np.zeros((3, 1)))

    there, back = walk(slow, 9, 4).integrals
    assert (there < back).all()


@pytest.mark.parametrize("tilt", [0.0, 1.0])
def test_reference_normalizer_and_draws(tilt, seed):
    rng = np.random.default_rng(seed)
    n = 3
    vectors = np.linalg.qr(rng.normal(size=(n, n)))[0]
    shape = Preconditioner(rng.uniform(0.5, 2, n), vectors, 1.0, n)
    measure = Gaussian(rng.normal(size=n), 0.8)
    law = Reference(measure, shape, tilt)
    matrix = vectors * shape.values
    # In x the density is that of a normal law times another: both by their matrices.
    narrow = tilt * np.linalg.inv(matrix @ matrix.T)
    precision = narrow + np.eye(n) / 0.8**2
    pull = -measure.shift / 0.8**2
    mean = np.linalg.solve(precision, pull)
    value = 0.5 * pull @ mean - 0.5 * np.linalg.slogdet(precision)[1] + n / 2 * np.log(2 * np.pi)
    assert law.log_normalizer() == pytest.approx(value - measure.energy(np.zeros(n)), abs=1e-9)
    if not tilt:
        assert law.log_normalizer() == pytest.approx(0, abs=1e-9)
    x = shape.apply(law.draw(rng.standard_normal((200_000, n))))
    covariance = np.linalg.inv(precision)
    # Five deviations of means and of variances of 200,000 draws.
    assert x.mean(axis=0) == pytest.approx(mean, abs=5 * np.sqrt(covariance.max() / 200_000))
    bound = 5 * covariance.max() * np.sqrt(2 / 200_000)
    assert np.cov(x.T) == pytest.approx(covariance, abs=bound)


def test_reference_of_lebesgue():
    shape = Preconditioner.diagonal(np.array([2.0, 3.0]))
    expected = np.log(2 * np.pi / 0.5) + np.log(6)
    assert Reference(Lebesgue(), shape, 0.5).log_normalizer() == pytest.approx(expected)


def test_force_is_the_gradient_of_the_energy(seed):
    rng = np.random.default_rng(seed)
    measure = Gaussian(rng.normal(size=4), 0.6)
    x, step = rng.normal(size=4), 1e-6
    slopes = (measure.energy(x + step * np.eye(4)) - measure.energy(x - step * np.eye(4))) / 2e-6
    assert measure.force(x) == pytest.approx(slopes, rel=1e-6, abs=1e-6)
    assert Lebesgue().energy(x[None]) == 0
    assert not Lebesgue().force(x).any()


def test_scale_fits_a_basin_of_any_size():
    for size in (1e-9, 1.0, 1e9):
        basin = Basin(lambda x, size=size: (x**2).sum(axis=1) / size**2, np.zeros(4), 1.0)
        start = Preconditioner.diagonal(np.ones(4))
        fit = fit_scale(basin, Lebesgue(), start, np.random.default_rng(0))
        assert 0.3 <= len(fit.inside) / 64 <= 0.5
        assert fit.reference.shape.values == pytest.approx(np.full(4, size / 2), rel=0.3)


def test_shape_is_learned_from_independent_draws(seed):
    rng = np.random.default_rng(seed)
    n = 6
    factor = np.linalg.cholesky(np.cov(rng.normal(size=(n, 3 * n))))
    draws = rng.normal(size=(400, 32, n)) @ factor.T
    shape = learn_shape(Preconditioner.diagonal(np.ones(n)), draws)
    matrix = shape.apply(np.eye(n)).T
    assert matrix @ matrix.T == pytest.approx(
        factor @ factor.T, abs=0.1 * (factor @ factor.T).max()
    )
    kept = learn_shape(Preconditioner.diagonal(np.ones(n)), draws, may_turn=False)
    assert kept.vectors is None
    assert kept.values**2 == pytest.approx(np.diag(factor @ factor.T), rel=0.1)
    low = Preconditioner(np.ones(2), np.eye(n)[:, :2], 1.0, n)
    spread = rng.normal(size=(400, 32, n)) * [3.0, 2.0, 0.5, 0.5, 0.5, 0.5]
    learned = learn_shape(low, spread)
    assert learned.values == pytest.approx([3, 2], rel=0.05)
    assert learned.rest == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_draws_are_counted_by_their_independence(correlation, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(500, 32, 50))
    for before, after in itertools.pairwise(values):
        after *= np.sqrt(1 - correlation**2)
        after += correlation * before
    expected = 500 * 32 * (1 - correlation) / (1 + correlation)
    assert num_independent(values) == pytest.approx(expected, rel=0.3)
    assert num_independent(np.zeros((5, 4, 2))) == 1


def test_jackknife_of_a_mean_is_its_standard_error(seed):
    values = np.random.default_rng(seed).normal(size=20)
    value, error = path.jackknife(lambda which: float(values[which].mean()), 20)
    assert value == pytest.approx(values.mean())
    assert error == pytest.approx(values.std(ddof=1) / np.sqrt(20))
    assert path.jackknife(lambda which: -np.inf if len(which) < 20 else 1.0, 20)[1] == np.inf


def passage(**changed):
    rng = np.random.default_rng(1)
    shape = (10, 8)
    given = {
        "log_volumes": rng.normal(size=(2, 8)),
        "log_weights": np.zeros(shape),
        "rises": rng.random(shape),
        "exponent": (1.0, 0.1),
        "radius_exponent": (0.0, 0.0),
        "shared_stderr": 0.0,
        "rule_difference": 0.0,
        "visible": np.ones((2, 8), dtype=bool),
        "visible_rows": np.array([0, 5]),
    }
    return path.Passage(**given | changed)


def test_a_lag_widens_the_interval_and_is_not_converged():
    calm = path.summarize(passage())
    lagging = path.summarize(passage(log_volumes=passage().log_volumes + np.array([[5.0], [-5.0]])))
    assert calm.is_converged
    assert not lagging.is_converged
    assert lagging.stderr > 4 > calm.stderr
    assert lagging.log_volume == pytest.approx(calm.log_volume)


def test_no_draw_inside_is_no_volume():
    empty = path.summarize(passage(log_weights=np.full((10, 8), -np.inf)))
    assert empty.log_volume == -np.inf
    assert not empty.is_converged


def test_lines_of_sight():
    basin = Basin(
        lambda x: np.where(np.abs(x[:, 0] - 1) < 0.2, 1.0, 0.0), np.zeros(2), 0.5, r_max=5.0
    )
    points = np.array([[0.5, 0.0], [2.0, 0.0], [-2.0, 1.0]])
    assert path.look_out(basin, [points]).tolist() == [[True, False, True]]


def test_local_exponent_is_that_at_the_bound(seed):
    # Exact draws of the share exp(-k t - c t^2 / 2) below the bound, whose exponent grows inward.
    k, c = 10.0, 5.0
    hazards = np.random.default_rng(seed).exponential(size=(8000, 32))
    logs = (np.sqrt(k**2 + 2 * c * hazards) - k) / c
    value, error = path.local_exponent(np.exp(-logs))
    # What is left is of second order in c / k^2 = 0.05; the mean alone is off by the first.
    assert abs(value - k) < 5 * error + 3 * 0.05**2 * k
    assert error < 0.01 * k
    assert 1 / logs.mean() > 1.03 * k
