"""Preconditioners from diagonals: of the Hessian, of Gauss-Newton, of Adam's second moment."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from basins import streams
from basins.directions.full import lengths
from basins.directions.preconditioner import Preconditioner

Array = NDArray[np.float64]
Product = Callable[[Array], Array]


def from_diagonal(diagonal: Array, height: float, longest: float = np.inf) -> Preconditioner:
    """Return lengths at which a quadratic loss of this diagonal Hessian rises by `height`."""
    return Preconditioner.diagonal(lengths(diagonal, height, longest))


def from_second_moment(
    second_moment: Array, height: float, longest: float = np.inf
) -> Preconditioner:
    """Return lengths from Adam's running mean of squared gradients, whose root stands for H.

    Only ratios matter: the lengths are scaled as if the root were the Hessian's diagonal.
    """
    return from_diagonal(np.sqrt(second_moment), height, longest)


def hutchinson(product: Product, num_parameters: int, probes: int, *names: streams.Name) -> Array:
    """Return an unbiased estimate of the diagonal of a symmetric matrix, shape (n,).

    The mean of v * (H v) over random signs v (Hutchinson 1990; Bekas, Kokiopoulou, Saad 2007).

    Parameters
    ----------
    product
        Maps rows v (k, n) to rows H v (k, n).
    probes
        How many v.
    names
        Key of the random signs.
    """
    signs = np.where(streams.uniforms(*names, count=probes * num_parameters) < 0.5, -1.0, 1.0)
    signs = signs.reshape(probes, num_parameters)
    return np.asarray((signs * product(signs)).mean(axis=0))
