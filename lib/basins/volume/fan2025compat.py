"""The published volume of Fan, Sandlund, Ko 2025 (arXiv 2511.04808), for comparison only.

ln mean r^n without ball constant or log-determinant, where r is read off a grid of 100 coefficients
x^2 with x evenly in [0, 1]: the first coefficient whose loss is above the threshold, times the norm
of the unscaled Gaussian direction. Directions that never cross are dropped.
"""

import numpy as np
from numpy.typing import NDArray

from basins.volume import kernels

Array = NDArray[np.float64]

COEFFICIENTS = np.linspace(0, 1, 100) ** 2


def compat_log_volume(
    log_radius: Array,
    num_crossings: NDArray[np.int16],
    log_direction_norm: Array,
    num_parameters: int,
) -> Array:
    """Return the published-style value of each cell, in nats.

    Published directions are Gaussian vectors times the filters' norms, so a coefficient is our
    radius in filter coordinates divided by the norm of the Gaussian vector.

    Parameters
    ----------
    log_radius, num_crossings
        Shape (..., directions), in filter coordinates with biases in units of 1.
    log_direction_norm
        ln |g|, shape (directions,).
    num_parameters
        Dimension n.

    Returns
    -------
    Array
        Shape (...); NaN where every direction was dropped or the minimum is not in the basin.
    """
    coefficient = np.exp(log_radius - log_direction_norm)
    # The first grid point beyond the crossing.
    index = np.searchsorted(COEFFICIENTS, coefficient, side="right")
    is_kept = (num_crossings > 0) & (index < len(COEFFICIENTS)) & ~np.isnan(log_radius)
    log_grid = np.log(COEFFICIENTS[np.minimum(index, len(COEFFICIENTS) - 1)])
    terms = np.where(is_kept, num_parameters * (log_grid + log_direction_norm), -np.inf)
    rows = np.ascontiguousarray(terms.reshape(-1, terms.shape[-1]))
    num_kept = is_kept.sum(axis=-1)
    mean_of_all = kernels.log_mean_exp(rows).reshape(num_kept.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_of_kept = mean_of_all + np.log(terms.shape[-1] / num_kept)
    return np.where(num_kept > 0, mean_of_kept, np.nan)
