"""A network taken apart into its layers: which run, on what, and what stands between them."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from basins.models.cnn import MaxPool
from basins.models.functional import Network

LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
PASSING = (nn.Identity, nn.Flatten, nn.Unflatten, *DROPOUTS)  # as a network is evaluated
MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, MaxPool)
AVERAGE_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
ADAPTIVE_POOLS = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
POOLS = MAX_POOLS + AVERAGE_POOLS + ADAPTIVE_POOLS
CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


@dataclass(frozen=True)
class LayerRun:
    """A weight layer as it ran.

    Attributes
    ----------
    name, module
        Of the layer, in a copy of the network.
    weight
        Float64, shape (outputs, ...).
    input_shape
        Of what one example was there.
    """

    name: str
    module: nn.Module
    weight: Tensor
    input_shape: tuple[int, ...]


def checked(network: Network, theta: Tensor) -> Tensor:
    """Return parameters of the network in float64, shape (n,); ValueError if they do not fit it."""
    if theta.shape != (network.num_parameters,):
        raise ValueError(
            f"theta: its shape must be ({network.num_parameters},), not {tuple(theta.shape)}"
        )
    return theta.detach().double()


def in_double(
    network: Network, theta: Tensor, input_shape: tuple[int, ...]
) -> tuple[Network, Tensor]:
    """Return a copy of the network and its parameters in float64, having tried them out.

    Parameters
    ----------
    network, theta
        The architecture, which is not changed, and its parameters, shape (n,).
    input_shape
        Of one example.

    Raises
    ------
    ValueError
        If they do not fit one another.
    """
    whole = checked(network, theta)
    double = Network(copy.deepcopy(network.module)).to(theta.device, torch.float64)
    try:
        with torch.no_grad():
            double.apply(whole, whole.new_zeros(1, *input_shape))
    except RuntimeError as error:
        raise ValueError(
            f"input_shape: it must be one that the network takes in floating point, which "
            f"{tuple(input_shape)} is not: {error}"
        ) from error
    return double, whole


def layer_runs(
    network: Network, theta: Tensor, input_shape: tuple[int, ...]
) -> tuple[LayerRun, ...]:
    """Return every run of a layer with a matrix of weights, in running order.

    Parameters
    ----------
    network, theta
        The architecture, which is not changed, and its parameters, shape (n,).
    input_shape
        Of one example.

    Raises
    ------
    ValueError
        If they do not fit one another, or a matrix belongs to no plain fully connected or
        convolutional layer, or to one that has hooks or does not run.
    """
    double, whole = in_double(network, theta, input_shape)
    named = double.module.named_parameters()
    owners = {name.rpartition(".")[0] for name, parameter in named if parameter.ndim > 1}
    runs: list[LayerRun] = []

    def record(name: str) -> Any:
        def hook(module: nn.Module, arguments: tuple[Any, ...]) -> None:
            weight = module.weight
            assert isinstance(weight, Tensor)
            runs.append(LayerRun(name, module, weight, tuple(arguments[0].shape[1:])))

        return hook

    hooks = []
    for name in sorted(owners):
        module = double.module.get_submodule(name)
        if type(module) not in LINEAR or _is_hooked(module):
            raise ValueError(
                f"network: matrices of weights must be of plain fully connected or convolutional "
                f"layers without hooks; module {name!r} is a {type(module).__name__}"
            )
        hooks.append(module.register_forward_pre_hook(record(name)))
    with torch.no_grad():
        double.apply(whole, whole.new_zeros(1, *input_shape))
    for hook in hooks:
        hook.remove()
    idle = owners - {run.name for run in runs}
    if idle:
        raise ValueError(f"network: every layer must run, but module {min(idle)!r} does not")
    return tuple(runs)


def sequence(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the innermost modules of nested `Sequential`s in order; ValueError if one has hooks."""
    if _is_hooked(module):
        raise ValueError(f"network: modules must have no hooks, but module {name!r} has")
    if type(module) is not nn.Sequential:
        yield name, module
        return
    # `named_children` would leave out a layer's second use.
    for key, part in module._modules.items():
        assert part is not None
        yield from sequence(part, f"{name}.{key}" if name else key)


def check_contractions(module: nn.Module, inputs: Tensor) -> None:
    """Refuse a network unless what stands between its layers has Lipschitz constant 1.

    Parameters
    ----------
    module
        The network.
    inputs
        Any example, shape (1, *input_shape).

    Raises
    ------
    ValueError
        If a module may bring two inputs further apart, or does not map zero to zero.
    """
    for name, part in sequence(module):
        with torch.no_grad():
            outputs = part(inputs)
        if not _is_contraction(part, inputs, outputs):
            raise ValueError(
                f"network: between its layers only ReLU, tanh and pools that bring no two inputs "
                f"further apart are allowed; module {name!r} is a {type(part).__name__}"
            )
        inputs = outputs


def _is_contraction(module: nn.Module, inputs: Tensor, outputs: Tensor) -> bool:
    pool: Any = module  # its attributes differ from type to type
    if type(module) in MAX_POOLS:
        of_pool = (pool.kernel_size, pool.dilation, pool.stride)
        each = zip(*(_of_each_axis(inputs, value) for value in of_pool), strict=True)
        # No input is in two windows.
        return all((kernel - 1) * dilation < stride for kernel, dilation, stride in each)
    # Rows and columns of the matrix of any other pool must sum to one at most.
    if type(module) in AVERAGE_POOLS:
        is_whole = pool.count_include_pad or not any(_of_each_axis(inputs, pool.padding))
        return bool(is_whole and not pool.ceil_mode and not _divisor_override(pool))
    if type(module) in ADAPTIVE_POOLS:
        return all(new <= old for old, new in zip(inputs.shape, outputs.shape, strict=True))
    return type(module) in (*LINEAR, *PASSING, nn.ReLU, nn.Tanh)


def squared_pool(name: str, module: nn.Module, values: Tensor) -> Tensor:
    """Return what a pool gives if it squares its weights, and sums where it would take maxima.

    Parameters
    ----------
    name, module
        The pool; a maximum has weight one for every input of its window.
    values
        Shape (1, channels, ...).

    Raises
    ------
    ValueError
        If the pool is in `ceil_mode`.
    """
    pool: Any = module
    if type(module) in ADAPTIVE_POOLS:
        outputs: Tensor = pool(values)
        for axis in range(2, values.ndim):
            old, new = values.shape[axis], outputs.shape[axis]
            cells = [-(-(j + 1) * old // new) - j * old // new for j in range(new)]
            shape = [new if other == axis else 1 for other in range(values.ndim)]
            outputs = outputs / values.new_tensor(cells).view(shape)
        return outputs
    if pool.ceil_mode:
        raise ValueError(f"network: pools must not be in ceil_mode, but module {name!r} is")
    kernel = values.new_ones(1, 1, *_of_each_axis(values, pool.kernel_size))
    keys = ("stride", "padding", "dilation") if type(module) in MAX_POOLS else ("stride", "padding")
    how: dict[str, Any] = {key: _of_each_axis(values, getattr(pool, key)) for key in keys}

    def sums(of: Tensor) -> Tensor:
        found: Tensor = CONVOLUTIONS[of.ndim - 2](of.transpose(0, 1), kernel, **how)
        return found.transpose(0, 1)

    if type(module) in MAX_POOLS:
        return sums(values)
    if _divisor_override(pool):
        return sums(values) / _divisor_override(pool) ** 2
    if pool.count_include_pad:
        return sums(values) / kernel.numel() ** 2
    return sums(values) / sums(torch.ones_like(values)) ** 2


def _divisor_override(pool: Any) -> int:
    """Return the divisor that was set, 0 if none was; pools of one axis have no such setting."""
    return getattr(pool, "divisor_override", None) or 0


def _is_hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _of_each_axis(values: Tensor, setting: int | tuple[int, ...]) -> tuple[int, ...]:
    """Return a pool's setting for every axis of values, shape (1, channels, ...)."""
    return setting if isinstance(setting, tuple) else (setting,) * (values.ndim - 2)
