"""Proximal backpropagation: layers take implicit steps towards their targets.

Frerix et al. 2018, *Proximal backpropagation*, arXiv 1706.04638, algorithm 1. A hidden layer's
weights move to the minimizer of half the squared distance of its outputs to ``z - tau dL/dz``, plus
``|W - W_old|^2 / (2 tau_theta)``: linear least squares. The step is the gradient times the inverse
of ``A A^T / m + 1 / tau_theta``, with A the layer's inputs, a row of ones for the bias included,
over a batch of m examples. The last layer takes a plain gradient step.
"""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.func import vmap

from basins.models.functional import Network
from basins.models.mlp import layer_widths
from basins.models.passes import chunks, examples_together


def direction(
    network: Network, theta: Tensor, gradient: Tensor, inputs: Tensor, proximity: float
) -> Tensor:
    """Return what stands in for the gradient, shape (seeds, n).

    Parameters
    ----------
    network
        Fully connected, with rectified hidden layers.
    theta, gradient
        Shape (seeds, n).
    inputs
        Of the batch, shape (seeds, m, *input_shape).
    proximity
        tau_theta: the larger, the closer layers come to their targets.

    Raises
    ------
    ValueError
        If the network is another.
    """
    widths = layer_widths(network.module)
    if widths is None:
        raise ValueError(
            "optimizer: proxprop is for fully connected networks with rectified layers"
        )
    layers = list(_layers(widths))
    hidden = layers[:-1]

    def products(theta: Tensor, inputs: Tensor) -> tuple[Tensor, ...]:
        """Return A A^T of every hidden layer, in float64: alike inputs make it nearly singular."""
        x, found = inputs.flatten(1), []
        for weights, biases, shape in hidden:
            seen = torch.cat([x, torch.ones_like(x[:, :1])], dim=1).double()
            found.append(seen.T @ seen)
            x = nn.functional.relu(
                nn.functional.linear(x, theta[weights].view(shape), theta[biases])
            )
        return tuple(found)

    def solved(gradient: Tensor, matrices: tuple[Tensor, ...]) -> Tensor:
        parts = []
        for matrix, (weights, biases, shape) in zip(matrices, hidden, strict=True):
            rows = torch.cat([gradient[weights].view(shape), gradient[biases, None]], dim=1)
            moved = torch.linalg.solve(matrix, rows.double().T).T.to(gradient)
            parts += [moved[:, :-1].flatten(), moved[:, -1]]
        weights, biases, _ = layers[-1]
        return torch.cat([*parts, gradient[weights], gradient[biases]])

    count = inputs.shape[1]
    totals: tuple[Tensor, ...] = ()
    # Twice: a layer's inputs are held in double precision, too.
    for run in chunks(count, max(1, examples_together(network, theta, inputs[0]) // 2)):
        found = vmap(products)(theta, inputs[:, run])
        totals = tuple(map(torch.add, totals, found)) if totals else found
    eyes = (torch.eye(total.shape[-1]).to(total) for total in totals)
    matrices = tuple(
        total / count + eye / proximity for total, eye in zip(totals, eyes, strict=True)
    )
    result: Tensor = vmap(solved)(gradient, matrices)
    return result


def _layers(widths: list[int]) -> Iterator[tuple[slice, slice, tuple[int, int]]]:
    """Yield where the weights and biases of each layer are, and the shape of the weights."""
    stop = 0
    for fan_in, fan_out in itertools.pairwise(widths):
        start, middle = stop, stop + fan_out * fan_in
        stop = middle + fan_out
        yield slice(start, middle), slice(middle, stop), (fan_out, fan_in)
