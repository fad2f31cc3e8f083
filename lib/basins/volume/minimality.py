"""Whether a minimum is one: its gradient, and the smallest curvature there."""

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from basins import streams
from basins.directions.preconditioner import Preconditioner
from basins.volume.basin import Basin
from basins.volume.shapes import hessian, hessian_products

Array = NDArray[np.float64]

MAX_DECREMENT = 0.1  # of the height, that the loss may fall by a Newton step from the minimum
MAX_DIP = 0.01  # of the largest curvature, that the smallest may be below 0
FEW_PARAMETERS = 100  # up to which the whole spectrum is as quick
TOLERANCE = 1e-3  # of the smallest curvature, in units of the largest


def check(basin: Basin, shape: Preconditioner | None) -> dict[str, float]:
    """Return what tells whether the minimum is one, and warn where it is not.

    Parameters
    ----------
    basin
        Its gradient is asked, and the curvature that follows from it; else the curvature given.
    shape
        Lengths at which the loss reaches the threshold, where they are known.

    Returns
    -------
    dict
        gradient_norm; newton_decrement, the share of the height by which a Newton step would lower
        the loss; smallest_curvature. Each where it can be told.
    """
    told = {}
    if basin.gradient is not None:
        slope = basin.slope(np.zeros((1, basin.num_parameters)))
        told["gradient_norm"] = float(np.linalg.norm(slope))
        if shape is not None:
            # With A the lengths to the threshold, H^-1 is A A^T / (2 height).
            pulled = shape.pull(slope)
            told["newton_decrement"] = float((pulled**2).sum() / (4 * basin.height**2))
    if told.get("newton_decrement", 0.0) > MAX_DECREMENT:
        warnings.warn(
            "minimum: its gradient is not zero; a Newton step would lower the loss by "
            f"{told['newton_decrement']:.2g} of the height of the threshold",
            stacklevel=4,
        )
    ends = _extreme_curvatures(basin)
    if ends is not None:
        smallest, largest = ends
        told["smallest_curvature"] = smallest
        if smallest < -MAX_DIP * largest:
            warnings.warn(
                f"minimum: its smallest curvature is {smallest:.2g}, below 0", stacklevel=4
            )
    return told


def _extreme_curvatures(basin: Basin) -> tuple[float, float] | None:
    """Return the smallest curvature and the largest size of one; None where nothing tells."""
    if basin.gradient is None and basin.hessian_products is None:
        if not isinstance(basin.curvature, np.ndarray):
            return None
        given = basin.curvature
        values = given if given.ndim == 1 else np.linalg.eigvalsh(given)
        return float(values.min()), float(np.abs(values).max())
    n = basin.num_parameters
    if n <= FEW_PARAMETERS:
        matrix = hessian(basin)
        if not np.isfinite(matrix).all():
            return None
        values, vectors = np.linalg.eigh(matrix)
        return _along(basin, vectors[:, 0]), float(np.abs(values).max())

    start = streams.normals("volume", "smallest curvature", count=n)

    def end(shift: float) -> tuple[float, Array]:
        """Return the eigenvalue farthest from `shift`, and its vector."""
        operator = LinearOperator(
            (n, n), lambda v: _product(basin, v) - shift * v, dtype=np.float64
        )
        values, vectors = eigsh(operator, k=1, which="LM", v0=start, tol=TOLERANCE)
        return float(values[0]), vectors[:, 0]

    try:
        largest, _ = end(0.0)
        # Far from the smallest: Lanczos finds it to a share of the largest, however many are near.
        _, vector = end(abs(largest))
    except ArpackError:
        return None
    return _along(basin, vector), abs(largest)


def _along(basin: Basin, vector: Array) -> float:
    """Return the curvature along a unit vector: of a loss with kinks, which has no Hessian, too."""
    return float(vector @ _product(basin, vector))


def _product(basin: Basin, vector: Array) -> Array:
    rows = np.asarray(vector, dtype=np.float64).reshape(1, -1)
    return np.asarray(hessian_products(basin, rows)[0])
