"""Spectral density and log-determinant of a symmetric matrix by stochastic Lanczos quadrature.

Ubaru, Chen, Saad (2017), *Fast Estimation of tr(f(A)) via Stochastic Lanczos Quadrature*, SIAM J.
Matrix Anal. Appl. 38, 1075: tr f(H) = n E[v^T f(H) v] over unit vectors v, each by the Gauss
quadrature whose nodes are the eigenvalues of Lanczos' tridiagonal matrix and whose weights are the
squared first components of its eigenvectors (their section 3).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basins import streams
from basins.flatness.intervals import Estimate, mean
from basins.flatness.lanczos import Krylov, krylov

Array = NDArray[np.float64]

NUM_PROBES = 10
NUM_STEPS = 80


@dataclass(frozen=True)
class Spectrum:
    """A spectrum as nodes and weights: of one matrix as seen by several vectors, or whole.

    Attributes
    ----------
    nodes, weights
        Of each vector, shape (vectors, steps); weights sum to 1, and are 0 where a vector needed
        fewer steps. A whole spectrum is one row with equal weights.
    coarse_nodes, coarse_weights
        The same from half the steps: what they differ by shows what steps leave out.
    num_parameters
        n, which the trace of the identity is.
    is_whole
        Whether the nodes are all eigenvalues.
    """

    nodes: Array
    weights: Array
    coarse_nodes: Array
    coarse_weights: Array
    num_parameters: int
    is_whole: bool

    @classmethod
    def whole(cls, eigenvalues: Array) -> "Spectrum":
        """Return all eigenvalues (n,) as a spectrum."""
        nodes = np.sort(eigenvalues)[None]
        weights = np.full(nodes.shape, 1 / nodes.size)
        return cls(nodes, weights, nodes, weights, nodes.size, True)

    def trace_of(self, function: Callable[[Array], Array]) -> Estimate:
        """Return tr f(H), with its error."""
        n = self.num_parameters
        found = n * (self.weights * function(self.nodes)).sum(axis=1)
        if self.is_whole:
            return Estimate.exact(float(found[0]))
        coarse = n * (self.coarse_weights * function(self.coarse_nodes)).sum(axis=1)
        # Gauss rules converge geometrically, so that half the steps err by far more.
        return mean(found, other_stderr=abs(float((found - coarse).mean())) / 3)

    def shares(self) -> tuple[Array, Array]:
        """Return nodes and weights of all vectors, one after another, shape (vectors x steps,).

        Weights sum to 1; both are NaN where a vector needed fewer steps.

        Examples
        --------
        >>> Spectrum.whole(np.array([3.0, 1.0])).shares()
        (array([1., 3.]), array([0.5, 0.5]))
        """
        is_empty = self.weights == 0
        # Of a step that was made a weight may still round to 0; its node has nothing to say.
        nodes = np.where(is_empty, np.nan, self.nodes).ravel()
        return nodes, np.where(is_empty, np.nan, self.weights / len(self.weights)).ravel()

    def density(self, at: Array, width: float) -> Array:
        """Return the density of eigenvalues at points (k,), smoothed by Gaussians of a width.

        Its integral is 1 (Lin, Saad, Yang 2016, SIAM Review 58, 34, equation 3.11).
        """
        distance = (at[:, None, None] - self.nodes) / width
        bumps = np.exp(-(distance**2) / 2) / (np.sqrt(2 * np.pi) * width)
        return np.asarray((self.weights * bumps).sum(axis=2).mean(axis=1))


def spectrum(
    product: Callable[[Array], Array],
    num_parameters: int,
    *names: streams.Name,
    num_probes: int = NUM_PROBES,
    num_steps: int = NUM_STEPS,
) -> Spectrum:
    """Return the spectrum of a symmetric matrix as random vectors see it.

    Parameters
    ----------
    product
        Maps rows v (k, n) to rows H v (k, n).
    num_parameters
        n.
    names
        Key of the random signs.
    num_probes, num_steps
        How many vectors, and of Lanczos' steps; together as many products.

    Raises
    ------
    ValueError
        If there are fewer than 2 of either.

    Examples
    --------
    >>> seen = spectrum(lambda rows: 2 * rows, 100, "example")
    >>> round(seen.trace_of(np.sqrt).value, 6)
    141.421356
    """
    if min(num_probes, num_steps) < 2:
        raise ValueError(
            f"num_probes, num_steps: {num_probes} and {num_steps} must both be at least 2"
        )
    signs = streams.uniforms(*names, count=num_probes * num_parameters)
    starts = np.where(signs < 0.5, -1.0, 1.0).reshape(num_probes, num_parameters)
    found = krylov(lambda _rows, vectors: product(vectors), starts, num_steps)
    half = Krylov(found.diagonal, found.beside, np.maximum(1, found.num_steps // 2))
    is_short = found.num_steps < min(num_steps, num_parameters)
    # A space that ended early has nothing left out.
    half.num_steps[is_short] = found.num_steps[is_short]
    return Spectrum(*_quadrature(found), *_quadrature(half), num_parameters, is_whole=False)


def _quadrature(found: Krylov) -> tuple[Array, Array]:
    """Return nodes and weights of every row, shape (rows, steps)."""
    nodes, weights = np.zeros((2, *found.diagonal.shape))
    for row, count in enumerate(found.num_steps):
        values, components, _ = found.eigenpairs(row)
        # Nodes without a weight repeat another, where any function is defined that is there.
        nodes[row], nodes[row, :count] = values[0], values
        weights[row, :count] = components**2
    return nodes, weights


def log_det(seen: Spectrum, damping: float) -> Estimate:
    """Return ln det(H + damping), in nats; eigenvalues below 0 count as 0.

    Raises
    ------
    ValueError
        If the damping is not above 0.
    """
    if not damping > 0:
        raise ValueError(f"damping: {damping!r} must be above 0")
    return seen.trace_of(lambda values: np.log(np.maximum(values, 0) + damping))
