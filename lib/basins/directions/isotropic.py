"""Directions uniform on the sphere, each reproducible alone from its name and index."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from basins import streams


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
    unit = np.empty((len(indices), num_parameters))
    for row, index in zip(unit, indices, strict=True):
        row[:] = streams.normals(*names, "direction", int(index), count=num_parameters)
    norm = np.sqrt(np.einsum("bi,bi->b", unit, unit))
    unit /= norm[:, None]
    return unit, np.log(norm)
