"""Directions uniform on the sphere, each reproducible alone from its name and index."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from basins import streams
from basins.threads import share_out

OPERATIONS = 20  # or so, that a normal deviate takes


def directions(
    names: tuple[streams.Name, ...], indices: Sequence[int], num_parameters: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Gaussian directions divided by their norms.

    Parameters
    ----------
    names
        The minimum the directions belong to, which keys their streams.
    indices
        Which directions, B of them.
    num_parameters
        Dimension n.

    Returns
    -------
    tuple
        Unit vectors u, float64, shape (B, n), and the log norms ln |g| of the Gaussian vectors
        g = u |g| they came from, float64, shape (B,).
    """
    unit, norm = np.empty((len(indices), num_parameters)), np.empty(len(indices))

    def draw(rows: slice) -> None:
        for row in range(rows.start, rows.stop):
            name = (*names, "direction", int(indices[row]))
            unit[row] = streams.normals(*name, count=num_parameters)
            norm[row] = np.sqrt(np.einsum("i,i->", unit[row], unit[row]))
            unit[row] /= norm[row]

    share_out(draw, len(indices), OPERATIONS * unit.size)
    return unit, np.log(norm)
