"""Kernels against plain loops and SciPy, to 1e-10 relative: float64 sums of up to 500 terms."""

import numba
import numpy as np
import pytest
import slow
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from basins.volume import kernels

ROWS = st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=30)


@given(ROWS)
def test_log_mean_exp_is_the_plain_loop(row):
    found = kernels.log_mean_exp(np.array([row]))[0]
    assert found == pytest.approx(slow.log_mean_exp(row), rel=1e-10, abs=1e-10)
    assert found == pytest.approx(logsumexp(row) - np.log(len(row)), rel=1e-10, abs=1e-10)


@given(ROWS, st.floats(-1e4, 1e4))
def test_log_mean_exp_moves_with_its_terms(row, shift):
    moved = kernels.log_mean_exp(np.array([row]) + shift)[0]
    assert moved == pytest.approx(kernels.log_mean_exp(np.array([row]))[0] + shift, abs=1e-6)


def test_missing_and_empty_weights():
    rows = np.array([[-np.inf, -np.inf], [0.0, -np.inf], [np.nan, 1.0]])
    assert kernels.log_mean_exp(rows)[0] == -np.inf
    assert kernels.log_mean_exp(rows)[1] == pytest.approx(np.log(0.5))
    assert np.isnan(kernels.log_mean_exp(rows)[2])


def counts_of(draws):
    return np.stack([np.bincount(draw, minlength=draws.shape[1]) for draw in draws])


@pytest.mark.parametrize("num_rows", [1, 8, 11])
@pytest.mark.parametrize("spread", [1, 50, 5000])
def test_bootstrap_is_the_plain_loop(spread, num_rows, seed):
    # With a spread of thousands, resamples without a row's largest are below any number beside it.
    rng = np.random.default_rng(seed)
    rows, draws = rng.normal(0, spread, (num_rows, 40)), rng.integers(0, 40, (20, 40))
    rows[0, :20] = -np.inf
    found = kernels.bootstrap_log_mean_exp(rows, counts_of(draws).astype(np.uint16))
    expected = [slow.bootstrap_log_mean_exp(row, draws) for row in rows.tolist()]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_resamples_of_what_is_missing_or_nothing():
    rows = np.array([[0.0, np.nan], [-np.inf, -np.inf], [0.0, -np.inf]])
    found = kernels.bootstrap_log_mean_exp(rows, np.array([[2, 0], [1, 1], [0, 2]], np.uint16))
    assert np.isnan(found[0]).all()
    assert (found[1] == -np.inf).all()
    np.testing.assert_allclose(found[2], [0.0, np.log(0.5), -np.inf], atol=1e-15)


def test_effective_sample_size_is_the_plain_loop(seed):
    rows = np.random.default_rng(seed).normal(0, 3, (5, 200))
    expected = [slow.effective_sample_size(row) for row in rows.tolist()]
    np.testing.assert_allclose(kernels.effective_sample_size(rows), expected, rtol=1e-10)


def test_threads_do_not_change_a_bit(seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 50, (9, 40))
    counts = counts_of(rng.integers(0, 40, (20, 40))).astype(np.uint16)
    before = numba.get_num_threads()
    results = []
    for threads in {1, min(2, numba.config.NUMBA_NUM_THREADS)}:
        numba.set_num_threads(threads)
        results.append(kernels.bootstrap_log_mean_exp(rows, counts).tobytes())
    numba.set_num_threads(before)
    assert len(set(results)) == 1
