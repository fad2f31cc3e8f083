"""Radii by bracketing: all landscapes and thresholds of a ray share its evaluations.

In the coordinates x = ln r and f = ln((L - L0) / (c - L0)), with L0 the minimum's own loss, a
quadratic loss is a straight line of slope 2; f is negative inside the basin and positive outside.
Where the loss is hardly above 0 until shortly before the edge, f grows beyond it like a logarithm;
sinh(f / 4) is nearly straight in both cases.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# (direction indices (k,), radii (k,), number of landscapes, limits (k, landscapes)) -> losses (k,
# landscapes); of one that is above its limit any number above will do
Evaluate = Callable[[NDArray[np.int64], Array, int, Array], Array]

TOLERANCE_NATS = 0.1  # of n ln r, DESIGN section 6
MAX_STEPS_INWARD = 10  # ln 4, 2 ln 4, 4 ln 4 and so on: the last radius is 0 in float64
LIMIT = 8.0  # of |f|: beyond it, as where L is infinite or at most L0, only the side counts
BEND = 4.0  # of sinh(f / BEND), in which points are chosen


@dataclass(frozen=True)
class Radii:
    """Where rays first reach the thresholds.

    Attributes
    ----------
    log_radius
        ln r, float64, shape (directions, landscapes, thresholds). A ray that does not cross within
        `r_max` is censored: ln r_max, with no crossing. NaN where the minimum itself is outside.
    num_crossings
        Changes of side seen by the scan, int16, same shape; more than 1: the ray re-enters.
    log_radius_tolerance
        Width of the final bracket in ln r, same shape; 0 where censored.
    num_evaluations
        Passes over each landscape's examples, int64, shape (directions, landscapes); one that was
        given up early counts whole.
    """

    log_radius: Array
    num_crossings: NDArray[np.int16]
    log_radius_tolerance: Array
    num_evaluations: NDArray[np.int64]


class _Search:
    """Brackets of all cells (direction, landscape, threshold), and the evaluations that move them.

    Of each cell, x1 is the newest end of the bracket, x2 the other, x3 the end last replaced; f1,
    f2, f3 are the heights there.
    """

    def __init__(self, evaluate: Evaluate, anchor: Array, bounds: Array, directions: int) -> None:
        shape = (directions, *bounds.shape[-2:])
        self.evaluate = evaluate
        self.anchor = np.broadcast_to(anchor, shape[:2])
        self.bounds = np.broadcast_to(bounds, shape)
        self.is_inside_at_zero = self.anchor[:, :, None] < self.bounds
        self.x1, self.x2, self.x3, self.f1, self.f2, self.f3 = np.full((6, *shape), np.nan)
        self.num_evaluations = np.zeros(shape[:2], dtype=np.int64)

    def heights(
        self,
        rows: NDArray[np.int64],
        x: Array,
        counts: NDArray[np.int64],
        is_side_enough: NDArray[np.bool_] | None = None,
    ) -> Array:
        """Return f at ln r = x for the first `counts` landscapes of each row, NaN for the others.

        Shapes: rows, x, counts (k,); result (k, landscapes, thresholds). In landscapes where only
        the side is asked for, shape (k, landscapes), what is above all thresholds may come out as
        any number above.
        """
        result = np.full((len(rows), *self.bounds.shape[1:]), np.nan)
        limits = np.full(result.shape[:2], np.inf)
        if is_side_enough is not None:
            limits = np.where(is_side_enough, self.bounds[rows].max(axis=2), limits)
        for count in np.unique(counts):
            chosen = np.flatnonzero(counts == count)
            at = rows[chosen], np.exp(x[chosen])
            losses = self.evaluate(*at, int(count), limits[chosen, :count])
            anchor = self.anchor[rows[chosen], :count, None]
            bounds = self.bounds[rows[chosen], :count]
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = (losses[:, :, None] - anchor) / (bounds - anchor)
                height = np.log(np.maximum(ratio, 0))
            height = np.where(np.isfinite(losses)[:, :, None], height, LIMIT)
            result[chosen, :count] = height.clip(-LIMIT, LIMIT)
            self.num_evaluations[rows[chosen], :count] += 1
        return result

    def width(self) -> Array:
        """Return the width of every bracket in ln r."""
        return np.asarray(np.abs(self.x2 - self.x1))


def solve_radii(
    evaluate: Evaluate,
    anchor: Array,
    bounds: Array,
    num_directions: int,
    num_parameters: int,
    r_max: float | Array,
    scan_points: int,
    scan_start: int | NDArray[np.int64] = 0,
    tolerance_nats: float = TOLERANCE_NATS,
) -> Radii:
    """Solve the radius of every direction, landscape and threshold.

    A coarse scan outward finds the first crossing and counts re-entries; Chandrupatla's method
    (1997, Advances in Engineering Software 28, 145) on sinh(f / 4) then narrows the bracket, each
    evaluation serving every cell of its ray whose bracket it falls into.

    Parameters
    ----------
    evaluate
        Losses of directions (by index) at radii, in the first landscapes.
    anchor
        The minimum's own loss in each landscape, shape (M,), or (B, M) if rays have their own.
    bounds
        The loss that bounds each basin, shape (M, T) or (B, M, T).
    num_directions, num_parameters
        B and n; n sets the tolerance, n d(ln r) <= `tolerance_nats`.
    r_max
        Radius at which a ray is censored, a number or shape (B,).
    scan_points
        Points of the scan, a factor 2 apart, the last at `r_max`.
    scan_start
        First point of the scan, a number or shape (B,); a ray that is outside there already is
        followed inward.
    tolerance_nats
        Of n ln r.
    """
    search = _Search(evaluate, anchor, bounds, num_directions)
    farthest = np.broadcast_to(np.log(r_max), num_directions)
    starts = np.broadcast_to(scan_start, num_directions)
    num_crossings = _scan(search, scan_grid(farthest, scan_points), starts)
    _refine(search, tolerance_nats / num_parameters)
    is_crossed = num_crossings > 0
    is_lost = np.isnan(search.x1) & ~np.isnan(search.x2)
    with np.errstate(invalid="ignore"):
        share = search.f1 / (search.f1 - search.f2)
        root = search.x1 + share * (search.x2 - search.x1)
    log_radius = np.where(is_crossed, root, farthest[:, None, None])
    return Radii(
        log_radius=np.where(search.is_inside_at_zero & ~is_lost, log_radius, np.nan),
        num_crossings=num_crossings,
        log_radius_tolerance=np.where(is_crossed, search.width(), 0.0),
        num_evaluations=search.num_evaluations,
    )


def scan_grid(log_r_max: Array, scan_points: int) -> Array:
    """Return ln r of each ray's scan, a factor 2 apart up to ln r_max (B,), shape (B, points)."""
    return np.asarray(log_r_max[:, None] - np.log(2) * np.arange(scan_points - 1, -1, -1))


def pilot_starts(
    evaluate: Evaluate,
    anchor: Array,
    bounds: Array,
    r_max: Array,
    scan_points: int,
    points_at_once: int = 1,
) -> NDArray[np.int64]:
    """Return where scans of minima may start: the last point inside all basins of a first ray.

    A start depends on its minimum alone, never on which directions a shard holds.

    Parameters
    ----------
    evaluate
        Losses along one ray of each minimum, S of them.
    anchor, bounds, r_max
        See `solve_radii`, shapes (S, M), (S, M, T) and (S,).
    scan_points
        Points of the scan.
    points_at_once
        How many are asked for together, where one alone would leave a GPU idle.

    Returns
    -------
    NDArray
        Shape (S,).
    """
    search = _Search(evaluate, anchor, bounds, len(anchor))
    starts = np.full(len(anchor), max(0, scan_points - 2))
    rest = np.arange(len(anchor))
    grid = scan_grid(np.log(r_max), scan_points)
    for first in range(0, scan_points, points_at_once):
        x = grid[rest, first : first + points_at_once]
        rows = np.repeat(rest, x.shape[1])
        height = search.heights(rows, x.ravel(), np.full(len(rows), anchor.shape[1]))
        is_outside = (search.is_inside_at_zero[rows] & (height > 0)).any(axis=(1, 2))
        by_ray = np.asarray(is_outside).reshape(x.shape)
        is_found = np.asarray(by_ray.any(axis=1))
        index = first + by_ray.argmax(axis=1)
        starts[rest[is_found]] = np.maximum(0, index[is_found] - 1)
        rest = rest[~is_found]
        if not len(rest):
            break
    return starts


def _scan(search: _Search, grid: Array, starts: NDArray[np.int64]) -> NDArray[np.int16]:
    """Walk outward over each ray's `grid`, ln r of shape (rays, points), from point `starts` on.

    Sets the first brackets and returns the crossings seen.
    """
    shape = search.is_inside_at_zero.shape
    num_crossings = np.zeros(shape, dtype=np.int16)
    was_outside = np.zeros(shape, dtype=bool)
    is_settled = ~search.is_inside_at_zero
    last_x = np.full(shape[0], np.nan)
    last_f = np.full(shape, np.nan)
    for index in range(starts.min(initial=0), grid.shape[1]):
        rows, counts = _unsettled(is_settled | (starts > index)[:, None, None])
        if not len(rows):
            if index >= starts.max(initial=0):
                break
            continue
        x = grid[rows, index]
        # A cell left once already has its bracket: what is still open is whether the ray re-enters.
        is_known = np.asarray((was_outside | is_settled)[rows].all(axis=2))
        height = search.heights(rows, x, counts, is_known)
        seen = ~np.isnan(height) & ~is_settled[rows]
        is_outside = seen & (height > 0)
        changed = seen & (is_outside != was_outside[rows])
        is_first = changed & (num_crossings[rows] == 0)
        _set(search.x1, rows, is_first, last_x[rows][:, None, None])
        _set(search.f1, rows, is_first, last_f[rows])
        _set(search.x2, rows, is_first, x[:, None, None])
        _set(search.f2, rows, is_first, height)
        num_crossings[rows] += changed.astype(np.int16)
        # Two points outside in a row end the scan of a cell.
        is_settled[rows] |= is_outside & was_outside[rows]
        was_outside[rows] = np.where(seen, is_outside, was_outside[rows])
        last_x[rows] = x
        last_f[rows] = np.where(seen, height, last_f[rows])
    _go_inward(search, num_crossings, grid[np.arange(len(grid)), starts])
    return num_crossings


def _go_inward(search: _Search, num_crossings: NDArray[np.int16], first: Array) -> None:
    """Find a point inside for the cells that were outside at the scan's first point (rays,)."""
    step = np.log(4.0)
    lower = first.copy()
    for _ in range(MAX_STEPS_INWARD):
        is_open = (num_crossings > 0) & np.isnan(search.x1)
        rows, counts = _unsettled(~is_open)
        if not len(rows):
            return
        lower -= step
        x = lower[rows][:, None, None]
        height = search.heights(rows, lower[rows], counts)
        open_rows = is_open[rows]
        is_inside = open_rows & (height <= 0)
        _set(search.x1, rows, is_inside, x)
        _set(search.f1, rows, is_inside, height)
        is_outside = open_rows & (height > 0)
        _set(search.x2, rows, is_outside, x)
        _set(search.f2, rows, is_outside, height)
        step *= 2
    # Outside at the minimum itself: its loss is the threshold to rounding. No radius, as above it.
    num_crossings[(num_crossings > 0) & np.isnan(search.x1)] = 0


def _refine(search: _Search, tolerance: float) -> None:
    while True:
        with np.errstate(invalid="ignore"):
            is_open = search.width() > tolerance
        rows, counts = _unsettled(~is_open)
        if not len(rows):
            return
        # Each ray moves the first open threshold of its largest open landscape.
        landscape = counts - 1
        threshold = is_open[rows, landscape].argmax(axis=1)
        x = _propose(search, (rows, landscape, threshold), tolerance)
        height = search.heights(rows, x, counts)
        _move(search, rows, x[:, None, None], height)


def _propose(search: _Search, cell: tuple[NDArray[np.int64], ...], tolerance: float) -> Array:
    x1, x2, x3 = search.x1[cell], search.x2[cell], search.x3[cell]
    f1, f2, f3 = (np.sinh(f[cell] / BEND) for f in (search.f1, search.f2, search.f3))
    with np.errstate(invalid="ignore", divide="ignore"):
        xi = (x1 - x2) / (x3 - x2)
        phi = (f1 - f2) / (f3 - f2)
        inverse_quadratic = f1 / (f2 - f1) * f3 / (f2 - f3) + (x3 - x1) / (x2 - x1) * f1 / (
            f3 - f1
        ) * f2 / (f3 - f2)
        is_smooth = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi)
        t = np.where(is_smooth, inverse_quadratic, 0.5)
        # The first step is a secant: in these coordinates the loss is nearly straight.
        t = np.where(np.isnan(x3), f1 / (f1 - f2), t)
    # At least half a tolerance from either end, so that the far end of the bracket follows.
    least = np.minimum(0.5 * tolerance / np.abs(x2 - x1), 0.5)
    return np.asarray(x1 + np.clip(t, least, 1 - least) * (x2 - x1))


def _move(search: _Search, rows: NDArray[np.int64], x: Array, height: Array) -> None:
    """Put an evaluated point into every bracket of its rays that holds it."""
    x1, x2, f1, f2 = (a[rows] for a in (search.x1, search.x2, search.f1, search.f2))
    with np.errstate(invalid="ignore"):
        is_held = (x > np.minimum(x1, x2)) & (x < np.maximum(x1, x2)) & ~np.isnan(height)
        on_first_side = (height > 0) == (f1 > 0)
    for third, first, second in ((search.x3, x1, x2), (search.f3, f1, f2)):
        _set(third, rows, is_held, np.where(on_first_side, first, second))
    for other, first in ((search.x2, x1), (search.f2, f1)):
        _set(other, rows, is_held & ~on_first_side, first)
    _set(search.x1, rows, is_held, x)
    _set(search.f1, rows, is_held, height)


def _unsettled(is_settled: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows that have work left, and how many landscapes each needs evaluated."""
    has_work: NDArray[np.bool_] = np.asarray(~is_settled.all(axis=2))
    rows = np.flatnonzero(has_work.any(axis=1))
    counts = has_work.shape[1] - has_work[rows, ::-1].argmax(axis=1)
    return rows, counts


def _set(
    array: Array, rows: NDArray[np.int64], where: NDArray[np.bool_], value: Array | float
) -> None:
    array[rows] = np.where(where, value, array[rows])
