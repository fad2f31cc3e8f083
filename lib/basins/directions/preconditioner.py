"""Linear maps that make a basin round: x = A z."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def identity(values: Array) -> Array:
    """Return `values`."""
    return values


@dataclass(frozen=True)
class Preconditioner:
    """An invertible matrix A in one of three forms, each as cheap to apply as it can be.

    - no `vectors`: A = diag(values);
    - n vectors: A = V diag(values), so that z counts along the vectors;
    - k < n vectors: A = rest (I - V V^T) + V diag(values) V^T.

    Attributes
    ----------
    values
        Lengths along the vectors, in the parameters' units, shape (k,).
    vectors
        Orthonormal columns, shape (n, k); None for the axes themselves, when k = n.
    rest
        The one length of everything orthogonal to `vectors`.
    num_parameters
        Dimension n.
    """

    values: Array
    vectors: Array | None
    rest: float
    num_parameters: int

    @classmethod
    def diagonal(cls, values: Array) -> "Preconditioner":
        """Return diag(values), shape (n,)."""
        return cls(values, None, 1.0, len(values))

    @property
    def has_all_lengths(self) -> bool:
        """Whether every coordinate of z has a length of its own."""
        return len(self.values) == self.num_parameters

    def scale(self, function: Callable[[Array], Array], z: Array) -> Array:
        """Return z, rows (..., n), with the part that has length l multiplied by function(l)."""
        inner = function(self.values)
        if self.has_all_lengths or self.vectors is None:
            return z * inner
        outer = float(function(np.array([self.rest]))[0])
        result = (z @ self.vectors * (inner - outer)) @ self.vectors.T
        result += outer * z
        return np.asarray(result)

    def apply(self, z: Array) -> Array:
        """Return A z for rows z, shape (..., n)."""
        scaled = self.scale(identity, z)
        return (
            scaled if self.vectors is None or not self.has_all_lengths else scaled @ self.vectors.T
        )

    def turn(self, x: Array) -> Array:
        """Return rows x, shape (..., n), in the coordinates of z, lengths kept: V^T x."""
        return x if self.vectors is None or not self.has_all_lengths else x @ self.vectors

    def pull(self, gradients: Array) -> Array:
        """Return A^T g for rows g, shape (..., n): gradients in z from gradients in x."""
        return self.scale(identity, self.turn(gradients))

    def solve(self, x: Array) -> Array:
        """Return A^-1 x for rows x, shape (..., n)."""
        return self.scale(lambda values: 1 / values, self.turn(x))

    def log_det(self, function: Callable[[Array], Array] = identity) -> float:
        """Return the sum of ln function(length) over all n lengths: ln |det A| itself."""
        inner = float(np.log(function(self.values)).sum())
        if self.has_all_lengths:
            return inner
        outer = float(np.log(function(np.array([self.rest])))[0])
        return inner + (self.num_parameters - len(self.values)) * outer

    def times(self, factor: float) -> "Preconditioner":
        """Return the matrix times a number."""
        return Preconditioner(
            self.values * factor, self.vectors, self.rest * factor, self.num_parameters
        )
