"""A preconditioner from a full matrix: eigenvectors, rotated back into parameter space."""

import numpy as np
from numpy.typing import NDArray

from basins.directions.preconditioner import Preconditioner

Array = NDArray[np.float64]


def from_hessian(hessian: Array, height: float, longest: float = np.inf) -> Preconditioner:
    """Return the lengths at which a quadratic loss rises by `height` along its principal axes.

    Parameters
    ----------
    hessian
        Symmetric, shape (n, n).
    height
        Threshold minus the minimum's loss.
    longest
        No length is beyond it: directions of no or of negative curvature get it.
    """
    curvatures, vectors = np.linalg.eigh(hessian)
    return Preconditioner(lengths(curvatures, height, longest), vectors, 1.0, len(curvatures))


def from_covariance(covariance: Array) -> Preconditioner:
    """Return a root of a covariance, shape (n, n): standard deviations along its principal axes."""
    variances, vectors = np.linalg.eigh(covariance)
    floor = np.finfo(np.float64).eps * variances[-1]
    return Preconditioner(np.sqrt(np.maximum(variances, floor)), vectors, 1.0, len(variances))


def lengths(curvatures: Array, height: float, longest: float = np.inf) -> Array:
    """Return sqrt(2 height / curvature), at most `longest`.

    Curvatures below 1e-10 of the largest, and negative ones, are taken for that.
    """
    largest = float(np.abs(curvatures).max())
    if largest == 0:
        return np.full(len(curvatures), longest if np.isfinite(longest) else 1.0)
    return np.minimum(np.sqrt(2 * height / np.maximum(curvatures, 1e-10 * largest)), longest)
