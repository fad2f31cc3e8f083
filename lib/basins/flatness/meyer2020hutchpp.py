"""The trace of a symmetric matrix by Hutch++, with its error.

Meyer, Musco, Musco, Woodruff (2020), *Hutch++: Optimal Stochastic Trace Estimation*, arXiv
2010.09649, algorithm 1: exact on the range of a sketch, Hutchinson's estimate on the rest.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from basins import streams
from basins.flatness.intervals import Estimate, mean

Array = NDArray[np.float64]

NUM_PRODUCTS = 60
LEAST_PRODUCTS = 9


def trace(
    product: Callable[[Array], Array],
    num_parameters: int,
    *names: streams.Name,
    num_products: int = NUM_PRODUCTS,
) -> Estimate:
    """Return tr H = tr(Q^T H Q) + E[g^T (I - Q Q^T) H (I - Q Q^T) g], Q the range of H S.

    A third of the products makes the sketch H S with random signs S, a third Q^T H Q, and a third
    are draws g of the rest, whose spread gives the error.

    Parameters
    ----------
    product
        Maps rows v (k, n) to rows H v (k, n).
    num_parameters
        n; up to a third of the products the trace is exact.
    names
        Key of the random signs.
    num_products
        Of H with a vector.

    Raises
    ------
    ValueError
        If `num_products` is less than 9.

    Examples
    --------
    >>> diagonal = np.arange(5.0)
    >>> trace(lambda rows: rows * diagonal, 5, "example").value
    10.0
    """
    if num_products < LEAST_PRODUCTS:
        raise ValueError(f"num_products: {num_products} must be at least {LEAST_PRODUCTS}")
    n, size = num_parameters, num_products // 3
    if n <= size:
        return Estimate.exact(float(np.trace(product(np.eye(n)))))
    signs = np.where(streams.uniforms(*names, count=2 * size * n) < 0.5, -1.0, 1.0)
    sketch, draws = signs.reshape(2, size, n)
    basis, _ = np.linalg.qr(product(sketch).T)
    captured = float(np.einsum("ij,ji->", product(basis.T), basis))
    draws = draws - (draws @ basis) @ basis.T
    return mean(np.einsum("ki,ki->k", draws, product(draws)), captured)
