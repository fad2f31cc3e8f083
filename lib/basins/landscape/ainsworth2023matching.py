"""One network's hidden units in the order of another's: weight matching.

Ainsworth, Hayase and Srinivasa 2023 (arXiv 2209.04836, section 3.2 and algorithm 1): among all
networks that are B with its hidden units in another order, so that their function is B's, look for
the one nearest to A,

    argmin_P |A - P(B)|^2 = argmax_P sum_l <W_l^A, P_l W_l^B P_(l-1)^T> + <b_l^A, P_l b_l^B>,

one layer after the other, the others held fixed: each time a linear sum assignment, which the
Hungarian method solves exactly. The sum never falls, so the search ends, for one hidden layer at
the best there is and for more at an order that no single layer improves. Of deep narrow networks
that need not be the best, even if B is A in another order; so a second search starts where each
layer in turn was matched by the weights that come into it, which finds any such order, and the
better of the two ends is taken. Channels of a convolution are units; behind a `Flatten` each is a
block of inputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from basins import streams
from basins.flatness.weight_layers import ALIKE, check_between, units_of_inputs, weight_layers
from basins.models.functional import Network, ParameterBlock
from basins.models.mlp import layer_widths

Array = NDArray[np.float64]
Index = NDArray[np.int64]

ROUNDING = 1e-12  # relative: a gain below is none, or two equal orders would alternate for ever


@dataclass(frozen=True)
class Units:
    """Where the units of one weight layer are in a flat vector of parameters.

    Attributes
    ----------
    weights
        Places of the weights, shape (units, units of the layer before, weights of such a pair).
    biases
        Places of the biases, shape (units, 1), or (units, 0).
    """

    weights: Index
    biases: Index


@dataclass(frozen=True)
class Matched:
    """A network with its hidden units in the order of another's.

    Attributes
    ----------
    theta
        P(B), float64, shape (n,).
    orders
        Of every hidden layer: unit i is what unit ``order[i]`` of B was, shape (units,).
    gains
        The sum that is maximized, at the start of the better search and after each layer was
        matched: never falls.
    """

    theta: Array
    orders: tuple[Index, ...]
    gains: Array


def units_of(network: Network, example_shape: tuple[int, ...]) -> tuple[Units, ...]:
    """Return where the units of every weight layer are, in order of the forward pass.

    Parameters
    ----------
    network
        An `nn.Sequential`, nested or not, of fully connected layers and convolutions without
        groups, with modules between them that treat all units alike.
    example_shape
        Of one input, without the batch.

    Raises
    ------
    ValueError
        In one sentence, if the network is of another kind, as residual ones are.

    Examples
    --------
    >>> from torch import nn
    >>> network = Network(nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1)))
    >>> [part.weights.ravel().tolist() for part in units_of(network, (1,))]
    [[0, 1], [4, 5]]
    """
    widths = layer_widths(network.module)
    if widths is not None and len(widths) == 2:
        # One layer has no hidden units, and every order of none is the same.
        return (_placed(network.layout, np.arange(widths[0]), widths[0]),)
    try:
        layers = weight_layers(network)
        for index in range(len(layers) - 1):
            check_between(layers, index, ALIKE, "known to treat all units alike")
        grouped = [layer.label for layer in layers if layer.groups != 1]
        if grouped:
            raise ValueError(f"model: {grouped[0]} has groups, so its channels have their places")
        inputs = [np.arange(layers[0].num_inputs)]
        inputs += [
            units_of_inputs(network, layers, index, example_shape)
            for index in range(len(layers) - 1)
        ]
    except ValueError as error:
        raise ValueError(f"units of two networks cannot be matched, {error}") from error
    counts = [layers[0].num_inputs, *(layer.num_units for layer in layers[:-1])]
    return tuple(
        _placed(layer.blocks, units, count)
        for layer, units, count in zip(layers, inputs, counts, strict=True)
    )


def _placed(blocks: Sequence[ParameterBlock], units: Index, count: int) -> Units:
    """Return where the units of a layer are.

    `blocks` are its weights and then its biases, if it has any; `units` says which of the `count`
    units of the layer before each of its inputs comes from.
    """
    weight = blocks[0]
    outputs = weight.shape[0]
    places = np.arange(weight.start, weight.stop).reshape(outputs, len(units), -1)
    by_unit = places[:, np.argsort(units, kind="stable")].reshape(outputs, count, -1)
    biases = [np.arange(block.start, block.stop) for block in blocks[1:]]
    return Units(by_unit, np.array(biases, dtype=np.int64).reshape(-1, outputs).T)


def reordered(layers: Sequence[Units], theta: Array, orders: Sequence[Index]) -> Array:
    """Return the same function with its hidden units in another order, shape (n,).

    Parameters
    ----------
    layers, theta
        The network's units, and its parameters, shape (n,).
    orders
        Of every hidden layer; unit i becomes what unit ``order[i]`` was.
    """
    result = np.array(theta, dtype=np.float64)
    before = np.arange(layers[0].weights.shape[1])
    for layer, order in zip(layers, [*orders, np.arange(len(layers[-1].weights))], strict=True):
        result[layer.weights] = theta[layer.weights[order][:, before]]
        result[layer.biases] = theta[layer.biases[order]]
        before = order
    return result


def gain(layers: Sequence[Units], first: Array, last: Array, orders: Sequence[Index]) -> float:
    """Return the sum that matching maximizes: <A, P(B)> over the parameters of all layers."""
    return float(first @ reordered(layers, last, orders))


def matched(layers: Sequence[Units], first: Array, last: Array, *names: streams.Name) -> Matched:
    """Return B with its hidden units in the order of A's.

    Parameters
    ----------
    layers
        The network's units, of `units_of`.
    first, last
        Parameters of A and of B, shape (n,).
    names
        Key of the random order in which layers take their turns.

    Examples
    --------
    >>> from torch import nn
    >>> network = Network(nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1)))
    >>> one = np.array([1.0, -2.0, 0.0, 0.0, 3.0, 4.0, 0.0])
    >>> other = np.array([-2.0, 1.0, 0.0, 0.0, 4.0, 3.0, 0.0])
    >>> matched(units_of(network, (1,)), one, other, "example").theta.tolist() == one.tolist()
    True
    """
    first, last = first.astype(np.float64), last.astype(np.float64)
    as_they_are = [np.arange(len(layer.weights)) for layer in layers[:-1]]
    starts = as_they_are, _by_incoming(layers, first, last, as_they_are)
    found = [
        _searched(layers, first, last, start, *names, number) for number, start in enumerate(starts)
    ]
    return max(found, key=lambda one: float(one.gains[-1]))


def _by_incoming(
    layers: Sequence[Units], first: Array, last: Array, orders: Sequence[Index]
) -> list[Index]:
    """Return the orders of hidden layers, from the first on, by weights and biases coming in."""
    found = list(orders)
    for index in range(len(orders)):
        found[index] = _best(_similarities(layers, first, last, found, index, is_whole=False))
    return found


def _best(similar: Array) -> Index:
    return np.asarray(linear_sum_assignment(similar, maximize=True)[1], dtype=np.int64)


def _searched(
    layers: Sequence[Units],
    first: Array,
    last: Array,
    start: Sequence[Index],
    *names: streams.Name,
) -> Matched:
    """Return where the search ends that starts at these orders of hidden layers."""
    orders = list(start)
    gains = [gain(layers, first, last, orders)]
    least = ROUNDING * float(np.linalg.norm(first) * np.linalg.norm(last))
    sweep, has_moved = 0, True
    while has_moved:
        has_moved = False
        for index in streams.permutation(*names, "layers", sweep, size=len(orders)):
            similar = _similarities(layers, first, last, orders, int(index))
            order = _best(similar)
            rows = np.arange(len(order))
            more = similar[rows, order].sum() - similar[rows, orders[index]].sum()
            if more > least:
                orders[index], has_moved = order, True
            gains.append(gain(layers, first, last, orders))
        sweep += 1
    return Matched(reordered(layers, last, orders), tuple(orders), np.array(gains))


def _similarities(
    layers: Sequence[Units],
    first: Array,
    last: Array,
    orders: Sequence[Index],
    index: int,
    is_whole: bool = True,
) -> Array:
    """Return what each pair of units of a hidden layer would add to the sum, (units, units).

    What weights that go out of them add is left out unless `is_whole`.
    """
    here, behind = layers[index], layers[index + 1]
    before = orders[index - 1] if index else np.arange(here.weights.shape[1])
    after = orders[index + 1] if index + 1 < len(orders) else np.arange(len(behind.weights))
    units = len(here.weights)
    incoming = first[here.weights].reshape(units, -1)
    similar = incoming @ last[here.weights[:, before]].reshape(units, -1).T
    similar += first[here.biases] @ last[here.biases].T
    if not is_whole:
        return np.asarray(similar)
    outgoing = np.moveaxis(first[behind.weights], 1, 0).reshape(units, -1)
    found = np.moveaxis(last[behind.weights[after]], 1, 0).reshape(units, -1)
    return np.asarray(similar + outgoing @ found.T)
