"""A smooth change of parameters that makes the curvature at a point what one likes.

Dinh et al. 2017, *Sharp minima can generalize for deep nets*, arXiv 1703.04933, section 5.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basins.directions.preconditioner import Preconditioner
from basins.flatness.linear_maps import checked_rows

Array = NDArray[np.float64]

NEWTON_STEPS = 60


@dataclass(frozen=True)
class Radial:
    """eta = (|theta - center|^2 + b)^a (theta - center), Dinh et al. 2017, section 5.

    Attributes
    ----------
    center
        Where curvature is to change, shape (n,).
    a, b
        Above -1/2 and above 0, so that every eta is reached, and once.

    Examples
    --------
    >>> change = Radial(np.zeros(2), 1.0, 1.0)
    >>> change.forward(np.array([2.0, 0.0])), change.inverse(np.array([0.0, 10.0]))
    (array([10.,  0.]), array([0., 2.]))
    """

    center: Array
    a: float
    b: float

    def __post_init__(self) -> None:
        """Raise a ValueError if the map has no inverse."""
        if not -0.5 < self.a < np.inf:
            raise ValueError(f"a: must be a number above -1/2, not {self.a!r}")
        if not 0 < self.b < np.inf:
            raise ValueError(f"b: must be a finite number above 0, not {self.b!r}")
        if self.center.ndim != 1 or not np.isfinite(self.center).all():
            raise ValueError("center: must be finite, shape (n,)")

    def forward(self, theta: Array) -> Array:
        """Return eta of rows theta, shape (..., n)."""
        offset = checked_rows("theta", theta, len(self.center)) - self.center
        square = np.square(offset).sum(-1, keepdims=True)
        return np.asarray((square + self.b) ** self.a * offset)

    def inverse(self, eta: Array) -> Array:
        """Return theta of rows eta, shape (..., n), by Newton's method in ln |theta - center|."""
        length = np.linalg.norm(checked_rows("eta", eta, len(self.center)), axis=-1, keepdims=True)
        target = np.log(np.where(length > 0, length, 1))
        # Convex or concave, with a slope from 1 to 1 + 2 a: it converges from anywhere.
        log_radius = target
        for _ in range(NEWTON_STEPS):
            log_square = np.logaddexp(2 * log_radius, np.log(self.b))
            slope = 1 + 2 * self.a * np.exp(2 * log_radius - log_square)
            step = (log_radius + self.a * log_square - target) / slope
            log_radius = log_radius - step
            if (abs(step) < 1e-15 * (1 + abs(log_radius))).all():
                break
        return np.asarray(self.center + eta * np.exp(log_radius - target))

    def jacobian(self, theta: Array) -> Preconditioner:
        """Return d eta / d theta at one theta, shape (n,): one length along its ray, one across."""
        offset = checked_rows("theta", theta, len(self.center)) - self.center
        if offset.ndim != 1:
            raise ValueError(f"theta: must be one point, not of shape {offset.shape}")
        square = float(offset @ offset)
        across = (square + self.b) ** self.a
        along = across * (1 + 2 * self.a * square / (square + self.b))
        if square == 0 or len(offset) == 1:
            return Preconditioner.diagonal(np.full(len(offset), along))
        ray = offset[:, None] / np.sqrt(square)
        return Preconditioner(np.array([along]), ray, across, len(offset))

    def log_det(self, theta: Array) -> float:
        """Return ln |det d eta / d theta| at one theta, shape (n,), in nats."""
        return self.jacobian(theta).log_det()

    def pulled_back(self, loss: Callable[[Array], Array]) -> Callable[[Array], Array]:
        """Return the loss as a function of rows eta, shape (..., n)."""
        return lambda eta: loss(self.inverse(eta))
