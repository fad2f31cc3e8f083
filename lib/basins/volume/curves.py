"""Curves through points, and slice sampling along them.

A law restricted to a curve through the current point is drawn from by Neal's slice sampling (2003,
Annals of Statistics 31, 705, figures 3 and 5): a bracket steps out until both ends are outside,
then shrinks towards the current point until a draw falls inside. Exact for any bracket, so no root
has to be solved; the bracket's width only sets the cost.

A bracket may hold other parts of the set than the one it began in: a circle may be bracketed whole.
Where chains must stay in one part, a draw counts only if points spread evenly over the way there
are inside too, along the curve or else straight; if not the chain stays where it is. The same
points are asked about on the way back, so the law is kept (Metropolis), and no gap wider than their
spacing is ever crossed.

Every curve lies in a plane through the minimum, a(t) x + b(t) y, so that what a quadratic energy
does along it are five numbers, and what a network's first layer does are two products.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from basins.volume.forces import Forces, square

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
# Maps positions, shares of the ways to them and which curves to points (positions, n).
Way = Callable[[Array, Array, Rows], Array]

CURVES = ("circle", "ray", "chord")
MAX_STEPS_OUT = 64  # brackets that start far too narrow are widened by tuning instead
MAX_SHRINKS = 100  # by then the bracket is a rounding error wide
MAX_LOOKS = 16  # between two points, however far apart
NUM_UNIFORMS = 2 + MAX_SHRINKS  # of one draw


@dataclass(frozen=True)
class Moves:
    """Moves of chains along curves of one kind, and the random numbers that decide them.

    Attributes
    ----------
    kind
        One of `CURVES`.
    forces
        Whose potential the law's density is exp(-potential) of, inside the basin; no loss in it.
    z, offsets
        Where chains are, and A z, shape (k, n).
    w
        Directions in z, shape (k, n); a circle goes through what of them is at right angles to z, a
        ray needs none.
    exponentials, uniforms
        Shapes (k,) and (k, NUM_UNIFORMS).
    width
        Of the brackets to begin with.
    spacing
        Of the points on the way that must be inside too; infinite where chains may jump.
    """

    kind: str
    forces: Forces
    z: Array
    offsets: Array
    w: Array
    exponentials: Array
    uniforms: Array
    width: float
    spacing: float

    @property
    def power(self) -> int:
        """The power of e^t by which the measure grows along the curve."""
        return self.z.shape[1] if self.kind == "ray" else 0

    @property
    def bracket(self) -> tuple[float, float]:
        """The first bracket's width, and the widest that makes sense."""
        if self.kind != "circle":
            return self.width, np.inf
        # A bracket that would close around the circle begins with all of it.
        return (self.width if self.width < np.pi / 2 else 2 * np.pi), 2 * np.pi


@dataclass(frozen=True)
class Moved:
    """Where moves ended.

    Attributes
    ----------
    z, offsets
        Shape (k, n).
    positions
        On the curves, shape (k,).
    num_evaluations
        Points at which the basin was asked.
    """

    z: Array
    offsets: Array
    positions: Array
    num_evaluations: int


class Lines(Protocol):
    """Curves through points and the laws on them, as slice sampling asks for them."""

    @property
    def x(self) -> Array:
        """Where each curve is at position 0, shape (k, n)."""

    @property
    def width(self) -> float:
        """Width of the first bracket."""

    @property
    def widest(self) -> float:
        """Width of a bracket that holds the whole curve; none grows beyond."""

    @property
    def ways(self) -> tuple[Way, ...]:
        """Ways from position 0 to others."""

    def points(self, t: Array, rows: Rows) -> Array:
        """Return the points at positions `t` on the curves `rows`, shape (positions, n)."""

    def is_low(self, t: Array, rows: Rows) -> NDArray[np.bool_]:
        """Tell where the law's energy is below the curve's level."""


@dataclass(frozen=True)
class Curves:
    """Curves a(t) x + b(t) y, t = 0 at x, and the law on each: exp(-energy + power t) inside.

    Attributes
    ----------
    kind
        `circle`: (cos t, sin t), `ray`: (e^t, 0), `chord`: (1, t).
    x, y
        Points and directions relative to the minimum, shape (k, n); a ray has no y.
    energy
        Coefficients of a^2, a b, b^2, a and b in the law's energy, shape (k, 5).
    squares
        Coefficients of a^2, a b and b^2 in the squared distance from the minimum, shape (k, 3).
    power
        n for a ray, along which the measure grows as r^(n-1) dr = r^n d(ln r), else 0.
    levels
        Of energy - power t, below which a draw must lie, shape (k,).
    width
        Of the first bracket.
    widest
        A bracket of this width holds the whole curve; it never grows beyond.
    """

    kind: str
    x: Array
    y: Array
    energy: Array
    squares: Array
    power: int
    levels: Array
    width: float
    widest: float

    def at(self, t: Array) -> tuple[Array, Array]:
        """Return a and b at positions, each of their shape."""
        if self.kind == "circle":
            return np.cos(t), np.sin(t)
        if self.kind == "ray":
            return np.exp(t), np.zeros_like(t)
        return np.ones_like(t), t

    def points(self, t: Array, rows: Rows) -> Array:
        """Return the points at positions `t` on the curves `rows`, shape (positions, n)."""
        return combined(self, t, self.x[rows], self.y[rows] if self.kind != "ray" else self.y)

    @property
    def ways(self) -> tuple[Way, ...]:
        """Along the curve, and straight where that is another way."""
        return (self.along, self.straight) if self.kind == "circle" else (self.along,)

    def along(self, t: Array, share: Array, rows: Rows) -> Array:
        """Return points on the way along the curve."""
        return self.points(share * t, rows)

    def straight(self, t: Array, share: Array, rows: Rows) -> Array:
        """Return points on the straight way."""
        return (1 - share)[:, None] * self.x[rows] + share[:, None] * self.points(t, rows)

    def is_low(self, t: Array, rows: Rows) -> NDArray[np.bool_]:
        """Tell where energy - power t is below the curve's level."""
        a, b = self.at(t)
        terms = np.stack([a * a, a * b, b * b, a, b])
        energies = np.einsum("ij,ji->i", self.energy[rows], terms)
        return np.asarray(energies - self.power * t < self.levels[rows])


def combined(curves: Curves, t: Array, x: Array, y: Array) -> Array:
    """Return a(t) x + b(t) y for rows of `x` and `y`, in whatever coordinates they are."""
    a, b = curves.at(t)
    if curves.kind == "ray":
        return np.asarray(a[:, None] * x)
    return np.asarray(a[:, None] * x + b[:, None] * y)


def slice_draw(
    curves: Lines,
    uniforms: Array,
    is_inside: Callable[[Array], NDArray[np.bool_]],
    spacing: float,
) -> tuple[Array, int]:
    """Draw a position on each curve from what is inside, or stay at position 0.

    Parameters
    ----------
    curves
        The curves, k of them.
    uniforms
        In [0, 1), shape (k, NUM_UNIFORMS).
    is_inside
        Which points, relative to the minimum (some, n), are inside.
    spacing
        See `Moves`.

    Returns
    -------
    tuple
        Positions, shape (k,), and how many points `is_inside` was asked about.
    """
    asked = 0

    def is_good(t: Array, rows: Rows) -> NDArray[np.bool_]:
        nonlocal asked
        good = curves.is_low(t, rows)
        chosen = np.flatnonzero(good)
        if len(chosen):
            asked += len(chosen)
            good[chosen] = is_inside(curves.points(t[chosen], rows[chosen]))
        return good

    width, count = curves.width, len(curves.x)
    left = -width * uniforms[:, 0]
    right = left + width
    # Neal's rule: the steps allowed are shared at random between the ends.
    num_steps = int(min(MAX_STEPS_OUT, curves.widest / width)) - 1
    steps_left = (uniforms[:, 1] * (num_steps + 1)).astype(np.int64)
    steps = {-1: steps_left, 1: num_steps - steps_left}
    is_open = {side: steps[side] > 0 for side in (-1, 1)}
    while is_open[-1].any() or is_open[1].any():
        rows = {side: np.flatnonzero(is_open[side]) for side in (-1, 1)}
        ends = np.concatenate([left[rows[-1]], right[rows[1]]])
        inside = is_good(ends, np.concatenate([rows[-1], rows[1]]))
        for side, found in ((-1, inside[: len(rows[-1])]), (1, inside[len(rows[-1]) :])):
            end = left if side < 0 else right
            end[rows[side][found]] += side * width
            steps[side][rows[side]] -= 1
            is_open[side][rows[side]] = found & (steps[side][rows[side]] > 0)
    result = np.zeros(count)
    rest = np.arange(count)
    for shrink in range(MAX_SHRINKS):
        if not len(rest):
            break
        t = left[rest] + (right[rest] - left[rest]) * uniforms[rest, 2 + shrink]
        inside = is_good(t, rest)
        result[rest[inside]] = t[inside]
        missed = rest[~inside]
        below = t[~inside] < 0
        left[missed[below]] = t[~inside][below]
        right[missed[~below]] = t[~inside][~below]
        rest = missed
    is_cut_off, looked = cut_off(curves, result, is_inside, spacing)
    result[is_cut_off] = 0.0
    return result, asked + looked


def cut_off(
    curves: Lines,
    t: Array,
    is_inside: Callable[[Array], NDArray[np.bool_]],
    spacing: float,
) -> tuple[NDArray[np.bool_], int]:
    """Tell which positions (k,) no way leads to, and about how many points it took asking."""
    looks = np.minimum(np.abs(t) / spacing, MAX_LOOKS).astype(np.int64)
    is_lost, asked = looks > 0, 0
    for way in curves.ways:
        tried = np.flatnonzero(is_lost)
        is_lost[tried] = False
        for look in range(1, int(looks[tried].max(initial=0)) + 1):
            rows = tried[(looks[tried] >= look) & ~is_lost[tried]]
            asked += len(rows)
            is_lost[rows] = ~is_inside(way(t[rows], look / (looks[rows] + 1), rows))
    return is_lost, asked


def move_along(moves: Moves, is_inside: Callable[[Array], NDArray[np.bool_]]) -> Moved:
    """Move every chain along its curve; `is_inside` as in `slice_draw`."""
    z, x, w = moves.z, moves.offsets, moves.w
    if moves.kind == "circle":
        squares = np.einsum("ki,ki->k", z, z)
        w = w - (np.einsum("ki,ki->k", w, z) / squares)[:, None] * z
        w *= np.sqrt(squares / np.einsum("ki,ki->k", w, w))[:, None]
    y = x if moves.kind == "ray" else moves.forces.shape.apply(w)
    energy = moves.forces.along(z, w, x, y)
    # At the start a = 1 and b = 0.
    levels = energy[:, 0] + energy[:, 3] + moves.exponentials
    width, widest = moves.bracket
    curves = Curves(moves.kind, x, y, energy, square(x, y), moves.power, levels, width, widest)
    t, asked = slice_draw(curves, moves.uniforms, is_inside, moves.spacing)
    return Moved(combined(curves, t, z, w), combined(curves, t, x, y), t, asked)
