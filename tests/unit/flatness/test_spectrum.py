"""Spectra, traces and determinants against dense linear algebra, in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from basins.flatness.intervals import mean
from basins.flatness.lanczos import extremes, krylov
from basins.flatness.meyer2020hutchpp import trace
from basins.flatness.ubaru2017density import Spectrum, log_det, spectrum


def symmetric(eigenvalues, random):
    """Return a matrix of these eigenvalues in a random basis."""
    basis, _ = np.linalg.qr(random.normal(size=(len(eigenvalues),) * 2))
    return (basis * eigenvalues) @ basis.T


def decaying(n, random, power=1.5):
    """Return eigenvalues as a network's Hessian has: a few large, many small, some below 0."""
    return 10 * np.arange(1.0, n + 1) ** -power * np.where(random.random(n) < 0.8, 1, -0.05)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 5), st.integers(0, 2**32))
def test_extremes_are_those_of_the_dense_matrices(n, num_largest, seed):
    random = np.random.default_rng(seed)
    num_largest = min(num_largest, n)
    matrices = np.stack([symmetric(random.normal(size=n) * 10**k, random) for k in (-3, 0, 3)])
    found = extremes(
        lambda rows, v: np.einsum("rij,rj->ri", matrices[rows], v),
        random.normal(size=(3, n)),
        num_largest,
        tolerance=1e-9,
    )
    exact = np.linalg.eigvalsh(matrices)
    size = np.abs(exact).max(axis=1)[:, None]
    # Residuals bound errors; 1e-9 and rounding of 60 steps.
    assert (np.abs(found.largest - exact[:, ::-1][:, :num_largest]) < 1e-8 * size).all()
    assert (np.abs(found.smallest - exact[:, 0]) < 1e-8 * size[:, 0]).all()
    np.testing.assert_allclose(found.spectral_norm, size[:, 0], rtol=1e-8)
    assert found.is_converged.all()
    assert (found.num_products <= n).all()


def test_a_spectrum_too_long_for_the_steps_says_so(seed):
    random = np.random.default_rng(seed)
    matrix = symmetric(np.linspace(-1, 1, 300), random)
    found = extremes(lambda _, v: v @ matrix, random.normal(size=(1, 300)), 3, max_steps=12)
    assert not found.is_converged[0]
    assert found.num_products[0] == 12
    # Some eigenvalue is within the residual of every value.
    exact = np.linspace(-1, 1, 300)
    for value, residual in zip(
        [*found.largest[0], *found.smallest], found.residuals[0], strict=True
    ):
        assert np.abs(exact - value).min() <= residual + 1e-12


def test_rows_end_one_by_one(seed):
    random = np.random.default_rng(seed)
    asked = []

    def product(rows, v):
        asked.append(rows.tolist())
        return v * np.where(rows[:, None] == 0, 2.0, np.arange(1.0, 41.0))

    found = krylov(product, random.normal(size=(2, 40)), 25)
    # A multiple of the identity has nothing beyond the first vector.
    assert found.num_steps.tolist() == [1, 25]
    assert asked == [[0, 1]] + [[1]] * 24
    assert found.eigenpairs(0)[0] == pytest.approx([2])


def test_eigenvalues_of_too_many_dimensions_are_refused():
    with pytest.raises(ValueError, match=r"num_largest: 4 must be between 1 and 3"):
        extremes(lambda _, v: v, np.ones((1, 3)), 4)


def test_traces_are_exact_where_the_sketch_holds_the_range(seed):
    random = np.random.default_rng(seed)
    low = symmetric(np.append(random.normal(size=5), np.zeros(45)), random)
    found = trace(lambda rows: rows @ low, 50, seed)
    assert found.value == pytest.approx(np.trace(low), abs=1e-10)
    assert found.stderr < 1e-10
    few = trace(lambda rows: rows @ low[:9, :9], 9, seed)
    assert few.value == pytest.approx(np.trace(low[:9, :9]), abs=1e-12)
    assert few.stderr == 0
    with pytest.raises(ValueError, match=r"num_products: 8 must be at least 9"):
        trace(lambda rows: rows, 50, num_products=8)


@pytest.mark.parametrize("kind", ["trace", "log_det"])
def test_intervals_of_nine_in_ten_hold_the_truth(kind, seed):
    """Of 200 intervals fewer than 170 hold it once in 50 runs at exactly 90 %, 0.1 % at 92 %."""
    random = np.random.default_rng(seed)
    n, damping = 120, 1e-2
    holds, errors = [], []
    for index in range(200):
        matrix = symmetric(decaying(n, random, power=0.8), random)
        names = ("coverage", seed, index)
        if kind == "trace":
            truth, found = np.trace(matrix), trace(lambda v, m=matrix: v @ m, n, *names)
        else:
            eigenvalues = np.linalg.eigvalsh(matrix)
            truth = np.log(np.maximum(eigenvalues, 0) + damping).sum()
            seen = spectrum(lambda v, m=matrix: v @ m, n, *names)
            found = log_det(seen, damping)
        holds.append(found.low <= truth <= found.high)
        errors.append((found.value - truth) / found.stderr)
    assert np.mean(holds) >= 0.85
    assert abs(np.mean(errors)) < 0.3
    # Bars are no wider than the errors they speak of, but for chance.
    assert np.std(errors) > 0.6


def test_few_nodes_give_many_powers_of_a_matrix(seed):
    random = np.random.default_rng(seed)
    matrix = symmetric(decaying(80, random), random)
    seen = spectrum(lambda v: v @ matrix, 80, "test", seed, num_probes=40, num_steps=6)
    # Gauss rules of 6 nodes are exact for powers below 12, vector by vector.
    for power in (1, 5, 11):
        found = seen.trace_of(lambda x, p=power: x**p)
        exact = np.trace(np.linalg.matrix_power(matrix, power))
        assert abs(found.value - exact) <= 5 * found.stderr + 1e-9 * abs(exact)
    assert seen.weights.sum(axis=1) == pytest.approx(np.ones(40))
    grid = np.linspace(-20, 20, 4001)
    density = seen.density(grid, 0.3)
    assert np.trapezoid(density, grid) == pytest.approx(1, abs=1e-6)


def test_whole_spectra_are_exact(seed):
    values = np.random.default_rng(seed).normal(size=30)
    seen = Spectrum.whole(values)
    found = log_det(seen, 0.5)
    assert found.value == pytest.approx(np.log(np.maximum(values, 0) + 0.5).sum(), abs=1e-12)
    assert (found.stderr, found.low, found.high) == (0, found.value, found.value)
    mean_value = np.trapezoid(
        np.linspace(-9, 9, 2001) * seen.density(np.linspace(-9, 9, 2001), 0.1)
    )
    assert mean_value * 18 / 2000 == pytest.approx(values.mean(), abs=1e-6)


def test_arguments_out_of_bounds_are_named():
    with pytest.raises(ValueError, match=r"num_probes, num_steps: 1 and 5 must both be at least 2"):
        spectrum(lambda rows: rows, 10, num_probes=1, num_steps=5)
    for damping in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match=r"damping: .* must be above 0"):
            log_det(Spectrum.whole(np.ones(3)), damping)


def test_means_of_draws_have_students_interval():
    found = mean(np.array([1.0, 2.0, 6.0]), known=1.0, other_stderr=2.0)
    error = np.hypot(np.std([1, 2, 6], ddof=1) / np.sqrt(3), 2)
    assert (found.value, found.stderr) == pytest.approx((4, error))
    # 2.92 is the 95 % quantile of Student's law of two degrees.
    assert (found.low, found.high) == pytest.approx((4 - 2.92 * error, 4 + 2.92 * error), rel=1e-3)
