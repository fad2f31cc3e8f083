"""A plane in the space of parameters: what lies in it, how far the rest is, losses in a window."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basins.landscape.grid import losses_on_grid
from basins.rays.numba_path import NumbaEvaluator
from basins.rays.torch_path import TorchEvaluator

Array = NDArray[np.float64]

ALIKE = 1e-9  # of the longest side: points closer to a line than that span no plane


@dataclass(frozen=True)
class Plane:
    """``origin + x d_1 + y d_2`` with orthonormal directions: distances in it are those of weights.

    Attributes
    ----------
    origin
        Shape (n,).
    directions
        d_1 and d_2, shape (2, n).

    Examples
    --------
    >>> plane = Plane(np.zeros(3), np.eye(3)[:2])
    >>> plane.coordinates(np.array([[1.0, 2.0, 5.0]])), plane.distances(np.array([[1.0, 2.0, 5.0]]))
    (array([[1., 2.]]), array([5.]))
    """

    origin: Array
    directions: Array

    def coordinates(self, points: Array) -> Array:
        """Return where points, shape (K, n), fall in the plane, shape (K, 2)."""
        return np.asarray((points - self.origin) @ self.directions.T)

    def distances(self, points: Array) -> Array:
        """Return how far from the plane points, shape (K, n), lie, shape (K,)."""
        apart = points - self.origin
        return np.asarray(
            np.linalg.norm(apart - (apart @ self.directions.T) @ self.directions, axis=1)
        )


def through(points: Array) -> Plane:
    """Return the plane through three points, the first its origin and the second on its x-axis.

    Garipov et al. 2018, arXiv 1802.10026, appendix.

    Parameters
    ----------
    points
        Shape (3, n).

    Raises
    ------
    ValueError
        If they lie on one line, or are not finite.

    Examples
    --------
    >>> points = np.array([[0.0, 0.0, 1.0], [2.0, 0.0, 1.0], [1.0, 3.0, 1.0]])
    >>> through(points).coordinates(points)
    array([[0., 0.],
           [2., 0.],
           [1., 3.]])
    """
    origin = points[0]
    first, second = points[1] - origin, points[2] - origin
    longest = max(float(np.linalg.norm(first)), float(np.linalg.norm(second)))
    x = first / (np.linalg.norm(first) or 1.0)
    across = second - (second @ x) * x
    height = float(np.linalg.norm(across))
    # Said so that what is NaN is refused, too.
    if not height > ALIKE * longest or not first.any():
        raise ValueError("points: the three lie on one line, which is in no single plane")
    return Plane(origin, np.stack([x, across / height]))


def window(places: Array, margin: float) -> tuple[Array, float]:
    """Return the middle, shape (2,), and half the side of a square around places, shape (K, 2).

    Parameters
    ----------
    places
        Coordinates in a plane.
    margin
        What is left free on every side, as a share of the longest extent.

    Examples
    --------
    >>> window(np.array([[0.0, 0.0], [4.0, 2.0]]), margin=0.25)
    (array([2., 1.]), 3.0)
    """
    low, high = places.min(0), places.max(0)
    extent = float((high - low).max()) or 1.0
    return np.asarray((low + high) / 2), extent * (0.5 + margin)


@dataclass(frozen=True)
class Charted:
    """Losses in the window of a plane.

    Attributes
    ----------
    center
        Coordinates of the window's middle, shape (2,).
    half_width
        Half its side.
    losses
        In every landscape, shape (M, points, points), y before x.
    """

    center: Array
    half_width: float
    losses: Array


def charted(
    evaluator: NumbaEvaluator | TorchEvaluator,
    plane: Plane,
    places: Array,
    margin: float,
    axis: Sequence[float],
    advance: Callable[[int], None] = lambda _: None,
) -> Charted:
    """Return losses in the window of a plane around places in it.

    Parameters
    ----------
    evaluator
        Of the network and its examples, M landscapes.
    plane, places, margin
        The plane, and its window, see `window`.
    axis
        Places on the grid along either axis, in half widths from the middle.
    advance
        Called with the number of lines done since the last call.
    """
    center, half_width = window(places, margin)
    origin = plane.origin + center @ plane.directions
    steps = half_width * plane.directions
    losses = losses_on_grid(evaluator, origin, steps, axis, axis, advance)
    return Charted(center, half_width, losses)
