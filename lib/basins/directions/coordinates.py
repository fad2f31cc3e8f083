"""Coordinates: the unit of each parameter, and the log-determinant that comes with them."""

import numpy as np
from numpy.typing import NDArray

from basins.models.functional import ParameterBlock

R_MAX_NORMS = 10
COORDINATES = ("weight", "filter")
BIAS_SCALES = ("one", "norm")


def scaling(
    layout: tuple[ParameterBlock, ...],
    theta: NDArray[np.float64],
    coordinates: str,
    bias_scale: str = "one",
) -> tuple[NDArray[np.float64], float]:
    """Return the unit of each parameter and the log-determinant of the change of coordinates.

    A step of length r along the unit vector u moves parameter i by ``r * scale[i] * u[i]``, so a
    volume in these coordinates plus the log-determinant is a volume in weight space.

    Parameters
    ----------
    layout
        Where each tensor lies in the flat vector.
    theta
        The minimum, shape (n,).
    coordinates
        ``weight``: all units are 1. ``filter``: each output filter (row of the first axis) in units
        of its own norm (Li et al. 2018, arXiv 1712.09913, section 4, as a change of coordinates).
    bias_scale
        In filter coordinates, the unit of one-dimensional parameters: ``one``, or their ``norm``.

    Returns
    -------
    tuple
        ``scale``, float64, shape (n,), and ``sum(ln scale)`` in nats. A filter of norm 0 keeps
        unit 1.

    Raises
    ------
    ValueError
        If `coordinates` or `bias_scale` is unknown.
    """
    if coordinates not in COORDINATES:
        raise ValueError(
            f"coordinates: {coordinates!r} is not known; allowed are {', '.join(COORDINATES)}"
        )
    if bias_scale not in BIAS_SCALES:
        raise ValueError(
            f"bias_scale: {bias_scale!r} is not known; allowed are {', '.join(BIAS_SCALES)}"
        )
    scale = np.ones_like(theta, dtype=np.float64)
    if coordinates == "weight":
        return scale, 0.0
    for block in layout:
        part = slice(block.start, block.stop)
        if len(block.shape) >= 2:
            filters = theta[part].reshape(block.shape[0], -1)
            norm = np.repeat(np.linalg.norm(filters, axis=1), filters.shape[1])
        elif bias_scale == "norm":
            norm = np.full(block.stop - block.start, np.linalg.norm(theta[part]))
        else:
            continue
        scale[part] = np.where(norm > 0, norm, 1.0)
    return scale, float(np.log(scale).sum())


def default_r_max(theta: NDArray[np.float64], scale: NDArray[np.float64]) -> float:
    """Return the distance at which basins end if nobody says: ten norms of the minimum.

    In the coordinates of `scale`; a minimum of zeros has no norm to take as unit, and gets ten.
    """
    return R_MAX_NORMS * (float(np.linalg.norm(theta / scale)) or 1.0)
