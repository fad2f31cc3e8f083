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


def layer_widths(module: nn.Module) -> list[int] | None:
    """Return the widths of the input and of every layer, None for any other architecture.

    A network is understood if it is a sequence of fully connected layers with biases and a
    rectifier between each two, after a `Flatten` or none, and no layer is shared, pruned,
    normalised, or changed by a hook.

    Examples
    --------
    >>> layer_widths(nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)))
    [4, 3, 2]
    """
    parts = list(module) if type(module) is nn.Sequential else [module]
    if parts and type(parts[0]) is nn.Flatten and parts[0].start_dim == 1:
        parts = parts[1:]
    if len(parts) % 2 == 0 or any(type(part) is not nn.ReLU for part in parts[1::2]):
        return None
    if any(part._forward_hooks or part._forward_pre_hooks for part in module.modules()):
        return None
    # What is shared is named once.
    if len(list(module.parameters())) != len(parts) + 1:
        return None
    widths: list[int] = []
    for layer in parts[::2]:
        names = [name for name, _ in layer.named_parameters()]
        if type(layer) is not nn.Linear or names != ["weight", "bias"] or list(layer.buffers()):
            return None
        widths = widths or [layer.in_features]
        widths.append(layer.out_features)
    return widths
