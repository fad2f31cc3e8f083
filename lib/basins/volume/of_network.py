"""The basin of a network's loss, for estimators of any loss function."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from basins.models.functional import Network
from basins.rays.landscapes import Landscapes
from basins.rays.torch_path import TorchEvaluator
from basins.volume.basin import Basin

Array = NDArray[np.float64]


def network_basin(
    network: Network,
    theta: Tensor,
    landscapes: Landscapes,
    threshold: float,
    scale: Array,
    r_max: float = np.inf,
) -> Basin:
    """Return the basin around a network's minimum in its largest landscape.

    Parameters
    ----------
    network, theta
        The architecture and the minimum, shape (n,), whose precision and device passes run in.
    landscapes
        The examples; the loss is the mean over all of them.
    threshold
        Loss that bounds the basin.
    scale
        Unit of each parameter, shape (n,): points are parameters in these units, so the volume is
        one of the coordinates that `basins.directions.coordinates.scaling` gave them.
    r_max
        In these units.
    """
    whole = replace(landscapes, sizes=landscapes.sizes[-1:])
    evaluator = TorchEvaluator(network, theta, whole)
    minimum = theta.detach().cpu().double().numpy() / scale

    def loss(points: Array) -> Array:
        steps = (points - minimum) * scale
        return evaluator.losses(steps, np.ones(len(steps)), 1)[:, 0]

    def gradient(points: Array) -> Array:
        return evaluator.gradients((points - minimum) * scale) * scale

    return Basin(loss, minimum, threshold, gradient=gradient, r_max=r_max)
