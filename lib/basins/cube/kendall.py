"""Kendall's rank correlation of arrays: with an interval, given a third, and over environments."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from basins import streams

Floats = NDArray[np.float64]

# One comparison is only a sign; of three settings, chance alone seldom turns all.
MIN_SETTINGS = 3


def tau(x: Floats, y: Floats) -> float:
    """Return tau-b (Kendall 1945, Biometrika 33, 239), where ties count for nothing.

    Parameters
    ----------
    x, y
        Finite numbers, shape (minima,).

    Returns
    -------
    float
        NaN with fewer than two minima, or where `x` or `y` is constant.

    Examples
    --------
    >>> round(tau(np.array([1.0, 2.0, 3.0, 3.0]), np.array([0.1, 0.3, 0.2, 0.4])), 3)
    0.548
    """
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan
    return float(kendalltau(x, y).statistic)


def partial_tau(xy: float, xz: float, yz: float) -> float:
    """Return the rank correlation of x and y given z (Kendall 1942, Biometrika 32, 277).

    It is (tau_xy - tau_xz tau_yz) / sqrt((1 - tau_xz^2) (1 - tau_yz^2)), from the three taus; NaN
    where z orders x or y entirely, so that nothing is left to compare.

    Examples
    --------
    >>> partial_tau(0.25, 0.5, 0.5)
    0.0
    """
    left = (1 - xz**2) * (1 - yz**2)
    return float((xy - xz * yz) / np.sqrt(left)) if left > 1e-12 else np.nan


def resampling_weights(settings: int, seeds: int, count: int) -> NDArray[np.float64]:
    """Return how often each minimum is drawn in each resample, shape (count, settings, seeds).

    Whole settings (model, data set, recipe, train size) and whole seeds are drawn, independently
    and with replacement, and a minimum is drawn as often as both (the pigeonhole bootstrap of Owen
    2007, Annals of Applied Statistics 1, 386). Neither the minima of a setting nor those that share
    a seed's examples then count as independent; where they are, the interval is too wide.
    """
    by_setting = _multiplicities("settings", settings, count)
    by_seed = _multiplicities("seeds", seeds, count)
    return by_setting[:, :, None] * by_seed[:, None, :]


def _multiplicities(name: str, size: int, count: int) -> Floats:
    words = streams.bits("ranking", name, size, count=count * size)
    draws = (words % np.uint64(size)).astype(np.int64).reshape(count, size)
    return np.array([np.bincount(draw, minlength=size) for draw in draws], dtype=np.float64)


def resampled_tau(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Return tau-b of resamples, one a row of weights.

    Parameters
    ----------
    x, y
        Finite numbers, shape (minima,).
    weights
        How often each minimum is in a resample, shape (resamples, minima). Copies of a minimum are
        tied in both, so they count for nothing among themselves.

    Returns
    -------
    array
        Shape (resamples,); NaN where a resample has no two different numbers.
    """
    signs_x, signs_y = _signs(x), _signs(y)
    agreed = _pairs(signs_x * signs_y, weights)
    untied = _pairs(np.abs(signs_x), weights) * _pairs(np.abs(signs_y), weights)
    return np.where(untied > 0, agreed / np.sqrt(np.where(untied > 0, untied, 1)), np.nan)


def _signs(values: Floats) -> Floats:
    return np.sign(values[:, None] - values[None, :])


def _pairs(matrix: Floats, weights: Floats) -> Floats:
    total: Floats = np.sum((weights @ matrix) * weights, axis=1)
    return total


def interval(resamples: Floats, probability: float) -> tuple[float, float]:
    """Return the percentile interval of resamples (Efron 1979), NaN without a finite one."""
    found = resamples[np.isfinite(resamples)]
    if not len(found):
        return np.nan, np.nan
    low, high = np.quantile(found, [(1 - probability) / 2, (1 + probability) / 2])
    return float(low), float(high)


def environments(shape: tuple[int, ...], axis: int) -> Iterator[tuple[int | slice, ...]]:
    """Yield an index of each set of minima in which only `axis` varies, and the seed.

    Parameters
    ----------
    shape
        Lengths of the axes, without the seeds.
    axis
        The one that varies.

    Examples
    --------
    >>> list(environments((2, 3), axis=1))
    [(0, slice(None, None, None)), (1, slice(None, None, None))]
    """
    for others in np.ndindex(*shape[:axis], *shape[axis + 1 :]):
        yield (*others[:axis], slice(None), *others[axis:])


def environment_tau(x: Floats, y: Floats) -> float:
    """Return tau within each seed, averaged over seeds.

    Minima are compared with those of the same seed only: they share examples and start.

    Parameters
    ----------
    x, y
        Numbers, shape (settings, seeds); a NaN in either leaves a minimum out.

    Returns
    -------
    float
        NaN where no seed has `MIN_SETTINGS` minima with numbers that differ.
    """
    found = []
    for a, b in zip(x.T, y.T, strict=True):
        both = np.isfinite(a) & np.isfinite(b)
        if both.sum() >= MIN_SETTINGS:
            found.append(tau(a[both], b[both]))
    found = [value for value in found if np.isfinite(value)]
    return float(np.mean(found)) if found else np.nan
