"""Polar coordinates about the minimum: radii along directions, and the mass within them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basins.rays.solve import Radii, solve_radii
from basins.volume.basin import Basin
from basins.volume.measures import Gaussian, Measure

Array = NDArray[np.float64]

TOLERANCE_NATS = 0.01  # of n ln r: a tenth of the workflow's, for points are cheap here
SCAN_POINTS = 24  # a factor 2 apart
FAR = 2.0**12  # times a ray's guessed length: where rays of an unbounded basin are given up
ROUGH_POINTS, ROUGH_NATS = 64, 0.1  # of a search without a guess: its scan, its error of ln r
WIDE = 12.0  # standard deviations that hold all of a Gaussian in float64
DECAY = 45.0  # exp(-45) is below the rounding of float64
BISECTIONS = 20  # of the window's end, to a millionth
QUADRATURE = 64  # nodes of Gauss and Legendre over a window of that width


@dataclass(frozen=True)
class Rays:
    """Where the basin ends along unit directions.

    Attributes
    ----------
    log_radius
        ln r, shape (directions,); infinite where a ray never leaves.
    num_crossings
        Changes of side that the scan saw, shape (directions,).
    num_evaluations
        Losses evaluated.
    """

    log_radius: Array
    num_crossings: NDArray[np.int16]
    num_evaluations: int


def reach(basin: Basin, measure: Measure) -> float:
    """Return a distance beyond which there is nothing to measure; infinite if there is none."""
    if isinstance(measure, Gaussian):
        return min(basin.r_max, gaussian_reach(measure))
    return basin.r_max


def gaussian_reach(measure: Gaussian) -> float:
    """Return a distance from the minimum beyond which there is nothing of a Gaussian."""
    spread = measure.sigma * (np.sqrt(len(measure.shift)) + WIDE)
    return float(np.linalg.norm(measure.shift) + spread)


def solve(basin: Basin, directions: Array, guesses: Array, farthest: float) -> Rays:
    """Solve the radius along unit directions (k, n).

    Parameters
    ----------
    directions
        Unit rows.
    guesses
        Of the radii, shape (k,); they only set where the search begins.
    farthest
        Where rays end; infinite if the basin ends everywhere.

    Raises
    ------
    ValueError
        If `farthest` is infinite and a ray does not leave the basin.
    """
    if np.isfinite(farthest):
        lengths, top = np.full(len(directions), farthest), 1.0
    else:
        lengths, top = guesses, FAR
    found = _search(basin, directions * lengths[:, None], top, SCAN_POINTS, TOLERANCE_NATS)
    log_radius = found.log_radius[:, 0, 0] + np.log(lengths)
    crossings = found.num_crossings[:, 0, 0]
    is_censored = crossings == 0
    if not np.isfinite(farthest) and is_censored.any():
        raise ValueError(
            f"r_max: {is_censored.sum()} of {len(directions)} rays do not leave the basin; "
            "its volume may be infinite: give r_max or the Gaussian measure"
        )
    if farthest < basin.r_max:
        log_radius = np.where(is_censored, np.inf, log_radius)
    return Rays(log_radius, crossings, int(found.num_evaluations.sum()))


def lengths_along(basin: Basin, directions: Array) -> Array:
    """Return rough radii along unit directions (k, n), infinite where a ray never ends."""
    top = min(basin.r_max, 2.0 ** (ROUGH_POINTS // 2))
    found = _search(basin, directions, top, ROUGH_POINTS, ROUGH_NATS * basin.num_parameters)
    is_censored = found.num_crossings[:, 0, 0] == 0
    return np.where(is_censored, np.inf, np.exp(found.log_radius[:, 0, 0]))


def _search(
    basin: Basin, steps: Array, top: float, scan_points: int, tolerance_nats: float
) -> Radii:
    """Solve radii in units of `steps` (k, n), up to `top`."""

    def evaluate(rows: NDArray[np.int64], radii: Array, _count: int, _limits: Array) -> Array:
        return basin.rise(steps[rows] * radii[:, None])[:, None]

    bounds = np.array([[basin.height]])
    count, n = steps.shape
    return solve_radii(
        evaluate, np.zeros(1), bounds, count, n, top, scan_points, tolerance_nats=tolerance_nats
    )


def _end(mode: Array, along: Array, n: int, variance: float) -> Array:
    """Return where r^(n-1) mu(r u) has fallen by exp(-DECAY) from its mode, shape (k,).

    Bisected: it falls as slowly as exp(-r along / variance), where curvature at the mode says less.
    """
    # Its curvature is at least the Gaussian's own.
    low, high = mode, mode + np.sqrt(2 * DECAY * variance)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        fall = ((middle**2 - mode**2) / 2 + along * (middle - mode)) / variance
        if n > 1:
            fall = fall - (n - 1) * np.log(middle / mode)
        is_near = fall < DECAY
        low, high = np.where(is_near, middle, low), np.where(is_near, high, middle)
    return np.asarray(high)


def log_mass_within(measure: Measure, directions: Array, log_radius: Array) -> Array:
    """Return ln of the integral of r^(n-1) mu(r u) dr from 0 to each radius, shape (k,).

    Exact for Lebesgue's measure, r^n / n.
    """
    n = directions.shape[1]
    if not isinstance(measure, Gaussian):
        return np.asarray(n * log_radius - np.log(n))
    squares = float(measure.shift @ measure.shift)
    return log_gaussian_mass_within(
        n, measure.sigma, squares, directions @ measure.shift, log_radius
    )


def log_gaussian_mass_within(
    n: int, sigma: float, shift_squares: float, along: Array, log_radius: Array
) -> Array:
    """Return `log_mass_within` of a Gaussian from what it needs of the directions.

    The integrand is log-concave and smooth: Gauss-Legendre quadrature over the window that holds
    it, to about 1e-10.

    Parameters
    ----------
    n, sigma
        Dimension and standard deviation.
    shift_squares
        Squared distance of the minimum from the Gaussian's center.
    along
        Shift of the minimum along each direction, shape (k,).
    log_radius
        Shape (k,).
    """
    variance = sigma**2
    mode = (-along + np.sqrt(along**2 + 4 * variance * (n - 1))) / 2
    mode = np.maximum(mode, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        upper = np.minimum(np.exp(log_radius), _end(mode, along, n, variance))
        # Of the part below the radius, the window where it is not negligible.
        at = np.minimum(upper, mode)
        spread = 1 / np.sqrt((n - 1) / np.maximum(at, 1e-150) ** 2 + 1 / variance)
        rising = (n - 1) / np.maximum(at, 1e-150) - (at + along) / variance
        width = np.minimum(WIDE * spread, np.where(rising > 0, DECAY / rising, np.inf))
    lower = np.maximum(at - width, 0.0)
    nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE)
    r = lower[:, None] + (upper - lower)[:, None] * (nodes + 1) / 2
    squares = r**2 + 2 * r * along[:, None] + shift_squares
    with np.errstate(divide="ignore"):
        logs = (n - 1) * np.log(r) if n > 1 else np.zeros_like(r)
        logs = logs - squares / (2 * variance) + np.log(weights * (upper - lower)[:, None] / 2)
    peak = logs.max(axis=1)
    total = np.log(np.exp(logs - peak[:, None]).sum(axis=1)) + peak
    return np.asarray(total - n / 2 * np.log(2 * np.pi * variance))
