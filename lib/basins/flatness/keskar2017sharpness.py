"""Sharpness in a box about the minimum, in the full space or a random subspace.

Keskar et al. (2017), *On Large-Batch Training for Deep Learning: Generalization Gap and Sharp
Minima*, arXiv 1609.04836, equations 3 and 4 (metric 2.1).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from basins import streams
from basins.flatness.ascent import RESTARTS, STEPS, in_box, largest_rise
from basins.flatness.neighborhood import Neighborhood, check_radius

Array = NDArray[np.float64]

EPSILONS = (1e-3, 5e-4)  # theirs
SUBSPACE = 100  # dimensions, theirs
ITERATIONS = 10  # of L-BFGS-B, theirs
MAXIMIZERS = ("lbfgsb", "ascent")


def sharpness(
    around: Neighborhood,
    epsilon: float,
    *names: streams.Name,
    subspace: int | None = None,
    maximizer: str = "lbfgsb",
) -> float:
    """Return 100 (max L - L_0) / (1 + L_0) over a box, in percent; L_0 the minimum's loss.

    Half widths are epsilon (|theta_i| + 1) in the full space. In a random subspace offsets are A y,
    the columns of A standard normal, with half widths epsilon (|(A^+ theta)_i| + 1) of y.

    Parameters
    ----------
    around
        The loss.
    epsilon
        Size of the box, above 0.
    names
        Key of the random subspace and starts.
    subspace
        Its dimension, at most n; None for the full space.
    maximizer
        ``lbfgsb``: 10 iterations from the minimum itself, as published; ``ascent``: conditional
        gradients from several starts, which find more.

    Raises
    ------
    ValueError
        If an argument cannot be used.

    Examples
    --------
    >>> bowl = Neighborhood(np.zeros(2), lambda x: (x**2).sum(1) / 2, lambda x: x)
    >>> round(sharpness(bowl, 0.1, maximizer="ascent"), 9)  # 100 (0.1^2 + 0.1^2) / 2
    1.0
    """
    check_radius("epsilon", epsilon)
    if maximizer not in MAXIMIZERS:
        raise ValueError(f"maximizer: {maximizer!r} must be one of {', '.join(MAXIMIZERS)}")
    if subspace is None:
        seen, center = around, around.minimum
    else:
        seen, center = in_subspace(around, subspace, *names)
    half_widths = epsilon * (np.abs(center) + 1)
    find = _by_lbfgsb if maximizer == "lbfgsb" else _by_ascent
    return 100 * find(seen, half_widths, *names) / (1 + around.own_loss)


def in_subspace(
    around: Neighborhood, dimension: int, *names: streams.Name
) -> tuple[Neighborhood, Array]:
    """Return the loss at theta + A y as one of y, and A^+ theta, shape (p,).

    Raises
    ------
    ValueError
        If the dimension p is not between 1 and n.
    """
    n = around.num_parameters
    if not 1 <= dimension <= n:
        raise ValueError(f"subspace: {dimension} must be between 1 and {n}, the parameters")
    columns = streams.normals(*names, "subspace", count=n * dimension).reshape(dimension, n)
    center = np.linalg.lstsq(columns.T, around.minimum, rcond=None)[0]
    seen = Neighborhood(
        np.zeros(dimension),
        lambda y: around.loss(y @ columns),
        lambda y: around.gradient(y @ columns) @ columns.T,
    )
    return seen, np.asarray(center, dtype=np.float64)


def _by_lbfgsb(around: Neighborhood, half_widths: Array, *_names: streams.Name) -> float:
    """Return the largest rise that the published maximizer sees."""
    best = 0.0

    def fall(y: Array) -> tuple[float, Array]:
        nonlocal best
        rise = float(around.rise(y[None])[0])
        best = max(best, rise)
        return -rise, -around.gradient(y[None])[0]

    minimize(
        fall,
        np.zeros(len(half_widths)),
        jac=True,
        method="L-BFGS-B",
        bounds=np.column_stack([-half_widths, half_widths]),
        # No tolerance, or a good minimum's small gradient would end it before it began.
        options={"maxiter": ITERATIONS, "ftol": 0.0, "gtol": 0.0},
    )
    return best


def _by_ascent(around: Neighborhood, half_widths: Array, *names: streams.Name) -> float:
    n = len(half_widths)
    signs = 2 * streams.uniforms(*names, "starts", count=RESTARTS * n).reshape(RESTARTS, n) - 1
    return largest_rise(around, in_box(half_widths), half_widths * signs, STEPS)
