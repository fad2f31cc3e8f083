"""Compiled sums of exponentials, float64, one pass and no temporaries.

Threads share out rows, never one row's sum, so results do not depend on their number.
"""

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Array = NDArray[np.float64]


@njit(cache=True)
def _log_mean_exp(row: Array) -> float:
    top = -np.inf
    total = 0.0
    for value in row:
        if np.isnan(value):
            return np.nan
        if value > top:
            # Rescale what was summed, so that one pass is enough.
            total = total * np.exp(top - value) + 1.0
            top = value
        elif value > -np.inf:
            total += np.exp(value - top)
    return top + np.log(total / len(row)) if total > 0 else -np.inf


@njit(cache=True, parallel=True)
def log_mean_exp(rows: Array) -> Array:
    """Return ln of the mean of exp over each row, shape (rows,); NaN where a row holds NaN."""
    result = np.empty(len(rows))
    for i in prange(len(rows)):
        result[i] = _log_mean_exp(rows[i])
    return result


@njit(cache=True, parallel=True)
def bootstrap_log_mean_exp(rows: Array, draws: NDArray[np.int64]) -> Array:
    """Return the log-mean-exp of every resample of every row.

    Parameters
    ----------
    rows
        Shape (rows, D).
    draws
        Indices into a row, shape (resamples, D), the same for all rows.

    Returns
    -------
    Array
        Shape (rows, resamples).
    """
    result = np.empty((len(rows), len(draws)))
    for i in prange(len(rows)):
        resample = np.empty(draws.shape[1])
        for j in range(len(draws)):
            for k in range(draws.shape[1]):
                resample[k] = rows[i, draws[j, k]]
            result[i, j] = _log_mean_exp(resample)
    return result


@njit(cache=True, parallel=True)
def effective_sample_size(rows: Array) -> Array:
    """Return (sum w)^2 / sum w^2 of the weights w = exp(row), shape (rows,)."""
    result = np.empty(len(rows))
    for i in prange(len(rows)):
        top = rows[i].max()
        total = 0.0
        squares = 0.0
        for value in rows[i]:
            weight = np.exp(value - top)
            total += weight
            squares += weight * weight
        result[i] = total * total / squares
    return result
