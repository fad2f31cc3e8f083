"""The weight layers of a sequence, and what stands between them, by what it does to units."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from basins.models.cnn import MaxPool
from basins.models.functional import Network, ParameterBlock

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
POOLS: dict[Any, int] = {MaxPool: 2} | {
    getattr(nn, f"{kind}Pool{axes}d"): axes
    for kind in ("Max", "Avg", "AdaptiveMax", "AdaptiveAvg")
    for axes in (1, 2, 3)
}
DROPOUTS = {nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d}  # as they are evaluated
# f(c x) = c f(x) for every c > 0.
HOMOGENEOUS = {nn.ReLU, nn.LeakyReLU, nn.Identity, nn.Flatten, *DROPOUTS, *POOLS}
# Other functions that do the same to every unit, which is all that permutations need.
ALIKE = HOMOGENEOUS | {nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.ELU, nn.Softplus}


@dataclass(frozen=True)
class Layer:
    """A weight layer, its parameters (weight, then bias if any), and what follows up to the next.

    `axis` is that of units in its inputs and outputs, batch included.
    """

    label: str
    module: nn.Module
    blocks: tuple[ParameterBlock, ...]
    groups: int
    axis: int
    following: list[tuple[str, nn.Module]]

    @property
    def num_units(self) -> int:
        """Features or channels that come out."""
        return self.blocks[0].shape[0]

    @property
    def num_inputs(self) -> int:
        """Features or channels that go in."""
        return self.blocks[0].shape[1] * self.groups


def _described(name: str, module: nn.Module) -> str:
    return f"{name!r} ({type(module).__name__}{', hooked' if _is_hooked(module) else ''})"


def _is_hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _steps(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules of nested sequences in order of the forward pass."""
    if type(module) is not nn.Sequential or _is_hooked(module):
        yield name, module
        return
    for part, child in module._modules.items():
        assert child is not None
        yield from _steps(f"{name}.{part}" if name else part, child)


def weight_layers(network: Network) -> list[Layer]:
    """Return the weight layers in order of the forward pass, at least two."""
    parameters = network.module.named_parameters(remove_duplicate=False)
    if len(list(parameters)) != len(network.layout):
        raise ValueError("model: it has a parameter in two places, which cannot be changed apart")
    blocks = {block.name: block for block in network.layout}
    layers: list[Layer] = []
    for name, module in _steps("", network.module):
        names = [key for key, _ in module.named_parameters()]
        # A pruned or normalized layer has others.
        is_plain = names in (["weight"], ["weight", "bias"])
        if type(module) in LAYERS and is_plain and not _is_hooked(module):
            groups = getattr(module, "groups", 1)
            axis = -1 if type(module) is nn.Linear else 1
            own = tuple(blocks[f"{name}.{key}" if name else key] for key in names)
            layers.append(Layer(_described(name, module), module, own, groups, axis, []))
        elif layers:
            layers[-1].following.append((name, module))
    if len(layers) < 2:
        raise ValueError("model: it must be an nn.Sequential with two weight layers or more")
    return layers


def check_between(layers: list[Layer], index: int, allowed: set[Any], what: str) -> None:
    """Raise a ValueError if a module between a layer and the next is not of the types allowed."""
    for name, module in layers[index].following:
        if type(module) not in allowed or _is_hooked(module):
            names = ", ".join(sorted(kind.__name__ for kind in allowed))
            raise ValueError(
                f"model: {_described(name, module)} between {layers[index].label} and "
                f"{layers[index + 1].label} is not {what}; allowed are {names}"
            )


def units_of_inputs(
    network: Network, layers: list[Layer], index: int, example_shape: tuple[int, ...]
) -> NDArray[np.int64]:
    """Return which unit of a layer each input of the next comes from, shape (inputs,).

    What stands between is shown the units' own numbers.
    """
    here, behind = layers[index : index + 2]
    try:
        outputs = torch.zeros(1, *example_shape).to(network.theta)
        for _, module in _steps("", network.module):
            outputs = module(outputs)
            if module is here.module:
                break
    except (RuntimeError, IndexError, TypeError) as error:
        raise ValueError(f"example_shape: the model takes no {example_shape}: {error}") from error
    if here.axis == 1 and outputs.ndim != len(here.blocks[0].shape):
        raise ValueError(f"example_shape: {here.label} takes {example_shape} for a batch")

    def at_each_place(units: Tensor, axis: int, axes: int, name: str) -> Tensor:
        rows = units.movedim(axis, -1).flatten(0, -2)
        if units.ndim != axes or (rows != rows[0]).any():
            raise ValueError(f"model: {name} mixes the units of {here.label}")
        return rows[0]

    units = torch.arange(here.num_units).expand(outputs.movedim(here.axis, -1).shape)
    units = units.movedim(-1, here.axis)
    for name, module in here.following:
        if type(module) is nn.Flatten:
            units = module(units)
        elif type(module) in POOLS:
            axes = POOLS[type(module)]
            channels = at_each_place(units, 1, axes + 2, _described(name, module))
            pooled = module(units.double())
            units = channels.view(1, -1, *[1] * axes).expand(pooled.shape)
    axes = len(behind.blocks[0].shape) if behind.axis == 1 else units.ndim
    return at_each_place(units, behind.axis, axes, behind.label).numpy()
