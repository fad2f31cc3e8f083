"""Leapfrog trajectories of many chains under a loss and quadratics.

Steps of Störmer and Verlet (Neal 2011, *MCMC using Hamiltonian dynamics*, section 2.3), in
coordinates z of x = A z.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basins.volume.forces import Forces

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Phase:
    """Where chains are and how they move; arrays of shape (k, n).

    Attributes
    ----------
    z, offsets, gradients
        Points, A z, and gradients of the loss there.
    momentum
        Of z, for unit masses.
    rises
        Loss above the minimum's at these points, shape (k,).
    """

    z: Array
    offsets: Array
    gradients: Array
    momentum: Array
    rises: Array


def leapfrog(
    forces: Forces,
    start: Phase,
    step: float,
    count: int,
    gradient: Callable[[Array], Array],
    rise: Callable[[Array], Array],
) -> Phase:
    """Return where `count` steps lead to.

    Parameters
    ----------
    forces, start
        What drives which chains.
    step, count
        Size and number of the steps.
    gradient, rise
        Map offsets (k, n) to gradients of the loss, and to how far it is above the minimum's.
    """
    z, offsets, gradients = start.z.copy(), start.offsets, start.gradients
    momentum = start.momentum - step / 2 * forces.slope(z, offsets, gradients)
    for index in range(count):
        z += step * momentum
        offsets = forces.shape.apply(z)
        gradients = gradient(offsets)
        slope = forces.slope(z, offsets, gradients)
        slope *= step if index < count - 1 else step / 2
        momentum -= slope
    return Phase(z, offsets, gradients, momentum, rise(offsets))
