"""Fully connected networks: `mlp-256-128`, `mlp-32x5`, and `linear`."""

import itertools
import math

from torch import nn


def widths(name: str) -> list[int]:
    """Return the hidden widths that a name spells.

    Examples
    --------
    >>> widths("mlp-256-128"), widths("mlp-32x3"), widths("linear")
    ([256, 128], [32, 32, 32], [])
    """
    hidden = []
    for part in name.split("-")[1:]:
        width, _, times = part.partition("x")
        hidden += [int(width)] * int(times or 1)
    return hidden


def build(name: str, input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
    """Build the network with ReLU between its layers and PyTorch's default initialisation."""
    sizes = [math.prod(input_shape), *widths(name), num_outputs]
    layers: list[nn.Module] = [nn.Flatten()]
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
