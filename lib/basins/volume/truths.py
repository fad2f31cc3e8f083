"""Bodies of known volume, against which estimators are tested.

Each contains the origin and is star-shaped about it: its gauge g (homogeneous of degree 1, the body
is g < 1) gives the radius 1 / g(u) along a unit direction u.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from basins.volume import ball

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Body:
    """A body of known volume.

    Attributes
    ----------
    name, dimension
        What it is, and n.
    log_volume
        Closed form, in nats.
    gauge
        Maps points (k, n) to (k,); the body is where it is below 1.
    """

    name: str
    dimension: int
    log_volume: float
    gauge: Callable[[Array], Array]

    def log_radius(self, directions: Array) -> Array:
        """Return ln r along unit directions (B, n), shape (B,)."""
        return -np.log(self.gauge(directions))


def ellipsoid(eigenvalues: Array, threshold: float) -> Body:
    """Return the basin of the loss sum(eigenvalue x^2) / 2 below `threshold`.

    ln V = (n/2) ln(2 pi c) - ln Gamma(n/2 + 1) - (1/2) ln det H.
    """
    n = len(eigenvalues)
    log_volume = ball.log_volume(n, np.sqrt(2 * threshold)) - np.log(eigenvalues).sum() / 2
    return Body(
        "ellipsoid", n, float(log_volume), lambda x: np.sqrt((x**2 @ eigenvalues) / (2 * threshold))
    )


def box(half_widths: Array) -> Body:
    """Return the box |x_i| < a_i; ln V = sum ln 2 a_i."""
    log_volume = float(np.log(2 * half_widths).sum())
    return Body("box", len(half_widths), log_volume, lambda x: np.abs(x / half_widths).max(axis=1))


def power_ball(n: int, p: float) -> Body:
    """Return the unit ball of the p-norm; ln V = n ln(2 Gamma(1 + 1/p)) - ln Gamma(1 + n/p)."""
    log_volume = n * (np.log(2) + gammaln(1 + 1 / p)) - gammaln(1 + n / p)
    return Body(
        f"{p:g}-ball", n, float(log_volume), lambda x: (np.abs(x) ** p).sum(axis=1) ** (1 / p)
    )


def simplex(n: int) -> Body:
    """Return the regular-coordinates simplex x_i > -1, sum x < 1; ln V = n ln(n + 1) - ln n!."""
    log_volume = n * np.log(n + 1) - gammaln(n + 1)
    return Body(
        "simplex", n, float(log_volume), lambda x: np.maximum((-x).max(axis=1), x.sum(axis=1))
    )


def mapped(body: Body, matrix: Array) -> Body:
    """Return the image of `body` under an invertible matrix; ln V grows by ln |det|."""
    _, log_det = np.linalg.slogdet(matrix)
    inverse = np.linalg.inv(matrix)
    return Body(
        f"mapped {body.name}",
        body.dimension,
        float(body.log_volume + log_det),
        lambda x: body.gauge(x @ inverse.T),
    )
