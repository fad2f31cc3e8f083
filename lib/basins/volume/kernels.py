"""Compiled sums of exponentials, float64, a row at a time, which stays in the cache.

Threads share out rows, never one row's sum, so results do not depend on their number.
"""

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from basins.models.mlp_kernels import FAST, exponential

Array = NDArray[np.float64]

TOGETHER = 4  # resamples that are summed at once
LEAST_SUM = 1e-290  # above which numbers too small to be exact do not count


@njit(cache=True, forceinline=True, fastmath=FAST)
def _put_weights(row: Array, weights: Array) -> float:
    """Put exp of a row relative to its largest into `weights`, and return the largest.

    NaN if any is, and infinities as they are; then there are no weights. Two loops and no branch in
    them, so that both vectorise; the second finds the row in the cache.
    """
    top = -np.inf
    is_missing = False
    for k in range(len(row)):
        top = max(top, row[k])
        is_missing |= row[k] != row[k]
    if is_missing or not np.isfinite(top):
        return np.nan if is_missing else top
    for k in range(len(row)):
        weights[k] = exponential(row[k] - top)
    return top


@njit(cache=True, parallel=True)
def log_mean_exp(rows: Array) -> Array:
    """Return ln of the mean of exp over each row, shape (rows,); NaN where a row holds NaN."""
    result = np.empty(len(rows))
    for i in prange(len(rows)):
        weights = np.empty(rows.shape[1])
        top = _put_weights(rows[i], weights)
        result[i] = top + np.log(weights.sum() / len(weights)) if np.isfinite(top) else top
    return result


@njit(cache=True, forceinline=True)
def _log_mean_exp_of(row: Array, counts: NDArray[np.uint16]) -> float:
    """Return ln of the mean of exp over a row whose numbers stand `counts` times."""
    top = -np.inf
    for k in range(len(row)):
        if np.isnan(row[k]):
            return np.nan
        if counts[k] and row[k] > top:
            top = row[k]
    if top == -np.inf:
        return top
    total = 0.0
    for k in range(len(row)):
        if counts[k]:
            total += counts[k] * np.exp(row[k] - top)
    return float(top + np.log(total / len(row)))


@njit(cache=True, forceinline=True, fastmath=FAST)
def _put_sums(weights: Array, counts: NDArray[np.uint16], sums: Array) -> None:
    """Put counts (resamples, D) times weights (D,) into `sums`.

    Not by BLAS, whose last bits depend on the number of threads.
    """
    whole = len(counts) // TOGETHER * TOGETHER
    for j in range(0, whole, TOGETHER):
        one = two = three = four = 0.0
        for k in range(len(weights)):
            one += counts[j, k] * weights[k]
            two += counts[j + 1, k] * weights[k]
            three += counts[j + 2, k] * weights[k]
            four += counts[j + 3, k] * weights[k]
        sums[j] = one
        sums[j + 1] = two
        sums[j + 2] = three
        sums[j + 3] = four
    for j in range(whole, len(counts)):
        total = 0.0
        for k in range(len(weights)):
            total += counts[j, k] * weights[k]
        sums[j] = total


@njit(cache=True, parallel=True)
def bootstrap_log_mean_exp(rows: Array, counts: NDArray[np.uint16]) -> Array:
    """Return the log-mean-exp of every resample of every row.

    A row's exponentials are taken once, relative to its largest; a resample's sum is a product.

    Parameters
    ----------
    rows
        Shape (rows, D).
    counts
        How often each of a row's numbers stands in each resample, shape (resamples, D); each
        resample's sum is D.

    Returns
    -------
    Array
        Shape (rows, resamples); NaN where a row holds NaN.
    """
    result = np.empty((len(rows), len(counts)))
    for i in prange(len(rows)):
        weights = np.empty(rows.shape[1])
        top = _put_weights(rows[i], weights)
        if np.isnan(top):
            result[i] = top
            continue
        if np.isfinite(top):
            _put_sums(weights, counts, result[i])
        for j in range(len(counts)):
            # Without any of a row's largest, what is left may be below the smallest number.
            if np.isfinite(top) and result[i, j] > LEAST_SUM:
                result[i, j] = top + np.log(result[i, j] / len(weights))
            else:
                result[i, j] = _log_mean_exp_of(rows[i], counts[j])
    return result


@njit(cache=True, parallel=True)
def effective_sample_size(rows: Array) -> Array:
    """Return (sum w)^2 / sum w^2 of the weights w = exp(row), shape (rows,)."""
    result = np.empty(len(rows))
    for i in prange(len(rows)):
        weights = np.empty(rows.shape[1])
        top = _put_weights(rows[i], weights)
        total = weights.sum()
        result[i] = total * total / (weights**2).sum() if np.isfinite(top) else np.nan
    return result
