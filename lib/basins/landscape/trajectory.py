"""The path of training in its own principal plane, and what of it is not in that plane.

Li et al. 2018, arXiv 1712.09913, section 7: the two principal components of theta_i - theta_end.
"""

import numpy as np
from numpy.typing import NDArray

from basins.landscape.plane import Plane

Array = NDArray[np.float64]


def principal_plane(path: Array, end: Array) -> tuple[Plane, Array]:
    """Return the plane through the end along which a path is longest, and the shares it explains.

    Parameters
    ----------
    path
        Points on the way, shape (K, n), two or more that are not on one line with the end.
    end
        Where it ends, the plane's origin, shape (n,).

    Returns
    -------
    tuple
        The plane, and of the sum of squares of theta_i - theta_end the shares along its axes,
        shape (2,).

    Raises
    ------
    ValueError
        If the path spans no plane.

    Examples
    --------
    >>> path = np.array([[3.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> plane, explained = principal_plane(path, np.zeros(3))
    >>> abs(plane.directions), explained
    (array([[1., 0., 0.],
           [0., 1., 0.]]), array([0.9, 0.1]))
    """
    # Exploits: K points are few, parameters many.
    _, lengths, directions = np.linalg.svd(path - end, full_matrices=False)
    spread = np.square(lengths)
    if len(spread) < 2 or not spread[1] > np.finfo(np.float64).eps * spread[0]:
        raise ValueError("path: its points lie on one line, which is in no single plane")
    return Plane(end, directions[:2]), np.asarray(spread[:2] / spread.sum())
