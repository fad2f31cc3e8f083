"""A preconditioner from a few eigenvectors (Lanczos) and one length for everything else."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh

from basins import streams
from basins.directions.diagonal import Product
from basins.directions.full import lengths
from basins.directions.preconditioner import Preconditioner

Array = NDArray[np.float64]

NUM_PROBES = 30  # of the trace of what the eigenvectors leave out


def from_products(
    product: Product,
    num_parameters: int,
    rank: int,
    height: float,
    *names: streams.Name,
    longest: float = np.inf,
) -> Preconditioner:
    """Return lengths along the leading eigenvectors of H, and one length for the rest.

    The eigenvectors come from ARPACK's Lanczos (Lehoucq, Sorensen, Yang 1998); the rest gets the
    mean curvature of its trace, by Hutchinson's estimate of that trace.

    Parameters
    ----------
    product
        Maps rows v (k, n) to rows H v (k, n).
    num_parameters, rank
        Dimension n and how many eigenvectors.
    height
        Threshold minus the minimum's loss.
    names
        Key of the random start and probes.
    longest
        No length is beyond it.
    """

    def one(vector: Array) -> Array:
        return np.asarray(product(np.asarray(vector, dtype=np.float64).reshape(1, -1))[0])

    operator = LinearOperator((num_parameters, num_parameters), matvec=one, dtype=np.float64)
    start = streams.normals(*names, "lanczos", count=num_parameters)
    curvatures, vectors = eigsh(operator, k=rank, which="LM", v0=start)
    probes = streams.normals(*names, "trace", count=NUM_PROBES * num_parameters)
    probes = probes.reshape(NUM_PROBES, num_parameters)
    probes -= probes @ vectors @ vectors.T
    products = np.einsum("ki,ki->k", probes, product(probes))
    rest = float(products.mean() / (num_parameters - rank))
    found = lengths(np.append(curvatures, rest), height, longest)
    return Preconditioner(found[:-1], vectors, float(found[-1]), num_parameters)
