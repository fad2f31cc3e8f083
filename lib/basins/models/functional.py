"""A network as a pure function of one flat parameter vector."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from basins import streams
from basins.study.resolve import model_builder


@dataclass(frozen=True)
class ParameterBlock:
    """Where one parameter tensor of a network lies in the flat vector."""

    name: str
    shape: tuple[int, ...]
    start: int
    stop: int


class Network:
    """A module whose parameters are an argument.

    The module runs in evaluation mode with its buffers (running statistics, say) frozen, so that
    the outputs of an example depend on that example and the parameters alone.

    Raises
    ------
    ValueError
        If the module has no parameters, or normalizes by the statistics of a batch.

    Examples
    --------
    >>> network = Network(nn.Linear(2, 1))
    >>> network.apply(torch.tensor([1.0, 2.0, 0.5]), torch.tensor([[3.0, 4.0]]))
    tensor([[11.5000]])
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module.eval().requires_grad_(False)
        self.layout: tuple[ParameterBlock, ...] = ()
        start = 0
        for name, parameter in module.named_parameters():
            shape = tuple(parameter.shape)
            stop = start + math.prod(shape)
            self.layout += (ParameterBlock(name, shape, start, stop),)
            start = stop
        self.num_parameters = start
        if not self.num_parameters:
            raise ValueError("model: it has no parameters, so there is nothing to perturb")
        for name, layer in module.named_modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is None:
                raise ValueError(
                    f"model: its {type(layer).__name__} {name!r} keeps no running statistics, so "
                    "what an example gives would depend on the others of its batch; allowed are "
                    "layers with track_running_stats=True, or GroupNorm"
                )

    @property
    def theta(self) -> Tensor:
        """The module's own parameters as one vector, shape (n,)."""
        return torch.cat([p.detach().flatten() for p in self.module.parameters()])

    def apply(self, theta: Tensor, inputs: Tensor) -> Tensor:
        """Return the outputs of the network with parameters `theta`.

        Parameters
        ----------
        theta
            Shape (n,).
        inputs
            Shape (examples, *input_shape).

        Returns
        -------
        Tensor
            Shape (examples, outputs).
        """
        parameters = {b.name: theta[b.start : b.stop].view(b.shape) for b in self.layout}
        outputs: Tensor = functional_call(self.module, parameters, (inputs,))
        return outputs

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Network":
        """Move the module's buffers to a device and precision; returns the network itself."""
        self.module.to(device=device, dtype=dtype)
        return self


def is_batched(module: nn.Module, device: torch.device) -> bool:
    """Tell whether many parameter vectors are quicker in one batch than one after another.

    Not convolutions on a CPU, whose batch is a convolution in groups: that takes 1.2 to 5 times as
    long.
    """
    is_convolutional = any(isinstance(m, nn.modules.conv._ConvNd) for m in module.modules())
    return device.type != "cpu" or not is_convolutional


def over_rows(
    function: Callable[..., Any], in_dims: tuple[int | None, ...], in_one: bool
) -> Callable[..., Any]:
    """Return a function of tensors over the rows of some, in one batch or one after another.

    Parameters
    ----------
    function
        Returns a tensor or several.
    in_dims
        0 of an argument whose rows are taken, None of one that is the same for all.
    in_one
        Whether in one batch, see `is_batched`.

    Examples
    --------
    >>> add = over_rows(lambda x, y: x + y, (0, None), in_one=False)
    >>> add(torch.tensor([[1.0], [2.0]]), torch.tensor([3.0]))
    tensor([[4.],
            [5.]])
    """
    if in_one:
        batched: Callable[..., Any] = vmap(function, in_dims=in_dims)
        return batched

    def looped(*arguments: Tensor) -> Any:
        given = list(zip(arguments, in_dims, strict=True))
        count = next(len(argument) for argument, dim in given if dim == 0)
        found = [function(*(a if dim is None else a[i] for a, dim in given)) for i in range(count)]
        if isinstance(found[0], Tensor):
            return torch.stack(found)
        return tuple(torch.stack(part) for part in zip(*found, strict=True))

    return looped


def build(
    name: str, input_shape: tuple[int, ...], num_outputs: int, *stream: streams.Name
) -> nn.Module:
    """Build the model called `name` with the initialisation of the stream called `stream`.

    Raises
    ------
    ValueError
        If the builder does not return a module that maps inputs to `num_outputs` outputs.
    """
    builder = model_builder(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(streams.key("initialization", *stream) % 2**63)
        module = builder(input_shape, num_outputs)
    if not isinstance(module, nn.Module):
        raise ValueError(f"model {name}: it built a {type(module).__name__}, not a torch Module")
    with torch.no_grad():
        outputs = module.eval()(torch.zeros(2, *input_shape))
    if tuple(outputs.shape) != (2, num_outputs):
        raise ValueError(
            f"model {name}: it maps two inputs to shape {tuple(outputs.shape)}, "
            f"but the study needs (2, {num_outputs})"
        )
    return module


def initial_parameters(
    name: str, input_shape: tuple[int, ...], num_outputs: int, *stream: streams.Name
) -> Tensor:
    """Return the initial parameters of one seed, shape (n,)."""
    return Network(build(name, input_shape, num_outputs, *stream)).theta
