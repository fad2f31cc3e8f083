"""Sharpness in a Euclidean ball about the minimum.

Dinh et al. (2017), *Sharp Minima Can Generalize For Deep Nets*, arXiv 1703.04933, definition 2.
"""

from basins import streams
from basins.directions.isotropic import directions
from basins.flatness.ascent import RESTARTS, in_ball, largest_rise
from basins.flatness.neighborhood import Neighborhood, check_radius


def sharpness(around: Neighborhood, epsilon: float, *names: streams.Name) -> float:
    """Return 100 (max L - L_0) / (1 + L_0) over |offset| <= epsilon, in percent.

    Parameters
    ----------
    around
        The loss.
    epsilon
        Radius, above 0.
    names
        Key of the random starts.

    Raises
    ------
    ValueError
        If epsilon is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> bowl = Neighborhood(np.zeros(2), lambda x: x[:, 0] ** 2 / 2, lambda x: x * [1, 0])
    >>> round(sharpness(bowl, 0.2), 9)  # 100 * 0.2^2 / 2
    2.0
    """
    check_radius("epsilon", epsilon)
    starts, _ = directions((*names, "starts"), range(RESTARTS), around.num_parameters)
    return 100 * largest_rise(around, in_ball(epsilon), epsilon * starts) / (1 + around.own_loss)
