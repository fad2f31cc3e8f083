"""What drives chains through a basin: a loss and quadratics, in coordinates z of x = A z."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basins.directions.preconditioner import Preconditioner

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Forces:
    """The potential spring |z|^2 / 2 + weight L(x) + stiffness |x|^2 / 2 + constant . x, x = A z.

    Attributes
    ----------
    shape
        The matrix A.
    spring, weight, stiffness
        Numbers, none negative.
    constant
        Shape (n,).
    """

    shape: Preconditioner
    spring: float
    weight: float
    stiffness: float
    constant: Array

    def slope(self, z: Array, offsets: Array, gradients: Array) -> Array:
        """Return the potential's gradient in z, from that of the loss in x; all of shape (k, n)."""
        pull = self.weight * gradients
        # In place: new arrays of many parameters cost more than what is done to them.
        pull += self.constant
        if self.stiffness:
            pull += self.stiffness * offsets
        result = self.shape.pull(pull)
        if self.spring:
            result += self.spring * z
        return result

    def along(self, z: Array, w: Array, x: Array, y: Array) -> Array:
        """Return the coefficients of a^2, a b, b^2, a and b in the potential but for the loss.

        At a z + b w, or a x + b y in offsets; all of shape (k, n), result (k, 5).
        """
        linear = np.stack([x @ self.constant, y @ self.constant], axis=1)
        quadratic = self.spring / 2 * square(z, w) + self.stiffness / 2 * square(x, y)
        return np.concatenate([quadratic, linear], axis=1)


def square(x: Array, y: Array) -> Array:
    """Return the coefficients of a^2, a b and b^2 in |a x + b y|^2 for rows, shape (k, 3)."""
    products = [np.einsum("ki,ki->k", left, right) for left, right in ((x, x), (x, y), (y, y))]
    return np.stack([products[0], 2 * products[1], products[2]], axis=1)
