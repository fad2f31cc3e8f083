"""Proximal backpropagation: layers take implicit steps towards their targets.

Frerix et al. 2018, *Proximal backpropagation*, arXiv 1706.04638, algorithm 1. A hidden layer's
weights move to the minimizer of half the squared distance of its outputs to ``z - tau dL/dz``, plus
``|W - W_old|^2 / (2 tau_theta)``: linear least squares. The step is the gradient times the inverse
of ``A A^T / m + 1 / tau_theta``, with A the layer's inputs, a row of ones for the bias included,
over a batch of m examples. The last layer takes a plain gradient step.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.func import vmap

from basins.models.functional import Network
from basins.models.mlp import layer_widths


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
    layers = list(itertools.pairwise(widths))

    def of_seed(theta: Tensor, gradient: Tensor, inputs: Tensor) -> Tensor:
        x, parts, start = inputs.flatten(1), [], 0
        for index, (fan_in, fan_out) in enumerate(layers):
            size = fan_out * fan_in
            weight = theta[start : start + size].view(fan_out, fan_in)
            bias = theta[start + size : start + size + fan_out]
            slopes = gradient[start : start + size + fan_out]
            if index < len(layers) - 1:
                rows = torch.cat([slopes[:size].view(fan_out, fan_in), slopes[size:, None]], dim=1)
                seen = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
                # In float64: inputs that are alike make it nearly singular.
                seen = seen.double()
                matrix = seen.T @ seen / len(x) + torch.eye(fan_in + 1).to(seen) / proximity
                moved = torch.linalg.solve(matrix, rows.double().T).T.to(x)
                slopes = torch.cat([moved[:, :-1].flatten(), moved[:, -1]])
                x = nn.functional.relu(nn.functional.linear(x, weight, bias))
            parts.append(slopes)
            start += size + fan_out
        return torch.cat(parts)

    found: Tensor = vmap(of_seed)(theta, gradient, inputs)
    return found
