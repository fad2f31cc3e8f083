"""Decision boundaries of networks of two numbers (Huang et al. 2020, arXiv 1906.03291)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from basins.models.functional import Network
from basins.models.passes import outputs_in_runs

Array = NDArray[np.float64]


def class_lead(network: Network, theta: Tensor, x: Array, y: Array) -> Array:
    """Return how far class 1 leads class 0 on a grid of inputs.

    Parameters
    ----------
    network
        Of two inputs, and of one output or two.
    theta
        Its parameters, shape (n,).
    x, y
        First and second number of the inputs.

    Returns
    -------
    NDArray
        The difference of two outputs, or the one output, shape (len(y), len(x)).
    """
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    outputs = outputs_in_runs(network, theta, torch.from_numpy(grid).to(theta))
    lead = outputs[:, -1] - outputs[:, 0] if outputs.shape[1] > 1 else outputs[:, 0]
    return lead.double().cpu().numpy().reshape(len(y), len(x))
