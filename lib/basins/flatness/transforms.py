"""Changes of a minimum that leave its network's function as it was, and what they do to curvature.

Rectified networks do not feel a layer, or a unit, times a number if the next is divided by it
(Dinh et al. 2017, arXiv 1703.04933, sections 3 and 4; Neyshabur et al. 2015, arXiv 1506.02617,
section 2), and no network feels the order of its hidden units. All have closed forms, for measures
to be held to.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils import vector_to_parameters

from basins import streams
from basins.flatness.dinh2017radial import RadialNetwork
from basins.flatness.linear_maps import Permutation, Rescaling, check_order
from basins.flatness.weight_layers import (
    ALIKE,
    HOMOGENEOUS,
    Layer,
    check_between,
    units_of_inputs,
    weight_layers,
)
from basins.models.functional import Network
from basins.study.transform import is_around_minimum, parse_transform

Array = NDArray[np.float64]
# (network, example_shape, theta (n,), *stream names) -> theta of the same function, (n,).
Transform = Callable[..., Array]

ROUNDING = 1e-12  # of a product of factors


def alpha_scale(
    network: Network, alpha: float | Sequence[float], layers: Sequence[int] = (0, -1)
) -> Rescaling:
    """Return T_alpha: (theta_1, theta_2) -> (alpha theta_1, theta_2 / alpha), or its K-layer form.

    Dinh et al. 2017, definition 5 and section 4; biases are multiplied by what their layer's
    outputs are, which is the product of the factors up to and including that layer's.

    Parameters
    ----------
    network
        An `nn.Sequential`, nested or not; where outputs change, only positively homogeneous modules
        may follow.
    alpha
        Above 0: the weights of the first of two layers are multiplied by it, of the second divided.
        Or a factor for each of the layers, with product 1.
    layers
        Weight layers in order of the forward pass; negative numbers count from the last.

    Raises
    ------
    ValueError
        If an argument is none of these; a module that is not homogeneous is named.

    Examples
    --------
    >>> from torch import nn
    >>> network = Network(nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1)))
    >>> alpha_scale(network, 4.0).scale
    array([4.  , 4.  , 4.  , 4.  , 0.25, 0.25, 1.  ])
    """
    found = weight_layers(network)
    given = _above_0("alpha", alpha)
    factors = np.array([given, 1 / given]) if given.ndim == 0 else given
    if len({k % len(found) for k in layers if -len(found) <= k < len(found)}) != len(layers):
        raise ValueError(
            f"layers: must be some of the model's {len(found)}, each once, not {layers}"
        )
    if factors.shape != (len(layers),):
        raise ValueError(f"alpha: must be one number for 2 layers or {len(layers)}, not {alpha}")
    every = np.ones(len(found))
    every[list(layers)] = factors
    products = every.cumprod()
    if abs(products[-1] - 1) > ROUNDING:
        raise ValueError(f"alpha: factors must have product 1, not {products[-1]:.9g}")
    # Where rounding alone says otherwise, outputs stay and may go through anything.
    products[abs(products - 1) < ROUNDING] = 1
    for index in np.flatnonzero(products != 1):
        check_between(found, int(index), HOMOGENEOUS, "positively homogeneous")
    outgoing = [np.full(at.num_units, c) for at, c in zip(found, products, strict=True)]
    before = [1.0, *products[:-1]]
    incoming = [np.full(at.num_inputs, c) for at, c in zip(found, before, strict=True)]
    return _rescaling(network, found, outgoing, incoming)


def unit_rescaling(
    network: Network, example_shape: tuple[int, ...], factors: Sequence[Array]
) -> Rescaling:
    """Return a rescaling of hidden units: weights into one and bias times c, weights out over c.

    Neyshabur et al. 2015, section 2. Units of a convolution are its channels, each of which is a
    block of inputs behind a `Flatten`.

    Parameters
    ----------
    network
        See `alpha_scale`.
    example_shape
        Of one input, without the batch.
    factors
        For every weight layer but the last, above 0, shape (units,); a layer whose factors are all
        1 may be followed by anything.

    Raises
    ------
    ValueError
        As by `alpha_scale`, or if a module mixes units.

    Examples
    --------
    >>> from torch import nn
    >>> network = Network(nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1)))
    >>> unit_rescaling(network, (1,), [np.array([2.0, 4.0])]).scale
    array([2.  , 4.  , 2.  , 4.  , 0.5 , 0.25, 1.  ])
    """
    layers = weight_layers(network)
    shapes = [(layer.num_units,) for layer in layers[:-1]]
    if [np.shape(part) for part in factors] != shapes:
        raise ValueError(f"factors: must be arrays of shapes {shapes}, one for each hidden layer")
    outgoing = [_above_0("factors", part) for part in factors]
    incoming = [np.ones(layers[0].num_inputs)]
    for index, part in enumerate(outgoing):
        if (part == 1).all():
            incoming.append(np.ones(layers[index + 1].num_inputs))
            continue
        check_between(layers, index, HOMOGENEOUS, "positively homogeneous")
        incoming.append(part[units_of_inputs(network, layers, index, example_shape)])
    return _rescaling(network, layers, [*outgoing, np.ones(layers[-1].num_units)], incoming)


def unit_permutation(
    network: Network, example_shape: tuple[int, ...], layer: int, order: NDArray[np.int64]
) -> Permutation:
    """Return the map that puts the hidden units (channels) of a layer in another order.

    Parameters
    ----------
    network, example_shape
        As for `unit_rescaling`, but activations may be any that treat all units alike.
    layer
        Which weight layer, from 0 to the last but one.
    order
        Unit i becomes what unit order[i] was, shape (units,).

    Raises
    ------
    ValueError
        As by `unit_rescaling`, or if a convolution has groups, which tie channels to their places.

    Examples
    --------
    >>> from torch import nn
    >>> network = Network(nn.Sequential(nn.Linear(1, 2), nn.Tanh(), nn.Linear(2, 1)))
    >>> unit_permutation(network, (1,), 0, np.array([1, 0])).order
    array([1, 0, 3, 2, 5, 4, 6])
    """
    layers = weight_layers(network)
    if layer not in range(len(layers) - 1):
        raise ValueError(f"layer: must be from 0 to {len(layers) - 2}, not {layer}")
    here, behind = layers[layer : layer + 2]
    check_order(order, here.num_units)
    check_between(layers, layer, ALIKE, "known to treat all units alike")
    if here.groups * behind.groups != 1:
        raise ValueError(
            f"model: {here.label} or {behind.label} has groups, so its channels have their places"
        )
    units = units_of_inputs(network, layers, layer, example_shape)
    places = np.argsort(units, kind="stable").reshape(here.num_units, -1)
    inputs = np.empty_like(units)
    inputs[places] = places[order]
    index = np.arange(network.num_parameters)
    result = index.copy()
    for block in here.blocks:
        part = slice(block.start, block.stop)
        result[part] = index[part].reshape(here.num_units, -1)[order].ravel()
    part = slice(behind.blocks[0].start, behind.blocks[0].stop)
    weights = index[part].reshape(behind.num_units, behind.num_inputs, -1)
    result[part] = weights[:, inputs].ravel()
    return Permutation(result)


def named_transform(text: str) -> Transform:
    """Return what a study's name for a transform stands for, see `parse_transform`.

    Raises
    ------
    ValueError
        If it is no such name.

    Examples
    --------
    >>> from torch import nn
    >>> network = Network(nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1)))
    >>> named_transform("alpha-scale:4")(network, (1,), np.ones(4), "study", 0)
    array([4.  , 4.  , 0.25, 1.  ])
    """
    return partial(_transformed, *parse_transform(text))


def in_coordinates(network: Network, transform: str, theta: Tensor) -> Network:
    """Return the network of which a transformed minimum is one: itself, if parameters changed.

    Under ``radial:<a>:<b>`` they stay and the coordinates change, see `RadialNetwork`.

    Parameters
    ----------
    network
        As it was trained; its own parameters become those of the minimum.
    transform
        A study's name for one, or ''.
    theta
        The minimum, shape (n,).

    Examples
    --------
    >>> from torch import nn, tensor
    >>> line = in_coordinates(Network(nn.Linear(1, 1)), "radial:1:1", tensor([3.0, 0.0]))
    >>> line.apply(tensor([5.0, 0.0]), tensor([[1.0]]))
    tensor([[4.]])
    """
    if not is_around_minimum(transform):
        return network
    vector_to_parameters(theta, network.module.parameters())
    return Network(RadialNetwork(network.module, *parse_transform(transform)[1]))


def _transformed(
    kind: str,
    numbers: tuple[float, ...],
    network: Network,
    example_shape: tuple[int, ...],
    theta: Array,
    *names: streams.Name,
) -> Array:
    if kind == "radial":
        # The minimum is its own centre: the coordinates around it change, not it.
        return theta
    if kind == "alpha-scale":
        return alpha_scale(network, numbers[0]).apply(theta)
    units = [layer.num_units for layer in weight_layers(network)[:-1]]
    if kind == "unit-rescaling":
        logs = [streams.normals(*names, kind, k, count=count) for k, count in enumerate(units)]
        factors = [np.exp(numbers[0] * part) for part in logs]
        return unit_rescaling(network, example_shape, factors).apply(theta)
    for index, count in enumerate(units):
        order = streams.permutation(*names, kind, index, size=count)
        theta = unit_permutation(network, example_shape, index, order).apply(theta)
    return theta


def _rescaling(
    network: Network, layers: list[Layer], outgoing: list[Array], incoming: list[Array]
) -> Rescaling:
    """Return the rescaling that multiplies outputs (units,) if inputs (inputs,) were multiplied."""
    scale = np.ones(network.num_parameters)
    for layer, after, before in zip(layers, outgoing, incoming, strict=True):
        # Each group of outputs sees a group of inputs.
        seen = np.repeat(before.reshape(layer.groups, -1), len(after) // layer.groups, axis=0)
        for block, factors in zip(layer.blocks, (after[:, None] / seen, after), strict=False):
            each = (block.stop - block.start) // factors.size
            scale[block.start : block.stop] = np.repeat(factors, each)
    return Rescaling(scale)


def _above_0(name: str, value: Any) -> Array:
    try:
        found = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.array(np.nan)
    if not (np.isfinite(found) & (found > 0)).all():
        raise ValueError(f"{name}: must be a finite number above 0, not {value}")
    return found
