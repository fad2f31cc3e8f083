"""How far a mean of exponentials can be trusted."""

import numpy as np
from numpy.typing import NDArray

from basins.volume import kernels

Array = NDArray[np.float64]

MIN_TAIL = 5  # fewer exceedances cannot tell a tail's index
MAX_LOG_EXCESS = 300.0  # nats above the cutoff that a fit in float64 can bear

# Beyond these a sample that happens to miss its tail looks calm, and its interval is wrong.
MAX_SPREAD = 1.0  # nats of sd(ln w); beyond, a few weights decide the mean
MAX_PARETO_K = 0.7  # Vehtari et al. 2024: beyond, a mean of weights is unreliable
MIN_WEIGHTS = 100  # fewer seldom hold those that decide the mean
EXACT_SPREAD = 1e-9  # of ln w, / n: equal weights have no tail to fit, their mean is exact


def spread_above(log_weights: Array) -> Array:
    """Return the deviation of the logarithms above their median, over the last of two axes.

    That of a normal law is its standard deviation. Only what lies above can be missed: a mixture
    has harmless weights far below.
    """
    above = np.maximum(log_weights - np.median(log_weights, axis=1, keepdims=True), 0)
    return np.asarray(np.sqrt(2 * (above**2).mean(axis=1)))


def is_decided_by_few(
    log_weights: Array, spread: Array, tail_index: Array, num_parameters: int
) -> NDArray[np.bool_]:
    """Tell where the mean of weights, over the last of two axes, may miss mass, shape (rows,)."""
    count = log_weights.shape[1]
    is_exact = (np.ptp(log_weights, axis=1) < EXACT_SPREAD * num_parameters) & (count > 1)
    is_calm = (spread <= MAX_SPREAD) & (tail_index <= MAX_PARETO_K) & (count >= MIN_WEIGHTS)
    return np.asarray(~(is_calm | is_exact), dtype=np.bool_)


def effective_sample_size(log_weights: Array) -> Array:
    """Return (sum w)^2 / sum w^2 over the last axis (Kong 1992); 1 means one draw decides."""
    rows = np.ascontiguousarray(log_weights.reshape(-1, log_weights.shape[-1]))
    return np.asarray(kernels.effective_sample_size(rows)).reshape(log_weights.shape[:-1])


def pareto_k(log_weights: Array) -> Array:
    """Return the tail index of the weights over the last axis.

    Above 0.7 a mean of the weights is unreliable, above 1 its expectation is infinite or cannot be
    told from infinite (Vehtari et al. 2024, *Pareto smoothed importance sampling*, section 3). The
    largest ``min(0.2 D, 3 sqrt(D))`` weights are fitted. NaN with fewer than 5 of them, or where a
    quarter of them equal the cutoff; -inf where all do.
    """
    count = log_weights.shape[-1]
    num_tail = int(min(0.2 * count, 3 * np.sqrt(count)))
    rows = log_weights.reshape(-1, count)
    if num_tail < MIN_TAIL:
        return np.full(log_weights.shape[:-1], np.nan)
    values = [_tail_index(np.sort(row), num_tail) for row in rows]
    return np.array(values).reshape(log_weights.shape[:-1])


def _tail_index(ordered: Array, num_tail: int) -> float:
    if not np.isfinite(ordered[-1]):
        return np.nan
    cutoff = ordered[-num_tail - 1]
    log_excess = ordered[-num_tail:] - cutoff
    if log_excess[-1] <= 0:
        return -np.inf
    if log_excess[_quartile(num_tail)] <= 0:
        # So many ties have no continuous law to fit, and the fit would divide by their excess.
        return np.nan
    # exp would overflow; in so heavy a tail the index is proportional to the scale of the logs.
    scale = max(1.0, float(log_excess[-1]) / MAX_LOG_EXCESS)
    return scale * generalized_pareto_shape(np.expm1(log_excess / scale))


def generalized_pareto_shape(excess: Array) -> float:
    """Return the shape k of a generalized Pareto law fitted to `excess`, ascending and >= 0.

    The quartile of `excess` must be above 0.

    The quasi-Bayesian estimate of Zhang and Stephens (2009, Technometrics 51, 316, equations 7 to
    9), drawn to 0.5 by a prior worth ten observations (Vehtari et al. 2024, appendix G).
    """
    count = len(excess)
    excess = np.maximum(excess, np.finfo(np.float64).tiny)
    num_grid = 30 + int(np.sqrt(count))
    quartile = excess[_quartile(count)]
    points = np.arange(1, num_grid + 1)
    theta = 1 / excess[-1] + (1 - np.sqrt(num_grid / (points - 0.5))) / (3 * quartile)
    shape = np.log1p(-theta[:, None] * excess).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_likelihood = count * (np.log(-theta / shape) - shape - 1)
    log_likelihood = np.where(np.isfinite(log_likelihood), log_likelihood, -np.inf)
    weights = np.exp(log_likelihood - log_likelihood.max())
    best = float((theta * weights).sum() / weights.sum())
    fitted = float(np.log1p(-best * excess).mean())
    return (count * fitted + 10 * 0.5) / (count + 10)


def _quartile(count: int) -> int:
    return int(count / 4 + 0.5) - 1
