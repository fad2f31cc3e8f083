"""What volume means: Lebesgue's measure, or the probability under a Gaussian."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basins.directions.preconditioner import Preconditioner

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Lebesgue:
    """Volume in the parameters' own units."""

    name = "lebesgue"
    stiffness = 0.0

    def energy(self, offsets: Array) -> Array:
        """Return minus the log density at points relative to the minimum (..., n): zero."""
        return np.zeros(offsets.shape[:-1])

    def force(self, offsets: Array) -> Array:
        """Return the gradient of `energy`, stiffness x + a constant, shape (..., n): zeros."""
        return np.zeros(offsets.shape)


@dataclass(frozen=True)
class Gaussian:
    """Probability under N(center, sigma^2).

    Attributes
    ----------
    shift
        The minimum relative to the Gaussian's center, shape (n,).
    sigma
        Standard deviation of every coordinate.
    """

    shift: Array
    sigma: float
    name = "gaussian"

    @property
    def stiffness(self) -> float:
        """Weight of |x|^2 / 2 in `energy`."""
        return 1 / self.sigma**2

    def energy(self, offsets: Array) -> Array:
        """Return minus the log density at points relative to the minimum, shape (...)."""
        x = offsets + self.shift
        squares = np.einsum("...i,...i->...", x, x)
        n = len(self.shift)
        return np.asarray(squares / (2 * self.sigma**2) + n / 2 * np.log(2 * np.pi * self.sigma**2))

    def force(self, offsets: Array) -> Array:
        """Return the gradient of `energy`, stiffness x + a constant, shape (..., n)."""
        return (offsets + self.shift) / self.sigma**2


Measure = Lebesgue | Gaussian


@dataclass(frozen=True)
class Reference:
    """The Gaussian law with density in proportion to exp(-tilt |z|^2 / 2 - energy(A z)).

    It narrows the measure to the neighbourhood of the minimum; its normalizer is exact.

    Attributes
    ----------
    measure, shape, tilt
        The measure, the matrix A, and the weight of |z|^2, 0 for the measure itself.
    """

    measure: Measure
    shape: Preconditioner
    tilt: float

    def _precision(self, lengths: Array) -> Array:
        """Return the eigenvalues of the law's precision in z where A has `lengths`."""
        if isinstance(self.measure, Lebesgue):
            return np.full_like(lengths, self.tilt)
        return self.tilt + (lengths / self.measure.sigma) ** 2

    def draw(self, normals: Array) -> Array:
        """Turn standard normal rows (k, n) into draws of z."""
        z = self.shape.scale(lambda lengths: self._precision(lengths) ** -0.5, normals)
        return z + self._mean()

    def _mean(self) -> Array | float:
        if isinstance(self.measure, Lebesgue):
            return 0.0
        pulled = self.shape.turn(self.measure.shift) / self.measure.sigma**2
        return -self.shape.scale(lambda lengths: lengths / self._precision(lengths), pulled)

    def log_normalizer(self) -> float:
        """Return ln of the integral of exp(-tilt |z|^2 / 2 - energy(x)) dx over x = A z."""
        n = self.shape.num_parameters
        value = n / 2 * np.log(2 * np.pi) - 0.5 * self.shape.log_det(self._precision)
        value += self.shape.log_det()
        if isinstance(self.measure, Gaussian):
            pulled = self.shape.turn(self.measure.shift) / self.measure.sigma**2
            half = self.shape.scale(
                lambda lengths: lengths / self._precision(lengths) ** 0.5, pulled
            )
            value += 0.5 * float(half @ half) - float(self.measure.energy(np.zeros(n)))
        return float(value)
