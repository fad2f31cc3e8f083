"""Linear changes of parameters, and what a change does to a Hessian."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class LinearMap(Protocol):
    """An invertible matrix J."""

    @property
    def num_parameters(self) -> int:
        """Its size n."""

    def solve(self, theta: Array, /) -> Array:
        """Return J^-1 theta for rows theta, shape (..., n)."""


@dataclass(frozen=True)
class Rescaling:
    """theta' = D theta, D = diag(scale).

    Attributes
    ----------
    scale
        Finite and not 0, shape (n,).

    Examples
    --------
    >>> change = Rescaling(np.array([2.0, 0.5, 2.0]))
    >>> change.apply(np.ones(3)), round(change.log_det, 3)
    (array([2. , 0.5, 2. ]), 0.693)
    """

    scale: Array

    def __post_init__(self) -> None:
        """Raise a ValueError if D has no inverse."""
        if not (np.isfinite(self.scale) & (self.scale != 0)).all():
            raise ValueError("scale: every entry must be finite and not 0")

    @property
    def num_parameters(self) -> int:
        """The length n of theta."""
        return len(self.scale)

    @property
    def log_det(self) -> float:
        """Sum of ln |D_i| in nats: what is added to log volumes."""
        return float(np.log(np.abs(self.scale)).sum())

    def apply(self, theta: Array) -> Array:
        """Return D theta for rows theta, shape (..., n)."""
        return checked_rows("theta", theta, self.num_parameters) * self.scale

    def solve(self, theta: Array) -> Array:
        """Return D^-1 theta for rows theta, shape (..., n)."""
        return checked_rows("theta", theta, self.num_parameters) / self.scale


@dataclass(frozen=True)
class Permutation:
    """theta'[i] = theta[order[i]].

    Attributes
    ----------
    order
        Each of 0 .. n - 1 once, int64, shape (n,).

    Examples
    --------
    >>> Permutation(np.array([2, 0, 1])).apply(np.array([5.0, 6.0, 7.0]))
    array([7., 5., 6.])
    """

    order: NDArray[np.int64]
    log_det = 0.0

    def __post_init__(self) -> None:
        """Raise a ValueError if `order` is no permutation."""
        check_order(self.order, len(self.order))

    @property
    def num_parameters(self) -> int:
        """The length n of theta."""
        return len(self.order)

    def apply(self, theta: Array) -> Array:
        """Return rows theta, shape (..., n), in the new order."""
        return checked_rows("theta", theta, self.num_parameters)[..., self.order]

    def solve(self, theta: Array) -> Array:
        """Return rows theta, shape (..., n), in the old order again."""
        return checked_rows("theta", theta, self.num_parameters)[..., np.argsort(self.order)]


def transformed_hessian(hessian: Array, change: LinearMap) -> Array:
    """Return the Hessian after a change of parameters, J^-T H J^-1 (Dinh, sections 4 and 5).

    Exact for linear changes; for others at a critical point, with J there.

    Parameters
    ----------
    hessian
        In the old parameters, symmetric, shape (n, n).
    change
        A `Rescaling` or `Permutation`, or `Radial.jacobian` of a critical point.

    Raises
    ------
    ValueError
        If the Hessian is not symmetric, or of another size than the change.

    Examples
    --------
    >>> transformed_hessian(np.eye(2), Rescaling(np.array([2.0, 1.0])))
    array([[0.25, 0.  ],
           [0.  , 1.  ]])
    """
    shape = (change.num_parameters,) * 2
    rounding = 1e-6 * np.abs(hessian).max(initial=0)
    if hessian.shape != shape or not np.allclose(hessian, hessian.T, rtol=0, atol=rounding):
        raise ValueError(f"hessian: must be symmetric, of shape {shape}")
    inverse = change.solve(np.eye(len(hessian))).T
    return np.asarray(inverse.T @ hessian @ inverse)


def pseudo_log_det_shift(vectors: Array, change: LinearMap) -> float:
    """Return what is added to ln of the product of the Hessian's eigenvalues that are not 0.

    With H = U diag(values) U^T, those of J^-T H J^-1 are those of diag(values) U^T J^-1 J^-T U, so
    it is ln det (U^T J^-1 J^-T U) in nats: -2 ln |det J| only where H has full rank.

    Parameters
    ----------
    vectors
        U, orthonormal columns, shape (n, rank).
    change
        As for `transformed_hessian`.

    Raises
    ------
    ValueError
        If the columns are not orthonormal, or of another length than the change.

    Examples
    --------
    >>> change = Rescaling(np.array([2.0, 0.5]))
    >>> round(pseudo_log_det_shift(np.array([[1.0], [0.0]]), change), 3)
    -1.386
    """
    n = change.num_parameters
    is_matrix = vectors.ndim == 2 and len(vectors) == n
    if not is_matrix or not np.allclose(vectors.T @ vectors, np.eye(vectors.shape[1])):
        raise ValueError(f"vectors: must have orthonormal columns, shape ({n}, rank)")
    # Of the triangle of J^-T U: its square is what the formula asks for.
    triangle = np.linalg.qr(change.solve(np.eye(n)) @ vectors, mode="r")
    return float(2 * np.linalg.slogdet(triangle)[1])


def check_order(order: NDArray[np.int64], size: int) -> None:
    """Raise a ValueError if `order` is no permutation of so many numbers."""
    if order.dtype.kind not in "iu" or not np.array_equal(np.sort(order), np.arange(size)):
        raise ValueError(f"order: must hold each of 0 to {size - 1} once, as whole numbers")


def checked_rows(name: str, values: Array, num_parameters: int) -> Array:
    """Return values in float64; a ValueError if they are no rows of so many numbers."""
    found = np.asarray(values, dtype=np.float64)
    if found.shape[-1:] != (num_parameters,):
        raise ValueError(f"{name}: must have shape (..., {num_parameters}), not {found.shape}")
    return found
