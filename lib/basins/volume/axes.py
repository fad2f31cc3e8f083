"""Moves along one axis of z for all chains at once: z changes in one coordinate, A z by one column.

The same slice sampling as along other curves, but what a chord along an axis does to energies and
points is known from one coordinate and one column, so a move costs little beside its losses.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basins.volume.curves import Rows, Way, slice_draw
from basins.volume.forces import Forces

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """Lines x + t column, t = 0 at x, and the law on each: exp(-slope t - bend t^2 / 2) inside.

    Attributes
    ----------
    x
        Points relative to the minimum, shape (k, n).
    column
        Of A, but for zeros: its numbers `support`, or all.
    support
        Which coordinates of x it changes.
    slopes, bend
        Of the law's energy, shape (k,) and a number.
    levels
        Of the energy above that at t = 0, below which a draw must lie, shape (k,).
    width
        Of the first bracket.
    """

    x: Array
    column: Array
    support: Rows | slice
    slopes: Array
    bend: float
    levels: Array
    width: float
    widest: float = np.inf

    def points(self, t: Array, rows: Rows) -> Array:
        """Return the points at positions `t` on the lines `rows`, shape (positions, n)."""
        points = self.x[rows]
        points[:, self.support] += t[:, None] * self.column
        return points

    @property
    def ways(self) -> tuple[Way, ...]:
        """The only one there is."""
        return (lambda t, share, rows: self.points(share * t, rows),)

    def is_low(self, t: Array, rows: Rows) -> NDArray[np.bool_]:
        """Tell where the energy is below the line's level."""
        return np.asarray((self.slopes[rows] + self.bend / 2 * t) * t < self.levels[rows])


def move_along_axis(
    forces: Forces,
    z: Array,
    offsets: Array,
    index: int,
    exponentials: Array,
    uniforms: Array,
    width: float,
    spacing: float,
    is_inside: Callable[[Array], NDArray[np.bool_]],
) -> tuple[Array, int]:
    """Move every chain along axis `index` of z, in place.

    Parameters
    ----------
    forces
        Whose potential the law's density is exp(-potential) of, inside the basin; no loss in it.
    z, offsets
        Where chains are, and A z, shape (k, n); both are changed.
    index
        Of the axis.
    exponentials, uniforms, width, spacing, is_inside
        See `curves.Moves` and `curves.slice_draw`.

    Returns
    -------
    tuple
        How far chains moved, shape (k,), and how many points `is_inside` was asked about.
    """
    one = np.zeros((1, z.shape[1]))
    one[0, index] = 1
    column = forces.shape.apply(one)[0]
    found = np.flatnonzero(column)
    # Columns that are nearly full are taken whole: slices are cheaper than lists of rows.
    support: Rows | slice = found if 2 * len(found) < len(column) else slice(None)
    column = column[support]
    slopes = forces.spring * z[:, index] + column @ forces.constant[support]
    if forces.stiffness:
        slopes = slopes + forces.stiffness * (offsets[:, support] @ column)
    bend = forces.spring + forces.stiffness * float(column @ column)
    axis = Axis(offsets, column, support, slopes, bend, exponentials, width)
    t, asked = slice_draw(axis, uniforms, is_inside, spacing)
    z[:, index] += t
    offsets[:, support] += t[:, None] * column
    return t, asked
