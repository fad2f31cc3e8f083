"""Moves that need no gradient: along chords, circles and rays, by slice sampling.

A move restricts the law to a curve through the current point and draws from it by Neal's slice
sampling (2003, Annals of Statistics 31, 705, figures 3 and 5): a bracket steps out until both ends
are outside, then shrinks towards the current point until a draw falls inside. Exact for any
bracket, so no root has to be solved; the bracket's width only sets the cost. A step never crosses a
gap wider than the bracket, so chains stay in the connected set that they started in.

Three curves, in coordinates z in which the basin is nearly round:

- `circle` around the minimum: |z| stays, every coordinate changes at once. For a body whose log
  radius varies by tau / n over the sphere it takes about tau^2 moves to forget; a straight chord
  takes n, since in high dimension all volume lies near the boundary.
- `ray` from the minimum through the point.
- `chord`, straight and in a random direction (hit-and-run: Smith 1984), for sets that circles and
  rays cannot walk through.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basins.directions.preconditioner import Preconditioner
from basins.volume.basin import Basin
from basins.volume.measures import Measure

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
# (positions on the curves (k,), whose curves (k,)) -> which are inside (k,)
Test = Callable[[Array, Rows], NDArray[np.bool_]]

CURVES = ("circle", "ray", "chord")
MAX_STEPS_OUT = 64  # brackets that start far too narrow are widened by tuning instead
MAX_SHRINKS = 100  # by then the bracket is a rounding error wide


@dataclass(frozen=True)
class Law:
    """The uniform law on a basin, or the measure restricted to it, narrowed by exp(-tilt |z|^2/2).

    Attributes
    ----------
    basin, measure
        What is measured.
    shape
        The matrix A of x = A z, x relative to the minimum.
    tilt
        Weight of |z|^2 / 2.
    """

    basin: Basin
    measure: Measure
    shape: Preconditioner
    tilt: float

    def energy(self, z: Array, offsets: Array) -> Array:
        """Return minus the log density inside the basin, shape (k,)."""
        squares = np.einsum("ki,ki->k", z, z)
        return np.asarray(self.tilt / 2 * squares + self.measure.energy(offsets))


@dataclass
class Chains:
    """Current points of independent chains, and what it cost to get there.

    Attributes
    ----------
    z, offsets
        Points and A z, shape (chains, n).
    widths
        Bracket width by curve.
    num_evaluations
        Points at which the basin was asked.
    """

    z: Array
    offsets: Array
    widths: dict[str, float]
    num_evaluations: int = 0


def first_widths(num_parameters: int) -> dict[str, float]:
    """Return bracket widths to begin with, of the curves there are in n dimensions."""
    if num_parameters == 1:
        return {"chord": 1.0}
    return dict(zip(CURVES, (1.0, 2.0 / num_parameters, 1.0), strict=True))


def sweep(law: Law, chains: Chains, rng: np.random.Generator, is_tuned: bool) -> None:
    """Move every chain once along each curve that it has a width for."""
    for curve in list(chains.widths):
        move(law, chains, curve, rng, is_tuned)


def move(law: Law, chains: Chains, curve: str, rng: np.random.Generator, is_tuned: bool) -> None:
    """Move every chain once along `curve`.

    With `is_tuned` the width of later brackets follows the steps taken, three times their mean
    length, which is a segment's length where the law on it is uniform.
    """
    z, offsets = chains.z, chains.offsets
    count, n = z.shape
    other, along = np.empty(0), np.empty(0)
    if curve != "ray":
        other = rng.standard_normal((count, n))
        if curve == "circle":
            squares = np.einsum("ki,ki->k", z, z)
            other -= (np.einsum("ki,ki->k", other, z) / squares)[:, None] * z
            norms = np.einsum("ki,ki->k", other, other)
            other *= np.sqrt(squares / norms)[:, None]
        along = law.shape.apply(other)

    def place(start: Array, direction: Array, t: Array, rows: Rows) -> Array:
        if curve == "ray":
            return np.asarray(start[rows] * np.exp(t)[:, None])
        if curve == "circle":
            return np.asarray(
                start[rows] * np.cos(t)[:, None] + direction[rows] * np.sin(t)[:, None]
            )
        return np.asarray(start[rows] + direction[rows] * t[:, None])

    # A ray's measure grows as r^(n-1) dr = r^n d(ln r).
    power = n if curve == "ray" else 0
    level = law.energy(z, offsets) + rng.exponential(size=count)

    def is_inside(t: Array, rows: Rows) -> NDArray[np.bool_]:
        points = place(offsets, along, t, rows)
        is_high = law.energy(place(z, other, t, rows), points) - power * t < level[rows]
        inside = np.zeros(len(t), dtype=np.bool_)
        chosen = np.flatnonzero(is_high)
        if len(chosen):
            chains.num_evaluations += len(chosen)
            inside[chosen] = law.basin.is_inside(points[chosen])
        return inside

    width, widest = chains.widths[curve], np.inf
    if curve == "circle":
        widest = 2 * np.pi
        # A bracket that would close around the circle begins with all of it.
        width = width if width < widest / 4 else widest
    t = slice_draw(is_inside, count, width, widest, rng)
    rows = np.arange(count)
    chains.z, chains.offsets = place(z, other, t, rows), place(offsets, along, t, rows)
    if is_tuned:
        mean = 3 * float(np.abs(t).mean())
        if mean > 0:
            chains.widths[curve] = float(np.sqrt(chains.widths[curve] * mean))


def slice_draw(
    is_inside: Test, count: int, width: float, widest: float, rng: np.random.Generator
) -> Array:
    """Draw a position on each of `count` curves from the segment that holds position 0.

    Parameters
    ----------
    is_inside
        Which positions are inside.
    count
        How many curves.
    width
        Of the first bracket, put around 0 at random.
    widest
        A bracket of this width holds the whole curve; it never grows beyond.

    Returns
    -------
    Array
        Positions, shape (count,).
    """
    left = -width * rng.random(count)
    right = left + width
    # Neal's rule: the steps allowed are shared at random between the ends.
    num_steps = int(min(MAX_STEPS_OUT, widest / width)) - 1
    steps_left = rng.integers(0, num_steps + 1, count)
    steps = {-1: steps_left, 1: num_steps - steps_left}
    is_open = {side: steps[side] > 0 for side in (-1, 1)}
    while is_open[-1].any() or is_open[1].any():
        rows = {side: np.flatnonzero(is_open[side]) for side in (-1, 1)}
        ends = np.concatenate([left[rows[-1]], right[rows[1]]])
        inside = is_inside(ends, np.concatenate([rows[-1], rows[1]]))
        for side, found in ((-1, inside[: len(rows[-1])]), (1, inside[len(rows[-1]) :])):
            end = left if side < 0 else right
            end[rows[side][found]] += side * width
            steps[side][rows[side]] -= 1
            is_open[side][rows[side]] = found & (steps[side][rows[side]] > 0)
    result = np.zeros(count)
    rest = np.arange(count)
    for _ in range(MAX_SHRINKS):
        if not len(rest):
            break
        t = left[rest] + (right[rest] - left[rest]) * rng.random(len(rest))
        inside = is_inside(t, rest)
        result[rest[inside]] = t[inside]
        missed = rest[~inside]
        below = t[~inside] < 0
        left[missed[below]] = t[~inside][below]
        right[missed[~below]] = t[~inside][~below]
        rest = missed
    return result
