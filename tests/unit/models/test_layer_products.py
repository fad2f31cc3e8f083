"""Products of one layer with a block of examples against NumPy's, on either side of BLAS's line.

Sums of k products in precision eps differ by at most k eps times the sum of magnitudes.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from basins.models.mlp_gradients import add_slopes
from basins.models.mlp_kernels import BLOCK, FEW, SHORT, THIN, product

SHAPES = st.tuples(st.integers(1, 2 * THIN), st.integers(1, 48), st.integers(1, BLOCK))
DTYPES = st.sampled_from([np.float32, np.float64])


def normal(seed: int, dtype: type, *shapes: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def is_near(made: np.ndarray, left: np.ndarray, right: np.ndarray, dtype: type) -> bool:
    wide, other = left.astype(np.float64), right.astype(np.float64)
    room = left.shape[1] * np.finfo(dtype).eps * (abs(wide) @ abs(other))
    return bool((abs(made - wide @ other) <= room).all())


def check(seed: int, dtype: type, rows: int, columns: int, count: int) -> None:
    weights, x, slopes = normal(seed, dtype, (rows, columns), (columns, count), (rows, count))
    y = np.full((rows, count), np.nan, dtype)
    product(weights, x, y)
    assert is_near(y, weights, x, dtype)
    back = np.full((columns, count), np.nan, dtype)
    product(weights.T, slopes, back)
    assert is_near(back, weights.T, slopes, dtype)
    gradient = np.zeros(rows * columns + rows)
    add_slopes(slopes, x, gradient, np.empty(rows * columns, dtype))
    assert is_near(gradient[: rows * columns].reshape(rows, columns), slopes, x.T, dtype)
    assert is_near(gradient[rows * columns :, None], slopes, np.ones((count, 1)), dtype)
    twice = gradient.copy()
    add_slopes(slopes, x, twice, np.empty(rows * columns, dtype))
    assert (twice == 2 * gradient).all()


@settings(max_examples=60, deadline=None)
@given(shape=SHAPES, dtype=DTYPES, seed=st.integers(0, 2**32 - 1))
def test_products_of_a_layer_are_numpys(shape, dtype, seed):
    check(seed, dtype, *shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [THIN - 1, THIN, THIN + 1])
@pytest.mark.parametrize("columns", [SHORT, SHORT + 1, FEW // THIN])
def test_products_are_numpys_where_loops_hand_over_to_blas(rows, columns, dtype, seed):
    for count in (BLOCK // 2, BLOCK // 2 + 1, BLOCK):
        check(seed, dtype, rows, columns, count)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_stays_so(bad, dtype, seed):
    weights, x = normal(seed, dtype, (3, 5), (5, 7))
    weights[1, 4], y = bad, np.zeros((3, 7), dtype)
    product(weights, x, y)
    assert not np.isfinite(y[1]).any()
    assert np.isfinite(y[[0, 2]]).all()
