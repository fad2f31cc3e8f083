"""How many minima of one network are the same function by symmetry alone.

The order of h hidden units (or channels) is a choice among h!, and where units pass through odd
functions alone so is the sign of each, 2^h. Equal units have one order less to choose. Rectified
units may be scaled as well, but without a jump: such copies are one basin, which a measure that
ends counts once.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln
from torch import nn

from basins.flatness.weight_layers import (
    ALIKE,
    DROPOUTS,
    Layer,
    check_between,
    units_of_inputs,
    weight_layers,
)
from basins.models.functional import Network

Array = NDArray[np.float64]

# f(-x) = -f(x), and not f(x) = x: between layers that nothing bends, units mix as they like.
ODD = {nn.Tanh}
STRAIGHT = {nn.Identity, nn.Flatten, *DROPOUTS}


def log_copies(network: Network, example_shape: tuple[int, ...], theta: Array) -> float:
    """Return ln of the number of minima that differ from this one in order or sign of units alone.

    The size of its orbit: sum over hidden layers of ln h! (and h ln 2 where every function is odd)
    less ln k! for each k units that are equal, into and out of which the same weights lead. Units
    of different layers that could only be exchanged together count as different.

    Parameters
    ----------
    network, example_shape
        An `nn.Sequential` of fully connected or convolutional layers, and the shape of one input.
    theta
        Shape (n,).

    Raises
    ------
    ValueError
        If the network is no such sequence, or what stands between its layers treats units unlike.

    Examples
    --------
    >>> network = Network(nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 1)))
    >>> round(float(np.exp(log_copies(network, (1,), np.arange(10.0)))))
    6
    """
    layers = weight_layers(network)
    whole = np.asarray(theta, dtype=np.float64)
    return sum(
        _log_copies_of_layer(network, example_shape, layers, index, whole)
        for index in range(len(layers) - 1)
    )


def _log_copies_of_layer(
    network: Network, example_shape: tuple[int, ...], layers: list[Layer], index: int, theta: Array
) -> float:
    here, behind = layers[index : index + 2]
    check_between(layers, index, ALIKE, "known to treat all units alike")
    if here.groups * behind.groups != 1:
        raise ValueError(
            f"model: {here.label} or {behind.label} has groups, so its channels have their places"
        )
    kinds = {type(module) for _, module in here.following} - STRAIGHT
    if not kinds:
        raise ValueError(
            f"model: nothing bends what {here.label} gives to {behind.label}, so units mix as they "
            "like and have no number of copies"
        )
    inputs = units_of_inputs(network, layers, index, example_shape)
    into = [theta[block.start : block.stop].reshape(here.num_units, -1) for block in here.blocks]
    block = behind.blocks[0]
    weights = theta[block.start : block.stop].reshape(behind.num_units, behind.num_inputs, -1)
    places = np.argsort(inputs, kind="stable").reshape(here.num_units, -1)
    out = weights[:, places].swapaxes(0, 1).reshape(here.num_units, -1)
    units = np.concatenate([*into, out], axis=1)
    signs = 0
    if kinds <= ODD:
        is_there = (units != 0).any(axis=1)
        first = units[np.arange(len(units)), (units != 0).argmax(axis=1)]
        units = units * np.where(first < 0, -1.0, 1.0)[:, None]
        signs = int(is_there.sum())
    # Zeros of either sign are one number.
    _, counts = np.unique(units + 0.0, axis=0, return_counts=True)
    return float(gammaln(here.num_units + 1) - gammaln(counts + 1).sum() + signs * np.log(2))
