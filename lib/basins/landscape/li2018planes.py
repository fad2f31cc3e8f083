"""Random planes in which every filter moves in proportion to its own norm (Li et al. 2018).

The unit along either axis is the minimum's own: at 1, each filter has moved by its norm, so
pictures of different minima and networks have one scale (arXiv 1712.09913, section 4).
"""

import numpy as np
from numpy.typing import NDArray

from basins import streams
from basins.models.functional import ParameterBlock

Array = NDArray[np.float64]


def filter_normalized(
    layout: tuple[ParameterBlock, ...], theta: Array, *names: streams.Name
) -> Array:
    """Return two random directions, each filter of which is as long as the minimum's.

    d_ij <- d_ij / |d_ij| |theta_ij| for filter j of layer i, from Gaussian d (section 4); filters
    are rows of a tensor's first axis. Biases and scales, tensors of one axis, do not move, as in
    the authors' own pictures.

    Parameters
    ----------
    layout
        Where each tensor lies in the flat vector.
    theta
        The minimum, shape (n,).
    names
        Key of the random numbers.

    Returns
    -------
    NDArray
        Float64, shape (2, n).
    """
    found = np.zeros((2, len(theta)))
    for index in range(2):
        gaussian = streams.normals(*names, index, count=len(theta))
        for block in layout:
            if len(block.shape) < 2:
                continue
            part = slice(block.start, block.stop)
            rows = gaussian[part].reshape(block.shape[0], -1)
            filters = theta[part].reshape(block.shape[0], -1)
            lengths = np.linalg.norm(filters, axis=1) / np.linalg.norm(rows, axis=1)
            found[index, part] = (rows * lengths[:, None]).ravel()
    return found
