"""Lanczos' method for many symmetric matrices at once: their extreme eigenvalues.

A step multiplies one vector of every matrix that is not finished, so that all minima and landscapes
of a job share one batch of products. Vectors are kept and made orthogonal to all before, twice
(Parlett 1998, *The Symmetric Eigenvalue Problem*, section 6.9: twice is enough).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
# (which matrices (k,), vectors (k, n)) -> products (k, n)
Product = Callable[[Rows, Array], Array]
OneProduct = Callable[[Array], Array]  # vectors (k, n) -> products (k, n) of one matrix

MAX_STEPS = 300
TOLERANCE = 1e-6  # of an eigenvector's residual, in units of the spectral norm
BREAKDOWN = 1e-12  # of a next vector's length in these units, at which nothing new is left
CHECKED_EVERY = 5  # steps


@dataclass(frozen=True)
class Krylov:
    """Matrices in the bases that Lanczos' method made, one row each.

    Attributes
    ----------
    diagonal, beside
        Of the tridiagonal matrix, shapes (rows, steps); `beside` has what couples a step to the
        next one, the last of which couples to what was left out. NaN beyond a row's last step.
    num_steps
        Of each row, shape (rows,).
    """

    diagonal: Array
    beside: Array
    num_steps: NDArray[np.int64]

    def eigenpairs(self, row: int) -> tuple[Array, Array, Array]:
        """Return eigenvalues, ascending, first components of vectors, and residuals, (steps,)."""
        count = int(self.num_steps[row])
        diagonal, beside = self.diagonal[row, :count], self.beside[row, :count]
        values, vectors = eigh_tridiagonal(diagonal, beside[:-1])
        return values, vectors[0], np.abs(beside[-1] * vectors[-1])


def krylov(
    product: Product,
    starts: Array,
    max_steps: int,
    is_done: Callable[[Krylov, int], bool] = lambda _krylov, _row: False,
) -> Krylov:
    """Return matrices in the bases of their Krylov spaces.

    Parameters
    ----------
    product
        Products of symmetric matrices with vectors.
    starts
        First vectors, one row a matrix, shape (rows, n), of any length but 0.
    max_steps
        Most vectors of a basis; n at most are made.
    is_done
        Asked every few steps of each row whether that is enough.
    """
    num_rows, n = starts.shape
    max_steps = min(max_steps, n)
    bases = np.zeros((num_rows, max_steps, n))
    diagonal, beside = np.full((2, num_rows, max_steps), np.nan)
    num_steps = np.zeros(num_rows, dtype=np.int64)
    bases[:, 0] = starts / np.linalg.norm(starts, axis=1)[:, None]
    active = np.arange(num_rows)
    found = Krylov(diagonal, beside, num_steps)
    for step in range(max_steps):
        # No copy as long as all rows go on.
        basis = bases[:, : step + 1] if len(active) == num_rows else bases[active, : step + 1]
        moved = product(active, basis[:, -1])
        diagonal[active, step] = np.einsum("ri,ri->r", moved, basis[:, -1])
        for _ in range(2):
            parts = basis @ moved[:, :, None]
            moved = moved - (parts.transpose(0, 2, 1) @ basis)[:, 0]
        lengths = np.linalg.norm(moved, axis=1)
        beside[active, step] = lengths
        num_steps[active] = step + 1
        size = np.nanmax(np.hypot(diagonal[active], beside[active]), axis=1)
        goes_on = lengths > BREAKDOWN * size
        if (step + 1) % CHECKED_EVERY == 0:
            goes_on &= ~np.array([is_done(found, int(row)) for row in active], dtype=bool)
        if step + 1 == max_steps:
            break
        active, moved, lengths = active[goes_on], moved[goes_on], lengths[goes_on]
        if not len(active):
            break
        bases[active, step + 1] = moved / lengths[:, None]
    return found


@dataclass(frozen=True)
class Extremes:
    """The ends of the spectra of matrices, one row each.

    Attributes
    ----------
    largest
        Eigenvalues from the largest down, shape (rows, k); NaN where n is less.
    smallest
        The smallest, shape (rows,).
    residuals
        Of the eigenvectors of both, |H v - value v|, shape (rows, k + 1): some eigenvalue is that
        close.
    is_converged
        Whether all residuals are within the tolerance, shape (rows,).
    num_products
        Products made, shape (rows,).
    """

    largest: Array
    smallest: Array
    residuals: Array
    is_converged: NDArray[np.bool_]
    num_products: NDArray[np.int64]

    @property
    def spectral_norm(self) -> Array:
        """The largest absolute eigenvalue, shape (rows,)."""
        return np.maximum(np.abs(self.largest[:, 0]), np.abs(self.smallest))


def extremes(
    product: Product,
    starts: Array,
    num_largest: int = 1,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
) -> Extremes:
    """Return the largest eigenvalues of symmetric matrices and the smallest one.

    Parameters
    ----------
    product, starts
        As in `krylov`.
    num_largest
        How many of the largest, k.
    tolerance
        Of residuals, in units of the spectral norm.
    max_steps
        Products of one matrix after which it is left as it is.

    Raises
    ------
    ValueError
        If `num_largest` is not between 1 and n.

    Examples
    --------
    >>> matrix = np.diag([3.0, 2.0, -1.0])
    >>> found = extremes(lambda rows, vectors: vectors @ matrix, np.ones((1, 3)), num_largest=2)
    >>> found.largest.round(9).tolist(), found.smallest.round(9).tolist()
    ([[3.0, 2.0]], [-1.0])
    """
    n = starts.shape[1]
    if not 1 <= num_largest <= n:
        raise ValueError(f"num_largest: {num_largest} must be between 1 and {n}, the parameters")

    def ends(found: Krylov, row: int) -> tuple[Array, Array]:
        """Return the eigenvalues at the ends and their residuals, in the order of `Extremes`."""
        values, _, residuals = found.eigenpairs(row)
        chosen = [*range(len(values) - 1, max(len(values) - 1 - num_largest, -1), -1), 0]
        return values[chosen], residuals[chosen]

    def is_within(found: Krylov, row: int) -> bool:
        values, residuals = ends(found, row)
        is_whole = len(values) > num_largest or len(values) == n
        return is_whole and bool((residuals <= tolerance * np.abs(values).max()).all())

    found = krylov(product, starts, max_steps, is_within)
    shape = len(starts), num_largest + 1
    values, residuals = np.full((2, *shape), np.nan)
    for row in range(len(starts)):
        ending, left = ends(found, row)
        # A row whose space ended early has fewer, all of them exact.
        values[row, : len(ending) - 1], values[row, -1] = ending[:-1], ending[-1]
        residuals[row, : len(left) - 1], residuals[row, -1] = left[:-1], left[-1]
    size = np.nanmax(np.abs(values), axis=1)
    return Extremes(
        largest=values[:, :-1],
        smallest=values[:, -1],
        residuals=residuals,
        is_converged=np.nanmax(residuals, axis=1) <= tolerance * size,
        num_products=found.num_steps,
    )


def joined(parts: Sequence[Extremes]) -> Extremes:
    """Return the rows of several one after another."""
    return Extremes(
        *(np.concatenate([getattr(p, one.name) for p in parts]) for one in fields(Extremes))
    )
