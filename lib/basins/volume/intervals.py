"""Standard errors and 90 % intervals by the bootstrap."""

import functools

import numpy as np
from numpy.typing import NDArray

from basins import streams
from basins.volume import kernels

Array = NDArray[np.float64]

NUM_RESAMPLES = 1000
PROBABILITY = 0.9


@functools.lru_cache(maxsize=2)
def resamples(count: int) -> NDArray[np.uint16]:
    """Return how often each of `count` draws stands in each resample, shape (resamples, count).

    Made once for all minima of a job; nobody writes into it.
    """
    words = streams.bits("bootstrap", count, count=NUM_RESAMPLES * count)
    result = np.empty((NUM_RESAMPLES, count), np.uint16)
    for row, drawn in zip(result, words.reshape(NUM_RESAMPLES, count), strict=True):
        row[:] = np.bincount((drawn % np.uint64(count)).astype(np.int64), minlength=count)
    return result


def bootstrap(log_weights: Array) -> tuple[Array, Array, Array]:
    """Return standard error and 90 % interval of the log-mean-exp over the last axis.

    Directions are resampled with replacement (Efron 1979), the same resamples for every row, so
    the result is the same in every job. It is a sampling error alone: what no direction saw is in
    no resample either, which is why a tail-dominated mean is marked as a lower bound.

    Returns
    -------
    tuple
        ``stderr``, ``low``, ``high`` in nats, each of the shape of the leading axes.
    """
    count = log_weights.shape[-1]
    rows = np.ascontiguousarray(log_weights.reshape(-1, count))
    resampled = kernels.bootstrap_log_mean_exp(rows, resamples(count))
    tail = (1 - PROBABILITY) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail], axis=1)
    shape = log_weights.shape[:-1]
    return resampled.std(axis=1, ddof=1).reshape(shape), low.reshape(shape), high.reshape(shape)
