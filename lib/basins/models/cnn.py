"""The published convolutional networks (Fan, Sandlund, Ko 2025, arXiv 2511.04808)."""

import functools
import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from basins.models.mlp import layer_widths

CHANNELS = {"cnn-small": (32, 64), "cnn-large": (32, 64, 128)}
HIDDEN = {"cnn-small": (128,), "cnn-large": (512, 256)}


class MaxPool(nn.MaxPool2d):
    """A max-pool of squares side by side, the same to the bit as torch's.

    On a CPU, where no gradient is taken, it is by maxima of slices: those are vectorised, and take
    a twentieth of what torch's own pool takes there. Their gradients would take longer.

    Examples
    --------
    >>> with torch.no_grad():
    ...     MaxPool(2)(torch.arange(15.0).view(1, 1, 3, 5))
    tensor([[[[6., 8.]]]])
    """

    def __init__(self, side: int) -> None:
        super().__init__(side)
        self.side = side

    def forward(self, input: Tensor) -> Tensor:
        """Return the maxima, shape (..., height // side, width // side)."""
        if input.device.type != "cpu" or torch.is_grad_enabled():
            pooled: Tensor = super().forward(input)
            return pooled
        height, width = (size - size % self.side for size in input.shape[-2:])
        rows = [input[..., start : height : self.side, :width] for start in range(self.side)]
        highest = functools.reduce(torch.maximum, rows)
        columns = [highest[..., start :: self.side] for start in range(self.side)]
        return functools.reduce(torch.maximum, columns)


def build(name: str, input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
    """Build 3x3 convolutions with a 2x2 max-pool after each, then fully connected layers.

    Raises
    ------
    ValueError
        If inputs are not images large enough for the pools.
    """
    if len(input_shape) != 3 or min(input_shape[1:]) < 2 ** len(CHANNELS[name]):
        raise ValueError(
            f"model {name} needs images (channels, height, width) of at least "
            f"{2 ** len(CHANNELS[name])} pixels a side, not inputs of shape {input_shape}"
        )
    fan_in, height, width = input_shape
    layers: list[nn.Module] = []
    for channels in CHANNELS[name]:
        layers += [nn.Conv2d(fan_in, channels, 3, padding=1), nn.ReLU(), MaxPool(2)]
        fan_in, height, width = channels, height // 2, width // 2
    layers.append(nn.Flatten())
    fan_in = fan_in * height * width
    for hidden in HIDDEN[name]:
        layers += [nn.Linear(fan_in, hidden), nn.ReLU()]
        fan_in = hidden
    layers.append(nn.Linear(fan_in, num_outputs))
    return nn.Sequential(*layers)


@dataclass(frozen=True)
class Stack:
    """A plain convolutional network: what its layers are, in order.

    Attributes
    ----------
    convolutions
        Each with a rectifier behind it.
    pools
        Of each, how many pixels a side become one behind it; 1 for no pooling.
    widths
        Of the fully connected layers behind them, as of `basins.models.mlp.layer_widths`.
    """

    convolutions: tuple[nn.Conv2d, ...]
    pools: tuple[int, ...]
    widths: tuple[int, ...]


def stack_of(module: nn.Module, input_shape: tuple[int, ...]) -> Stack | None:
    """Return the layers of a plain convolutional network, None for any other.

    That is a sequence of convolutions, each with a rectifier and perhaps a max-pool of as many
    pixels as it steps, which its images are a multiple of; then what `layer_widths` understands. No
    layer is shared, pruned, normalised, or changed by a hook.
    """
    if type(module) is not nn.Sequential or len(input_shape) != 3:
        return None
    parts = list(module)
    ends = [index for index, part in enumerate(parts) if type(part) is nn.Flatten]
    if len(ends) != 1 or parts[ends[0]].start_dim != 1:
        return None
    if any(part._forward_hooks or part._forward_pre_hooks for part in module.modules()):
        return None
    dense = layer_widths(nn.Sequential(*parts[ends[0] :]))
    convolutions: list[nn.Conv2d] = []
    pools: list[int] = []
    side = list(input_shape[1:])
    for part, following in itertools.pairwise(parts[: ends[0] + 1]):
        if isinstance(part, nn.Conv2d) and _is_plain(part) and type(following) is nn.ReLU:
            convolutions.append(part)
            pools.append(1)
            side = [_size_behind(part, axis, size) for axis, size in enumerate(side)]
        elif isinstance(part, nn.MaxPool2d) and pools and pools[-1] == 1 and _window(part):
            pools[-1] = _window(part)
            if any(size % pools[-1] for size in side):
                return None
            side = [size // pools[-1] for size in side]
        elif type(part) is not nn.ReLU or not pools:
            return None
    is_whole = len(list(module.parameters())) == 2 * (len(convolutions) + len(dense or []) - 1)
    if not convolutions or dense is None or not is_whole:
        return None
    if dense[0] != convolutions[-1].out_channels * math.prod(side):
        return None
    return Stack(tuple(convolutions), tuple(pools), tuple(dense))


def _is_plain(layer: nn.Conv2d) -> bool:
    return (
        type(layer) is nn.Conv2d
        and layer.groups == 1
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
        and not list(layer.buffers())
    )


def _window(pool: nn.MaxPool2d) -> int:
    """Return the side of a pool's windows if they are squares side by side, else 0."""
    is_simple = (
        type(pool) in (nn.MaxPool2d, MaxPool)
        and pool.stride == pool.kernel_size
        and (pool.padding, pool.dilation) == (0, 1)
        and not pool.ceil_mode
        and not pool.return_indices
    )
    return pool.kernel_size if is_simple and isinstance(pool.kernel_size, int) else 0


def _size_behind(layer: nn.Conv2d, axis: int, size: int) -> int:
    reach = layer.dilation[axis] * (layer.kernel_size[axis] - 1)
    padding = layer.padding[axis]
    assert isinstance(padding, int)
    return (size + 2 * padding - reach - 1) // layer.stride[axis] + 1
