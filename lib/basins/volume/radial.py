"""The step from the last tempered law to the basin, integrated along the rays of its draws.

V = Z E[exp(target) 1(inside)] under the law exp(-target - energy). Of its draws only one in n^(1/2)
or so lies inside and near enough to the edge to count. But each can stand for the stretch of its
ray around it. Let it be node j of a lattice of K in ln r, d apart, j at random: knowing the lattice
only, the draw is node k with probability in proportion to p_k = r_k^n exp(-target - energy). And
exp(target) 1(inside) r^n exp(-energy) may be replaced by its mean over ln r from a node to the
next, as lattices fall anywhere. What a draw weighs is then

    integral of 1(inside) r^n exp(-energy) d ln r over the lattice / (d sum of p_k),

of the same expectation, whatever the loss does along the ray, and of less variance (Rao 1945,
Blackwell 1947): of next to none where loss and energy are powers of r. What lies beyond a lattice
is for other draws to find.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from basins.volume.basin import Basin
from basins.volume.hmc import Tempered

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

NUM_CELLS = 13  # of a lattice
# Of a cell, times n^(-1/2): 0.8 standard deviations of ln r where the loss goes as r^2.
STEP, MOST_STEP = 0.55, 0.2
MAX_REFINEMENTS = 12  # of a crossing between two nodes
MAX_OFF = 1e-3  # nats by which it may be off
ROUNDING = 1e-6  # of ln(rise) in float32
NUM_PARTS = 16  # of the stretch between two nodes, each with a log-linear integrand
LIMIT = 30.0  # |ln(rise / height)| beyond which a rise does not say where it crosses
TINY = 1e-300


@dataclass(frozen=True)
class RayWeights:
    """What draws weigh; arrays of shape (k,).

    Attributes
    ----------
    log_weights
        ln of the mean of exp(target) 1(inside) over the lattice; -inf where none of it is inside.
    exponents, radius_exponents
        d ln(weight) / d ln(height) and d ln(weight) / d ln(r_max).
    edges
        Where on the ray the last stretch inside ends, the draw being at 1; 0 where there is none.
    num_evaluations
        Losses evaluated.
    """

    log_weights: Array
    exponents: Array
    radius_exponents: Array
    edges: Array
    num_evaluations: int


@dataclass(frozen=True)
class Rays:
    """Rays through `offsets` (k, n), and the measure's energy on them: quadratic r^2 + linear r."""

    basin: Basin
    offsets: Array
    quadratic: Array
    linear: Array

    def ratios(self, t: Array, rows: Rows) -> Array:
        """Return rise / height at ln r = t on the rays `rows`."""
        return self.basin.rise(np.exp(t)[:, None] * self.offsets[rows]) / self.basin.height

    def log_density(self, t: Array, rows: Rows) -> Array:
        """Return ln of r^n exp(-energy) at ln r = t on the rays `rows`; both broadcast."""
        r = np.exp(t)
        energy = (self.quadratic[rows] * r + self.linear[rows]) * r
        return np.asarray(self.offsets.shape[1] * t - energy)


def ray_weights(law: Tempered, offsets: Array, rng: np.random.Generator) -> RayWeights:
    """Integrate along the rays through draws of a law at s = 1.

    Parameters
    ----------
    law
        The laws of the path.
    offsets
        Draws relative to the minimum, shape (k, n).
    rng
        Places the lattices.
    """
    basin, (count, n) = law.basin, offsets.shape
    squares = np.einsum("ki,ki->k", offsets, offsets)
    rays = Rays(
        basin,
        offsets,
        quadratic=law.measure.stiffness / 2 * squares,
        linear=offsets @ law.measure.force(np.zeros(n)),
    )
    everyone = np.arange(count)
    step = min(STEP / np.sqrt(n), MOST_STEP)
    t = step * (np.arange(NUM_CELLS + 1) - rng.integers(NUM_CELLS, size=(count, 1)))
    ratios = np.stack([rays.ratios(column, everyone) for column in t.T], axis=1)
    target = law.beta * basin.height * ratios
    target += law.gamma / 2 * squares[:, None] * np.exp(2 * t)
    nodes = rays.log_density(t, everyone[:, None]) - target
    log_whole = logsumexp(nodes[:, :-1], axis=1) + np.log(step)

    low, high, exits, num_evaluations = _stretches(rays, t, _log(ratios))
    end = np.log(basin.r_max) - np.log(np.maximum(squares, TINY)) / 2
    is_cut = (low < end[:, None]) & (end[:, None] < high)
    low, high = np.minimum(low, end[:, None]), np.minimum(high, end[:, None])
    log_inside = _log_integral(rays, low, high)

    exponents, radius_exponents = np.zeros((2, count))
    rows, crossings, slopes = exits
    felt = np.isfinite(log_inside[rows]) & (crossings < end[rows])
    rows, crossings, slopes = rows[felt], crossings[felt], slopes[felt]
    densities = np.exp(rays.log_density(crossings, rows) - log_inside[rows])
    np.add.at(exponents, rows, densities / np.abs(slopes))
    rows = np.flatnonzero(is_cut.any(axis=1) & np.isfinite(log_inside))
    radius_exponents[rows] = np.exp(rays.log_density(end[rows], rows) - log_inside[rows])
    return RayWeights(
        log_weights=log_inside - log_whole,
        exponents=exponents,
        radius_exponents=radius_exponents,
        edges=np.where(high > low, np.exp(high), 0.0).max(axis=1),
        num_evaluations=count * (NUM_CELLS + 1) + num_evaluations,
    )


def _log(ratios: Array) -> Array:
    return np.clip(np.log(np.maximum(ratios, TINY)), -LIMIT, LIMIT)


def _stretches(
    rays: Rays, t: Array, ratios: Array
) -> tuple[Array, Array, tuple[Rows, Array, Array], int]:
    """Return the stretches below the threshold, one at most between two nodes, and the crossings.

    Parameters
    ----------
    rays
        k of them.
    t, ratios
        Nodes of ln r and ln(rise / height) there, shape (k, nodes).

    Returns
    -------
    tuple
        Where stretches begin and end, shape (k, nodes - 1), empty ones with both the same; of every
        crossing its ray, ln r, and the slope of ln(rise / height) there; losses evaluated.
    """
    is_low = ratios < 0
    rows, cells = np.nonzero(is_low[:, :-1] != is_low[:, 1:])
    first, last = t[rows, cells], t[rows, cells + 1]
    at_first, at_last = ratios[rows, cells], ratios[rows, cells + 1]
    crossings, num_evaluations = _false_position(rays, rows, first, last, at_first, at_last)
    # The slope of the parabola through the crossing and both nodes.
    before, after = np.maximum(crossings - first, TINY), np.maximum(last - crossings, TINY)
    slopes = (-at_first / before * after + at_last / after * before) / (before + after)
    low, high = t[:, :-1].copy(), t[:, 1:].copy()
    is_out = is_low[rows, cells]
    high[rows[is_out], cells[is_out]] = crossings[is_out]
    low[rows[~is_out], cells[~is_out]] = crossings[~is_out]
    is_empty = ~is_low[:, :-1] & ~is_low[:, 1:]
    high[is_empty] = low[is_empty]
    return low, high, (rows, crossings, slopes), num_evaluations


def _false_position(
    rays: Rays, rows: Rows, left: Array, right: Array, at_left: Array, at_right: Array
) -> tuple[Array, int]:
    """Return ln r where rays cross the threshold between two points, and how many losses it took.

    By false position, as ln(rise) is nearly straight in ln r; halving where a value is at its limit
    and only says on which side it is.
    """
    n = rays.offsets.shape[1]
    result, num_evaluations = np.empty_like(left), 0
    todo = np.arange(len(rows))
    for _ in range(MAX_REFINEMENTS):
        slopes = (at_right - at_left) / (right - left)
        is_known = (np.abs(at_left) < LIMIT) & (np.abs(at_right) < LIMIT)
        result[todo] = np.where(is_known, left - at_left / slopes, (left + right) / 2)
        found = _log(rays.ratios(result[todo], rows[todo]))
        num_evaluations += len(todo)
        is_left = (found < 0) == (at_left < 0)
        left, at_left = np.where(is_left, result[todo], left), np.where(is_left, found, at_left)
        right, at_right = np.where(is_left, right, result[todo]), np.where(is_left, at_right, found)
        off = np.where(is_known, np.abs(found / slopes), right - left)
        is_open = (n * off > MAX_OFF) & (np.abs(found) > ROUNDING)
        todo, left, right = todo[is_open], left[is_open], right[is_open]
        at_left, at_right = at_left[is_open], at_right[is_open]
        if not len(todo):
            break
    return result, num_evaluations


def _log_integral(rays: Rays, low: Array, high: Array) -> Array:
    """Return ln of the integral of r^n exp(-energy) d ln r over each ray's stretches, shape (k,).

    Log-linear in parts, which is exact for Lebesgue's measure.
    """
    parts = np.linspace(0, 1, NUM_PARTS + 1)
    t = low[..., None] + (high - low)[..., None] * parts
    values = rays.log_density(t, np.arange(len(low))[:, None, None])
    change = np.abs(np.diff(values, axis=2))
    with np.errstate(divide="ignore"):
        # (1 - exp(-change)) / change times the width, of the larger end.
        mean = np.where(change > 1e-8, -np.expm1(-change) / np.maximum(change, 1e-8), 1.0)
        logs = np.log(np.diff(t, axis=2)) + np.log(mean)
    logs = logs + np.maximum(values[..., 1:], values[..., :-1])
    return np.asarray(logsumexp(logs.reshape(len(low), -1), axis=1))
