"""Sharpness one step up the gradient, as SAM descends it.

Foret et al. (2021), *Sharpness-Aware Minimization for Efficiently Improving Generalization*, arXiv
2010.01412, equation 2 with p = 2.
"""

import numpy as np

from basins.flatness.ascent import in_ball
from basins.flatness.neighborhood import Neighborhood, check_radius


def sharpness(around: Neighborhood, rho: float) -> float:
    """Return L(theta + rho g / |g|) - L(theta), in units of the loss; g the gradient at theta.

    Parameters
    ----------
    around
        The loss.
    rho
        Length of the step, above 0.

    Raises
    ------
    ValueError
        If rho is not above 0.

    Examples
    --------
    >>> slope = Neighborhood(np.zeros(2), lambda x: x @ [3.0, 4.0], lambda x: 0 * x + [3.0, 4.0])
    >>> round(sharpness(slope, 0.1), 9)
    0.5
    """
    check_radius("rho", rho)
    slopes = around.gradient(np.zeros((1, around.num_parameters)))
    return float(around.rise(in_ball(rho)(slopes))[0])
