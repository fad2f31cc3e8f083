"""Adaptive sharpness: neighborhoods whose size in each parameter follows that parameter's.

Kwon et al. (2021), *ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning of
Deep Neural Networks*, arXiv 2102.11600, equations 3 and 6 with the elementwise T = |theta|; the
average case is that of Andriushchenko et al. (2023), arXiv 2302.07011, equation 2.
"""

import numpy as np
from numpy.typing import NDArray

from basins import streams
from basins.directions.isotropic import directions
from basins.flatness.ascent import RESTARTS, in_ball, in_box, largest_rise
from basins.flatness.intervals import Estimate, mean
from basins.flatness.neighborhood import Neighborhood, check_radius

Array = NDArray[np.float64]

NUM_DRAWS = 100
BALLS = ("l2", "linf")


def sharpness(around: Neighborhood, rho: float, *names: streams.Name, ball: str = "l2") -> float:
    """Return max L - L_0 over |offset / |theta|| <= rho, in units of the loss.

    Parameters
    ----------
    around
        The loss.
    rho
        Radius in units of each parameter's own size, above 0.
    names
        Key of the random starts.
    ball
        ``l2`` or ``linf``: the norm.

    Raises
    ------
    ValueError
        If an argument cannot be used.

    Examples
    --------
    >>> bowl = Neighborhood(np.array([1.0, 3.0]), lambda x: (x**2).sum(1) / 2, lambda x: x)
    >>> round(sharpness(bowl, 0.1), 9), round(sharpness(bowl, 0.1, ball="linf"), 9)
    (0.045, 0.05)
    """
    check_radius("rho", rho)
    if ball not in BALLS:
        raise ValueError(f"ball: {ball!r} must be one of {', '.join(BALLS)}")
    n, scale = around.num_parameters, np.abs(around.minimum)
    if ball == "linf":
        signs = 2 * streams.uniforms(*names, "starts", count=RESTARTS * n).reshape(RESTARTS, n) - 1
        return largest_rise(around, in_box(rho * scale), rho * scale * signs)
    starts, _ = directions((*names, "starts"), range(RESTARTS), n)
    return largest_rise(around, in_ball(rho, scale), rho * scale * starts)


def one_step(around: Neighborhood, rho: float) -> float:
    """Return L(theta + rho T^2 g / |T g|) - L(theta) with T = |theta|, in units of the loss.

    Raises
    ------
    ValueError
        If rho is not above 0.
    """
    check_radius("rho", rho)
    slopes = around.gradient(np.zeros((1, around.num_parameters)))
    return float(around.rise(in_ball(rho, np.abs(around.minimum))(slopes))[0])


def average(
    around: Neighborhood,
    sigma: float,
    *names: streams.Name,
    is_adaptive: bool = False,
    num_draws: int = NUM_DRAWS,
) -> Estimate:
    """Return E L(theta + sigma T z) - L(theta) over standard normal z, in units of the loss.

    Parameters
    ----------
    around
        The loss.
    sigma
        Standard deviation, above 0.
    names
        Key of the draws.
    is_adaptive
        T = |theta|, else 1.
    num_draws
        At least 2, in pairs of opposite signs, whose mean has no linear part.

    Raises
    ------
    ValueError
        If an argument cannot be used.

    Examples
    --------
    >>> slope = Neighborhood(np.ones(2), lambda x: x.sum(axis=1), lambda x: 0 * x + 1)
    >>> average(slope, 0.1).value
    0.0
    """
    check_radius("sigma", sigma)
    if num_draws < 2:
        raise ValueError(f"num_draws: {num_draws} must be at least 2")
    n = around.num_parameters
    scale = sigma * (np.abs(around.minimum) if is_adaptive else np.ones(n))
    pairs = []
    for index in range(num_draws):
        offset = scale * streams.normals(*names, "draw", index, count=n)
        pairs.append(float(around.rise(np.stack([offset, -offset])).mean()))
    return mean(np.array(pairs))
